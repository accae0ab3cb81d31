"""hfdd killed, or let down by its disk, at every system call of a change: the old state or the new, never less, and
an exit status of 0 only where the new one holds.

Prints how many calls each change has. Those that are no lease may not become fewer than `points.txt` says: a change
that writes less safely would have fewer."""

import configparser
import contextlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "bench"))

from session import Session, eventually  # noqa: E402

VALUES = {name: f"hf_made_up_for_the_kills_{name}" for name in ("play", "work", "more")}
ERRORS = ("ENOSPC", "EROFS", "EIO", "EDQUOT")


def hfd(*words, stdin=""):
    """A change that is one command; it returns whether that claims to have made it."""
    return lambda session: claims(session, *words, stdin=stdin)


def claims(session, *words, stdin=""):
    words = [str(word) for word in (session.bin / "hfd", *words)]
    done = subprocess.run(words, env=session.environment, input=stdin, text=True, capture_output=True, timeout=60)
    return done.returncode == 0


def edit(session):
    """Another tool's login, which the daemon notices by itself: nobody claims anything."""
    stored = session.token_path.with_name("stored_tokens")
    with contextlib.suppress(FileNotFoundError):
        stored.write_text(stored.read_text() + f"[more]\nhf_token = {VALUES['more']}\n\n")
        session.token_path.write_text(VALUES["more"])
    session.hfd("sync", check=False)
    return False


def lock(session):
    """Hidden, and shown again."""
    hidden = claims(session, "lock")
    left = session.token_path.with_name("stored_tokens")
    if hidden and (session.token_path.exists() or "hf_made_up" in left.read_text()):
        raise SystemExit("`hfd lock` claims to hide what can be seen")
    return claims(session, "unlock") and hidden


def nothing(session):
    del session


# What is done before, and the change.
CHANGES = {
    "login": (nothing, hfd("login", "--with-token", "--offline", "--name", "more", stdin=VALUES["more"])),
    "switch": (nothing, hfd("switch", "play")),
    "logout": (nothing, hfd("logout", "work")),
    "purge": (nothing, hfd("logout", "work", "--purge")),
    "rename": (nothing, hfd("rename", "play", "game")),
    "import": (nothing, edit),
    "restore": (hfd("logout", "play"), hfd("restore", "play")),
    "mode": (nothing, lambda session: claims(session, "mirror", "add", "--mode", "active-only")),
    "lock": (nothing, lock),
    "rekey": (nothing, hfd("store", "rekey", "--key-file")),
}


def main():
    stored = dict(line.split() for line in (HERE / "points.txt").read_text().splitlines())
    faults = []
    for name, (before, change) in CHANGES.items():
        if sys.argv[1:] and name not in sys.argv[1:]:
            continue
        with Session(config='store = "file"\n', tokens=[("work", VALUES["work"]), ("play", VALUES["play"])]) as session:
            points, found = Case(session, name, before, change).run()
        faults += found
        print(f"{name}: {len(points)} calls ({', '.join(f'{points.count(call)} {call}' for call in sorted(set(points)))}), "
              f"killed at each and refused each of {len(ERRORS)} ways; {len(found)} faults", flush=True)
        # How often a lease is asked for depends on who has the file open in that moment.
        durable = sum(call != "lease" for call in points)
        if durable < int(stored[name]):
            faults.append(f"{name} has {durable} calls that change something where it had {stored[name]}")
            print(f"fault: {faults[-1]}")
    sys.exit(1 if faults else 0)


class Case:
    """One change, again and again from the same state."""

    def __init__(self, session, name, before, change):
        self.session, self.name, self.change = session, name, change
        self.template, self.count = session.root / "template", session.root / "count"
        session.hfd("sync")
        before(session)
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
            # Half of them once, the others for as long as it is looked at.
            lasting = [error + "+" * ((number + place) % 2) for place, error in enumerate(ERRORS)]
            for fault in ("kill", *lasting):
                wrong = self.at(number, fault)
                if wrong:
                    faults.append(f"{self.name}, {fault} at call {number} ({points[number - 1]}): {wrong}")
                    print(f"fault: {faults[-1]}", flush=True)
        return points, faults

    def at(self, number, fault):
        self.fresh()
        daemon = self.daemon(fault, number)
        try:
            claimed = self.change(self.session)
        except SystemExit as error:
            self.end(daemon)
            return str(error)
        silent = None if fault == "kill" else self.silent(claimed)
        daemon.child.send_signal(signal.SIGUSR2)
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
            expected = [self.new] if claimed or self.name == "import" else [self.old, self.new]
            wrong = None if after in expected else f"{after} is neither the old state nor the new"
        rests = [path.name for path in self.session.token_path.parent.glob(".hfd-*")]
        wrong = wrong or silent
        if not wrong and rests:
            wrong = f"{rests} are left"
        if fault != "kill":
            self.end(daemon)
        return wrong

    def silent(self, claimed):
        """While the disk may still fail: what was claimed holds, and what nobody claimed is told by `status`."""
        try:
            after = self.state()
        except SystemExit as error:
            after = str(error)
        if after == self.new or (not claimed and self.name != "import"):
            return None
        status = json.loads(self.session.hfd("status", "--json", check=False) or "{}")
        if not claimed and not self.is_settled(status):
            return None
        return f"a failure is silent: {after}, {status}"

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
        if self.name == "lock":
            self.session.hfd("unlock", check=False)
        self.session.hfd("sync", check=False)
        return self.is_settled(json.loads(self.session.hfd("status", "--json", check=False) or "{}"))

    def is_settled(self, status):
        mirrors = status.get("mirrors") or [{}]
        return status.get("unsettled") == 0 and mirrors[0].get("state") == "in-sync"

    def state(self):
        """What store and files say, and the mirror's mode; an error where they do not say the same."""
        entries = json.loads(self.session.hfd("list", "--json"))
        store = {entry["name"]: self.session.hfd("token", entry["name"]).strip() for entry in entries}
        active = [entry["name"] for entry in entries if entry["active"]]
        parser = configparser.ConfigParser(interpolation=None)
        parser.read(self.session.token_path.with_name("stored_tokens"))
        files = {name: parser[name]["hf_token"] for name in parser.sections()}
        token = self.session.token_path.read_text() if self.session.token_path.exists() else None
        [mirror] = json.loads(self.session.hfd("mirror", "list", "--json"))
        shown = store if mirror["mode"] == "files" else {name: store[name] for name in active}
        if files != shown or token != (store[active[0]] if active else None):
            raise SystemExit(f"store {store}, active {active}; files {files}, token {token}")
        kept = [entry["name"] for entry in json.loads(self.session.hfd("restore", "--json"))["kept"]]
        return store, active, mirror["mode"], kept


main()
