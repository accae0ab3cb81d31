"""The gate: instruction counts against the stored ones. Exit status 1 when it does not pass."""

import argparse
import pathlib
import sys

import instructions

STORED = pathlib.Path(__file__).with_name("instructions.txt")

# design.md section 8.
RATIO = 1.3

# What a count may be above its stored figure. The same build repeats within 0.3 %.
SPARE = 0.03

HEADER = """\
# Instructions by callgrind, which tests/bench/run --gate holds the build to, with 3 % to spare.
# They hold for this toolchain alone; tests/bench/run --store measures them anew.
"""


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--store", action="store_true")
    store = parser.parse_args().store
    toolchain, counts = instructions.toolchain(), instructions.count()
    ratio = counts["hfd token"] / counts["the empty client"]
    failures = []
    if ratio > RATIO:
        failures.append(f"hfd token takes {ratio:.2f} × the empty client's instructions, more than {RATIO}")
    if store:
        STORED.write_text(HEADER + "".join(
            f"{name}: {value}\n" for name, value in [("toolchain", toolchain), *counts.items()]))
    else:
        failures += compare(toolchain, counts)
    print(f"{'ratio of hfd token to the empty client':40} {ratio:12.3f}   at most {RATIO}")
    for failure in failures:
        print(f"tests/bench: {failure}", file=sys.stderr)
    sys.exit(1 if failures else 0)


def compare(toolchain, counts):
    """Prints each count beside the stored one; what is wrong."""
    stored = read()
    same = stored.get("toolchain") == toolchain
    failures = []
    for name, value in counts.items():
        before = int(stored.get(name, 0))
        change = f"{value / before - 1:+.1%}" if before else "not stored"
        print(f"{name:40} {value:12,}   {change if same else 'another toolchain'}")
        if not same:
            continue
        if not before or value > before * (1 + SPARE):
            failures.append(f"{name}: {value:,} instructions, {change} of the stored {before:,}; "
                            "mend it, or say why in the commit that runs tests/bench/run --store")
        elif value < before * (1 - SPARE):
            print(f"{name} became cheaper: tests/bench/run --store keeps it so", file=sys.stderr)
    if not same:
        failures.append(f"this is {toolchain}, but the stored figures are for "
                        f"{stored.get('toolchain', 'none')}: check out what they belong to and compare "
                        "there, or run tests/bench/run --store")
    return failures


def read():
    if not STORED.exists():
        return {}
    lines = [line for line in STORED.read_text().splitlines() if not line.startswith("#")]
    return dict(line.split(": ", 1) for line in lines)


main()
