"""What runs were made with: their settings side by side, and how to make one again."""

import shlex
from collections.abc import Sequence
from typing import Any

from core.errors import UserError
from core.training import config as configs
from core.training import runs
from core.training.config import TrainConfig


def differences(run_ids: Sequence[str]) -> list[dict[str, Any]]:
    """The settings in which runs differ, in the order of the form: [{"field", RUN: value, …}]; "name" left out."""
    found = {run_id: runs.show(run_id)["config"] for run_id in run_ids}
    fields = [name for name in TrainConfig.model_fields if name != "name"]
    return [
        {"field": name, **{run_id: config.get(name) for run_id, config in found.items()}}
        for name in fields
        if any(config.get(name) != next(iter(found.values())).get(name) for config in found.values())
    ]


def reproduce(run_id: str) -> dict[str, str]:
    """How to make a run again: {"command": for a shell, from the nearest recipe, "toml": the whole config}.

    A config that no command line can say is named by its file instead.
    """
    path = runs.folder(run_id) / "config.toml"
    config = configs.load(str(path))
    return {
        "command": command(config) or f"python -m core train {shlex.quote(str(path))}",
        "toml": path.read_text("utf-8"),
    }


def command(config: TrainConfig) -> str:
    """The command of a config, from the recipe that is nearest; empty where no command line can say it."""
    wanted = config.model_dump()
    lines = []
    for recipe in configs.recipes():
        start = configs.load(recipe).model_dump()
        pairs = [f"{name}={configs.spoken(name, value)}" for name, value in wanted.items() if value != start[name]]
        try:
            if configs.load(recipe, configs.parse_overrides(pairs)) == config:
                lines.append((len(pairs), recipe, pairs))
        except UserError:  # a value that has no form on a command line
            continue
    if not lines:
        return ""
    _, recipe, pairs = min(lines)
    return " ".join(["python -m core train", recipe, *(f"--set {shlex.quote(pair)}" for pair in pairs)])
