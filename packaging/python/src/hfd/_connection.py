"""One connection to the daemon: its hello, and lines of JSON in both directions."""

from __future__ import annotations

import json
import time

from . import errors
from ._place import Stream
from .errors import DaemonUnreachable, HfdError, NoCommonProtocol, Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# The version of the protocol that is spoken here.
_PROTOCOL = 1

# See "Limits and deadlines" in PROTOCOL.md. The daemon says hello before anything else, so a longer silence means
# that it is frozen.
_HELLO = 3.0
_REPLY = 10.0
_LONGEST_LINE = 1_048_576


class Connection:
    """A connection whose peer was found to be the caller, and whose hello was read."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._received = bytearray()
        self._hello: dict[str, Any] = {}

    @classmethod
    def open(cls, place: str) -> Connection | None:
        """Connects; ``None`` where nobody listens, or the daemon was about to leave."""
        try:
            stream = Stream(place)
        except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError):
            return None
        except OSError as error:
            raise _unreachable(f"cannot connect to {place}: {error}") from None
        connection = cls(stream)
        try:
            if not stream.is_own():
                raise Refused(
                    f"{place} is served by another user", "unset HFD_SOCKET, or remove that socket"
                )
            hello = connection._line(_HELLO)
            if hello is None:
                connection.close()
                return None
            if "err" in hello:
                raise errors.of_document(hello["err"])
            connection._hello = hello
        except OSError as error:
            connection.close()
            raise _unreachable(f"cannot tell whose {place} is: {error}") from None
        except BaseException:
            connection.close()
            raise
        return connection

    def check_protocol(self) -> None:
        """Fails, and closes, unless the daemon speaks the protocol that is spoken here."""
        theirs = self._hello.get("hfd")
        if isinstance(theirs, list) and _PROTOCOL in theirs:
            return
        self.close()
        raise NoCommonProtocol(
            f"hfdd {self._hello.get('daemon')} speaks protocol {theirs}, this package speaks {[_PROTOCOL]}",
            "upgrade the older of the two",
        )

    def ask(self, request: dict[str, Any]) -> dict[str, Any] | None:
        """Sends a request and waits for its reply; ``None`` where the daemon left before it answered."""
        fields = {name: value for name, value in request.items() if value is not None}
        try:
            self._stream.send(json.dumps(fields).encode("ascii") + b"\n", _REPLY)
        except (BrokenPipeError, ConnectionResetError):
            return None
        except OSError as error:
            raise _lost(error) from None
        reply = self._line(_REPLY)
        if reply is None:
            return None
        if "err" in reply:
            told = errors.of_document(reply["err"])
            # What is no longer needed is gone before an error: see `_line`.
            del reply
            if isinstance(told, DaemonUnreachable):
                # It is leaving, which it says of itself to whoever asks in that moment.
                return None
            raise told
        answer = reply.get("ok")
        del reply
        if isinstance(answer, dict):
            return answer
        del answer
        raise HfdError("the daemon's answer is malformed")

    def event(self) -> dict[str, Any] | None:
        """The next event of a connection that carries them; waits for ever, ``None`` when the daemon has left."""
        return self._line(None)

    def wake(self) -> None:
        """Has whoever waits here, in another thread, hear that the connection has ended."""
        self._stream.wake()

    def close(self) -> None:
        self._stream.close()

    def _line(self, patience: float | None) -> dict[str, Any] | None:
        """The next line; ``None`` at the end.

        What was read may be a token, and frames of a traceback are shown with their variables by many a tool. So
        none of it is in a variable of this or another function here when that raises, nor in the error's context.
        """
        deadline = None if patience is None else time.monotonic() + patience
        searched = 0
        while True:
            end = self._received.find(b"\n", searched)
            if end >= 0:
                break
            searched = len(self._received)
            if searched >= _LONGEST_LINE:
                raise HfdError("the daemon's answer is too long")
            left = None if deadline is None else deadline - time.monotonic()
            if not self._receive(left):
                return None
        document = _parse(bytes(self._received[:end]))
        del self._received[: end + 1]
        if document is None:
            raise HfdError("the daemon's answer is malformed")
        return document

    def _receive(self, left: float | None) -> bool:
        if left is not None and left <= 0:
            raise _silent()
        try:
            chunk = self._stream.receive(left)
        except ConnectionResetError:
            return False
        except OSError as error:
            raise _lost(error) from None
        self._received += chunk
        return chunk != b""


def _parse(line: bytes) -> dict[str, Any] | None:
    # The errors of the decoders have the whole input with them.
    try:
        document = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _silent() -> HfdError:
    return DaemonUnreachable(
        "the daemon does not answer", "`hfd service restart` ends it and starts another"
    )


def _lost(error: OSError) -> HfdError:
    if isinstance(error, TimeoutError):
        return _silent()
    return _unreachable(f"the connection to the daemon broke: {error}")


def _unreachable(message: str) -> HfdError:
    return DaemonUnreachable(
        message, "`hfd service status` tells more, `hfd service restart` starts afresh"
    )
