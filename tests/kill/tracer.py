"""Runs a program and lets its system calls fail, or kills it at one: `tracer.py COUNT FAULT N PROGRAM…`.

Counted are, over all threads, the calls that write, link, rename, exchange, lease or flush, from the moment that
this process receives SIGUSR1. At the Nth the FAULT happens: `kill`, the name of an errno, or `none`. An errno with
a `+` goes on failing every later call of those, but on sockets, until SIGUSR2. The number of
calls so far stands in the file COUNT when the program has ended. As the parent it may trace a program that
forbids it to others (PR_SET_DUMPABLE); strace counts for each thread apart, which leaves calls out."""

import ctypes
import errno
import os
import pathlib
import signal
import sys

# ptrace(2), for x86_64.
TRACEME, CONT, GETREGS, SETREGS, SYSCALL, SETOPTIONS = 0, 7, 12, 13, 24, 0x4200
OPTIONS = 0x1 | 0x2 | 0x4 | 0x8 | 0x10 | 0x100000  # SYSGOOD, FORK, VFORK, CLONE, EXEC, EXITKILL
SYSCALL_STOP = signal.SIGTRAP | 0x80

WRITES = {1: "write", 18: "pwrite64", 20: "writev", 74: "fsync", 75: "fdatasync", 77: "ftruncate", 82: "rename",
          86: "link", 87: "unlink", 263: "unlinkat", 264: "renameat", 265: "linkat", 316: "renameat2"}
FCNTL, F_SETLEASE, F_UNLCK = 72, 1024, 2

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
libc.ptrace.restype = ctypes.c_long


class Registers(ctypes.Structure):
    _fields_ = [(name, ctypes.c_ulonglong) for name in (
        "r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi orig_rax rip cs eflags rsp ss fs_base gs_base ds es "
        "fs gs").split()]


def ptrace(request, pid, data=0):
    if libc.ptrace(request, pid, None, data) == -1:
        raise OSError(ctypes.get_errno(), "ptrace")


def is_socket(pid, descriptor):
    try:
        return os.readlink(f"/proc/{pid}/fd/{descriptor}").startswith("socket:")
    except OSError:
        return False


def counts(registers):
    """Whether this call is one of those that count."""
    if registers.orig_rax == FCNTL:
        return registers.rsi == F_SETLEASE and registers.rdx != F_UNLCK
    # Eight bytes go to an event descriptor, with which threads of one process wake each other.
    return registers.orig_rax in WRITES and not (registers.orig_rax == 1 and registers.rdx == 8)


def main():
    count_file, fault, at, *program = sys.argv[1:]
    armed, lifted = [], []
    signal.signal(signal.SIGUSR1, lambda *_: armed.append(True))
    signal.signal(signal.SIGUSR2, lambda *_: lifted.append(True))
    lasting, fault = fault.endswith("+"), fault.rstrip("+")
    child = os.fork()
    if child == 0:
        libc.ptrace(TRACEME, 0, None, None)
        os.execv(program[0], program)
    os.waitpid(child, 0)
    ptrace(SETOPTIONS, child, OPTIONS)
    ptrace(SYSCALL, child)
    inside, failing, names = set(), set(), []
    while True:
        try:
            pid, status = os.waitpid(-1, 0x40000000)  # __WALL
        except ChildProcessError:
            break
        if not os.WIFSTOPPED(status):
            inside.discard(pid)
            continue
        stop, deliver = os.WSTOPSIG(status), 0
        try:
            if stop == SYSCALL_STOP:
                registers = Registers()
                if pid in inside:
                    inside.discard(pid)
                    if pid in failing:
                        failing.discard(pid)
                        ptrace(GETREGS, pid, ctypes.addressof(registers))
                        registers.rax = 2**64 - getattr(errno, fault)
                        ptrace(SETREGS, pid, ctypes.addressof(registers))
                else:
                    inside.add(pid)
                    ptrace(GETREGS, pid, ctypes.addressof(registers))
                    if armed and counts(registers):
                        names.append(WRITES.get(registers.orig_rax, "lease"))
                        if len(names) == int(at) and fault == "kill":
                            os.kill(child, signal.SIGKILL)
                            continue
                        due = len(names) == int(at) or (
                            lasting and len(names) > int(at) and not lifted
                            and not (registers.orig_rax in (1, 20) and is_socket(child, registers.rdi)))
                        if due and fault != "none":
                            failing.add(pid)
                            registers.orig_rax = 2**64 - 1  # no such call
                            ptrace(SETREGS, pid, ctypes.addressof(registers))
            elif stop not in (signal.SIGTRAP, signal.SIGSTOP):
                deliver = stop
            ptrace(SYSCALL, pid, deliver)
        except OSError as error:
            if error.errno != errno.ESRCH:  # killed meanwhile
                raise
    pathlib.Path(count_file).write_text("\n".join(names))


main()
