"""What huggingface_hub writes and reads under the rules of Windows: its own functions, over Python's own
text layer and paths with the constants of Windows.

Run by a Python that has some version of it. One line of JSON for each case; `windows.jsonl` is what six
versions say, one after the other:

    for version in ...; do huggingface_hub-$version/bin/python -I -X utf8=0 windows.py; done >windows.jsonl

Bytes are given as text whose characters they are.
"""

import _pyio
import builtins
import ctypes
import ctypes.wintypes
import importlib.util
import io
import json
import locale
import logging
import ntpath
import os
import sys
import tempfile
from pathlib import Path
from unittest import mock

home = tempfile.TemporaryDirectory()
os.environ["HF_HOME"] = home.name

import filelock  # noqa: E402, F401
import huggingface_hub  # noqa: E402
from huggingface_hub import _login, constants  # noqa: E402
from huggingface_hub.utils import _auth  # noqa: E402

logging.disable()
sys.stdout.reconfigure(encoding="utf-8")

# --- text -----------------------------------------------------------------------------------------

# Python's own text layer that is written in Python: it asks for the line separator and the code page when
# it is used. What C has compiled in cannot be another system's.
assert not sys.flags.utf8_mode, "there is no code page then: run it with -X utf8=0"
os.linesep = "\r\n"
builtins.open = io.open = _pyio.open
io.text_encoding = _pyio.text_encoding
code_page = None
locale.getencoding = locale.getpreferredencoding = lambda *_: code_page

STORED, TOKEN = Path(constants.HF_STORED_TOKENS_PATH), Path(constants.HF_TOKEN_PATH)


def read():
    """What this version finds: the sections with their keys, or an error."""
    try:
        if hasattr(_auth, "_read_stored_tokens_full"):
            return _auth._read_stored_tokens_full()
        return {name: {"hf_token": token} for name, token in _auth.get_stored_tokens().items()}
    except UnicodeError as error:
        return type(error).__name__


def saved(before, logins):
    """Logs in with each of them and switches to it, by upstream's functions."""
    STORED.unlink(missing_ok=True)
    TOKEN.unlink(missing_ok=True)
    if before is not None:
        STORED.write_bytes(before.encode())
    has_refresh = hasattr(_auth, "_save_stored_tokens_full")
    kept, error = {}, None
    for name, token, *oauth in logins:
        fields = {"hf_token": token}
        try:
            if oauth and has_refresh:
                refresh_token, expires_at = oauth
                fields |= {"refresh_token": refresh_token, "expires_at": str(expires_at)}
                _auth._save_token(token, name, refresh_token=refresh_token, expires_at=expires_at)
            else:
                _auth._save_token(token, name)
            _login._set_active_token(name, add_to_git_credential=False)
        except UnicodeError as problem:
            error = type(problem).__name__
            break
        kept[name] = fields
    content = STORED.read_bytes()
    try:
        content.decode()
        text = None
    except UnicodeError:
        text = content.decode(code_page)
    return {
        "version": huggingface_hub.__version__,
        "code_page": code_page,
        "before": before,
        "saved": kept,
        "error": error,
        "stored_tokens": content.decode("latin-1"),
        # What it says in the code page, where it is no UTF-8.
        "text": text,
        "token": TOKEN.read_bytes().decode("latin-1") if TOKEN.exists() else None,
        "read": read(),
        "active": _auth._get_token_from_file(),
    }


ASCII = [["my token", "hf_AAA"], ["oauth-alice", "hf_oauth_XYZ", "rt_1", 1798044463], ["a]b", "hf_B"]]
SIGNS = [["default", "hf_A"], ["Default", "hf_B"], [" a=b : c ", "hf_C"], ["#h;s", "hf_D"], ["%(x)s", "hf_E"]]
WESTERN = [["café", "hf_A"], ["Zürich €", "hf_B", "rt_2", 1798044464], ["plain", "hf_C"]]
# The second byte of some of these is a backslash or a bracket in code page 932.
JAPANESE = [["日本", "hf_A"], ["ソース表", "hf_B"], ["ｶﾅ", "hf_C"], ["ゼロ]ー", "hf_D", "rt_3", 1798044465]]
RUSSIAN = [["Привет, Ёж №1", "hf_A"], ["plain", "hf_B"]]
CHINESE = [["中文", "hf_A"], ["简体字", "hf_B"], ["plain", "hf_C"]]
KOREAN = [["한국어", "hf_A"], ["똠방각하", "hf_B"]]
# In no code page.
EMOJI = [["plain", "hf_A"], ["🤗", "hf_B"]]
UTF8 = "[café]\r\nhf_token = hf_0\r\n\r\n"

for code_page, before, logins in [
    ("cp1252", None, ASCII),
    ("cp1252", None, SIGNS),
    ("cp1252", None, WESTERN),
    ("cp1252", None, RUSSIAN),
    ("cp1252", None, EMOJI),
    ("cp1252", UTF8, ASCII),
    ("cp1251", None, RUSSIAN),
    ("cp1251", None, WESTERN),
    ("cp932", None, ASCII),
    ("cp932", None, JAPANESE),
    ("cp932", None, EMOJI),
    ("cp936", None, CHINESE),
    ("cp949", None, KOREAN),
]:
    print(json.dumps(saved(before, logins), ensure_ascii=False, sort_keys=True))

# --- the lock -------------------------------------------------------------------------------------

# What filelock asks of a Windows that says yes to everything.
asked = {}


class Library:
    def __init__(self, *_, **__):
        pass

    def __getattr__(self, function):
        def answer(*arguments):
            asked[function] = arguments
            # An NTSTATUS, or a BOOL.
            return 0 if function.startswith(("Nt", "Rtl")) else 1

        function_of_library = mock.Mock(side_effect=answer)
        setattr(self, function, function_of_library)
        return function_of_library


os.O_NOINHERIT = 0x80
ctypes.WinDLL, ctypes.get_last_error = Library, lambda: 0
sys.modules["msvcrt"] = mock.Mock(get_osfhandle=lambda fd: fd, open_osfhandle=lambda handle, flags: 5)
own_platform, sys.platform = sys.platform, "win32"
# Since 4.3 the parts of it lie in packages of their own.
if importlib.util.find_spec("filelock._native"):
    for name in [name for name in sys.modules if name.startswith("filelock._filesystem")]:
        del sys.modules[name]
    places = ["filelock._filesystem", "filelock._native._windows"]
else:
    places = ["filelock._windows", "filelock._windows"]
for name in places:
    sys.modules.pop(name, None)
opening, locking = (importlib.import_module(name) for name in places)
locking.lock_fd_nonblocking(opening.open_non_reparse_fd(r"C:\hf\stored_tokens.lock", 0o664))
sys.platform = own_platform
_, flags, _, low, high, overlapped = asked["LockFileEx"]
lock = {
    "share": asked["NtCreateFile"][6],
    "flags": flags,
    "offset": overlapped._obj.OffsetHigh << 32 | overlapped._obj.Offset,
    "length": high << 32 | low,
}
print(json.dumps({"version": huggingface_hub.__version__, "lock": lock}, sort_keys=True))

# --- paths ----------------------------------------------------------------------------------------


class Environment(dict):
    """`os.environ` of Windows, where names have no case."""

    def __init__(self, variables):
        super().__init__((name.upper(), value) for name, value in variables.items())

    def __getitem__(self, name):
        return super().__getitem__(name.upper())

    def get(self, name, default=None):
        return super().get(name.upper(), default)


ALICE = {"USERPROFILE": r"C:\Users\alice", "USERNAME": "alice", "LOCALAPPDATA": r"C:\Users\alice\AppData\Local"}
HOMES = [
    {},
    {"HF_HOME": r"D:\hf"},
    {"HF_HOME": "D:/hf/"},
    {"HF_HOME": r"~\hf"},
    {"HF_HOME": "~/hf"},
    {"HF_HOME": r"~bob\hf"},
    {"HF_HOME": "%UserProfile%/hf"},
    {"HF_HOME": r"%LOCALAPPDATA%\hf"},
    {"HF_HOME": r"$userprofile\hf"},
    {"HF_HOME": "${USERPROFILE}x"},
    {"HF_HOME": r"%none%\'%USERNAME%'\%%\$$"},
    {"HF_HOME": r"\\server\share"},
    {"HF_HOME": r"\\?\C:\hf"},
    {"HF_HOME": "D:"},
    {"HF_HOME": "D:hf"},
    {"HF_HOME": r"\hf"},
    {"HF_HOME": "hf"},
    {"HF_HOME": ""},
    {"XDG_CACHE_HOME": r"E:\cache"},
    {"XDG_CACHE_HOME": ""},
    {"XDG_CACHE_HOME": r"%TEMP%", "TEMP": r"C:\Temp"},
    {"HF_TOKEN_PATH": r"~\.secrets\hf.txt"},
    {"HF_TOKEN_PATH": "%USERPROFILE%/t"},
    {"HF_TOKEN_PATH": "token"},
    {"HF_TOKEN_PATH": "C:token"},
    {"HF_TOKEN_PATH": ""},
    {"USERPROFILE": "", "HOMEDRIVE": "C:", "HOMEPATH": r"\Users\x"},
    {"hf_home": r"D:\small"},
]

# Earlier versions do not expand all of it; hfd has the rules of these.
if not hasattr(_auth, "_read_stored_tokens_full"):
    sys.exit()
# The constants are computed when the module is imported.
source = Path(constants.__file__).read_text(encoding="utf-8")
compiled = compile(source, constants.__file__, "exec")
own_environment, own_path = os.environ, os.path
os.path = ntpath
for variables in HOMES:
    os.environ = Environment(ALICE | variables)
    if "HOMEPATH" in variables:
        del os.environ["USERPROFILE"]
    env = dict(os.environ)
    module = {"__name__": "huggingface_hub.constants", "__file__": constants.__file__}
    exec(compiled, module)
    paths = {name.lower(): module[name] for name in ["HF_TOKEN_PATH", "HF_STORED_TOKENS_PATH"]}
    print(json.dumps({"version": huggingface_hub.__version__, "env": env, **paths}, sort_keys=True))
os.environ, os.path = own_environment, own_path
