"""What a run will take, before it starts: memory and time, whether it fits, and what would make it fit."""

from dataclasses import asdict, dataclass
from typing import Any

from core import hardware
from core.errors import UserError
from core.models import memory
from core.training import footprint, throughput
from core.training.config import TrainConfig
from core.training.footprint import Memory
from core.training.throughput import Rows


@dataclass(frozen=True)
class Estimate:
    """A verdict.

    Attributes:
        memory: what the run needs.
        device: where.
        free: bytes free there now, and ``held``: bytes more once the app's own models are unloaded.
        proposal: settings that make it fit at the same effective batch; empty where it fits, or nothing helps.
        steps, seconds: of the whole run; seconds 0 where nothing is known of this machine yet.
    """

    memory: Memory
    device: str
    free: int
    held: int
    proposal: dict[str, Any]
    steps: int
    seconds: float

    @property
    def fits(self) -> bool:
        """Whether it fits as things are."""
        return self.memory.total <= self.free

    @property
    def fits_unloaded(self) -> bool:
        """Whether it fits once the app has unloaded its models."""
        return self.memory.total <= self.free + self.held

    def as_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        parts = {**asdict(self.memory), "total": self.memory.total}
        return {**asdict(self), "memory": parts, "fits": self.fits, "fits_unloaded": self.fits_unloaded}


def estimate(config: TrainConfig, rows: Rows | None = None, held: int = 0) -> Estimate:
    """What a run will take on this machine.

    Args:
        config: resolved, where ``rows`` are given.
        rows: of its data; None: they are read and tokenised (a sample of them).
        held: bytes that models the app itself has loaded take on the device.

    Raises:
        UserError: no such model or data set.
    """
    if rows is None:
        config, rows = throughput.read(config)
    where = hardware.device()
    free = memory.free(where)
    needed = footprint.need(config, rows.longest, rows.answer)
    proposal = {} if needed.total <= free + held else footprint.propose(config, free + held, rows.longest, rows.answer)
    steps = throughput.steps(config, rows)
    return Estimate(needed, where, free, held, proposal, steps, throughput.seconds(config, rows))


def require(config: TrainConfig, rows: Rows) -> None:
    """Refuse a run before its first step where memory will not do, instead of being killed in the middle of it.

    For a worker that has loaded the model and tokenised its rows: only what comes on top of that is asked for.

    Raises:
        UserError: what is needed, what is free, and the settings with which it would go.
    """
    where = hardware.device()
    there = memory.free(where)
    needed = footprint.need(config, rows.longest, rows.answer)
    loaded = needed.runtime + needed.weights
    if needed.total - loaded <= there:
        return
    changes = footprint.propose(config, there + loaded, rows.longest, rows.answer)
    raise UserError(
        "The training needs {needed} GB of memory on {where} beside the model, and {free} GB are free.",
        "Start it with {changes}." if changes else "Choose a smaller model, or stop other programs and try again.",
        needed=f"{(needed.total - loaded) / 1e9:.1f}",
        free=f"{there / 1e9:.1f}",
        where=where,
        **({"changes": ", ".join(f"{name} = {value}" for name, value in changes.items())} if changes else {}),
    )
