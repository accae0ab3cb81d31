"""The Hugging Face login that the daemon of ``hfd`` keeps, for programs in Python.

    import hfd
    hfd.get_token()          # what Hugging Face tools would use here
    hfd.get_token("work")    # the one of that name

Every function asks the daemon on a connection of its own, and starts the daemon where none runs. So there
is no state that threads would share, or a child after a fork: each may call everything at any time.
"""

from __future__ import annotations

from ._client import get_token, list_tokens, status, watch
from ._watch import Watch
from .errors import (
    DaemonUnreachable,
    HfdError,
    HubUnreachable,
    Interrupted,
    Locked,
    NoCommonProtocol,
    NoSuchToken,
    NotLoggedIn,
    Refused,
    StoreUnavailable,
    TimedOut,
    UsageError,
)

# The version of hfd whose protocol this was written for; Cargo.toml has the same.
__version__ = "0.1.0"

__all__ = [
    "DaemonUnreachable",
    "HfdError",
    "HubUnreachable",
    "Interrupted",
    "Locked",
    "NoCommonProtocol",
    "NoSuchToken",
    "NotLoggedIn",
    "Refused",
    "StoreUnavailable",
    "TimedOut",
    "UsageError",
    "Watch",
    "get_token",
    "list_tokens",
    "status",
    "watch",
]
