"""A connection on Windows: a named pipe, which is believed by its owner.

``_winapi`` is what Python's own multiprocessing speaks to pipes with; only what it lacks is called through ctypes. A pipe
that is opened as a file would have no time limits, and let its server act in the caller's name.
"""

from __future__ import annotations

import sys

# What is only there has no types elsewhere.
assert sys.platform == "win32"

import _winapi
import ctypes
import os
import time
from ctypes import wintypes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_PIPES = "\\\\.\\pipe\\"

# How long all ends of the pipe may be taken: the daemon makes another with each that it gives away.
_BUSY = 3.0

# winbase.h: the server may know whose process this is, and not act as it.
_SECURITY_SQOS_PRESENT = 0x0010_0000
_SECURITY_IDENTIFICATION = 0x0001_0000
# winerror.h
_ERROR_PIPE_BUSY = 231
_ERROR_PIPE_NOT_CONNECTED = 233
# accctrl.h, winnt.h
_SE_KERNEL_OBJECT = 6
_OWNER_SECURITY_INFORMATION = 1
_TOKEN_QUERY = 8
_TOKEN_USER = 1

_kernel32 = ctypes.WinDLL("kernel32", use_last_error=True)
_kernel32.CreateEventW.restype = wintypes.HANDLE
_kernel32.SetEvent.argtypes = [wintypes.HANDLE]
_kernel32.GetCurrentProcess.restype = wintypes.HANDLE
_kernel32.LocalFree.argtypes = [ctypes.c_void_p]

_advapi32 = ctypes.WinDLL("advapi32", use_last_error=True)
_advapi32.OpenProcessToken.argtypes = [wintypes.HANDLE, wintypes.DWORD, ctypes.POINTER(wintypes.HANDLE)]
_advapi32.GetTokenInformation.argtypes = [
    wintypes.HANDLE, ctypes.c_int, ctypes.c_void_p, wintypes.DWORD, ctypes.POINTER(wintypes.DWORD),
]  # fmt: skip
_advapi32.ConvertSidToStringSidW.argtypes = [ctypes.c_void_p, ctypes.POINTER(ctypes.c_void_p)]
_advapi32.GetSecurityInfo.restype = wintypes.DWORD
_advapi32.GetSecurityInfo.argtypes = [wintypes.HANDLE, ctypes.c_int, wintypes.DWORD, *[ctypes.c_void_p] * 5]


def sockets() -> Iterator[str]:
    yield f"{_PIPES}hfd-{_own_sid()}"


def lock_text() -> str | None:
    """The file that tells where the daemon is. Not the lock, which others cannot read while it is held."""
    local = os.environ.get("LOCALAPPDATA", "")
    if not os.path.isabs(local):
        home = os.environ.get("USERPROFILE", "")
        if not os.path.isabs(home):
            return None
        local = os.path.join(home, "AppData\\Local")
    return os.path.join(local, "hfd", "hfdd.json")


def boot_id() -> str:
    """There is none, and need be none: a pipe ends with its server."""
    return ""


def what_is_wrong_with_socket(path: str) -> str | None:
    name = path[len(_PIPES) :]
    if path.startswith(_PIPES) and name and "\\" not in name:
        return None
    return f"is not the name of a pipe ({_PIPES}NAME)"


class Stream:
    def __init__(self, path: str) -> None:
        """Connects to the pipe of this name."""
        self._pipe: int | None = _open(path)
        # Set to wake whoever waits.
        self._woken: int = _kernel32.CreateEventW(None, True, False, None)
        if not self._woken:
            _winapi.CloseHandle(self._pipe)
            raise ctypes.WinError(ctypes.get_last_error())

    def is_own(self) -> bool:
        """Whether this person has made the pipe. Its owner says so, and not the number of the server's process, which
        may be another's by the time it is asked about."""
        return _owner(self._handle()) == _own_sid()

    def send(self, data: bytes, patience: float) -> None:
        deadline = time.monotonic() + patience
        while data:
            transfer, _ = _winapi.WriteFile(self._handle(), data, True)
            sent = self._finish(transfer, max(0.0, deadline - time.monotonic()))
            if sent == 0:
                raise BrokenPipeError
            data = data[sent:]

    def receive(self, patience: float | None) -> bytes:
        """What has come; nothing at the end."""
        try:
            transfer, _ = _winapi.ReadFile(self._handle(), 65536, True)
            length = self._finish(transfer, patience)
        except OSError as error:
            if isinstance(error, BrokenPipeError) or error.winerror == _ERROR_PIPE_NOT_CONNECTED:
                return b""
            raise
        return bytes(transfer.getbuffer() or b"")[:length]

    def wake(self) -> None:
        if self._pipe is not None:
            _kernel32.SetEvent(self._woken)

    def close(self) -> None:
        if self._pipe is not None:
            _winapi.CloseHandle(self._pipe)
            _winapi.CloseHandle(self._woken)
            self._pipe = None

    def __del__(self) -> None:
        self.close()

    def _handle(self) -> int:
        if self._pipe is None:
            raise BrokenPipeError("the connection is closed")
        return self._pipe

    def _finish(self, transfer: _winapi.Overlapped, patience: float | None) -> int:
        """Waits for the end of a transfer; nothing was transferred where it was woken."""
        limit = _winapi.INFINITE if patience is None else int(patience * 1000)
        try:
            # Python adds the event of Ctrl-C.
            ended = _winapi.WaitForMultipleObjects([transfer.event, self._woken], False, limit)
        except BaseException:
            _call_off(transfer)
            raise
        if ended == _winapi.WAIT_TIMEOUT:
            _call_off(transfer)
            raise TimeoutError
        if ended != _winapi.WAIT_OBJECT_0:
            _call_off(transfer)
            return 0
        length, _ = transfer.GetOverlappedResult(True)
        return int(length)


def _call_off(transfer: _winapi.Overlapped) -> None:
    """The system uses the buffer until the transfer has ended."""
    transfer.cancel()
    try:
        transfer.GetOverlappedResult(True)
    except OSError:
        pass  # it has ended


def _open(path: str) -> int:
    deadline = time.monotonic() + _BUSY
    while True:
        try:
            return _winapi.CreateFile(
                path,
                _winapi.GENERIC_READ | _winapi.GENERIC_WRITE,
                0,
                _winapi.NULL,
                _winapi.OPEN_EXISTING,
                _winapi.FILE_FLAG_OVERLAPPED | _SECURITY_SQOS_PRESENT | _SECURITY_IDENTIFICATION,
                _winapi.NULL,
            )
        except OSError as error:
            left = deadline - time.monotonic()
            if error.winerror != _ERROR_PIPE_BUSY or left <= 0:
                raise
        # Zero would mean the server's own limit.
        _winapi.WaitNamedPipe(path, max(1, int(left * 1000)))


def _own_sid() -> str:
    token = wintypes.HANDLE()
    process = _kernel32.GetCurrentProcess()
    if not _advapi32.OpenProcessToken(process, _TOKEN_QUERY, ctypes.byref(token)):
        raise ctypes.WinError(ctypes.get_last_error())
    try:
        # A TOKEN_USER, which begins with the address of a SID of at most 68 bytes behind it.
        buffer = ctypes.create_string_buffer(256)
        length = wintypes.DWORD()
        if not _advapi32.GetTokenInformation(token, _TOKEN_USER, buffer, len(buffer), ctypes.byref(length)):
            raise ctypes.WinError(ctypes.get_last_error())
        return _text(ctypes.c_void_p.from_buffer(buffer))
    finally:
        assert token.value is not None
        _winapi.CloseHandle(token.value)


def _owner(handle: int) -> str:
    sid, descriptor = ctypes.c_void_p(), ctypes.c_void_p()
    status = _advapi32.GetSecurityInfo(
        handle,
        _SE_KERNEL_OBJECT,
        _OWNER_SECURITY_INFORMATION,
        ctypes.byref(sid),
        None,
        None,
        None,
        ctypes.byref(descriptor),
    )
    if status != 0:
        raise ctypes.WinError(status)
    try:
        return _text(sid)
    finally:
        _kernel32.LocalFree(descriptor)


def _text(sid: ctypes.c_void_p) -> str:
    text = ctypes.c_void_p()
    if not _advapi32.ConvertSidToStringSidW(sid, ctypes.byref(text)):
        raise ctypes.WinError(ctypes.get_last_error())
    assert text.value is not None
    try:
        return ctypes.wstring_at(text.value)
    finally:
        _kernel32.LocalFree(text)
