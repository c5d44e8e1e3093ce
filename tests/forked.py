"""Processes that need no seconds for `import torch`: forked from one that has imported it.

What runs is still the whole of `python -m service`, in a process of its own, with its own
environment, folder, and log. But a variable that is read by an import, as OMP_NUM_THREADS is by
torch, has the value of the tests: to set another one, start the command itself.
"""

import atexit
import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["torch._dynamo", "service.server", "training.learn.trainer"])


class ForkedModule:
    """`python -m module`, with the methods of `subprocess.Popen` that tests need."""

    def __init__(self, module: str, environment: Mapping[str, str], folder: Path, log: Path):
        log.touch()
        arguments = (module, dict(environment), folder, log)
        self._process = CONTEXT.Process(target=_run, args=arguments)
        self._process.start()

    @property
    def pid(self) -> int:
        pid = self._process.pid
        assert pid is not None
        return pid

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        code = self._process.exitcode
        if code is None:
            raise subprocess.TimeoutExpired("a forked module", timeout or 0.0)
        return code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def _run(module: str, environment: dict[str, str], folder: Path, log: Path) -> None:
    os.setpgid(0, 0)  # as a shell would: signals to its group do not reach the tests
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    with log.open("wb") as output:
        os.dup2(output.fileno(), 2)
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 1)
    sys.argv = [module]
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    finally:
        atexit._run_exitfuncs()
