"""What this machine has, told without loading torch."""

import os
import platform
import shutil
from dataclasses import dataclass
from functools import lru_cache

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
    """NVIDIA GPUs as (name, memory in bytes), read from the driver; empty where there is no driver."""
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return ()
    try:
        handles = [pynvml.nvmlDeviceGetHandleByIndex(i) for i in range(pynvml.nvmlDeviceGetCount())]
        return tuple((str(pynvml.nvmlDeviceGetName(h)), int(pynvml.nvmlDeviceGetMemoryInfo(h).total)) for h in handles)
    except pynvml.NVMLError:
        return ()
    finally:
        pynvml.nvmlShutdown()


def has_gpu() -> bool:
    """Whether models would be put on a GPU, by the settings and the driver."""
    return settings().device != "cpu" and bool(gpus())


def cores() -> int:
    """Cores this process may use, which in a container is fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def hardware() -> Hardware:
    """A reading of this machine."""
    existing = next(p for p in (settings().data_dir, *settings().data_dir.parents) if p.exists())
    return Hardware(
        cores=cores(),
        memory=psutil.virtual_memory().total,
        disk_free=shutil.disk_usage(existing).free,
        gpus=gpus(),
        system=f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
    )
