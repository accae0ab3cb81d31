"""Starting the daemon, by the program ``hfd``: it goes through the service where one is installed, and lets one client
at a time do it."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile

from . import errors
from .errors import DaemonUnreachable, HfdError

# Above what hfd gives the service manager, and other clients that start the daemon.
_PATIENCE = 200

_NAME = "hfd.exe" if os.name == "nt" else "hfd"


def start() -> None:
    """Returns when a daemon accepts connections."""
    program = _program()
    if program is None:
        raise DaemonUnreachable(
            "no daemon runs, and there is no `hfd` in PATH to start one",
            "install hfd, or put its directory into PATH",
        )
    # A file, since on Windows the daemon would inherit a pipe, and hold it open.
    with tempfile.TemporaryFile() as notes:
        try:
            status = subprocess.call(
                [program, "--no-input", "--json", "service", "start"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=notes,
                timeout=_PATIENCE,
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            )
        except OSError as error:
            raise DaemonUnreachable(f"cannot run {program}: {error.strerror}") from None
        except subprocess.TimeoutExpired:
            raise DaemonUnreachable(
                "the daemon was not started in time", "`hfd service logs` tells more"
            ) from None
        if status == 0:
            return
        notes.seek(0)
        raise _told(notes.read()) or DaemonUnreachable(
            f"`{program} service start` failed with status {status}", f"is {program} that of the daemon?"
        )


def _program() -> str | None:
    """The ``hfd`` in ``PATH``. Directories that are no absolute paths mean the one that the caller is in, which may
    be somebody else's; ``shutil.which`` looks there first on Windows."""
    for directory in os.environ.get("PATH", os.defpath).split(os.pathsep):
        program = os.path.join(directory, _NAME)
        if os.path.isabs(directory) and os.path.isfile(program) and os.access(program, os.X_OK):
            return program
    return None


def _told(notes: bytes) -> HfdError | None:
    """The error that hfd told, in its last line."""
    try:
        document = json.loads(notes.strip().rpartition(b"\n")[2])
    except ValueError:
        return None
    if isinstance(document, dict) and isinstance(document.get("error"), dict):
        return errors.of_document(document["error"])
    return None
