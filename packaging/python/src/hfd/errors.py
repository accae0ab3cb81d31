"""What can go wrong: a class for each kind of error that the protocol knows."""

from __future__ import annotations

# Characters that would rewrite a terminal, change how their neighbours are shown, or are not shown at all: an
# error may quote a file or the Hub. The zero-width joiner (U+200D) is left alone, since emoji are made with it.
_UNSHOWN = (
    *range(0x00, 0x20), *range(0x7F, 0xA0), 0x61C, 0x200B, 0x200C, 0x200E, 0x200F,
    *range(0x2028, 0x202F), *range(0x2060, 0x206A), 0xFEFF,
)  # fmt: skip
_ESCAPES = {code: f"\\u{{{code:x}}}" for code in _UNSHOWN}


class HfdError(Exception):
    """Any failure. Neither text ever holds the value of a token, and both may be shown as they are.

    Kinds that a newer daemon may know have no class, and come as this one.
    """

    kind: str = "other"
    """The word of the protocol."""
    exit_status: int = 1
    """What ``hfd`` would end with."""
    message: str
    """What happened."""
    hint: str | None
    """What the person may do, where there is something."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        self.message = message.translate(_ESCAPES)
        self.hint = None if hint is None else hint.translate(_ESCAPES)
        # As they were given, so that copying and pickling make the same of them.
        super().__init__(message, hint)

    def __str__(self) -> str:
        return self.message if self.hint is None else f"{self.message} ({self.hint})"


class UsageError(HfdError):
    """The request is malformed, or a variable of the environment: do not repeat it."""

    kind = "usage"
    exit_status = 2


class NotLoggedIn(HfdError):
    """There is no active token here: have the person log in."""

    kind = "not-logged-in"
    exit_status = 4


class NoSuchToken(HfdError):
    """There is no token of that name: list, then choose."""

    kind = "no-such-token"
    exit_status = 10


class Locked(HfdError):
    """The keychain is locked, or hfd itself: have it unlocked, then repeat."""

    kind = "locked"
    exit_status = 11


class StoreUnavailable(HfdError):
    """The store cannot be reached, or refused."""

    kind = "store-unavailable"
    exit_status = 12


class TimedOut(HfdError):
    """A deadline passed. What was asked may still take effect."""

    kind = "timed-out"
    exit_status = 13


class Refused(HfdError):
    """The Hub, a rule, or a person at a dialog said no: repeating changes nothing."""

    kind = "refused"
    exit_status = 14


class DaemonUnreachable(HfdError):
    """No daemon answers, and none could be started."""

    kind = "daemon-unreachable"
    exit_status = 15


class NoCommonProtocol(HfdError):
    """Daemon and package have no version of the protocol in common: upgrade the older one."""

    kind = "no-common-protocol"
    exit_status = 16


class HubUnreachable(HfdError):
    """The Hub gave no answer: repeat later."""

    kind = "hub-unreachable"
    exit_status = 17


class Interrupted(HfdError):
    """The person interrupted it."""

    kind = "interrupted"
    exit_status = 130


_BY_KIND = {error.kind: error for error in HfdError.__subclasses__()}


def of_document(document: object) -> HfdError:
    """The error that a document of the protocol (``kind``, ``message``, ``hint``) tells."""
    if not isinstance(document, dict):
        return HfdError("the daemon told an error that is none")
    kind, message, hint = (document.get(field) for field in ("kind", "message", "hint"))
    error = _BY_KIND.get(kind, HfdError) if isinstance(kind, str) else HfdError
    return error(
        message if isinstance(message, str) else error.kind,
        hint if isinstance(hint, str) else None,
    )
