"""The caller's environment, read anew each time: the token that it holds, and where its Hugging Face home is.

As huggingface_hub 2.4.0 finds them (``constants.py``, ``utils/_auth.py``). A variable that is set to nothing is set.
"""

from __future__ import annotations

import os

from .errors import Refused, UsageError

# The longest token, in bytes; see "Limits and deadlines" in PROTOCOL.md.
_LONGEST = 16384


def token() -> str | None:
    """The token of ``HF_TOKEN``, or of its older name where that is unset or empty. One that holds only white space
    is no token, and hides the older name all the same (``_get_token_from_environment``)."""
    for variable in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        value = os.environ.get(variable)
        if value:
            break
    else:
        return None
    value = value.replace("\r", "").replace("\n", "").strip()
    if not value:
        return None
    wrong = _what_is_wrong_with(value)
    if wrong is None:
        return value
    del value
    raise UsageError(f"{variable}: {wrong}", f"unset {variable} to use the session")


def _what_is_wrong_with(value: str) -> str | None:
    if len(value) > _LONGEST:
        return f"the token is longer than {_LONGEST} bytes"
    if not all("!" <= character <= "~" for character in value):
        return "the token contains a space, a control character or a character outside ASCII"
    return None


def home() -> str:
    """The absolute path of the ``token`` file.

    Refused where it depends on the current directory: tools would use another one a ``chdir`` later, and a session in
    a project's directory is soon committed.
    """
    path = _token_path()
    if not _is_absolute(path):
        variable = _home_variable()
        raise Refused(
            f"{variable} is not an absolute path, so there is no session to use",
            f"set {variable} to an absolute path or unset it; a token by its name and the list work anyway",
        )
    if os.path.basename(path) in ("", ".", ".."):
        raise Refused("HF_TOKEN_PATH names a directory, not a file")
    # What is no UTF-8 cannot travel, and means the same home to each client when it is replaced.
    return os.fsencode(path).decode("utf-8", "replace")


def home_if_usable() -> str | None:
    """The home, for requests that can do without."""
    try:
        return home()
    except Refused:
        return None


def _token_path() -> str:
    def expanded(path: str) -> str:
        return os.path.expandvars(os.path.expanduser(path))

    cache = os.environ.get("XDG_CACHE_HOME")
    if cache is None:
        cache = os.path.join(os.path.expanduser("~"), ".cache")
    hf_home = expanded(os.environ.get("HF_HOME", os.path.join(cache, "huggingface")))
    return expanded(os.environ.get("HF_TOKEN_PATH", os.path.join(hf_home, "token")))


def _is_absolute(path: str) -> bool:
    """Whether it means the same in each directory of each drive, which ``ntpath.isabs`` says of ``\\token``, too."""
    drive, rest = os.path.splitdrive(path)
    if os.name == "nt":
        return drive != "" and (rest[:1] in ("\\", "/") or not drive.endswith(":"))
    return path.startswith("/")


def _home_variable() -> str:
    """The variable that decided where the home is."""
    for variable in ("HF_TOKEN_PATH", "HF_HOME", "XDG_CACHE_HOME"):
        if variable in os.environ:
            return variable
    return "USERPROFILE" if os.name == "nt" else "HOME"
