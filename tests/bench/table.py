"""design.md section 8 as a table: what was measured beside its bound."""

import argparse
import os
import pathlib
import platform
import sys

import instructions
import measure

# Where the table stands, from the line after MARK to the table's end.
README = pathlib.Path(__file__).parents[2] / "README.md"
MARK = "<!-- tests/bench/run -->\n"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    text = head(arguments.quick) + "".join(row.text() for row in rows(arguments.quick))
    print(text, end="")
    if arguments.write:
        before, after = README.read_text().split(MARK)
        rest = after[after.index("\n\n", after.index("\n| ")):]
        README.write_text(before + MARK + text.rstrip("\n") + rest)


class Row:
    """One line: `value` in words, the bound in words, and whether it is met (None: there is none)."""

    def __init__(self, what, value, bound="", met=None):
        self.what, self.value, self.bound, self.met = what, value, bound, met
        print(f"{what}: {value}", file=sys.stderr)

    def text(self):
        verdict = {None: "", True: "met", False: "**missed**"}[self.met]
        return f"| {self.what} | {self.value} | {self.bound} | {verdict} |\n"


def head(quick):
    with open("/proc/cpuinfo") as text:
        models = [line.split(":")[1].strip() for line in text if line.startswith("model name")]
    machine = f"{models[0] if models else platform.machine()}, {os.cpu_count()} cores"
    return (f"Measured by `tests/bench/run{' --quick' if quick else ''}` on {machine}, "
            f"Linux {platform.release().split('-')[0]} ({instructions.toolchain()}).\n\n"
            "| what | measured | bound | |\n|---|---|---|---|\n")


def rows(quick):
    # From the first minute on nobody asks this one anything, while the others are measured.
    idle = measure.Idle()
    with idle.session:
        yield from counted()
        session, daemon = measure.desktop()
        with session:
            yield from processes(session, daemon, quick)
            yield from connections(session, daemon, quick)
            yield from changes(session, quick)
            yield from followed(quick)
            yield from memory_of(session, daemon, idle, quick)
        woken = idle.wake_ups_per_minute(15 if quick else 240)
        yield Row("daemon idle: wake-ups a minute", f"{woken:.1f}", "under 3", woken < 3)
        at_once, memory = measure.memory_after_the_hub(idle.session, idle.daemon)
        yield Row("daemon memory after talking to the Hub (TLS, the system's certificates)",
                  f"{mb(memory)} (at once: {mb(at_once)})", "7 MB", memory["VmRSS"] <= 7e6 / 1024)


def counted():
    counts = instructions.count()
    ratio = counts["hfd token"] / counts["the empty client"]
    yield Row("`hfd token`, instructions", f"{counts['hfd token']:,}, {ratio:.2f} × an empty client",
              "within 1.3 ×", ratio <= 1.3)
    yield Row("`hfdd`, instructions per lookup", f"{counts['hfdd per lookup']:,}")


def processes(session, daemon, quick):
    race = measure.processes(session, daemon, 30 if quick else 200, 5 if quick else 10)
    for name, title in [("true", "`true`"), ("empty", "an empty client"), ("hfd", "`hfd token`")]:
        ratio = "" if name == "hfd" else f", `hfd token` takes {race.ratio('hfd', name):.2f} ×"
        yield Row(f"{title}, whole process", f"{ms(race.median(name))}{ratio}")
    for name, title, bound, least in [
        ("git", "`git credential-cache get`", "`hfd token` is faster", 1),
        ("secret-tool", "`secret-tool lookup`", "10 × `hfd token`", 10),
        ("hf", "`hf auth token`", "200 × `hfd token`", 200),
    ]:
        ratio = race.ratio(name, "hfd")
        yield Row(f"{title}, whole process", f"{ms(race.median(name))}, {ratio:.1f} × `hfd token`",
                  bound, ratio > least)
    ratio = race.ratio("fill-hfd", "fill-cache")
    yield Row("`git credential fill` through hfd",
              f"{ms(race.median('fill-hfd'))}, {ratio:.2f} × through `git credential-cache`", "as fast", ratio <= 1)


def connections(session, daemon, quick):
    count = 5_000 if quick else 50_000
    [lookup] = measure.load(session, "latency", count, daemon.socket, session.request())
    yield Row("lookup on an open connection, wherever the kernel puts the two",
              f"{lookup['median_us']:.1f} µs median, {lookup['p99_us']:.1f} µs p99")
    lookup = measure.lookup(count)
    yield Row("lookup on an open connection, both on one processor", f"{lookup['median_us']:.1f} µs median, {lookup['p99_us']:.1f} µs p99",
              "median under 30 µs", lookup["median_us"] < 30)
    piped = measure.load(session, "pipeline", 50_000 if quick else 500_000, daemon.socket, session.request())
    yield Row("pipelined on one connection", f"{piped['per_second']:,.0f} a second", "60,000 a second",
              piped["per_second"] >= 60_000)
    crowd = 256 if quick else 4_096
    flat = measure.flatness(2_000 if quick else 20_000, crowd)
    for title, (one, all_) in zip(["the active token", "a token by name"], flat):
        yield Row(f"{title}, among 1 and among {crowd:,}", f"{one:.1f} µs and {all_:.1f} µs", "flat (within 1.1 ×)",
                  all_ <= 1.1 * one)
    clients = measure.load(session, "clients", 1_000, daemon.socket, session.request())
    yield Row("1,000 clients at once", f"{clients['count']:,} answered, {clients['median_us'] / 1e3:.0f} ms median, "
              f"{clients['p99_us'] / 1e3:.0f} ms p99", "all, p99 under 250 ms",
              clients["count"] == 1_000 and clients["p99_us"] < 250e3)


def changes(session, quick):
    started = measure.start_on_demand(10 if quick else 50)
    yield Row("daemon started on demand, to `hfd token`'s end (file store)", ms(started), "under 5 ms",
              started < 5e-3)
    switch, flushed = measure.switches(session, 20 if quick else 200), measure.flushes()
    yield Row("`hfd switch`", f"{ms(switch)} median, {flushed:.1f} flushes", "under 20 ms, at most 4 flushes",
              switch < 20e-3 and flushed <= 4)


def followed(quick):
    median, slowest = measure.following(20 if quick else 100)
    yield Row("another tool's edit seen, imported and converged", f"{ms(median)} median, {ms(slowest)} at most",
              "under 400 ms", slowest < 0.4)


def memory_of(session, daemon, idle, quick):
    yield Row("daemon memory, idle, one mirror", mb(idle.memory), "5 MB, 0.6 MB anonymous",
              idle.memory["VmRSS"] <= 5e6 / 1024 and idle.memory["RssAnon"] <= 0.6e6 / 1024)
    # The code that lookups use is mapped again by the first of them.
    measure.load(session, "pipeline", 10_000, daemon.socket, session.request())
    before = daemon.quiet_memory()
    requests = 100_000 if quick else 1_000_000
    measure.load(session, "pipeline", requests, daemon.socket, session.request())
    after = daemon.quiet_memory()
    yield Row(f"daemon memory after {requests:,} requests", f"{mb(after)} (before: {mb(before)})", "flat",
              after["VmRSS"] <= before["VmRSS"] * 1.02)


def ms(seconds):
    return f"{seconds * 1e3:.2f} ms"


def mb(memory):
    return f"{memory['VmRSS'] * 1024 / 1e6:.2f} MB, {memory['RssAnon'] * 1024 / 1e6:.2f} MB anonymous"


main()
