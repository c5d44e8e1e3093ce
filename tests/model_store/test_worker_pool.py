"""Workers of a process that was killed."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers import children_of, is_running, until

PARENT = """
import time
from model_store.worker_pool import worker_pool

if __name__ == "__main__":
    with worker_pool(2) as pool:
        jobs = [pool.submit(time.sleep, seconds) for seconds in (0.5, 0.5, 600, 600)]
        jobs[0].result(), jobs[1].result()
        print("working", flush=True)
        jobs[2].result()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_workers_end_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, env=environment
    ) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"working\n"
        children = children_of(parent.pid)
        assert len(children) >= 2
        parent.send_signal(signal.SIGKILL)
    until(lambda: not any(map(is_running, children)), timeout_s=30)
