"""A kept experiment with its figures: as it was measured, or its answers measured anew by another tokenizer.

No model is asked again. The experiment itself stays as it was frozen; what another tokenizer makes of it is kept beside
it, in ``measured/<tokenizer>.json``, as long as no answer is added.
"""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from core import files
from core.errors import UserError
from core.evaluation import experiments, scoring, stability
from core.evaluation.experiments import Experiment
from core.evaluation.metrics.tokens import CHARACTER
from core.evaluation.results import is_whole, kept, results

ANSWERS = ("answers", "general")
"""Parts of an experiment that have answers, each from a file of lines."""


def read(experiment_id: str, tokenizer: str = "") -> tuple[Experiment, dict[str, Any]]:
    """The experiment, and what it found (:func:`core.evaluation.results.results`).

    Args:
        tokenizer: of ROUGE and token F1; empty: the one it was started with. With another one, every figure that
            depends on it is what it would be had the experiment been started so, down to the scores of each answer.

    Raises:
        UserError: no such experiment.
    """
    folder = experiments.folder(experiment_id)
    experiment = experiments.show(experiment_id)
    frozen = experiment.get("tokenizer", CHARACTER)
    if tokenizer in ("", frozen):
        return experiment, kept(folder, experiment)
    path, size = folder / "measured" / f"{tokenizer}.json", _size(folder)
    found = files.read_json(path, {})
    if found.get("size") != size or not is_whole(found["results"]):
        found = {"size": size, **{part: _measured(experiment[part], tokenizer) for part in ANSWERS}}
        found["results"] = results(_seen(experiment, found, tokenizer, frozen))
        with suppress(UserError):  # a full disk: then it is worked out again another time
            files.write_text(path, json.dumps(found))
    return _seen(experiment, found, tokenizer, frozen), found["results"]


def _size(folder: Path) -> list[int]:
    """Of the files with answers, which only grow."""
    paths = [folder / f"{part}.jsonl" for part in ANSWERS]
    return [path.stat().st_size if path.exists() else 0 for path in paths]


def _measured(rows: Sequence[Mapping[str, Any]], tokenizer: str) -> list[dict[str, list[Any]]]:
    """Per row and arm, what each of its answers by seed adds to the sums of each metric."""
    return [
        {
            arm: [scoring.measure_anew(row, one, tokenizer) for one in stability.each(answer)]
            for arm, answer in row["answers"].items()
        }
        for row in rows
    ]


def _seen(experiment: Experiment, found: Mapping[str, Any], tokenizer: str, frozen: str) -> Experiment:
    """The experiment with these figures in place of its own."""
    rows = {part: [_row(*pair) for pair in zip(experiment[part], found[part], strict=True)] for part in ANSWERS}
    return {**experiment, **rows, "tokenizer": tokenizer, "tokenizer_frozen": frozen}


def _row(row: Mapping[str, Any], found: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
    return {**row, "answers": {arm: _answer(answer, found[arm]) for arm, answer in row["answers"].items()}}


def _answer(answer: Mapping[str, Any], found: Sequence[Any]) -> dict[str, Any]:
    pairs = zip(stability.each(answer), found, strict=True)
    return stability.together([{**one, "parts": parts, "scores": scoring.figures(parts)} for one, parts in pairs])
