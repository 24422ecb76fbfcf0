"""What would miss a run: comparisons with its adapter, models merged from it, conversations it answered in.

Read from the state the other rooms keep on disk: the run store stands below them and calls none.
"""

from dataclasses import dataclass, field
from typing import Any

from core import files
from core.models import cards
from core.settings import settings
from core.training import runs

ORIGIN = "merged-from.json"
"""In a merged model's directory: which run it was made from, and how it was verified."""


@dataclass(frozen=True)
class Dependents:
    """Ids of the experiments, names of the catalog models, and (id, title) of the chats that a run is part of."""

    experiments: list[str] = field(default_factory=list)
    models: list[str] = field(default_factory=list)
    chats: list[tuple[str, str]] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.experiments or self.models or self.chats)


def dependents(run_id: str) -> Dependents:
    """What is made with a run's adapter or one of its checkpoints.

    Experiments keep their answers and merged models their weights when it is deleted; chats cannot ask it again.

    Raises:
        UserError: no such run.
    """
    runs.folder(run_id)
    chats = []
    for path in sorted(settings().chats_dir.glob("*.json")):
        chat = files.read_json(path, {})
        if any(_names(answer.get("adapter"), run_id) for turn in chat.get("turns", []) for answer in turn["answers"]):
            chats.append((path.stem, str(chat.get("title", ""))))
    experiments = [
        path.parent.name
        for path in sorted(settings().experiments_dir.glob("*/inputs.json"))
        if any(_names(arm.get("adapter"), run_id) for arm in files.read_json(path, {}).get("arms", []))
    ]
    models = [
        name
        for name in cards.catalog()
        if files.read_json(settings().models_dir / name / ORIGIN, {}).get("run") == run_id
    ]
    return Dependents(experiments, models, chats)


def _names(adapter: Any, run_id: str) -> bool:
    return bool(adapter) and str(adapter).partition("@")[0] == run_id
