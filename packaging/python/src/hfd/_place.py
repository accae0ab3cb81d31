"""Where the daemon is: see that section of PROTOCOL.md. What differs between systems is in a module of each."""

from __future__ import annotations

import json
import os
import sys

from .errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

if sys.platform == "win32":
    from . import _windows as system
elif sys.platform == "darwin":
    from . import _macos as system
elif sys.platform == "linux":
    from . import _linux as system
else:
    raise ImportError("hfd is for Linux, macOS and Windows")

Stream = system.Stream


def places() -> Iterator[str]:
    """Where a client looks, in this order."""
    explicit = os.environ.get("HFD_SOCKET")
    if explicit:
        wrong = system.what_is_wrong_with_socket(explicit)
        if wrong is not None:
            raise UsageError(f"HFD_SOCKET {wrong}")
        yield explicit
        return
    yield from system.sockets()
    # Last: in the ordinary case nothing but a socket is touched.
    told = _socket_of_lock_file()
    if told is not None:
        yield told


def _socket_of_lock_file() -> str | None:
    """Where the daemon listens whose environment leads it elsewhere."""
    path = system.lock_text()
    if path is None:
        return None
    try:
        with open(path, "rb") as file:
            lock = json.load(file)
    except (OSError, ValueError):
        # No daemon has run here, or it is just writing what it is.
        return None
    if not isinstance(lock, dict) or lock.get("boot") != system.boot_id():
        return None
    socket = lock.get("socket")
    return socket if isinstance(socket, str) else None
