"""
Which system calls a decode worker may no longer make: a seccomp filter, which needs no root.

The rule: once its libraries are loaded, a decoder needs memory, the clock and the descriptors that
it was given. Whatever an attacker could use to get out of it (sockets, files by name, other
processes, new programs, rarely used parts of the kernel) fails with EPERM. Threads may be started.

The filter is a list of what is refused, so that a C library that uses a new call still works. It is
not worth a library: libseccomp's binding for Python is no wheel, and this is one `prctl`.
[seccomp] https://docs.kernel.org/userspace-api/seccomp_filter.html
"""

import ctypes
import errno
import os
import struct
import sys

MACHINES = {"x86_64": 0xC000_003E, "aarch64": 0xC000_00B7}  # as a filter sees them

# Their numbers on x86-64 and on 64-bit ARM, which has no old ones.
REFUSED: dict[str, tuple[int, int | None]] = {
    # the network
    "socket": (41, 198), "socketpair": (53, 199), "connect": (42, 203), "bind": (49, 200),
    "listen": (50, 201), "accept": (43, 202), "accept4": (288, 242),
    # other processes and programs
    "fork": (57, None), "vfork": (58, None), "execve": (59, 221), "execveat": (322, 281),
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271),
    "kill": (62, 129), "tkill": (200, 130), "tgkill": (234, 131), "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240), "pidfd_open": (434, 434), "pidfd_getfd": (438, 438),
    "pidfd_send_signal": (424, 424), "process_madvise": (440, 440), "setpriority": (141, 140),
    "sched_setaffinity": (203, 122), "sched_setscheduler": (144, 119),
    "sched_setparam": (142, 118), "sched_setattr": (314, 274), "ioprio_set": (251, 30),
    # files by name
    "open": (2, None), "openat": (257, 56), "openat2": (437, 437), "creat": (85, None),
    "name_to_handle_at": (303, 264), "open_by_handle_at": (304, 265), "truncate": (76, 45),
    "rename": (82, None), "renameat": (264, 38), "renameat2": (316, 276), "link": (86, None),
    "linkat": (265, 37), "symlink": (88, None), "symlinkat": (266, 36), "unlink": (87, None),
    "unlinkat": (263, 35), "mkdir": (83, None), "mkdirat": (258, 34), "rmdir": (84, None),
    "mknod": (133, None), "mknodat": (259, 33), "chmod": (90, None), "fchmodat": (268, 53),
    "chown": (92, None), "lchown": (94, None), "fchownat": (260, 54), "setxattr": (188, 5),
    "lsetxattr": (189, 6), "removexattr": (197, 14), "utimensat": (280, 88),
    # the system
    "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51),
    "move_mount": (429, 429), "open_tree": (428, 428), "fsopen": (430, 430), "unshare": (272, 97),
    "setns": (308, 268), "bpf": (321, 280), "perf_event_open": (298, 241), "keyctl": (250, 219),
    "userfaultfd": (323, 282), "io_uring_setup": (425, 425), "add_key": (248, 217),
    "request_key": (249, 218), "init_module": (175, 105), "finit_module": (313, 273),
    "kexec_load": (246, 104), "reboot": (169, 142), "settimeofday": (164, 170),
    "clock_settime": (227, 112), "shmget": (29, 194), "msgget": (68, 186), "semget": (64, 190),
    "mq_open": (240, 180),
}  # fmt: skip
CLONE, CLONE_THREAD = (56, 220), 0x10000  # threads may be started, processes not
PRLIMIT = (302, 261)  # its own limits may be changed, by the number 0
FCNTL, IOCTL = (72, 25), (16, 29)  # but not whom the kernel sends a signal about a file:
_SET_OWNER = {FCNTL: (8, 10, 15), IOCTL: (0x8901, 0x8902)}  # F_SETOWN, F_SETSIG, F_SETOWN_EX, …
CLONE3 = 435  # a filter cannot read its arguments; the C library falls back to clone
_X32 = 0x4000_0000  # numbers from here on are another set of system calls on x86-64

_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 22, 2
_KILL, _FAIL, _ALLOW = 0x8000_0000, 0x0005_0000, 0x7FFF_0000  # what a filter may return
_NUMBER, _MACHINE, _FIRST_ARGUMENT, _SECOND_ARGUMENT = 0, 4, 16, 24  # offsets in its input
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06  # its instructions


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def refuse_system_calls() -> bool:
    """For good, for this thread and those that it starts; `no_new_privs` must be set.

    False where the kernel or the processor does not support it.
    """
    machine = os.uname().machine
    if sys.platform != "linux" or machine not in MACHINES:
        return False
    steps = b"".join(struct.pack("=HBBI", *step) for step in _program(machine))
    libc = ctypes.CDLL(None, use_errno=True)
    program = _Program(len(steps) // 8, steps)
    return not libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0)


def _program(machine: str) -> list[tuple[int, int, int, int]]:
    """(instruction, steps to skip if true, and if false, value), as in BPF."""
    fail = (_RETURN, 0, 0, _FAIL | errno.EPERM)
    column = list(MACHINES).index(machine)
    program = [
        (_LOAD, 0, 0, _MACHINE),
        (_EQUAL, 1, 0, MACHINES[machine]),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER),
        (_EQUAL, 0, 1, CLONE3),
        (_RETURN, 0, 0, _FAIL | errno.ENOSYS),
    ]
    if machine == "x86_64":
        program += [(_AT_LEAST, 0, 1, _X32), fail]
    for numbers in REFUSED.values():
        if (number := numbers[column]) is not None:
            program += [(_EQUAL, 0, 1, number), fail]
    checked = [
        (CLONE, _FIRST_ARGUMENT, [(_ANY_BIT, 1, 0, CLONE_THREAD), fail]),
        (PRLIMIT, _FIRST_ARGUMENT, [(_EQUAL, 1, 0, 0), fail]),
    ]
    for call, commands in _SET_OWNER.items():
        refused = [step for command in commands for step in ((_EQUAL, 0, 1, command), fail)]
        checked.append((call, _SECOND_ARGUMENT, refused))
    allow = (_RETURN, 0, 0, _ALLOW)
    for numbers, argument, steps in checked:
        rest = [(_LOAD, 0, 0, argument), *steps, allow]
        program += [(_EQUAL, 0, len(rest), numbers[column]), *rest]
    return [*program, allow]
