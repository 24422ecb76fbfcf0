"""A run told to another program as well: TensorBoard, SwanLab or Trackio, where a person has installed it.

All of them write to this machine. What would send figures elsewhere (a SwanLab account, a Trackio space) is turned on
by that program's own environment variables alone.
"""

import importlib.util
import os
from pathlib import Path
from typing import Any

from core.errors import UserError
from core.training.config import TrainConfig

PROJECT = "yuan-lab"
"""What the runs of this app are kept under, in programs that ask."""


def known_to_the_trainer(folder: Path, config: TrainConfig) -> dict[str, Any]:
    """The Trainer's arguments for a program it reports to by itself.

    TensorBoard's files go into the run's ``tensorboard`` folder; Trackio keeps a database of its own (TRACKIO_DIR).

    Raises:
        UserError: it is not installed.
    """
    if config.report_to and not _installed(config.report_to):
        raise UserError(
            "The package {name} is not installed.", "Install it with pip, or leave the field empty.",
            name=config.report_to,
        )  # fmt: skip
    if config.report_to in ("", "swanlab"):
        return {"report_to": []}
    os.environ["TENSORBOARD_LOGGING_DIR"] = str(folder / "tensorboard")
    return {"report_to": [config.report_to], "project": PROJECT}


def callbacks(folder: Path, config: TrainConfig) -> list[Any]:
    """SwanLab's own callback for the Trainer: the Trainer's stopped working with SwanLab 0.10.

    Files go into the run's ``swanlab`` folder (or SWANLAB_LOGDIR). SwanLab's own default would ask for a login, which
    a worker cannot answer; SWANLAB_MODE=online with SWANLAB_API_KEY sends them.
    """
    if config.report_to != "swanlab":
        return []
    from swanlab.integration.transformers import SwanLabCallback

    where = Path(os.environ.get("SWANLAB_LOGDIR", folder / "swanlab"))
    where.mkdir(parents=True, exist_ok=True)
    mode = os.environ.get("SWANLAB_MODE", "local")
    return [SwanLabCallback(project=PROJECT, experiment_name=config.name, log_dir=str(where), mode=mode)]


def _installed(name: str) -> bool:
    return importlib.util.find_spec(name) is not None
