"""The filter of a decode worker, tried in a process of its own by what an attacker would do."""

import errno
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from service.decode.seccomp import _CLONE, _CLONE3, _FCNTL, _IOCTL, _MACHINES, _PRLIMIT, _REFUSED

ATTEMPTS = """
import ctypes, fcntl, os, resource, signal, socket, sys, threading
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
try:
    ATTEMPTS[sys.argv[2]]()
except OSError as error:
    ours.sendall(str(error.errno).encode())  # what was open before still works
else:
    ours.sendall(b"0")
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # its own
fcntl.fcntl(ours, fcntl.F_SETFL, fcntl.fcntl(ours, fcntl.F_GETFL))
thread = threading.Thread(target=lambda: print(theirs.recv(100).decode()))
thread.start()
thread.join()
"""
NAMES = re.findall(r'^    "(\w+)": lambda', ATTEMPTS, re.MULTILINE)

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or os.uname().machine not in _MACHINES, reason="no seccomp filter here"
)


def error_of(attempt: str, filtered: str) -> int:
    done = subprocess.run(
        [sys.executable, "-c", ATTEMPTS, filtered, attempt],
        capture_output=True,
        check=True,
        timeout=30,
    )
    return int(done.stdout)


@pytest.mark.parametrize("attempt", NAMES)
def test_a_decoder_that_was_taken_over_reaches_nothing(attempt: str) -> None:
    assert error_of(attempt, "filtered") == errno.EPERM


@pytest.mark.parametrize(
    "attempt",
    ["tcp", "pair", "read", "rename", "kill", "limits", "owner", "owner_by_ioctl", "signal"],
)
def test_without_the_filter_the_same_is_not_refused(attempt: str) -> None:
    assert error_of(attempt, "nothing") in (0, errno.ENOENT)


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
        assert {n: number[column] for n, number in _REFUSED.items() if number[column]} == {
            name: numbers[name] for name in _REFUSED if name in numbers
        }
        assert (_CLONE[column], _CLONE3) == (numbers["clone"], numbers["clone3"])
        calls = {"prlimit64": _PRLIMIT, "fcntl": _FCNTL, "ioctl": _IOCTL}
        assert all(numbers[name] == call[column] for name, call in calls.items())
