"""Finding the daemon, and starting it where there is none.

What only a caller needs that asks something (sockets, JSON) is imported then, and not with the package.
"""

from __future__ import annotations

from .errors import DaemonUnreachable, HfdError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ._connection import Connection


def ask(request: dict[str, Any]) -> dict[str, Any]:
    """The reply to a request that changes nothing."""
    connection, reply = _exchange(request)
    connection.close()
    return reply


def follow() -> Connection:
    """A connection that carries events."""
    connection, _ = _exchange({"kind": "watch"})
    return connection


def _exchange(request: dict[str, Any]) -> tuple[Connection, dict[str, Any]]:
    """Asks once more where the daemon ended before it answered: another one is started, and knows the same."""
    for _ in range(2):
        connection = _connect()
        try:
            reply = connection.ask(request)
        except BaseException:
            connection.close()
            raise
        if reply is not None:
            return connection, reply
        connection.close()
    raise DaemonUnreachable("the daemon left before it answered", "`hfd service logs` tells why")


def _connect() -> Connection:
    """A connection to the daemon, which is started if need be."""
    connection, refusal = _find()
    if connection is not None:
        return connection
    from ._start import start

    # Where another daemon is the reason for what refused, hfd finds that out, and says so.
    start()
    connection, refusal = _find()
    if connection is not None:
        return connection
    raise refusal or DaemonUnreachable(
        "the daemon left as soon as it was ready", "`hfd service logs` tells why"
    )


def _find() -> tuple[Connection | None, HfdError | None]:
    """A connection to the daemon that runs; without one, what the first place said that refused.

    Such a place is passed over while there is another: with the environment of ``su``, ``XDG_RUNTIME_DIR`` is somebody
    else's. Where all refuse, that is the error.
    """
    from . import _place
    from ._connection import Connection

    refusals: list[HfdError] = []
    looked_at = []
    for place in _place.places():
        if place in looked_at:
            continue
        looked_at.append(place)
        try:
            connection = Connection.open(place)
        except HfdError as error:
            refusals.append(error)
            continue
        if connection is not None:
            connection.check_protocol()
            return connection, None
    if refusals and len(refusals) == len(looked_at):
        raise refusals[0]
    return None, refusals[0] if refusals else None
