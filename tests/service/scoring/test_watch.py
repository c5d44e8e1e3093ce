import signal
import subprocess
import sys
import time
from pathlib import Path

from service.scoring.watch import Watch

ROOT = Path(__file__).parents[3]
STOPPED = """
import sys, time
from service.scoring.watch import Watch
overdue = []
watch = Watch(overdue.append, tick_s=0.05)
watch.start()
with watch.limit(1.0):
    print("in", flush=True)
    sys.stdin.readline()  # the process is stopped, and goes on
    time.sleep(0.3)
print(overdue)
"""


def test_only_a_call_beyond_its_limit_is_overdue_and_only_once() -> None:
    overdue: list[float] = []
    watch = Watch(overdue.append, tick_s=0.02)
    watch.start()
    for _ in range(30):
        with watch.limit(0.2):
            time.sleep(0.02)  # together they take longer
    assert not overdue
    with watch.limit(0.3):
        time.sleep(1)
    time.sleep(0.5)
    assert overdue == [0.3]
    watch.stop()


def test_a_process_that_is_stopped_for_a_while_does_not_hang() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", STOPPED],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "in\n"
    process.send_signal(signal.SIGSTOP)
    time.sleep(2)
    process.send_signal(signal.SIGCONT)
    assert process.communicate("on\n", timeout=30)[0] == "[]\n"
