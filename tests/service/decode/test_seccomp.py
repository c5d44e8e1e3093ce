"""The filter of a decode worker, tried in a process of its own by what an attacker would do."""

import errno
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from service.decode.seccomp import CLONE, CLONE3, FCNTL, IOCTL, MACHINES, PRLIMIT, REFUSED

ATTEMPTS = """
import ctypes, fcntl, json, os, resource, signal, socket, sys, threading
from service.decode.seccomp import refuse_system_calls

ours, theirs = socket.socketpair()
libc = ctypes.CDLL(None, use_errno=True)

def by_number(number, *arguments):
    if libc.syscall(number, *arguments) < 0:
        raise OSError(ctypes.get_errno(), "refused")

ATTEMPTS = {
    "tcp": lambda: socket.socket(),
    "udp": lambda: socket.socket(type=socket.SOCK_DGRAM),
    "unix": lambda: socket.socket(socket.AF_UNIX),
    "pair": lambda: socket.socketpair(),
    "read": lambda: open("/etc/passwd"),
    "write": lambda: open("/dev/null", "w"),
    "rename": lambda: os.rename("/nothing", "/nowhere"),
    "remove": lambda: os.unlink("/nothing"),
    "mode": lambda: os.chmod("/nothing", 0o777),
    "program": lambda: os.execv(sys.executable, ["python"]),
    "fork": lambda: os.fork(),
    "spawn": lambda: os.posix_spawn(sys.executable, ["python"], {}),
    "kill": lambda: os.kill(os.getppid(), 0),
    "ptrace": lambda: by_number({"x86_64": 101, "aarch64": 117}[os.uname().machine], 16, 1, 0, 0),
    "uring": lambda: by_number(425, 1, 0),
    "limits": lambda: resource.prlimit(os.getppid(), resource.RLIMIT_CORE, (0, 0)),
    "priority": lambda: os.setpriority(os.PRIO_PROCESS, os.getppid(), 19),
    "affinity": lambda: os.sched_setaffinity(os.getppid(), os.sched_getaffinity(0)),
    "owner": lambda: fcntl.fcntl(ours, fcntl.F_SETOWN, os.getppid()),
    "owner_by_ioctl": lambda: fcntl.ioctl(ours, 0x8901, os.getppid().to_bytes(4, sys.byteorder)),
    "signal": lambda: fcntl.fcntl(ours, 10, signal.SIGKILL),
}
if sys.argv[1] != "nothing":
    assert libc.prctl(38, 1, 0, 0, 0) == 0
    assert refuse_system_calls()
errors = {}
for name in sys.argv[2:] or ATTEMPTS:
    try:
        ATTEMPTS[name]()
    except OSError as error:
        errors[name] = error.errno
    else:
        errors[name] = 0
ours.sendall(json.dumps(errors).encode())  # what was open before still works
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # its own
fcntl.fcntl(ours, fcntl.F_SETFL, fcntl.fcntl(ours, fcntl.F_GETFL))
thread = threading.Thread(target=lambda: print(theirs.recv(10_000).decode()))
thread.start()
thread.join()
"""
pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or os.uname().machine not in MACHINES, reason="no seccomp filter here"
)


def errors_of(*arguments: str) -> dict[str, int]:
    """The error number of each attempt, 0 where it succeeded."""
    done = subprocess.run(
        [sys.executable, "-c", ATTEMPTS, *arguments], capture_output=True, check=True, timeout=30
    )
    errors: dict[str, int] = json.loads(done.stdout)
    return errors


def test_a_decoder_that_was_taken_over_reaches_nothing() -> None:
    errors = errors_of("filtered")
    assert len(errors) == 21
    assert errors == dict.fromkeys(errors, errno.EPERM)


def test_without_the_filter_the_same_is_not_refused() -> None:
    errors = errors_of(
        "nothing", "tcp", "pair", "read", "rename", "kill", "limits", "owner", "owner_by_ioctl",
        "signal",
    )  # fmt: skip
    assert set(errors.values()) <= {0, errno.ENOENT}


def test_the_numbers_are_those_of_the_kernels_headers() -> None:
    headers = (
        ("/usr/include/x86_64-linux-gnu/asm/unistd_64.h", 0),
        ("/usr/include/asm-generic/unistd.h", 1),
    )
    if not all(Path(header).exists() for header, _ in headers):
        pytest.skip("the kernel's headers are not installed")
    for header, column in headers:
        found = re.findall(r"#define\s+__NR(?:3264)?_(\w+)\s+(\d+)", Path(header).read_text())
        numbers = {name: int(number) for name, number in found}
        assert {n: number[column] for n, number in REFUSED.items() if number[column]} == {
            name: numbers[name] for name in REFUSED if name in numbers
        }
        assert (CLONE[column], CLONE3) == (numbers["clone"], numbers["clone3"])
        calls = {"prlimit64": PRLIMIT, "fcntl": FCNTL, "ioctl": IOCTL}
        assert all(numbers[name] == call[column] for name, call in calls.items())
