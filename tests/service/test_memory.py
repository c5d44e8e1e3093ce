"""The service in a memory cgroup, as a container has one, with the costliest clips there are."""

import functools
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from model_store.store import Store
from service.settings import DECODERS_SHARE, Settings
from tests.clips import clip_bytes, clip_of
from tests.servers import children_of, live_server

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

GIB = 1 << 30
LIMIT = 4 * GIB
CGROUPS = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class MemoryCgroup:
    folder: Path

    @property
    def peak(self) -> int:
        """Bytes, with what the kernel cached for it."""
        for name in ("memory.peak", "memory.max_usage_in_bytes"):
            if (self.folder / name).exists():
                return int((self.folder / name).read_text())
        raise FileNotFoundError(self.folder)

    @property
    def killed(self) -> int:
        """Processes, by the kernel for lack of memory."""
        for name in ("memory.events", "memory.oom_control"):
            if (self.folder / name).exists():
                counts = dict(
                    line.split() for line in (self.folder / name).read_text().splitlines()
                )
                return int(counts["oom_kill"])
        raise FileNotFoundError(self.folder)


@contextmanager
def memory_cgroup(limit: int) -> Iterator[MemoryCgroup]:
    """This process is in it, and what it starts meanwhile stays there."""
    own = [line.split(":", 2) for line in Path("/proc/self/cgroup").read_text().splitlines()]
    for top, controller, file in (
        (CGROUPS / "memory", "memory", "memory.limit_in_bytes"),
        (CGROUPS, "", "memory.max"),
    ):
        folder = top / f"scorer-test-{os.getpid()}"
        try:
            [path] = [path for _, controllers, path in own if controllers == controller]
            before = top / path.strip("/") / "cgroup.procs"
            folder.mkdir()
            (folder / file).write_text(str(limit))
            (folder / "cgroup.procs").write_text(str(os.getpid()))
        except (OSError, ValueError):
            continue
        try:
            yield MemoryCgroup(folder)
        finally:
            before.write_text(str(os.getpid()))
            folder.rmdir()
        return
    pytest.skip("this user may not make a memory cgroup here")


@functools.cache
def costliest() -> bytes:
    """3840 × 2160, 4:4:4, 10 bits, 16 reference frames: up to a gigabyte for its decoder."""
    frames = (np.full((2160, 3840, 3), 5 * value, np.uint8) for value in range(40))
    options = {
        "preset": "ultrafast",
        "x264-params": "ref=16:keyint=infinite:scenecut=0:bframes=0:level=6.2:rc-lookahead=0",
    }
    return clip_of(frames, options=options, pix_fmt="yuv444p10le", container="matroska")


def test_the_costliest_clips_in_all_decoders_do_not_kill_the_service(
    store: Store, tmp_path: Path
) -> None:
    clip = costliest()
    command = (sys.executable, "-m", "service")
    environment = {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    with memory_cgroup(LIMIT) as cgroup:
        assert Settings().decode_workers == DECODERS_SHARE * LIMIT // Settings().decode_memory_bytes
        with live_server(
            store.root,
            tmp_path,
            command=command,
            environment=environment,
            checkpoints="diving",
            decode_workers=2,
        ) as server:
            pid = server.process.pid
            with ThreadPoolExecutor(4) as pool:
                answers = [*pool.map(server.score, [clip] * 4)]
            peak = cgroup.peak
            decoders = [
                int(Path(f"/proc/{child}/statm").read_text().split()[1])
                * os.sysconf("SC_PAGE_SIZE")
                for child in children_of(pid)
            ]
            assert server.score(clip_bytes()).status_code == 200
            killed = cgroup.killed
    print(
        f"\nof {LIMIT / GIB:.1f} GiB {peak / GIB:.2f} were used, {killed} processes killed,"
        f" decoders keep {[round(each / 1e6) for each in decoders]} MB afterwards"
    )
    assert [answer.status_code for answer in answers] == [200] * 4
    assert killed == 0
    assert peak < 0.9 * LIMIT
    assert max(decoders) < 150e6
