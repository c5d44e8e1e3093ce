"""The filter of a decode worker, tried in a process of its own by what an attacker would do."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import service
from service.decode import seccomp
from service.decode.seccomp import ALLOWED, MACHINES

START = """
import ctypes, errno, fcntl, gc, json, mmap, os, resource, signal, socket, sys, time, traceback
from service.decode.seccomp import ALLOWED, MACHINES, refuse_system_calls

column = list(MACHINES).index(os.uname().machine)
numbers = {name: pair[column] for name, pair in ALLOWED.items()}
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long

def call(number, *arguments):
    done = libc.syscall(ctypes.c_long(number), *map(ctypes.c_long, arguments))
    return errno.errorcode[ctypes.get_errno()] if done == -1 else "allowed"

def confine():
    assert libc.prctl(38, 1, 0, 0, 0) == 0
    assert refuse_system_calls()

ours, theirs = socket.socketpair()
parent = os.getppid()
"""
EVERY_NUMBER = """
confine()
x32 = [0x4000_0000 + number for number in range(600)] if column == 0 else []
unfiltered = {335, 336}  # uretprobe and uprobe, which work in no place but a probe of the kernel
others = {*range(600), *x32} - {*numbers.values()} - unfiltered
print(json.dumps({number: call(number, -1, -1, -1, -1, -1, -1) for number in others}))
"""
ARGUMENTS = """
upload = os.open("/etc/passwd", os.O_RDONLY)
room = ctypes.create_string_buffer(64)
into = ctypes.addressof(room)
memory = mmap.mmap(-1, 4096)
at = ctypes.addressof(ctypes.c_char.from_buffer(memory))
ATTEMPTS = {
    "limits of another process": ("prlimit64", parent, resource.RLIMIT_CPU, 0, into),
    "more files": ("prlimit64", 0, resource.RLIMIT_NOFILE, 0, into),
    "clock of another process": ("clock_gettime", ~parent << 3 | 2, into),
    "signal to another process": ("tgkill", parent, parent, 0),
    "signal to another thread": ("tkill", parent, 0),
    "code": ("mmap", 0, 4096, 7, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1, 0),
    "code in the upload": ("mmap", 0, 4096, 5, mmap.MAP_PRIVATE, upload, 0),
    "code in data": ("mprotect", at, 4096, 7),
    "memory that a fork lacks": ("madvise", at, 4096, 10),
    "flags of a file": ("fcntl", ours.fileno(), fcntl.F_SETFL, 0),
    "owner of a file": ("fcntl", ours.fileno(), fcntl.F_SETOWN, os.getpid()),
    "signal of a file": ("fcntl", ours.fileno(), 10, 0),
    "seals of a file": ("fcntl", ours.fileno(), fcntl.F_SETFD, 0),
    "wake many": ("futex", at, 3, 0, 0, at, 0),
}
if sys.argv[1] == "confined":
    confine()
print(json.dumps({k: call(numbers[name], *rest) for k, (name, *rest) in ATTEMPTS.items()}))
"""
WHAT_DECODING_NEEDS = """
upload = os.open("/etc/passwd", os.O_RDONLY)
room = os.memfd_create("pixels")
os.ftruncate(room, 1 << 20)
confine()
with open(upload, "rb", buffering=0, closefd=False) as file:
    assert file.read() and file.seek(0) == 0 and file.read(5)
with mmap.mmap(room, 1 << 20) as memory:
    memory[:] = bytes(1 << 20)
os.close(room)
ours.sendall(b"x" * 10)
assert socket.recv_fds(theirs, 4, 2)[0] == b"xxxx"
assert theirs.recv(6, socket.MSG_WAITALL) == b"xxxxxx"
try:
    theirs.recv(1, socket.MSG_DONTWAIT)
except BlockingIOError:
    pass
resource.setrlimit(resource.RLIMIT_CPU, (100, resource.RLIM_INFINITY))
assert time.time() and time.monotonic() and time.process_time() >= 0
assert resource.getrusage(resource.RUSAGE_SELF) and os.urandom(4)
[bytearray(size) for size in (100, 10_000, 1_000_000, 100_000_000)]
gc.collect()
assert not hasattr(libc, "malloc_trim") or libc.malloc_trim(0) >= 0
try:
    1 / 0
except ZeroDivisionError:
    assert "ZeroDivisionError" in traceback.format_exc()
"""
pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or os.uname().machine not in MACHINES, reason="no seccomp filter here"
)


def run(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", START + code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=30)


def outcomes_of(code: str, *arguments: str) -> dict[str, str]:
    """The name of the error of each attempt, "allowed" where there is none."""
    done = run(code, *arguments)
    assert not done.returncode, done.stderr
    outcomes: dict[str, str] = json.loads(done.stdout)
    return outcomes


def test_every_other_system_call_is_refused() -> None:
    outcomes = {int(number): error for number, error in outcomes_of(EVERY_NUMBER).items()}
    assert len(outcomes) >= 600 - len(ALLOWED) - 2
    # C libraries use an older call in place of one that the kernel does not have.
    assert outcomes == {number: "EPERM" if number < 424 else "ENOSYS" for number in outcomes}


def test_allowed_calls_are_refused_what_decoding_does_not_ask_of_them() -> None:
    outcomes = outcomes_of(ARGUMENTS, "confined")
    assert len(outcomes) == 14
    assert outcomes == dict.fromkeys(outcomes, "EPERM")


def test_without_the_filter_the_same_is_not_refused() -> None:
    outcomes = outcomes_of(ARGUMENTS, "free")
    refused = {name for name, outcome in outcomes.items() if outcome in ("EPERM", "ENOSYS")}
    assert refused <= {"limits of another process"}  # in a container


def test_what_decoding_needs_works() -> None:
    done = run(WHAT_DECODING_NEEDS)
    assert not done.returncode, done.stderr


@pytest.mark.parametrize("end", ["os.abort()", "ctypes.string_at(0)", "sys.exit(3)", "1 / 0"])
def test_a_process_ends_as_it_does_without_the_filter(end: str) -> None:
    code = f"if sys.argv[1] == 'confined':\n    confine()\n{end}"
    assert run(code, "confined").returncode == run(code, "free").returncode != 0


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="there is no 32-bit entry")
def test_entering_the_kernel_as_a_32_bit_program_is_deadly() -> None:
    code = """
code = mmap.mmap(-1, 4096, prot=7)
code.write(bytes([0xB8, 20, 0, 0, 0, 0xCD, 0x80, 0xC3]))  # getpid by interrupt 0x80
enter = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(code)))
if sys.argv[1] == "confined":
    confine()
enter()
"""
    if run(code, "free").returncode:
        pytest.skip("this kernel has no 32-bit entry")
    assert run(code, "confined").returncode == -signal.SIGSYS


def test_their_number_is_what_the_documents_state() -> None:
    readme = Path(service.__path__[0], "README.md").read_text()
    assert f"leaves it {len(ALLOWED)} system calls" in readme
    assert f"the {len(ALLOWED)} system calls" in (seccomp.__doc__ or "")


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
        assert {name: pair[column] for name, pair in ALLOWED.items()} == {
            name: numbers.get(name) for name in ALLOWED
        }
