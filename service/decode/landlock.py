"""
What the kernel refuses a decode worker whichever system call it makes: Landlock, without root.

The rule: nothing is granted. No file or folder can be opened, changed or run by name, no TCP port
be bound or connected to, and no process outside be traced; from Linux 6.12 on, none be signalled.
It is a second wall behind the filter of `seccomp`, and covers less: a file's attributes, for
example, can be read in spite of it.

py-landlock is younger than this project and would replace two system calls.
[Landlock] https://docs.kernel.org/userspace-api/landlock.html
"""

import ctypes
import os
import struct
import sys

_CREATE_RULESET, _RESTRICT_SELF = 444, 446  # system calls, the same on all processors
_VERSION = 1  # flag: returns what the kernel knows in place of a set of rules


def refuse_by_landlock() -> bool:
    """For good, for this thread; `no_new_privs` must be set.   False where there is no Landlock."""
    if sys.platform != "linux":
        return False
    syscall = ctypes.CDLL(None, use_errno=True).syscall
    syscall.restype = ctypes.c_long
    version = syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _VERSION)
    if version < 1:
        return False
    handled = _handled(version)
    rules = syscall(_CREATE_RULESET, handled, ctypes.c_size_t(len(handled)), 0)
    if rules < 0:
        return False
    try:
        return not syscall(_RESTRICT_SELF, ctypes.c_int(rules), 0)
    finally:
        os.close(rules)


def _handled(version: int) -> bytes:
    """All that a version can refuse: rights to files, rights to the network, scopes."""
    files = 13 + (version >= 2) + (version >= 3) + (version >= 5)  # rights that it knows
    network = 0b11 if version >= 4 else 0  # to bind and to connect TCP
    scopes = 0b11 if version >= 6 else 0  # abstract sockets and signals
    return struct.pack("=QQQ", (1 << files) - 1, network, scopes)
