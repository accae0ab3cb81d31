"""What may be asked."""

from __future__ import annotations

import operator

from . import _environment, _session
from ._watch import Watch
from .errors import HfdError, UsageError

TYPE_CHECKING = False  # typing would take a third of the time that `import hfd` takes
if TYPE_CHECKING:
    from .types import Status, Token


def get_token(name: str | None = None, *, min_ttl: int | None = None) -> str:
    """The value of a token, as ``hfd token`` prints it.

    Without a name it is the one that Hugging Face tools would use here: that of ``HF_TOKEN`` where it is set, else
    the active one of the Hugging Face home. A named token is looked up whatever the environment says.

    A token that ends in less than ``min_ttl`` seconds is renewed where that is possible, and else refused. Of
    ``HF_TOKEN`` nobody knows when it ends.
    """
    if min_ttl is not None and operator.index(min_ttl) < 0:
        raise UsageError("min_ttl is a number of seconds, and negative")
    if name is None:
        value = _environment.token()
        if value is not None:
            return value
        home: str | None = _environment.home()
    else:
        # Where one that hfd does not know may have been added by another tool.
        home = _environment.home_if_usable()
    reply = _session.ask({"kind": "token", "name": name, "home": home, "min_ttl": min_ttl})
    token = reply.get("token")
    # Whoever shows the variables of a traceback's frames is not shown this one.
    del reply
    if isinstance(token, str):
        return token
    del token
    raise HfdError("the daemon's answer holds no token")


def list_tokens() -> list[Token]:
    """All tokens without their values, as ``hfd list --json`` shows them."""
    reply = _session.ask({"kind": "list", "home": _environment.home_if_usable()})
    tokens: list[Token] = reply.get("tokens", [])
    return tokens


def status() -> Status:
    """How daemon, keychain and files are: the reply to ``status`` in PROTOCOL.md."""
    reply: Status = _session.ask({"kind": "status", "home": _environment.home_if_usable()})  # type: ignore[assignment]
    return reply


def watch() -> Watch:
    """What happens from now on, an event at a time: see :class:`Watch`."""
    return Watch(_session.follow())
