"""The measurements, each a function of the sessions it needs."""

import json
import os
import pathlib
import re
import statistics
import time

from race import Race, Runner
from session import Session, eventually

VALUE = "hf_made_up_for_the_benchmark_0001work"
OTHER = "hf_made_up_for_the_benchmark_0002play"
EXPIRY = "4102444800"
FILE_STORE = 'store = "file"\n'


def load(session, *words):
    return json.loads(session.command(session.bin / "bench-load", *words))


def desktop():
    """A session with a keychain, a daemon and two tokens, the second of which is active."""
    session = Session(keychain=True)
    daemon = session.start_daemon()
    session.login("play", OTHER)
    session.login("work", VALUE)
    return session, daemon


def processes(session, daemon, rounds, slow_rounds):
    """The race of `hfd token` with its peers, each of which prints the same token first."""
    credential = session.root / "credential"
    credential.write_text("protocol=https\nhost=huggingface.co\n\n")
    session.command("git", "credential-cache", "store",
                    stdin=f"protocol=https\nhost=huggingface.co\nusername=work\npassword={VALUE}\n")
    session.ended.callback(session.command, "git", "credential-cache", "exit", check=False)
    hf = os.path.join(os.environ["HFD_TEST_VENV"], "bin/hf")
    attributes = ["service", "hfd", "username", "https://huggingface.co|work", "hfd", "access"]
    words = {
        "true": ["true"],
        "empty": [session.bin / "bench-empty", daemon.socket, session.request()],
        "hfd": [session.bin / "hfd", "token"],
        "git": ["git", "credential-cache", "get"],
        "secret-tool": ["secret-tool", "lookup", *attributes],
        "hf": [hf, "auth", "token"],
    }
    # What a person waits for: git itself, its shell and the helper.
    for name, helper in [("fill-hfd", session.bin / "git-credential-hfd"), ("fill-cache", "cache")]:
        only = ["-c", "credential.helper=", "-c", f"credential.helper={helper}"]
        words[name] = ["git", *only, "credential", "fill"]
    asked = {"git", "fill-hfd", "fill-cache"}
    for name, command in words.items():
        stdin = credential.read_text() if name in asked else ""
        if name != "true" and VALUE not in session.command(*command, stdin=stdin):
            raise SystemExit(f"{command} does not print the token")
    runners = {name: Runner(session, *command, stdin=credential if name in asked else os.devnull)
               for name, command in words.items()}
    return Race(runners, rounds, rarely={"hf"}, every=max(1, rounds // slow_rounds))


def lookup(count):
    """Lookups on an open connection with the client on the daemon's processor: to wake another one
    can take a virtual machine longer than the whole answer."""
    with Session(config=FILE_STORE, tokens=[("work", VALUE)]) as session:
        daemon = session.start_daemon()
        take_up(session)
        processor = min(os.sched_getaffinity(0))
        daemon.stay_on(processor)
        client = ["taskset", "--cpu-list", processor, session.bin / "bench-load"]
        words = [*client, "latency", count, daemon.socket, session.request()]
        [found] = json.loads(session.command(*words))
        return found


def flatness(count, crowd):
    """Median lookups of the active token and by name, in turn in a session with one token and in one
    with a crowd of them: two pairs of microseconds."""
    with Session(config=FILE_STORE) as few, Session(config=FILE_STORE) as many:
        targets = []
        for session, tokens in [(few, 1), (many, crowd)]:
            names = [f"name-{number:04}" for number in range(tokens)]
            session.write_stored_tokens([(name, f"{VALUE}{name[5:]}") for name in names])
            daemon = session.start_daemon()
            take_up(session)
            for name in (None, names[-1]):
                targets += [daemon.socket, session.request(name)]
        one, one_named, all_, all_named = load(few, "latency", count, *targets)
        return [(one["median_us"], all_["median_us"]), (one_named["median_us"], all_named["median_us"])]


def take_up(session):
    """Waits until what lies in the mirror is in the store, which for thousands takes more than the
    one call that a client waits for."""
    def in_sync():
        session.hfd("sync", check=False)
        [mirror] = json.loads(session.hfd("status", "--json"))["mirrors"]
        return mirror["state"] == "in-sync"

    eventually("store and mirror are in step", in_sync, patience=400)


def start_on_demand(rounds):
    """Seconds of `hfd token` where no daemon runs, with the file store: it has no keychain's time."""
    with Session(config=FILE_STORE, tokens=[("work", VALUE)]) as session:
        runner, times = Runner(session, session.bin / "hfd", "token"), []
        session.hfd("sync")
        for _ in range(rounds):
            session.hfd("service", "stop")
            times.append(runner.run())
        return statistics.median(times)


def switches(session, rounds):
    """Seconds of `hfd switch`, there and back."""
    there, back = (Runner(session, session.bin / "hfd", "switch", name) for name in ("play", "work"))
    return statistics.median(runner.run() for _ in range(rounds // 2) for runner in (there, back))


def flushes():
    """How many flushes to disk one `hfd switch` takes."""
    tokens = [("play", OTHER), ("work", VALUE)]
    with Session(config=FILE_STORE, tokens=tokens) as session:
        trace = session.root / "trace"
        session.start_daemon("strace", "-f", "-qq", "-o", trace,
                             "-e", "trace=fsync,fdatasync,sync,syncfs,sync_file_range,msync")
        session.hfd("sync")

        def so_far():
            return len(re.findall(r"\b\w*sync\w*\(", trace.read_text()))

        before = so_far()
        rounds = 10
        for number in range(rounds):
            session.hfd("switch", ("work", "play")[number % 2])
        return (so_far() - before) / rounds


def following(rounds):
    """Seconds from another tool's write until hfd has taken it up, and has put back what that write dropped: a
    login by huggingface_hub 1.19, which knows of no expiry."""
    with Session(config=FILE_STORE, tokens=[("work", VALUE)]) as session:
        stored, times = session.token_path.with_name("stored_tokens"), []
        stored.write_text(stored.read_text().rstrip() + f"\nexpires_at = {EXPIRY}\n\n")
        session.start_daemon()
        take_up(session)
        watch = session.start(session.bin / "hfd", "watch", "--json", stdout=-1)
        # Told by an event that the watch is there.
        session.hfd("switch", "work")
        next_event(watch, "switch")
        others = ""
        for number in range(rounds):
            others += f"[other-{number:04}]\nhf_token = {OTHER}{number:04}\n\n"
            before = time.monotonic()
            # Sorted, as upstream's file is; without the expiry.
            stored.write_text(f"{others}[work]\nhf_token = {VALUE}\n\n")
            next_event(watch, "imported")
            while EXPIRY not in stored.read_text():
                time.sleep(0.0002)
            times.append(time.monotonic() - before)
        return statistics.median(times), max(times)


def next_event(watch, wanted):
    while json.loads(watch.stdout.readline())["event"] != wanted:
        pass


def memory_after_the_hub(session, daemon):
    """Asks a Hub over TLS with the system's certificates and one more: memory at once, and soon."""
    certificate, bundle = session.root / "certificate", session.root / "bundle"
    hub = session.start(session.bin / "bench-hub", certificate, VALUE, stdout=-1)
    endpoint = hub.stdout.readline().strip()
    system = pathlib.Path("/etc/ssl/certs/ca-certificates.crt")
    bundle.write_text((system.read_text() if system.exists() else "") + certificate.read_text())
    session.environment |= {"HF_ENDPOINT": endpoint, "SSL_CERT_FILE": str(bundle)}
    session.hfd("login", "--with-token", "--name", "hub", "--no-switch", "--endpoint", endpoint, stdin=VALUE)
    session.hfd("whoami", "hub")
    for name in ("HF_ENDPOINT", "SSL_CERT_FILE"):
        del session.environment[name]
    return daemon.memory(), daemon.quiet_memory()


class Idle:
    """A daemon with a keychain and one mirror that nobody asks anything, from now on."""

    def __init__(self):
        self.session = Session(keychain=True)
        self.daemon = self.session.start_daemon()
        self.session.login("work", VALUE)
        self.session.hfd("token")
        self.session.hfd("status")
        self.memory = self.daemon.quiet_memory()
        self.since, self.before = time.monotonic(), self.daemon.switches()

    def wake_ups_per_minute(self, seconds):
        """Over at least so many seconds, most of which have passed while others were measured."""
        time.sleep(max(0.0, self.since + seconds - time.monotonic()))
        woken = self.daemon.switches() - self.before
        return woken * 60 / (time.monotonic() - self.since)
