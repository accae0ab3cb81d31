"""A connection on Unix: a socket in a directory that is the person's alone."""

from __future__ import annotations

import os
import socket
import struct
import sys

# What is only there has no types elsewhere.
assert sys.platform != "win32"

# How long a connection may wait in the queue of a daemon that takes none: it would be frozen.
_CONNECT = 3


def absolute(variable: str) -> str | None:
    """The value of a variable where it is an absolute path; the specification of the XDG variables has relative ones
    ignored."""
    value = os.environ.get(variable, "")
    return value if value.startswith("/") else None


def what_is_wrong_with_socket(path: str) -> str | None:
    return None if path.startswith("/") else "is not an absolute path"


class UnixStream:
    def __init__(self, path: str) -> None:
        """Connects to the socket at this path."""
        self._socket = socket.socket(socket.AF_UNIX)
        try:
            # With a time limit of Python's own the socket would not block, and a full queue be an error at once.
            limit = struct.pack("ll", _CONNECT, 0)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
            self._socket.connect(path)
        except BaseException:
            self._socket.close()
            raise

    def send(self, data: bytes, patience: float) -> None:
        self._socket.settimeout(patience)
        try:
            self._socket.sendall(data)
        except socket.timeout:  # a TimeoutError from Python 3.10 on
            raise TimeoutError from None

    def receive(self, patience: float | None) -> bytes:
        """What has come; nothing at the end."""
        self._socket.settimeout(patience)
        try:
            return self._socket.recv(65536)
        except socket.timeout:
            raise TimeoutError from None

    def wake(self) -> None:
        """Ends the connection for whoever waits for it. Closing alone would leave them waiting."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # the daemon has ended it already

    def close(self) -> None:
        self._socket.close()
