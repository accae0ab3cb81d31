"""What posixpath or ntpath and huggingface_hub 2.4.0 make of an environment.

Each case is {"rules": module, "env": {...}, "accounts": {...}}; an account named "" is the calling
user's.
"""

import json
import ntpath
import os
import posixpath
import pwd
import sys

assert sys.version_info >= (3, 10), "huggingface_hub 2 and these tests need Python 3.10"


class Account:
    def __init__(self, home):
        self.pw_dir = home


def answer(case):
    # `os.getenv`, `posixpath` and huggingface_hub all look these up anew.
    os.environ = case["env"]
    os.path = {"posixpath": posixpath, "ntpath": ntpath}[case["rules"]]
    pwd.getpwnam = lambda name: Account(case["accounts"][name])
    pwd.getpwuid = lambda uid: Account(case["accounts"][""])

    # constants.py
    default_home = os.path.join(os.path.expanduser("~"), ".cache")
    HF_HOME = os.path.expandvars(
        os.path.expanduser(
            os.getenv(
                "HF_HOME",
                os.path.join(os.getenv("XDG_CACHE_HOME", default_home), "huggingface"),
            )
        )
    )
    HF_TOKEN_PATH = os.path.expandvars(
        os.path.expanduser(
            os.getenv(
                "HF_TOKEN_PATH",
                os.path.join(HF_HOME, "token"),
            )
        )
    )
    HF_STORED_TOKENS_PATH = os.path.join(os.path.dirname(HF_TOKEN_PATH), "stored_tokens")

    return {
        "token_path": HF_TOKEN_PATH,
        "stored_tokens": HF_STORED_TOKENS_PATH,
        "token": _clean_token(os.environ.get("HF_TOKEN") or os.environ.get("HUGGING_FACE_HUB_TOKEN")),
        "implicit_disabled": _is_true(os.environ.get("HF_HUB_DISABLE_IMPLICIT_TOKEN")),
    }


# utils/_auth.py
def _clean_token(token):
    if token is None:
        return None
    return token.replace("\r", "").replace("\n", "").strip() or None


# constants.py
def _is_true(value):
    if value is None:
        return False
    return value.upper() in {"1", "ON", "YES", "TRUE"}


json.dump([answer(case) for case in json.load(sys.stdin)], sys.stdout)
