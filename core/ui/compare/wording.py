"""What a comparison found, in sentences of the visit's language."""

from collections.abc import Mapping
from typing import Any

from core.evaluation import scoring
from core.evaluation.statistics import HIGHER, LOWER, TOO_FEW, UNCLEAR
from core.ui.components import plain
from core.ui.i18n import t

_UNITS = {"tokens": " tokens", "seconds": " s", "tokens/s": " tokens/s"}
_SHAPES = {"tokens": ".0f", "seconds": ".2f", "tokens/s": ".1f"}


def figure(metric: str, value: float, sign: bool = False) -> str:
    """A metric's value with its unit."""
    unit = scoring.metrics()[metric].unit
    return f"{value:{'+' if sign else ''}z{_SHAPES.get(unit, '.3f')}}{_UNITS.get(unit, '')}"


def interval(found: Mapping[str, Any] | None, part: str, metric: str) -> str:
    """A figure with its 95 % interval; "–" where there is none.

    Args:
        part: "mean", or "delta", which has a sign.
    """
    if not found:
        return "–"
    shape = ("+z" if part == "delta" else "z") + _SHAPES.get(scoring.metrics()[metric].unit, ".3f")
    return f"{figure(metric, found[part], part == 'delta')} [{found['low']:{shape}}, {found['high']:{shape}}]"


def contrast(found: Mapping[str, Any]) -> str:
    """A difference with its verdict: "higher: +0.213 [+0.051, +0.374], p = 0.012"."""
    told = f"{interval(found, 'delta', found['metric'])}, p {p_value(found['p_holm'])}"
    return told if found["verdict"] == TOO_FEW else f"{verdict(found)}: {told}"


def verdict(found: Mapping[str, Any]) -> str:
    """In a word, and whether that is good where less is better."""
    word = t(f"comparison.verdicts.{found['verdict']}")
    if scoring.metrics()[found["metric"]].better != "lower" or found["verdict"] not in (HIGHER, LOWER):
        return word
    return f"{word} ({t('rows.helped' if found['verdict'] == LOWER else 'rows.hurt')})"


def p_value(p: float) -> str:
    """With its sign: "= 0.012"; small ones as "< 0.001"."""
    return f"= {p:.3f}" if p >= 0.001 else "< 0.001"


def interaction(found: Mapping[str, Any], report: Mapping[str, Any]) -> str:
    """Whether an adapter still helps once the knowledge base is on, and how the two go together, as Markdown."""
    metric, cells = found["metric"], found["cells"]
    pairs = {(one["a"], one["b"]): one for one in report["contrasts"] if one["metric"] == metric}
    without, with_kb = pairs.get((cells[0], cells[1])), pairs.get((cells[2], cells[3]))
    if not with_kb:
        return ""
    gained = t(
        "comparison.square.gain",
        metric=t(f"metrics.{metric}.label"),
        without=interval(without, "delta", metric),
        with_kb=interval(with_kb, "delta", metric),
    )
    answer = t(f"comparison.square.{_good(with_kb, metric)}")
    together = t(
        f"comparison.square.together.{_good(found, metric)}", delta=interval(found, "delta", metric), n=found["n"]
    )
    return t("comparison.square.said", arm=plain(cells[3]), answer=answer, gain=gained, together=together)


def _good(found: Mapping[str, Any], metric: str) -> str:
    """A verdict as better, worse, unclear or too_few."""
    if found["verdict"] in (UNCLEAR, TOO_FEW):
        return str(found["verdict"])
    wanted = LOWER if scoring.metrics()[metric].better == "lower" else HIGHER
    return "better" if found["verdict"] == wanted else "worse"


def line(found: Mapping[str, Any]) -> dict[str, str]:
    """A contrast as a row of a table."""
    return {
        t("report.contrast"): f"{found['b']} – {found['a']}",
        t("report.difference"): interval(found, "delta", found["metric"]),
        "p (Holm)": p_value(found["p_holm"]).removeprefix("= "),
        t("report.counts"): f"{found['helped']} / {found['hurt']} / {found['unchanged']}",
        t("report.verdict"): verdict(found),
        "n": str(found["n"]),
    }


def doubts(report: Mapping[str, Any]) -> list[str]:
    """What speaks against trusting the figures, a sentence each; arms are named as on screen."""
    found = []
    if met := report["overlap"]:
        rows = ", ".join(dict.fromkeys(str(one["row"] + 1) for one in met))
        found.append(t("comparison.overlap", rows=rows))
    for name, rows in report["too_long"].items():
        found.append(t("comparison.too_long", arm=plain(name), count=len(rows)))
    return found


def notes(report: Mapping[str, Any]) -> list[str]:
    """What one should know of how the figures came about."""
    found = []
    if report["retrieved"] is not None and report["retrieved"] < report["rows"]:
        found.append(t("comparison.retrieved", found=report["retrieved"], rows=report["rows"]))
    if unknown := report["overlap_unknown"]:
        found.append(t("report.overlap_unknown", names=plain(", ".join(unknown))))
    return found
