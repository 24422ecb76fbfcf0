"""A blind vote between two arms of a comparison."""

from typing import Any


def show(experiment: dict[str, Any], report: dict[str, Any]) -> None:
    """Two answers to a row without the arms' names, and a choice.

    Args:
        experiment: of :func:`core.evaluation.experiments.show`; shared by all visits, to be read only.
        report: of :func:`core.evaluation.results.results`; read only too.
    """
