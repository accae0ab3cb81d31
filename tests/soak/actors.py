"""The programs beside hfd, each a process with the real huggingface_hub: `python actors.py ROLE SECONDS …`.

Each prints one JSON document when its time is over."""

import configparser
import json
import logging
import pathlib
import random
import sys
import time

from huggingface_hub import _login, constants
from huggingface_hub.utils import _auth

logging.disable(logging.CRITICAL)
STORED = pathlib.Path(constants.HF_STORED_TOKENS_PATH)


def reader(seconds, *known):
    """Asks for the token as fast as it can: how often it was there, absent, or another than the known ones."""
    counts = {"reads": 0, "absent": 0, "unknown": 0}
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        token = _auth.get_token()
        counts["reads"] += 1
        counts["absent"] += token is None
        counts["unknown"] += token is not None and token not in known
    return counts


def writer(seconds, number):
    """Logs in, switches and logs out at random, as upstream does: without a lock. What it logged out."""
    random.seed(int(number))
    mine, gone, errors, odd = [], [], 0, set()
    save = _auth._save_stored_tokens_full

    def watched(stored_tokens):
        # What it read torn, it writes as it read it: then hfd has it from a tool.
        odd.update((name, fields.get("hf_token")) for name, fields in stored_tokens.items()
                   if fields.get("hf_token") != f"hf_made_up_for_the_soak_{name}")
        save(stored_tokens)

    _auth._save_stored_tokens_full = _login._save_stored_tokens_full = watched
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(random.uniform(0.005, 0.15))
        # In ten minutes they stay below the 4,096 tokens that hfd keeps.
        weights = [5, 4, 2] if len(mine) < 100 else [1, 12, 1]
        action = random.choices(["login", "switch", "logout"], weights)[0]
        try:
            if action == "login" or not mine:
                name = f"w{number}-{len(mine) + len(gone):04}"
                _auth._save_token(f"hf_made_up_for_the_soak_{name}", name)
                mine.append(name)
                _login._set_active_token(name, add_to_git_credential=False)
            elif action == "switch":
                _login.auth_switch(random.choice(mine))
            else:
                name = random.choice(mine)
                _login.logout(name)
                mine.remove(name)
                gone.append(name)
        except (ValueError, configparser.Error, OSError):
            # Another one was writing: as a person sees it too.
            errors += 1
    return {"logins": len(mine) + len(gone), "logged_out": gone, "errors": errors, "odd": sorted(odd)}


def recorder(seconds):
    """Reads the file by itself: which names stood in it for 300 ms without a break, since and until when."""
    since, stood, samples, unparsable, empty = {}, {}, 0, 0, 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(0.01)
        now = time.monotonic()
        samples += 1
        try:
            text = STORED.read_text()
            parser = configparser.ConfigParser(interpolation=None)
            parser.read_string(text)
        except FileNotFoundError:
            text, parser = "", configparser.ConfigParser()
        except (configparser.Error, UnicodeDecodeError):
            # Torn by a tool: it says nothing of what stands there.
            unparsable += 1
            continue
        empty += not text
        names = set(parser.sections())
        since = {name: since.get(name, now) for name in names}
        stood |= {name: (first, now) for name, first in since.items() if now - first >= 0.3}
    return {"samples": samples, "unparsable": unparsable, "empty": empty, "stood": stood}


if __name__ == "__main__":
    role, seconds, *rest = sys.argv[1:]
    print(json.dumps({"reader": reader, "writer": writer, "recorder": recorder}[role](float(seconds), *rest)))
