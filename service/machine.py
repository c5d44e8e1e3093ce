"""How much of the machine this process may really use: containers and systemd hide most of it."""

import ctypes
import gc
import math
import os
from collections.abc import Iterator
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")
_OWN = Path("/proc/self/cgroup")
_LIBC = ctypes.CDLL(None)


def usable_cpus(cgroups: Path = _CGROUPS, own: Path = _OWN) -> int:
    """The smaller of the CPU affinity and the quota of the process's cgroups, at least 1."""
    if hasattr(os, "sched_getaffinity"):
        count = len(os.sched_getaffinity(0))
    else:
        count = os.cpu_count() or 1
    quotas = [math.ceil(quota) for quota in _quotas(cgroups, own)]
    return max(1, min([count, *quotas]))


def usable_memory(cgroups: Path = _CGROUPS, own: Path = _OWN) -> int:
    """Bytes: the smaller of the machine's memory and the limit of the process's cgroups."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([machine, *_memory_limits(cgroups, own)])


def give_memory_back() -> None:
    """What is no longer used and Python or the C library keeps; `malloc_trim` is glibc's own."""
    gc.collect()
    if hasattr(_LIBC, "malloc_trim"):
        _LIBC.malloc_trim(0)


def _quotas(cgroups: Path, own: Path) -> Iterator[float]:
    """CPUs that each cgroup allows, where it has a limit."""
    for folder in _folders("cpu", cgroups, own):
        match _words(folder / "cpu.max"):
            case [quota, period] if quota != "max":
                yield int(quota) / int(period)
        match _words(folder / "cpu.cfs_quota_us"), _words(folder / "cpu.cfs_period_us"):
            case [quota], [period] if int(quota) > 0:
                yield int(quota) / int(period)


def _memory_limits(cgroups: Path, own: Path) -> Iterator[int]:
    for folder in _folders("memory", cgroups, own):
        for name in ("memory.max", "memory.limit_in_bytes"):
            match _words(folder / name):
                case [limit] if limit != "max":
                    yield int(limit)


def _folders(controller: str, cgroups: Path, own: Path) -> Iterator[Path]:
    """Those of the process's cgroup and of all above it, in version 2 and in version 1.

    A container may see its own cgroup as the uppermost one, under a path that it does not have.
    """
    paths = {"": "", controller: ""}
    for line in own.read_text().splitlines() if own.exists() else ():
        _, controllers, path = line.split(":", 2)
        paths |= dict.fromkeys({"", controller} & {*controllers.split(",")}, path)
    for folder, path in paths.items():
        top = cgroups / folder
        lowest = top / path.strip("/")
        yield from (each for each in (lowest, *lowest.parents) if each.is_relative_to(top))


def _words(file: Path) -> list[str]:
    """Of a file of the kernel; none where it is missing."""
    try:
        return file.read_text().split()
    except OSError:
        return []
