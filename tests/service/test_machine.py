"""The files of the kernel as containers, systemd and bare machines have them."""

import os
from pathlib import Path

import pytest

from service.machine import usable_cpus, usable_memory

QUOTA = {"cpu.cfs_quota_us": "100000", "cpu.cfs_period_us": "100000"}


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"{text}\n")


@pytest.mark.parametrize(
    ("own", "files", "cpus"),
    [
        ("0::/", {"cpu.max": "max 100000"}, None),
        ("0::/", {"cpu.max": "50000 100000"}, 1),
        ("0::/", {}, None),
        ("0::/system.slice/scorer.service", {"system.slice/scorer.service/cpu.max": "9 10"}, 1),
        ("0::/system.slice/scorer.service", {"system.slice/cpu.max": "9 10"}, 1),
        ("0::/system.slice/scorer.service", {"other.slice/cpu.max": "9 10"}, None),
        ("4:cpu,cpuacct:/", {f"cpu/{name}": text for name, text in QUOTA.items()}, 1),
        ("4:cpu,cpuacct:/docker/ab", {f"cpu/{name}": text for name, text in QUOTA.items()}, 1),
        ("4:cpu:/a", {f"cpu/a/{name}": text for name, text in QUOTA.items()}, 1),
        ("4:cpu:/", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, None),
        (None, {"cpu.max": "50000 100000"}, 1),
    ],
)
def test_the_cpus_are_those_of_the_quota(
    tmp_path: Path, own: str | None, files: dict[str, str], cpus: int | None
) -> None:
    write(tmp_path / "cgroups", files)
    if own is not None:
        write(tmp_path, {"own": own})
    machine = len(os.sched_getaffinity(0))
    assert usable_cpus(tmp_path / "cgroups", tmp_path / "own") == (cpus or machine)


@pytest.mark.parametrize(
    ("own", "files", "gibibytes"),
    [
        ("0::/", {"memory.max": "max"}, None),
        ("0::/", {"memory.max": str(1 << 30)}, 1),
        ("0::/", {}, None),
        ("0::/a/b", {"a/memory.max": str(1 << 30), "a/b/memory.max": "max"}, 1),
        ("0::/a/b", {"a/memory.max": str(2 << 30), "a/b/memory.max": str(1 << 30)}, 1),
        ("4:memory:/docker/ab", {"memory/memory.limit_in_bytes": str(1 << 30)}, 1),
        ("4:memory:/ab", {"memory/ab/memory.limit_in_bytes": str(1 << 30)}, 1),
        ("4:memory:/", {"memory/memory.limit_in_bytes": "9223372036854771712"}, None),
    ],
)
def test_the_memory_is_that_of_the_limit(
    tmp_path: Path, own: str, files: dict[str, str], gibibytes: int | None
) -> None:
    write(tmp_path / "cgroups", files)
    write(tmp_path, {"own": own})
    memory = usable_memory(tmp_path / "cgroups", tmp_path / "own")
    if gibibytes is not None:
        assert memory == gibibytes << 30
    else:
        [total] = [
            line for line in Path("/proc/meminfo").read_text().splitlines() if "MemTotal" in line
        ]
        assert memory == int(total.split()[1]) << 10
