"""Three soaks, each with its counts and what is wrong: hfd alone, hfd among other writers, and those alone."""

import configparser
import contextlib
import json
import os
import pathlib
import random
import re
import signal
import subprocess
import sys
import threading
import time

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "bench"))

from session import Session, eventually  # noqa: E402

PYTHON = os.path.join(os.environ["HFD_TEST_VENV"], "bin/python")
OURS = {name: f"hf_made_up_for_the_soak_{name}" for name in ("hfd-a", "hfd-b", "hfd-c", "hfd-d")}
WRITERS = 4
KILLS = []


def main():
    seconds = float(sys.argv[1])
    faults = alone(seconds)
    faults += among(seconds, with_hfd=True)
    among(seconds, with_hfd=False)
    for fault in faults:
        print(f"fault: {fault}")
    sys.exit(1 if faults else 0)


def alone(seconds):
    """hfd switches while hfdd is killed; a reader never sees no token, or another one."""
    with Session(config='store = "file"\n', tokens=list(OURS.items())) as session:
        session.hfd("sync")
        reader = actor(session, "reader", seconds, *OURS.values())
        switched, kills = use_hfd(session, seconds, switch_at_random)
        counts = ended(reader)
        print(f"hfd alone, {seconds:.0f} s: {switched} switches, hfdd killed {kills} times; {counts['reads']} reads, "
              f"{counts['absent']} without a token, {counts['unknown']} of another value")
        faults = [f"hfd alone: {counts[what]} reads {what}" for what in ("absent", "unknown") if counts[what]]
        return faults + settled(session, "hfd alone")


def among(seconds, with_hfd):
    """Writers without a lock, with hfd among them or alone: what an independent reader saw is not lost."""
    with Session(config='store = "file"\n', tokens=list(OURS.items())) as session:
        switched = kills = 0
        logged_out = []
        if with_hfd:
            session.hfd("sync")
        recorder = actor(session, "recorder", seconds)
        writers = [actor(session, "writer", seconds, number) for number in range(WRITERS)]
        if with_hfd:
            act = lambda: switch_or_log_out(session, logged_out)  # noqa: E731
            switched, kills = use_hfd(session, seconds, lambda _: act())
        else:
            time.sleep(seconds)
        seen, wrote = ended(recorder), [ended(writer) for writer in writers]
        removed = {name for writer in wrote for name in writer["logged_out"]} | set(logged_out)
        stood = set(seen["stood"]) - removed
        title = "hfd and four writers" if with_hfd else "the four writers without hfd"
        faults = settled(session, title) if with_hfd else []
        kept = listed(session) if with_hfd else sections(session)
        lost = sorted(stood - set(kept))
        print(f"{title}, {seconds:.0f} s: {sum(writer['logins'] for writer in wrote)} logins, "
              f"{len(removed)} logouts, {switched} changes by hfd, hfdd killed {kills} times; {seen['samples']} samples, "
              f"{seen['unparsable']} torn, {seen['empty']} empty; {len(stood)} names stood for 300 ms and nobody logged "
              f"them out, {len(lost)} of them are lost")
        if with_hfd:
            kept = {entry["name"]: entry["by"] for entry in json.loads(session.hfd("restore", "--json"))["kept"]}
            for name in lost:
                first, last = seen["stood"][name]
                near = [f"{when - first:+.2f}" for when in KILLS if first - 2 < when < last + 2]
                why = f"removed by {kept[name]}" if name in kept else "never seen"
                faults.append(f"{title}: {name} is lost ({why}); it stood for {last - first:.2f} s, hfdd was killed at {near} s")
            odd = {tuple(pair) for writer in wrote for pair in writer["odd"]}
            faults += [f"{title}: {wrong}" for wrong in wrong_values(session, odd)]
            back = sorted(set(logged_out) & set(listed(session)))
            faults += [f"{title}: {name} was logged out by hfd and is back" for name in back]
        return faults


def actor(session, *words):
    words = [PYTHON, HERE / "actors.py", *words]
    return session.start(*words, stdout=subprocess.PIPE)


def ended(child):
    return json.loads(child.communicate(timeout=600)[0])


def use_hfd(session, seconds, act):
    """Has hfd do something again and again while its daemon is killed every few seconds."""
    end = time.monotonic() + seconds
    counts = {"done": 0, "kills": 0}

    def kill():
        while time.monotonic() < end:
            time.sleep(random.uniform(1, 4))
            with contextlib.suppress(Exception):
                daemon = json.loads(session.hfd("status", "--json"))["daemon"]
                if daemon:
                    os.kill(daemon["pid"], signal.SIGKILL)
                    counts["kills"] += 1
                    KILLS.append(time.monotonic())

    killer = threading.Thread(target=kill)
    killer.start()
    while time.monotonic() < end:
        act(session)
        counts["done"] += 1
    killer.join()
    return counts["done"], counts["kills"]


def switch_at_random(session):
    session.hfd("switch", random.choice(list(OURS)), check=False)


def switch_or_log_out(session, logged_out):
    left = [name for name in OURS if name not in logged_out]
    if len(left) > 2 and random.random() < 0.02:
        name = random.choice(left)
        session.hfd("logout", name, check=False)
        # A daemon that was killed in the middle has settled it when the next one answers.
        if name not in listed(session):
            logged_out.append(name)
    else:
        session.hfd("switch", random.choice(left), check=False)
    time.sleep(0.05)


def settled(session, title):
    """Store and files agree, once echoes have had their ten seconds."""
    def agree():
        session.hfd("sync", check=False)
        [mirror] = json.loads(session.hfd("status", "--json"))["mirrors"]
        return mirror["state"] == "in-sync" and sorted(listed(session)) == sorted(sections(session))

    try:
        eventually("store and files agree", agree, patience=40)
        return []
    except SystemExit:
        status = session.hfd("status", "--json")
        apart = set(listed(session)) ^ set(sections(session))
        return [f"{title}: store and files do not agree about {sorted(apart)[:9]}: {status}"]


def listed(session):
    return [entry["name"] for entry in json.loads(session.hfd("list", "--json")) if not entry["name"].startswith("unnamed-")]


def wrong_values(session, odd):
    """Names of which store or file hold another value than the one that was given them, and than any that a tool wrote."""
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(session.token_path.with_name("stored_tokens"))
    found = [("store", name, session.hfd("token", name).strip()) for name in listed(session)]
    found += [("file", name, parser[name].get("hf_token")) for name in parser.sections()]
    for place, name, value in found:
        # A second value of one name has a number behind it.
        given = re.match(r"hfd-[a-d]|w\d-\d{4}", name)
        given = given[0] if given else name
        if value != f"hf_made_up_for_the_soak_{given}" and (given, value) not in odd:
            yield f"the {place} has {value} as {name}"


def sections(session):
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(session.token_path.with_name("stored_tokens"))
    return parser.sections()


main()
