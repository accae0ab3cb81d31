"""A session that lives longer than its tokens: `python renewal.py with|without SECONDS LIFETIME`; see `run`."""

import collections
import configparser
import contextlib
import glob
import itertools
import json
import os
import pathlib
import shutil
import subprocess
import sys
import threading
import time

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "bench"))

from session import TARGET, Session, end, eventually  # noqa: E402

VENV = pathlib.Path(os.environ["HFD_TEST_VENV"])
PROCESSES, CHILDREN = 8, 2
DOWN = 20
# The longest that hfd may wait before it tries again, once the Hub is back.
BACK_OFF = 10
KILL_EVERY = 15
# How long hfdd may take from the Hub's answer until everything is stored.
WINDOW = 1.5
# A service manager starts again what was killed, after a moment (systemd's RestartSec).
RESTART = 0.5
CONFIG = 'endpoint = "{}"\nrefresh_tokens = "withhold"\n'


def main():
    mode, seconds, lifetime = sys.argv[1], float(sys.argv[2]), float(sys.argv[3])
    if mode == "without":
        without_hfd(seconds, lifetime)
        return
    faults = with_hfd(seconds, lifetime)
    for fault in faults:
        print(f"fault: {fault}")
    sys.exit(1 if faults else 0)


def without_hfd(seconds, lifetime):
    """What the same session is to eight processes that each renew for themselves."""
    with Hub(lifetime) as hub, Session() as session:
        log_in(session, hub)
        actors = [actor(session, "renewer", seconds, lifetime) for _ in range(PROCESSES)]
        Troubles(seconds, {0.35: lambda: outage(hub)}).live_through()
        tell(f"{PROCESSES} processes without hfd", seconds, [ended(each) for each in actors], hub.ask("state"))


def with_hfd(seconds, lifetime):
    with Hub(lifetime) as hub, Session(keychain=True, config=CONFIG.format(hub.endpoint)) as session:
        clock = Clock(session)
        session.hfd("service", "start")
        # Its home is a mirror from the first command on that looks at it.
        session.hfd("sync")
        log_in(session, hub)
        eventually("hfd adopts the login", lambda: refresh_tokens(session) == [])
        actors = {f"process {number}": actor(session, "upstream", seconds) for number in range(PROCESSES)}
        actors |= {f"live child {number}": live_child(session, seconds) for number in range(CHILDREN)}
        killer = Killer(session, hub, seconds)
        troubles = {0.15: lambda: clock.jump("+2d"), 0.35: lambda: outage(hub), 0.75: lambda: clock.jump("+1d")}
        Troubles(seconds, troubles).live_through()
        killer.join()
        reports = {name: ended(each) for name, each in actors.items()}
        state = hub.ask("state")
        tell(f"{PROCESSES} processes and {CHILDREN} children of hfd exec --live", seconds, reports.values(), state)
        print(f"hfdd was killed {killer.kills} times, {killer.put_off} times later because of a refresh; "
              f"its clock jumped {clock.jumps} times; the Hub was down for {DOWN} s")
        return [*wrong_with_actors(reports), *wrong_at_hub(state, seconds, lifetime, clock.jumps),
                *wrong_with_hfd(session, killer)]


def wrong_with_actors(reports):
    for name, report in reports.items():
        if report is None:
            yield f"{name}: it ended before its time"
        elif not report["outcomes"].get("answered"):
            yield f"{name}: no request was answered"
        for outcome, count in (report or {"outcomes": {}})["outcomes"].items():
            # What is refused is judged by the Hub, which knows why.
            if outcome not in ("answered", "refused", "unreachable"):
                yield f"{name}: {count} requests {outcome}"


def wrong_at_hub(state, seconds, lifetime, jumps):
    excused = lambda refusal: refusal["reason"] == "expired" and refusal["up_for"] <= BACK_OFF  # noqa: E731
    refused = collections.defaultdict(list)
    for refusal in itertools.filterfalse(excused, state["refusals"]):
        refused[refusal["reason"]].append(refusal["up_for"])
    for reason, times in refused.items():
        yield (f"{len(times)} requests were refused as {reason}, {min(times):.1f} to {max(times):.1f} s after the Hub "
               "came up")
    if state["invalid_grants"]:
        yield f"{state['invalid_grants']} refreshes were refused as invalid_grant"
    if len(state["grants"]) != 1:
        yield f"{len(state['grants'])} logins instead of one"
    for grant in state["grants"]:
        twice = [generation for generation, uses in enumerate(grant["uses"], 1) if uses > 1]
        if twice:
            yield f"refresh tokens of the generations {twice} were used more than once"
        renewals = grant["generation"] - 1
        if not renewals:
            yield "nothing was renewed"
        # A margin of a third, jitter on top of it, and one renewal that a jump may bring forward.
        most = seconds / (lifetime / 2) + jumps + 2
        if renewals > most:
            yield f"{renewals} renewals, where {most:.0f} are enough"


def wrong_with_hfd(session, killer):
    if not killer.kills:
        yield "hfdd was never killed"
    if killer.lost:
        yield f"hfdd could not be found or killed {killer.lost} times"
    if refresh_tokens(session):
        yield "a refresh token stands in stored_tokens"


def tell(who, seconds, reports, state):
    outcomes, slowest = collections.Counter(), 0
    for report in filter(None, reports):
        outcomes.update(report["outcomes"])
        slowest = max(slowest, report["slowest"])
    counts = ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items()))
    refused = collections.Counter(refusal["reason"] for refusal in state["refusals"])
    late = sum(refusal["up_for"] > BACK_OFF for refusal in state["refusals"])
    renewals = [grant["generation"] - 1 for grant in state["grants"]]
    uses = [grant["uses"] for grant in state["grants"]]
    print(f"{who}, {seconds:.0f} s: {sum(outcomes.values())} requests ({counts}); the slowest took {slowest:.1f} s")
    print(f"at the Hub: {renewals} renewals, uses of each refresh token {uses}, {state['invalid_grants']} invalid_grant, "
          f"tokens refused {dict(refused)}, {late} of them later than {BACK_OFF} s after it came up")


class Hub(contextlib.AbstractContextManager):
    """The mock Hub; `ask` is an order of tests/src/bin/mock-hub.rs."""

    def __init__(self, lifetime):
        self.child = subprocess.Popen([TARGET / "mock-hub", "--control"], text=True, stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE)
        self.orders = threading.Lock()
        self.endpoint = self.child.stdout.readline().strip()
        self.ask("policy", access_lifetime=lifetime, interval=1)

    def __exit__(self, *_):
        end(self.child)

    def ask(self, what, **more):
        with self.orders:
            self.child.stdin.write(json.dumps({"do": what} | more) + "\n")
            self.child.stdin.flush()
            return json.loads(self.child.stdout.readline())


class Clock:
    """What time it is for hfdd, whoever starts it: below libfaketime, which reads a file at every call."""

    def __init__(self, session):
        self.file, self.jumps = session.root / "clock", 0
        self.jump("+0")
        self.jumps = 0
        [library] = glob.glob("/usr/lib/*/faketime/libfaketime.so.1")
        faked = {"LD_PRELOAD": library, "FAKETIME_TIMESTAMP_FILE": self.file, "FAKETIME_NO_CACHE": 1,
                 # Nobody's monotonic clock jumps.
                 "FAKETIME_DONT_FAKE_MONOTONIC": 1}
        # By its own name, which `hfd` looks at before it ends a daemon.
        (session.bin / "faked").mkdir()
        shutil.move(session.bin / "hfdd", session.bin / "faked/hfdd")
        words = " ".join(f"'{name}={value}'" for name, value in faked.items())
        wrapper = session.bin / "hfdd"
        wrapper.write_text(f'#!/bin/sh\nexec env {words} {session.bin}/faked/hfdd "$@"\n')
        wrapper.chmod(0o700)

    def jump(self, offset):
        # Whole at every moment: hfdd may read it now.
        new = self.file.with_name("clock.new")
        new.write_text(offset)
        new.rename(self.file)
        self.jumps += 1


class Killer(threading.Thread):
    """Kills hfdd every few seconds, outside of the window of a refresh, and starts it as a service manager does."""

    def __init__(self, session, hub, seconds):
        super().__init__(daemon=True)
        self.session, self.hub, self.over = session, hub, time.monotonic() + seconds
        self.kills = self.put_off = self.lost = 0
        self.start()

    def run(self):
        while time.monotonic() + KILL_EVERY < self.over:
            time.sleep(KILL_EVERY)
            try:
                pid = json.loads(self.session.hfd("status", "--json"))["daemon"]["pid"]
                at_once = kill = self.hub.ask("kill", pid=pid, quiet=WINDOW)
                while not kill:
                    time.sleep(0.1)
                    kill = self.hub.ask("kill", pid=pid, quiet=WINDOW)
                self.put_off += not at_once
                self.kills += 1
                forget_clock(pid)
                time.sleep(RESTART)
                self.session.hfd("service", "start")
            except (SystemExit, TypeError, ValueError):
                self.lost += 1


def forget_clock(pid):
    """What libfaketime leaves behind of a process that was killed."""
    for left in glob.glob(f"/dev/shm/*faketime_*_{pid}"):
        os.unlink(left)


class Troubles:
    """What happens when so much of the time is over."""

    def __init__(self, seconds, troubles):
        start = time.monotonic()
        self.end = start + seconds
        self.due = [(start + part * seconds, happen) for part, happen in troubles.items()]

    def live_through(self):
        for due, happen in self.due:
            time.sleep(max(0, due - time.monotonic()))
            happen()
        time.sleep(max(0, self.end - time.monotonic()))


def outage(hub):
    hub.ask("down", down=True)
    time.sleep(DOWN)
    hub.ask("down", down=False)


def log_in(session, hub):
    """`hf auth login` in the browser, by the user alice."""
    session.environment["HF_ENDPOINT"] = hub.endpoint
    login = session.start(VENV / "bin/hf", "auth", "login", stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    eventually("a login waits", lambda: hub.ask("pending"))
    [code] = hub.ask("pending")
    hub.ask("approve", code=code, user="alice")
    said = login.communicate(timeout=60)[0]
    if login.returncode != 0:
        raise SystemExit(f"hf auth login failed: {said}")


def refresh_tokens(session):
    """Those in the file that huggingface_hub reads."""
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(session.token_path.with_name("stored_tokens"))
    return [parser[name]["refresh_token"] for name in parser.sections() if "refresh_token" in parser[name]]


def actor(session, *words):
    return session.start(VENV / "bin/python", HERE / "actors.py", *words, stdout=subprocess.PIPE)


def live_child(session, seconds):
    words = [VENV / "bin/python", HERE / "actors.py", "live", seconds]
    return session.start(session.bin / "hfd", "exec", "--live", "--", *words, stdout=subprocess.PIPE)


def ended(child):
    """What an actor reports; `None` when it failed."""
    said = child.communicate(timeout=600)[0]
    return json.loads(said) if child.returncode == 0 else None


main()
