"""Who asks the Hub for something every second: `python actors.py ROLE SECONDS [LIFETIME]`.

`upstream` is a process with the real huggingface_hub, whatever keeps its token fresh. `renewer` is one that keeps
it fresh by itself; its margins, made for thirty days, are scaled to the lifetime. `live` is a program that knows
nothing of huggingface_hub, and reads the file that HF_TOKEN_PATH names.

Each prints one JSON document when its time is over."""

import collections
import json
import logging
import os
import pathlib
import sys
import time
import urllib.error
import urllib.request


def upstream(seconds):
    """Asks as every call of huggingface_hub does: with what `get_token()` says at this moment."""
    from huggingface_hub import constants, get_token
    from huggingface_hub.utils import build_hf_headers, get_session

    logging.disable(logging.CRITICAL)

    def ask():
        token = get_token()
        if token is None:
            return "without a token"
        headers = build_hf_headers(token=token)
        try:
            status = get_session().get(f"{constants.ENDPOINT}/api/models?limit=1", headers=headers).status_code
        except Exception:  # whatever library the session is of
            return "unreachable"
        return outcome(status)

    return each_second(seconds, ask)


def renewer(seconds, lifetime):
    from huggingface_hub.utils import _auth

    # hfd's own margin, and as often in a lifetime as upstream looks again in thirty days, if not more than once a second.
    _auth._OAUTH_REFRESH_MARGIN = float(lifetime) / 3
    _auth._OAUTH_RECHECK_INTERVAL = 1
    return upstream(seconds)


def live(seconds):
    """Asks with what the file holds at this moment."""
    if "HF_TOKEN" in os.environ:
        raise SystemExit("HF_TOKEN is set beside HF_TOKEN_PATH, and comes before it everywhere")
    file = pathlib.Path(os.environ["HF_TOKEN_PATH"])
    if file.stat().st_mode & 0o077:
        raise SystemExit("the file of HF_TOKEN_PATH is open to others")
    endpoint = os.environ["HF_ENDPOINT"]

    def ask():
        try:
            token = file.read_text().strip()
        except FileNotFoundError:
            token = ""
        if not token:
            return "without a token"
        request = urllib.request.Request(f"{endpoint}/api/models", headers={"authorization": f"Bearer {token}"})
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return outcome(answer.status)
        except urllib.error.HTTPError as error:
            return outcome(error.code)
        except (OSError, ValueError):
            return "unreachable"

    return each_second(seconds, ask)


def outcome(status):
    return {200: "answered", 401: "refused"}.get(status, f"status {status}")


def each_second(seconds, ask):
    """How often each outcome was seen, and the longest that one took."""
    outcomes, slowest = collections.Counter(), 0
    end = time.monotonic() + seconds
    while (start := time.monotonic()) < end:
        outcomes[ask()] += 1
        took = time.monotonic() - start
        slowest = max(slowest, took)
        time.sleep(max(0, 1 - took))
    return {"outcomes": outcomes, "slowest": slowest}


if __name__ == "__main__":
    role, seconds, *rest = sys.argv[1:]
    print(json.dumps({"upstream": upstream, "renewer": renewer, "live": live}[role](float(seconds), *rest)))
