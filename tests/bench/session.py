"""A person's session in miniature: home, session bus, keychain, daemon. Gone with its `with`."""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

# Where cargo put the programs.
TARGET = pathlib.Path(os.environ["HFD_BENCH_TARGET"])
PROGRAMS = ("hfd", "hfdd", "git-credential-hfd", "bench-empty", "bench-load", "bench-hub")

# Ended early, it still ends what it started.
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, lambda number, _: sys.exit(128 + number))

# How long a process may take to do what takes it milliseconds.
PATIENCE = 30


class Session(contextlib.AbstractContextManager):
    """`environment` is what its processes see, and nothing else."""

    def __init__(self, *, keychain=False, config="", tokens=()):
        # Every path is of the same length on every machine: what is counted reads its environment,
        # and libc its own name.
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="hfd-bench.", dir="/tmp"))
        self.home, self.run, self.bin = (self.root / name for name in ("home", "run", "bin"))
        for directory in (self.home, self.run, self.bin):
            directory.mkdir(mode=0o700)
        self.environment = {
            "HOME": str(self.home),
            "XDG_RUNTIME_DIR": str(self.run),
            "PATH": f"{self.bin}:/usr/local/bin:/usr/bin:/bin",
            "LANG": "C.UTF-8",
        }
        self.ended = contextlib.ExitStack()
        self.ended.callback(shutil.rmtree, self.root)
        # A daemon that a client started is no child of ours.
        self.ended.callback(self.hfd, "service", "stop", check=False)
        try:
            for program in PROGRAMS:
                shutil.copy(TARGET / program, self.bin)
            if config:
                directory = self.home / ".config/hfd"
                directory.mkdir(mode=0o700, parents=True)
                (directory / "config.toml").write_text(config)
            if tokens:
                self.write_stored_tokens(tokens)
            if keychain:
                self._start_keychain()
        except BaseException:
            self.ended.close()
            raise

    def __exit__(self, *_):
        self.ended.close()

    @property
    def token_path(self):
        return self.home / ".cache/huggingface/token"

    def write_stored_tokens(self, tokens):
        """As huggingface_hub writes them; the first one is active."""
        directory = self.token_path.parent
        directory.mkdir(mode=0o700, parents=True)
        sections = "".join(f"[{name}]\nhf_token = {value}\n\n" for name, value in sorted(tokens))
        for path, text in [(directory / "stored_tokens", sections), (self.token_path, tokens[0][1])]:
            path.touch(mode=0o600)
            path.write_text(text)

    def command(self, *words, check=True, stdin="", **more):
        """Runs a command to its end and returns what it prints."""
        words = [str(word) for word in words]
        done = subprocess.run(words, env=self.environment, input=stdin, text=True, timeout=600,
                              capture_output=True, **more)
        if check and done.returncode != 0:
            raise SystemExit(f"{' '.join(words)}: exit status {done.returncode}\n{done.stderr}")
        return done.stdout

    def hfd(self, *words, **more):
        return self.command(self.bin / "hfd", *words, **more)

    def login(self, name, value):
        self.hfd("login", "--with-token", "--offline", "--name", name, stdin=value)

    def start(self, *words, stdin=None, **more):
        """Starts what runs until the session ends."""
        child = subprocess.Popen([str(word) for word in words], env=self.environment, text=True,
                                 stdin=subprocess.PIPE if stdin else subprocess.DEVNULL, **more)
        self.ended.callback(end, child)
        if stdin:
            child.stdin.write(stdin)
            child.stdin.close()
        return child

    def start_daemon(self, *wrapper):
        """A daemon in the foreground, below `wrapper` if there is one, when it is ready."""
        child = self.start(*wrapper, self.bin / "hfdd", stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        line = child.stdout.readline()
        if not line.startswith('{"ok"'):
            raise SystemExit(f"hfdd did not start: {line}")
        return Daemon(child, json.loads(line)["ok"])

    def request(self, name=None):
        """What `hfd token [NAME]` sends."""
        what = {"name": name} if name else {"home": str(self.token_path)}
        return json.dumps({"kind": "token"} | what, separators=(",", ":"))

    def _start_keychain(self):
        address = f"unix:path={self.run}/bus"
        self.environment["DBUS_SESSION_BUS_ADDRESS"] = address
        bus = self.start("dbus-daemon", "--session", "--nofork", "--nopidfile", f"--address={address}",
                         "--print-address=1", stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        bus.stdout.readline()
        self.start("gnome-keyring-daemon", "--foreground", "--unlock", "--components=secrets",
                   f"--control-directory={self.run}/keyring", stdin="a password",
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        # It says nothing when it is ready; the bus knows.
        eventually("the keychain", lambda: "true" in self.command(
            "dbus-send", "--session", "--print-reply=literal", "--dest=org.freedesktop.DBus",
            "/org/freedesktop/DBus", "org.freedesktop.DBus.NameHasOwner",
            "string:org.freedesktop.secrets"))


class Daemon:
    """A running hfdd, of which the kernel tells things."""

    def __init__(self, child, ready):
        self.child, self.pid, self.socket = child, ready["pid"], ready["socket"]

    def end(self):
        end(self.child)

    def quiet_memory(self):
        """Its memory after it has given back what the last work left (daemon/src/memory.rs)."""
        time.sleep(3)
        return self.memory()

    def memory(self):
        """Resident and anonymous memory in KiB (proc_pid_status(5))."""
        status = pathlib.Path(f"/proc/{self.pid}/status").read_text()
        fields = dict(line.split(":", 1) for line in status.splitlines())
        return {key: int(fields[key].split()[0]) for key in ("VmRSS", "RssAnon")}

    def stay_on(self, processor):
        """Has all its threads run on one processor."""
        for task in os.listdir(f"/proc/{self.pid}/task"):
            os.sched_setaffinity(int(task), {processor})

    def switches(self):
        """How often its threads began to run: each wake-up is one."""
        total = 0
        for task in pathlib.Path(f"/proc/{self.pid}/task").iterdir():
            for line in (task / "status").read_text().splitlines():
                if "ctxt_switches" in line:
                    total += int(line.split()[1])
        return total


def end(child):
    """Ends a child that has not ended, and takes its status."""
    if child.poll() is None:
        child.send_signal(signal.SIGTERM)
        try:
            child.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
    for pipe in (child.stdin, child.stdout):
        if pipe:
            pipe.close()


def eventually(what, holds, patience=PATIENCE):
    deadline = time.monotonic() + patience
    while not holds():
        if time.monotonic() > deadline:
            raise SystemExit(f"not within {patience} s: {what}")
        time.sleep(0.002)
