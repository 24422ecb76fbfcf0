"""What this machine has, told without loading torch."""

import os
import platform
import shutil
import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import psutil

from core.settings import settings


@dataclass(frozen=True)
class Hardware:
    """Cores, memory (bytes), free disk where the data lies (bytes) and the GPUs' (name, memory in bytes)."""

    cores: int
    memory: int
    disk_free: int
    gpus: tuple[tuple[str, int], ...]
    system: str


@lru_cache(maxsize=1)
def gpus() -> tuple[tuple[str, int], ...]:
    """NVIDIA GPUs as (name, memory in bytes), read from the driver once; empty where there is no driver."""
    return tuple((name, total) for name, _, total in gpu_memory())


def has_gpu() -> bool:
    """Whether models would be put on a GPU, by the settings and the driver."""
    return settings().device != "cpu" and bool(gpus())


def device() -> str:
    """Where work is put, by the settings and the driver and without loading torch: "cpu", "cuda:0", "mps", …"""
    chosen = settings().device
    if chosen == "auto":
        apple = platform.system() == "Darwin" and platform.machine() == "arm64"
        chosen = "cuda" if gpus() else "mps" if apple else "cpu"
    return "cuda:0" if chosen == "cuda" else chosen


def gpu_memory() -> tuple[tuple[str, int, int], ...]:
    """Each NVIDIA GPU as (name, bytes in use by anybody, bytes in all), read from the driver now."""
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return ()
    try:
        handles = [pynvml.nvmlDeviceGetHandleByIndex(i) for i in range(pynvml.nvmlDeviceGetCount())]
        read = [(str(pynvml.nvmlDeviceGetName(h)), pynvml.nvmlDeviceGetMemoryInfo(h)) for h in handles]
        return tuple((name, int(info.used), int(info.total)) for name, info in read)
    except pynvml.NVMLError:
        return ()
    finally:
        pynvml.nvmlShutdown()


def memory() -> tuple[int, int]:
    """Main memory as (bytes available, bytes in all); inside a container, no more than the container may use.

    psutil tells the whole machine's, and a process that believes it is killed.
    """
    machine = psutil.virtual_memory()
    limit, used = _container()
    if limit >= machine.total:
        return machine.available, machine.total
    return max(0, min(machine.available, limit - used)), limit


def _container(root: Path = Path("/sys/fs/cgroup")) -> tuple[int, int]:
    """The container's (limit, use) in bytes by its control group; use leaves out file cache that can be dropped."""
    for folder, limit, used, cache in (
        (root, "memory.max", "memory.current", "inactive_file"),
        (root / "memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ):
        try:
            bound = int((folder / limit).read_text())
            stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
            return bound, max(0, int((folder / used).read_text()) - int(stat.get(cache, 0)))
        except (OSError, ValueError):  # no such group, or its limit is "max"
            continue
    return sys.maxsize, 0


def cores() -> int:
    """Cores this process may use, which in a container is fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def hardware() -> Hardware:
    """A reading of this machine."""
    existing = next(p for p in (settings().data_dir, *settings().data_dir.parents) if p.exists())
    return Hardware(
        cores=cores(),
        memory=memory()[1],
        disk_free=shutil.disk_usage(existing).free,
        gpus=gpus(),
        system=f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
    )
