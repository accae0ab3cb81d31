"""Where things lie by the XDG specification, and what machine-id(5) and ``/proc`` say."""

from __future__ import annotations

import sys

# What is only there has no types elsewhere.
assert sys.platform == "linux"

import os
import re
import socket
import struct

from ._unix import UnixStream, absolute, what_is_wrong_with_socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Stream", "boot_id", "lock_text", "sockets", "what_is_wrong_with_socket"]


class Stream(UnixStream):
    def is_own(self) -> bool:
        """Whether the server is a process of this person."""
        # struct ucred: pid, uid, gid (unix(7)).
        credentials = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        _, uid, _ = struct.unpack("iII", credentials)
        return bool(uid == os.geteuid())


def sockets() -> Iterator[str]:
    for directory in (absolute("XDG_RUNTIME_DIR"), f"/run/user/{os.getuid()}"):
        if directory is not None:
            yield os.path.join(directory, "hfd/hfdd.sock")


def lock_text() -> str | None:
    """The file that tells where the daemon is."""
    state = absolute("XDG_STATE_HOME")
    if state is None:
        home = absolute("HOME")
        if home is None:
            return None
        state = os.path.join(home, ".local/state")
    return os.path.join(state, "hfd", _machine_id(), "hfdd.lock")


def boot_id() -> str:
    return _first_line("/proc/sys/kernel/random/boot_id")


def _machine_id() -> str:
    for path in ("/etc/machine-id", "/var/lib/dbus/machine-id"):
        machine = _first_line(path)
        if re.fullmatch("[0-9A-Za-z]+", machine):
            return machine
    host = os.uname().nodename.replace("/", "-")
    return host if host and not host.startswith(".") else "machine"


def _first_line(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read().strip()
    except (OSError, ValueError):
        return ""
