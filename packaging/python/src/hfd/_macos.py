"""Where things lie by Apple's conventions, and what its kernel says. Not run on a Mac yet."""

from __future__ import annotations

import sys

# What is only there has no types elsewhere.
assert sys.platform == "darwin"

import ctypes
import os
import struct

from ._unix import UnixStream, absolute, what_is_wrong_with_socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Stream", "boot_id", "lock_text", "sockets", "what_is_wrong_with_socket"]

# <sys/un.h>
_SOL_LOCAL = 0
_LOCAL_PEERCRED = 1
# struct xucred of <sys/ucred.h>: version, uid, the number of groups, 16 groups.
_XUCRED_SIZE = 76
_XUCRED_VERSION = 0


class Stream(UnixStream):
    def is_own(self) -> bool:
        """Whether the server is a process of this person. The option is what getpeereid(3) asks for, too."""
        credentials = self._socket.getsockopt(_SOL_LOCAL, _LOCAL_PEERCRED, _XUCRED_SIZE)
        version, uid = struct.unpack_from("=II", credentials)
        return bool(version == _XUCRED_VERSION and uid == os.geteuid())


def sockets() -> Iterator[str]:
    directory = _state_directory()
    if directory is not None:
        yield os.path.join(directory, "hfdd.sock")


def lock_text() -> str | None:
    """The file that tells where the daemon is."""
    directory = _state_directory()
    return None if directory is None else os.path.join(directory, "hfdd.lock")


def boot_id() -> str:
    # A UUID as text with its NUL has 37 bytes.
    text = ctypes.create_string_buffer(64)
    length = ctypes.c_size_t(len(text))
    name = b"kern.bootsessionuuid"
    failed = ctypes.CDLL(None).sysctlbyname(name, text, ctypes.byref(length), None, ctypes.c_size_t(0))
    return "" if failed else text.value.decode("utf-8", "replace")


def _state_directory() -> str | None:
    home = absolute("HOME")
    if home is None:
        return None
    return os.path.join(home, "Library/Application Support/hfd", _machine_id())


def _machine_id() -> str:
    """The first four bytes of the host's UUID (gethostuuid(2))."""
    host = (ctypes.c_ubyte * 16)()
    second = (ctypes.c_long * 2)(1, 0)  # struct timespec: how long it may take
    failed = ctypes.CDLL(None).gethostuuid(host, second)
    return "machine" if failed else bytes(host[:4]).hex()
