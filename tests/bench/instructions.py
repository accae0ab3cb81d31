"""Instruction counts by callgrind, which repeat from run to run and from machine to machine.

A count depends on the compiler and on libc, so figures are kept for one toolchain. It hardly depends
on the processor: valgrind shows one and the same to the program, with or without AVX2, and that libc
takes another routine where there is one is switched off here.
"""

import os
import re
import subprocess
import tempfile

from session import Session

# glibc has string routines per processor (tunables: glibc.cpu.hwcaps); without these it takes those
# that every x86-64 has. On other architectures the names mean nothing and are ignored.
BASELINE = "glibc.cpu.hwcaps=" + ",".join(
    f"-{feature}" for feature in
    "AVX,AVX2,AVX512F,AVX512VL,AVX512BW,AVX_Fast_Unaligned_Load,BMI1,BMI2,ERMS,FSRM,LZCNT,MOVBE,"
    "POPCNT,RTM,SSE3,SSSE3,SSE4_1,SSE4_2,XSAVE,XSAVEC".split(","))

# Enough that what else a daemon does meanwhile is lost in it.
LOOKUPS = 1000


def toolchain():
    """What the counts hold for."""
    rustc = subprocess.run(["rustc", "--version"], capture_output=True, text=True, check=True).stdout
    return f"{os.uname().machine}, {rustc.strip()}, {os.confstr('CS_GNU_LIBC_VERSION')}"


def count():
    """What is gated: a dictionary of names to numbers of instructions."""
    with Session(config='store = "file"\n', tokens=[("work", "hf_made_up_for_counting_instructions")]) as session:
        session.environment["GLIBC_TUNABLES"] = BASELINE
        daemon = session.start_daemon()
        warm = session.hfd("token")
        empty = [session.bin / "bench-empty", daemon.socket, session.request()]
        if session.command(*empty) != warm:
            raise SystemExit("the empty client prints something else than hfd token")
        counts = {
            "hfd token": of_process(session, session.bin / "hfd", "token"),
            "the empty client": of_process(session, *empty),
        }
        daemon.end()
        few, many = (of_daemon(session, lookups) for lookups in (LOOKUPS, 2 * LOOKUPS))
        counts["hfdd per lookup"] = round((many - few) / LOOKUPS)
        return counts


def of_process(session, *words):
    with output() as file:
        session.command(*callgrind(file), *words)
        return total(file)


def of_daemon(session, lookups):
    with output() as file:
        daemon = session.start_daemon(*callgrind(file))
        session.command(session.bin / "bench-load", "calm", lookups, daemon.socket, session.request())
        daemon.end()
        return total(file)


def output():
    return tempfile.NamedTemporaryFile(prefix="hfd-callgrind.")


def callgrind(file):
    return ["valgrind", "--tool=callgrind", f"--callgrind-out-file={file.name}"]


def total(file):
    with open(file.name) as text:
        return int(re.search(r"^(?:summary|totals): (\d+)", text.read(), re.MULTILINE)[1])
