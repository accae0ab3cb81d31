"""The measurements, each a function of the sessions it needs."""

import json
import os
import pathlib
import re
import statistics
import time

from race import Race, Runner
from session import HFD, TARGET, Session, eventually

VALUE = "hf_made_up_for_the_benchmark_0001work"
OTHER = "hf_made_up_for_the_benchmark_0002play"
FILE_STORE = 'store = "file"\n'


def load(session, *words):
    return json.loads(session.command(TARGET / "bench-load", *words))


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
        "empty": [TARGET / "bench-empty", daemon.socket, session.request()],
        "hfd": [HFD, "token"],
        "git": ["git", "credential-cache", "get"],
        "secret-tool": ["secret-tool", "lookup", *attributes],
        "hf": [hf, "auth", "token"],
    }
    for name, command in words.items():
        stdin = credential.read_text() if name == "git" else ""
        if name != "true" and VALUE not in session.command(*command, stdin=stdin):
            raise SystemExit(f"{command} does not print the token")
    runners = {name: Runner(session, *command, stdin=credential if name == "git" else os.devnull)
               for name, command in words.items()}
    return Race(runners, rounds, rarely={"hf"}, every=max(1, rounds // slow_rounds))


def flatness(count):
    """Lookups by name and of the active token among 1 and among 4,096 tokens, in turn."""
    with Session(config=FILE_STORE) as few, Session(config=FILE_STORE) as many:
        targets = []
        for session, tokens in [(few, 1), (many, 4096)]:
            session.write_stored_tokens([(f"name-{number:04}", f"{VALUE}{number:04}") for number in range(tokens)])
            daemon = session.start_daemon()
            session.hfd("sync")
            found = len(json.loads(session.hfd("list", "--json")))
            if found != tokens:
                raise SystemExit(f"{found} of {tokens} tokens were imported")
            for name in (None, f"name-{tokens - 1:04}"):
                targets += [daemon.socket, session.request(name)]
        one, one_named, all_, all_named = load(few, "latency", count, *targets)
        return {"active": (one["median_us"], all_["median_us"]),
                "named": (one_named["median_us"], all_named["median_us"])}


def start_on_demand(rounds):
    """Seconds of `hfd token` where no daemon runs, with the file store: it has no keychain's time."""
    with Session(config=FILE_STORE, tokens=[("work", VALUE)]) as session:
        runner, times = Runner(session, HFD, "token"), []
        session.hfd("sync")
        for _ in range(rounds):
            session.hfd("service", "stop")
            times.append(runner.run())
        return statistics.median(times)


def switches(session, rounds):
    """Seconds of `hfd switch`, there and back."""
    there, back = Runner(session, HFD, "switch", "play"), Runner(session, HFD, "switch", "work")
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


def memory_after_the_hub(session, daemon):
    """Asks a Hub over TLS with the system's certificates and one more."""
    certificate, bundle = session.root / "certificate", session.root / "bundle"
    hub = session.start(TARGET / "bench-hub", certificate, VALUE, stdout=-1)
    endpoint = hub.stdout.readline().strip()
    system = pathlib.Path("/etc/ssl/certs/ca-certificates.crt")
    bundle.write_text((system.read_text() if system.exists() else "") + certificate.read_text())
    session.environment |= {"HF_ENDPOINT": endpoint, "SSL_CERT_FILE": str(bundle)}
    session.hfd("login", "--with-token", "--name", "hub", "--no-switch", "--endpoint", endpoint, stdin=VALUE)
    session.hfd("whoami", "hub")
    for name in ("HF_ENDPOINT", "SSL_CERT_FILE"):
        del session.environment[name]
    return daemon.memory()


class Idle:
    """A daemon with a keychain and one mirror that nobody asks anything, from now on."""

    def __init__(self):
        self.session = Session(keychain=True)
        self.daemon = self.session.start_daemon()
        self.session.login("work", VALUE)
        self.session.hfd("token")
        self.session.hfd("status")
        self.memory = self.daemon.memory()
        self.since, self.before = time.monotonic(), self.daemon.switches()

    def wake_ups_per_minute(self, seconds):
        """Over at least so many seconds, most of which have passed while others were measured."""
        time.sleep(max(0.0, self.since + seconds - time.monotonic()))
        woken = self.daemon.switches() - self.before
        return woken * 60 / (time.monotonic() - self.since)
