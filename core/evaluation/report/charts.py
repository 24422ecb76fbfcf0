"""The charts of a report, each once per language: the page draws the one that is read."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from core.charts import comparison_charts
from core.evaluation import rows, scoring
from core.evaluation.report.look import INK
from core.evaluation.report.words import LANGUAGES, color, label, labels, text
from core.evaluation.results import named

Results = Mapping[str, Any]
"""Of :func:`core.evaluation.results.results`."""


def overview(results: Results) -> str:
    """Bars of every metric from 0 to 1."""
    shares = [name for name in results["metrics"] if scoring.metrics()[name].unit == "share"]

    def figure(one: str) -> dict[str, Any]:
        words = {part: text(one, f"report.{key}") for part, key in (("title", "overview"), ("score", "score"))}
        words["subtitle"] = text(one, "report.intervals", n=results["rows"])
        names = {name: label(one, name) for name in shares}
        return comparison_charts.overview(_named(results, one)["arms"], names, _colors(results), words, INK[0])

    return _both(figure)


def contrasts(results: Results) -> str:
    """The differences of the primary metric."""
    metric = results["primary"]

    def figure(one: str) -> dict[str, Any]:
        called = _named(results, one)
        told = [found for found in called["contrasts"] if found["metric"] == metric]
        colors = {arm["name"]: color(arm) for arm in called["arms"]}
        words = {
            "title": text(one, "report.contrasts"),
            "subtitle": text(one, "report.intervals", n=results["rows"]),
            "delta": text(one, "report.delta", metric=label(one, metric)),
            "against": text(one, "report.against"),
        }
        return comparison_charts.forest(told, words, colors, INK[0])

    return _both(figure)


def points(experiment: Mapping[str, Any], results: Results) -> str:
    """Every row's primary score by the first arm and by the last; empty where there is one arm alone."""
    metric, first, last = results["primary"], results["arms"][0], results["arms"][-1]
    found = rows.points(experiment, metric, first["name"], last["name"]) if first is not last else []
    if not found:
        return ""
    colors = {rows.HELPED: color(last), rows.HURT: color(first), rows.UNCHANGED: comparison_charts.MUTED}

    def figure(one: str) -> dict[str, Any]:
        words = {effect: text(one, f"rows.{effect}") for effect in rows.EFFECTS} | {"row": text(one, "rows.row")}
        called = labels(one, results["arms"])
        words |= {"a": called[first["name"]], "b": called[last["name"]]}
        words["title"] = text(one, "comparison.points.title", metric=label(one, metric))
        words["subtitle"] = text(one, "comparison.points.subtitle", n=len(found))
        return comparison_charts.scatter(found, words, colors, INK[0], rows.span(found, metric))

    return _both(figure)


def cost(results: Results) -> str:
    """The primary metric over seconds; empty where time was not measured."""
    metric = results["primary"]
    if not any({metric, "latency"} <= arm["scores"].keys() for arm in results["arms"]):
        return ""
    top = 1.0 if scoring.metrics()[metric].unit == "share" else None

    def figure(one: str) -> dict[str, Any]:
        words = {key: text(one, f"comparison.cost.{key}") for key in ("title", "seconds")}
        words |= {"subtitle": text(one, "comparison.cost.subtitle", n=results["rows"]), "score": label(one, metric)}
        return comparison_charts.cost(_named(results, one)["arms"], metric, _colors(results), words, INK[0], top)

    return _both(figure)


def _named(results: Results, language: str) -> dict[str, Any]:
    """The results with arms as they are called in a language."""
    return named(results, labels(language, results["arms"]))


def _colors(results: Results) -> list[str]:
    return [color(arm) for arm in results["arms"]]


def _both(figure: Callable[[str], dict[str, Any]]) -> str:
    kept = {one: json.dumps(figure(one), ensure_ascii=False).replace("<", "\\u003c") for one in LANGUAGES}
    return "".join(
        f'<div class="{one} chart"><script type="application/json">{kept[one]}</script></div>' for one in kept
    )
