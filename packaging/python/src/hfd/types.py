"""The documents that the daemon answers with, for type checkers. They are dictionaries, as PROTOCOL.md describes them: a
newer daemon may add fields, events and words."""

from __future__ import annotations

from typing import List, Optional, TypedDict

__all__ = ["Attention", "Change", "Daemon", "Event", "Mirror", "Status", "Store", "Token"]


class Token(TypedDict):
    """A token without its value. Times are Unix seconds; what is unknown is ``None``."""

    name: str
    active: bool
    kind: str
    role: Optional[str]
    user: Optional[str]
    endpoint: str
    """The only Hub that it may be sent to."""
    expires_at: Optional[int]
    renews: bool
    masked: Optional[str]
    store: str


class _Happened(TypedDict):
    event: str


class Event(_Happened, total=False):
    """What happened, to which token, in which directory, and why. Events of an unknown name are to be passed over."""

    name: str
    was: str
    dir: str
    why: str
    at: int


class Daemon(TypedDict):
    pid: int
    version: str
    protocol: int
    uptime_s: int
    socket: str


class Store(TypedDict):
    id: str
    state: str
    detail: Optional[str]


class Change(TypedDict, total=False):
    name: str
    dir: str
    what: str
    why: str
    at: int


class _Mirror(TypedDict, total=False):
    recent: List[Change]


class Mirror(_Mirror):
    dir: str
    mode: str
    active: Optional[str]
    state: str
    detail: Optional[str]


class Attention(TypedDict):
    name: str
    what: str
    detail: Optional[str]
    expires_at: Optional[int]


class Status(TypedDict):
    daemon: Daemon
    store: Store
    lock: str
    active: Optional[str]
    expires_at: Optional[int]
    renews: bool
    tokens: int
    mirrors: List[Mirror]
    service: Optional[str]
    unsettled: int
    locked_memory: bool
    endpoint: str
    withheld: bool
    attention: List[Attention]
