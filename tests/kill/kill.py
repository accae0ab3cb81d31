"""hfdd killed, or let down by its disk, at every system call of a change: the old state or the new, never less.

Prints how many calls each change has. They may not become fewer than `points.txt` says: a change that writes less
safely would have fewer."""

import configparser
import contextlib
import json
import os
import pathlib
import shutil
import signal
import sys
import time

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "bench"))

from session import Session, eventually  # noqa: E402

VALUES = {name: f"hf_made_up_for_the_kills_{name}" for name in ("play", "work", "more")}
ERRORS = ("ENOSPC", "EROFS", "EIO", "EDQUOT")


def login(session):
    session.hfd("login", "--with-token", "--offline", "--name", "more", stdin=VALUES["more"], check=False)


def edit(session):
    """Another tool's login, which the daemon notices by itself."""
    stored = session.token_path.with_name("stored_tokens")
    with contextlib.suppress(FileNotFoundError):
        stored.write_text(stored.read_text() + f"[more]\nhf_token = {VALUES['more']}\n\n")
        session.token_path.write_text(VALUES["more"])
    session.hfd("sync", check=False)


CHANGES = {
    "login": login,
    "switch": lambda session: session.hfd("switch", "play", check=False),
    "logout": lambda session: session.hfd("logout", "work", check=False),
    "rename": lambda session: session.hfd("rename", "play", "game", check=False),
    "import": edit,
}


def main():
    stored = dict(line.split() for line in (HERE / "points.txt").read_text().splitlines())
    faults = []
    for name, change in CHANGES.items():
        with Session(config='store = "file"\n', tokens=[("work", VALUES["work"]), ("play", VALUES["play"])]) as session:
            points, found = Case(session, name, change).run()
        faults += found
        print(f"{name}: {len(points)} calls ({', '.join(f'{points.count(call)} {call}' for call in sorted(set(points)))}), "
              f"killed at each and refused each of {len(ERRORS)} ways; {len(found)} faults", flush=True)
        if len(points) < int(stored[name]):
            faults.append(f"{name} has {len(points)} calls where it had {stored[name]}")
    for fault in faults:
        print(f"fault: {fault}")
    sys.exit(1 if faults else 0)


class Case:
    """One change, again and again from the same state."""

    def __init__(self, session, name, change):
        self.session, self.name, self.change = session, name, change
        self.template, self.count = session.root / "template", session.root / "count"
        session.hfd("sync")
        session.hfd("service", "stop")
        shutil.copytree(session.home, self.template, symlinks=True)

    def run(self):
        self.old = self.state()
        self.fresh()
        daemon = self.daemon("none", 0)
        self.change(self.session)
        self.new = self.state()
        self.end(daemon)
        points, faults = self.count.read_text().split(), []
        for number in range(1, len(points) + 1):
            for fault in ("kill", *ERRORS):
                wrong = self.at(number, fault)
                if wrong:
                    faults.append(f"{self.name}, {fault} at call {number} ({points[number - 1]}): {wrong}")
        return points, faults

    def at(self, number, fault):
        self.fresh()
        daemon = self.daemon(fault, number)
        self.change(self.session)
        if fault == "kill":
            self.end(daemon)
        elif daemon.child.poll() is not None:
            return "the daemon has ended"
        try:
            eventually("all is settled", self.settled, patience=20)
            after = self.state()
        except SystemExit as error:
            after, wrong = None, f"{error}; {self.session.hfd('status', '--json', check=False)}"
        else:
            # An import that was cut off is an edit that is still to be seen: then it is.
            expected = [self.new] if self.name == "import" else [self.old, self.new]
            wrong = None if after in expected else f"{after} is neither the old state nor the new"
        rests = [path.name for path in self.session.token_path.parent.glob(".hfd-*")]
        if not wrong and rests:
            wrong = f"{rests} are left"
        if fault != "kill":
            self.end(daemon)
        return wrong

    def fresh(self):
        """The state before."""
        self.session.hfd("service", "stop", check=False)
        shutil.rmtree(self.session.home)
        shutil.copytree(self.template, self.session.home, symlinks=True)

    def daemon(self, fault, number):
        tracer = [sys.executable, HERE / "tracer.py", self.count, fault, number]
        daemon = self.session.start_daemon(*tracer)
        self.session.hfd("sync")
        daemon.child.send_signal(signal.SIGUSR1)
        return daemon

    def end(self, daemon):
        """Ends what the tracer runs, and it with it."""
        self.session.hfd("service", "stop", check=False)
        daemon.child.wait(30)

    def settled(self):
        self.session.hfd("sync", check=False)
        status = json.loads(self.session.hfd("status", "--json", check=False) or "{}")
        mirrors = status.get("mirrors") or [{}]
        return status.get("unsettled") == 0 and mirrors[0].get("state") == "in-sync"

    def state(self):
        """What store and files say; an error where they do not say the same."""
        entries = json.loads(self.session.hfd("list", "--json"))
        store = {entry["name"]: self.session.hfd("token", entry["name"]).strip() for entry in entries}
        active = [entry["name"] for entry in entries if entry["active"]]
        parser = configparser.ConfigParser(interpolation=None)
        parser.read(self.session.token_path.with_name("stored_tokens"))
        files = {name: parser[name]["hf_token"] for name in parser.sections()}
        token = self.session.token_path.read_text() if self.session.token_path.exists() else None
        if files != store or token != (store[active[0]] if active else None):
            raise SystemExit(f"store {store}, active {active}; files {files}, token {token}")
        return store, active


main()
