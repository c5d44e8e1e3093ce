"""
Which system calls a decode worker may still make: a seccomp filter, which needs no root.

The rule: once its libraries are loaded, a decoder needs memory, the clock and the descriptors that
it was given. It may make the 29 system calls of this list and no other: it reaches no file by name,
no other process, no network, and starts neither programs nor threads nor code that it wrote itself.

The list has what decoding was seen to call (by strace, with every codec and container, damaged
files, and limits that were reached) and what another C library or a machine without a fast clock
calls in its place. Refused are also `newfstatat` and `statx`, by which glibc 2.33 to 2.38 implement
`fstat`: a filter cannot read a path, so they would reveal any file; Python does without the answer.

Everything else fails with EPERM. Calls that are newer than Linux 5.0 fail with ENOSYS, as on a
kernel that lacks them, since C libraries then use older ones.

It is not worth a library: pyseccomp, last released in 2021, needs the system's libseccomp, which
images for Python lack; libseccomp's own binding is no wheel. This is one `prctl`.
[seccomp] https://docs.kernel.org/userspace-api/seccomp_filter.html
"""

import ctypes
import errno
import os
import struct
import sys
from dataclasses import dataclass

MACHINES = {"x86_64": 0xC000_003E, "aarch64": 0xC000_00B7}  # as a filter sees them

# Their numbers on x86-64 and on 64-bit ARM.
ALLOWED: dict[str, tuple[int, int | None]] = {
    # the descriptors that it was given
    "lseek": (8, 62), "read": (0, 63), "write": (1, 64), "writev": (20, 66), "close": (3, 57),
    "fstat": (5, 80), "fcntl": (72, 25),
    "recvmsg": (47, 212), "recvfrom": (45, 207), "sendto": (44, 206),
    # memory
    "brk": (12, 214), "mmap": (9, 222), "munmap": (11, 215), "mremap": (25, 216),
    "mprotect": (10, 226), "madvise": (28, 233),
    # the clock, and randomness
    "clock_gettime": (228, 113), "gettimeofday": (96, 169), "time": (201, None),
    "getrandom": (318, 278),
    # itself
    "getrusage": (98, 165), "prlimit64": (302, 261), "futex": (202, 98), "getpid": (39, 172),
    "restart_syscall": (219, 128), "exit_group": (231, 94),
    # itself: `abort`, by which C libraries end a process whose memory is damaged
    "gettid": (186, 178), "tgkill": (234, 131), "tkill": (200, 130),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Argument:
    """What an argument must be for its call to be allowed; its lower 32 bits are looked at."""

    place: int
    """0 for the first one."""
    values: tuple[int, ...] = ()
    """It must be one of these, if there are any."""
    without: int = 0
    """It must have none of these bits."""


_PROT_EXEC = 4
ARGUMENTS: dict[str, tuple[Argument, ...]] = {
    "fcntl": (Argument(1, values=(1030,)),),  # F_DUPFD_CLOEXEC, for `mmap.mmap`
    "mmap": (Argument(2, without=_PROT_EXEC),),
    "mprotect": (Argument(2, without=_PROT_EXEC),),
    "madvise": (Argument(2, values=(4, 8, 14)),),  # MADV_DONTNEED, MADV_FREE, MADV_HUGEPAGE
    "clock_gettime": (Argument(0, values=tuple(range(8))),),  # negative: of another process
    "prlimit64": (Argument(0, values=(0,)), Argument(1, values=(0,))),  # its own RLIMIT_CPU
    # FUTEX_WAIT, FUTEX_WAKE and FUTEX_WAIT_BITSET, shared or private, by either clock
    "futex": (Argument(1, values=(0, 1, 9, 128, 129, 137, 265, 393)),),
}

_SINCE_LINUX_5_1 = 424
"""From here on numbers are those of newer calls, the same on all processors, or those of x32."""

_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 22, 2
_KILL, _FAIL, _ALLOW = 0x8000_0000, 0x0005_0000, 0x7FFF_0000  # what a filter may return
_NUMBER, _MACHINE, _FIRST_ARGUMENT = 0, 4, 16  # offsets in its input; an argument has 8 bytes
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06  # its instructions
_Step = tuple[int, int, int, int]
"""(instruction, steps to skip if true, and if false, value), as in BPF"""


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def refuse_system_calls() -> bool:
    """For good, for this thread; `no_new_privs` must be set.

    False where the kernel or the processor does not support it.
    """
    machine = os.uname().machine
    if sys.platform != "linux" or machine not in MACHINES:
        return False
    steps = b"".join(struct.pack("=HBBI", *step) for step in _program(machine))
    libc = ctypes.CDLL(None, use_errno=True)
    program = _Program(len(steps) // 8, steps)
    return not libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0)


def _program(machine: str) -> list[_Step]:
    program = [
        (_LOAD, 0, 0, _MACHINE),
        (_EQUAL, 1, 0, MACHINES[machine]),
        (_RETURN, 0, 0, _KILL),  # entered as a 32-bit program does
        (_LOAD, 0, 0, _NUMBER),
        (_AT_LEAST, 0, 1, _SINCE_LINUX_5_1),
        (_RETURN, 0, 0, _FAIL | errno.ENOSYS),
    ]
    column = list(MACHINES).index(machine)
    itself = (Argument(0, values=(os.getpid(),)),)
    arguments = ARGUMENTS | {"tgkill": itself, "tkill": itself}
    for name, numbers in ALLOWED.items():
        if (number := numbers[column]) is not None:
            steps = [step for each in arguments.get(name, ()) for step in _checked(each)]
            steps.append((_RETURN, 0, 0, _ALLOW))
            program += [(_EQUAL, 0, len(steps), number), *steps]
    return [*program, (_RETURN, 0, 0, _FAIL | errno.EPERM)]


def _checked(argument: Argument) -> list[_Step]:
    """Go on behind these steps if the argument is allowed."""
    fail = (_RETURN, 0, 0, _FAIL | errno.EPERM)
    load = (_LOAD, 0, 0, _FIRST_ARGUMENT + 8 * argument.place)
    if argument.without:
        return [load, (_ANY_BIT, 0, 1, argument.without), fail]
    left = range(len(argument.values), 0, -1)
    return [
        load,
        *((_EQUAL, n, 0, value) for n, value in zip(left, argument.values, strict=True)),
        fail,
    ]
