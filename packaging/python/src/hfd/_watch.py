"""Following events."""

from __future__ import annotations

import os

from .errors import DaemonUnreachable, HfdError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import threading

    from ._connection import Connection
    from .types import Event


class Watch:
    """What happens, an event at a time, from when this was made.

    Iterating waits, for ever if need be, and ends when it is closed, which any thread may do. When the daemon leaves,
    :class:`DaemonUnreachable` is raised: it does not reconnect. What happens meanwhile would be lost without a word,
    and a daemon that somebody has stopped would be started again. Whoever wants to go on makes another watch, and then
    looks how things are.

    It belongs to the process that made it. In a child after a fork it raises an error, and the parent's goes on.
    """

    def __init__(self, connection: Connection) -> None:
        import threading

        self._connection = connection
        self._process = os.getpid()
        self._closed = False
        self._reading: threading.Lock = threading.Lock()

    def __iter__(self) -> Watch:
        return self

    def __next__(self) -> Event:
        if self._process != os.getpid():
            raise HfdError("a watch belongs to the process that made it", "make one after the fork")
        with self._reading:
            if self._closed:
                raise StopIteration
            event: Event | None = None
            try:
                event = self._connection.event()  # type: ignore[assignment]
            except HfdError:
                if not self._closed:
                    self._end()
                    raise
            if event is not None and not self._closed:
                return event
            was_closed = self._closed
            self._end()
            if was_closed:
                raise StopIteration
            raise DaemonUnreachable("the daemon has left")

    def close(self) -> None:
        """Ends it, also for a thread that waits for an event."""
        if self._process != os.getpid():
            # The child's copy alone; the lock may be held by a thread that the fork did not copy.
            self._end()
            return
        self._closed = True
        # Whoever reads closes: under their hands it would be another file's number soon.
        self._connection.wake()
        if self._reading.acquire(blocking=False):
            try:
                self._connection.close()
            finally:
                self._reading.release()

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _end(self) -> None:
        self._closed = True
        self._connection.close()
