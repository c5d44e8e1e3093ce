"""Landlock alone, without the filter of system calls, in a process of its own."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ATTEMPTS = """
import ctypes, json, os, socket, sys
from service.decode.landlock import refuse_by_landlock

listener = socket.create_server(("127.0.0.1", 0))
folder = sys.argv[2]
file = folder + "/file"
descriptor = os.open(file, os.O_RDWR | os.O_CREAT)
version = ctypes.CDLL(None).syscall(444, None, ctypes.c_size_t(0), 1)
ATTEMPTS = {  # since which version Landlock refuses it
    "read": (1, lambda: open(file)),
    "write": (1, lambda: open(file, "w")),
    "list": (1, lambda: os.listdir(folder)),
    "create": (1, lambda: os.mkdir(folder + "/new")),
    "remove": (1, lambda: os.unlink(file)),
    "run": (1, lambda: os.execv(sys.executable, ["python"])),
    "truncate": (3, lambda: os.truncate(file, 0)),
    "connect": (4, lambda: socket.create_connection(listener.getsockname())),
    "bind": (4, lambda: socket.create_server(("127.0.0.1", 0))),
    "signal": (6, lambda: os.kill(os.getppid(), 0)),
}
confined = sys.argv[1] == "confined" and refuse_by_landlock()
outcomes = {"confined": confined}
for name, (since, attempt) in ATTEMPTS.items():
    if confined and version < since or not confined and name in ("remove", "run"):
        continue
    try:
        attempt()
    except PermissionError:
        outcomes[name] = "refused"
    else:
        outcomes[name] = "allowed"
os.write(descriptor, b"x")  # what was open before still works
print(json.dumps(outcomes))
"""
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it is the Linux kernel's")


def outcomes_of(*arguments: str | Path) -> dict[str, object]:
    command = [sys.executable, "-c", ATTEMPTS, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert not done.returncode, done.stderr
    outcomes: dict[str, object] = json.loads(done.stdout)
    return outcomes


def test_nothing_is_reached_by_name(tmp_path: Path) -> None:
    outcomes = outcomes_of("confined", tmp_path)
    if not outcomes.pop("confined"):
        pytest.skip("this kernel has no Landlock")
    assert len(outcomes) >= 6
    assert outcomes == dict.fromkeys(outcomes, "refused")


def test_without_it_the_same_is_allowed(tmp_path: Path) -> None:
    outcomes = outcomes_of("free", tmp_path)
    assert not outcomes.pop("confined")
    assert len(outcomes) == 8
    assert outcomes == dict.fromkeys(outcomes, "allowed")
