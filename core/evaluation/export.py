"""An experiment as files to keep: figures, answers, and a report."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from core import files
from core.evaluation import grid, votes
from core.evaluation.report import page

ANSWER = ("text", "reasoning", "tokens", "seconds", "finish")
VOTE = ("row", "a", "b", "voter", "vote", "left", "right", "at")


def write(out: Path, experiment: Mapping[str, Any], report: Mapping[str, Any]) -> None:
    """Write results.json, answers.json, answers.csv and report.html into a folder, made where it is missing."""
    files.write_json(out / "results.json", report)
    files.write_json(out / "answers.json", experiment["answers"])
    files.write_text(out / "answers.csv", answers_csv(experiment, report))
    files.write_text(out / "report.html", page(experiment, report))


def answers_csv(experiment: Mapping[str, Any], report: Mapping[str, Any]) -> str:
    """One line per row and arm, rows counted from 1; begins with the mark by which spreadsheets know UTF-8.

    A text that a spreadsheet would take for a formula gets an apostrophe before it.
    """
    metrics = list(report["metrics"])
    file = io.StringIO()
    table = csv.writer(file)
    table.writerow(["row", "arm", "input", "reference", *ANSWER, *metrics])
    for number, row in enumerate(experiment["answers"], 1):
        for name in (grid.name(arm) for arm in experiment["arms"]):
            if answer := row["answers"].get(name):
                cells = [number, name, row["input"], row["reference"], *(answer.get(part, "") for part in ANSWER)]
                table.writerow([*map(_plain, cells), *(answer["scores"].get(metric, "") for metric in metrics)])
    return "\ufeff" + file.getvalue()


def votes_csv(experiment: Mapping[str, Any], lines: Sequence[Mapping[str, Any]], metric: str) -> str:
    """One line per vote, rows counted from 1, with both arms' scores; guarded as :func:`answers_csv`.

    Args:
        lines: of :func:`core.evaluation.votes.standing`.
        metric: whose scores stand beside the votes.
    """
    file = io.StringIO()
    table = csv.writer(file)
    table.writerow([*VOTE, f"{metric} a", f"{metric} b", "input"])
    for line in lines:
        row = experiment["answers"][line["row"]]
        scores = ["" if (found := votes.score(row, line[arm], metric)) is None else found for arm in ("a", "b")]
        cells = (line["row"] + 1 if part == "row" else line[part] for part in VOTE)
        table.writerow([*map(_plain, cells), *scores, _plain(row["input"])])
    return "\ufeff" + file.getvalue()


def _plain(cell: Any) -> Any:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell
