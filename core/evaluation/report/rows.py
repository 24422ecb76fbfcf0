"""The rows of a comparison in its report: all of them in a table, and those where a factor hurt, side by side."""

import html
from collections.abc import Mapping
from typing import Any

from core.evaluation import rows
from core.evaluation.report.words import Said, bilingual, both, chip, label, names, shade, text

_EXCERPT = 90  # characters


def gallery(experiment: Mapping[str, Any], results: Mapping[str, Any], factor: str) -> str:
    """The rows on which an arm did worse than the one that differs from it in this factor alone, the worst first.

    Args:
        factor: one of :data:`core.evaluation.grid.FACTORS`.
    """
    metric = results["primary"]
    if not metric or not rows.switched_on(experiment["arms"], factor):
        return ""
    found = rows.gallery(experiment, metric, factor)
    by_name, called = {arm["name"]: arm for arm in results["arms"]}, names(results["arms"])
    cards = []
    for case in found[: rows.MOST]:
        row = experiment["answers"][case.row]
        pair = "".join(_card(row["answers"][name], by_name[name], metric, called) for name in (case.a, case.b))
        cards.append(
            f"<details><summary>{both('report.row')} {case.row + 1} · −{-case.gain:.3f} · "
            f"{html.escape(_short(row['input']))}</summary>{_row(row, pair)}</details>"
        )
    title = both(f"report.{factor}_hurt")
    body = "".join(cards) or f"<p>{both('report.hurt_none')}</p>"
    return f"<section><h2>{title} ({len(found)})</h2>{body}</section>"


def table(experiment: Mapping[str, Any], results: Mapping[str, Any]) -> str:
    """Every row with each arm's score; opened, its answers, reasoning and passages."""
    arms, metric, called = results["arms"], results["primary"], names(results["arms"])
    lines = []
    for number, row in enumerate(experiment["answers"], 1):
        answers = row["answers"]
        scores = [answers.get(arm["name"], {}).get("scores", {}).get(metric) for arm in arms]
        cells = "".join(f"<td>{'–' if score is None else f'{score:.3f}'}</td>" for score in scores)
        cards = "".join(_card(answers[arm["name"]], arm, metric, called) for arm in arms if arm["name"] in answers)
        shown = f"<details><summary>{html.escape(_short(row['input']))}</summary>{_row(row, cards)}</details>"
        lines.append(f'<tr><td>{number}</td><td class="text">{shown}</td>{cells}</tr>')
    head = f"<th>{both('report.row')}</th><th>{both('report.question')}</th>"
    head += "".join(f"<th>{chip(arm, called)}</th>" for arm in arms)
    about = bilingual(lambda one: text(one, "report.rows_help", metric=label(one, metric)))
    body = f'<div class="wide"><table><tr>{head}</tr>{"".join(lines)}</table></div>'
    return f"<section><h2>{both('report.rows')}</h2><p>{about}</p>{body}</section>"


def _row(row: Mapping[str, Any], cards: str) -> str:
    passages = [*row.get("passages", ()), *([{"source": "", "text": row["context"]}] if row.get("context") else ())]
    told = "".join(
        f'<p><b>{html.escape(passage["source"])}</b></p><p class="said">{html.escape(passage["text"])}</p>'
        for passage in passages
    )
    count = both("report.passages", count=len(passages))
    folded = f"<details><summary>{count}</summary>{told}</details>" if passages else ""
    return (
        f'<p class="said">{html.escape(row["input"])}</p><p><b>{both("report.reference")}</b></p>'
        f'<p class="said">{html.escape(row["reference"])}</p><div class="arms">{cards}</div>{folded}'
    )


def _card(answer: Mapping[str, Any], arm: Mapping[str, Any], metric: str, called: Mapping[str, Said]) -> str:
    score, reasoning = answer["scores"].get(metric), answer.get("reasoning")
    thought = f'<details><summary>{both("report.reasoning")}</summary><p class="said">'
    thought = f"{thought}{html.escape(reasoning)}</p></details>" if reasoning else ""
    figure = "" if score is None else f" {score:.3f}"
    return (
        f'<div class="card" style="--arm: {shade(arm)}">{chip(arm, called)}{figure}'
        f'<p class="said">{html.escape(answer["text"]) or "…"}</p>{thought}</div>'
    )


def _short(said: str) -> str:
    plain = " ".join(said.split())
    return plain if len(plain) <= _EXCERPT else plain[: _EXCERPT - 1] + "…"
