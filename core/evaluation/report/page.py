"""A comparison as one HTML page that needs nothing else: charts, contrasts, every row, in both languages.

All that comes from documents, data and models is escaped, and the page may load nothing from anywhere.
"""

import html
import json
from collections.abc import Mapping, Sequence
from typing import Any

from core.evaluation.report import charts, checks, look, rows
from core.evaluation.report.words import Said, bilingual, both, chip, figure, names, said, section, text


def page(experiment: Mapping[str, Any], results: Mapping[str, Any], language: str = "zh") -> str:
    """The whole report.

    Args:
        experiment: of :func:`core.evaluation.experiments.show`.
        results: of :func:`core.evaluation.results.results`.
        language: shown first; a button switches.
    """
    from plotly.offline import get_plotlyjs

    about = {"n": results["rows"], "dataset": experiment["dataset"], "model": experiment["model"]}
    tuned = ", ".join(dict.fromkeys(arm["adapter"] for arm in results["arms"] if arm["adapter"]))
    lead = both("report.lead", **about) + (f" {both('report.tuned', names=tuned)}" if tuned else "")
    parts = [
        f"<header><h1>{both('report.title')}</h1>{look.SWITCH}<p>{lead}</p></header>",
        _overview(results),
        _contrasts(results),
        _interactions(results),
        _trust(results),
        checks.forgetting(results),
        checks.stability(results),
        *(rows.gallery(experiment, results, factor) for factor in ("rag", "adapter", "strategy")),
        section(both("comparison.points.heading"), charts.points(experiment, results)),
        rows.table(experiment, results),
        _measures(experiment, results),
        _repeat(results),
    ]
    title = html.escape(f"{text(language, 'report.title')} · {experiment['dataset']}")
    return (
        f'<!doctype html><html lang="{language}"><head><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{look.POLICY}"><style>{look.CSS}</style>'
        f'<script>{get_plotlyjs()}</script></head><body class="{language}"><main>{"".join(parts)}</main>'
        f"<script>{look.SCRIPT}</script></body></html>\n"
    )


def _overview(results: Mapping[str, Any]) -> str:
    arms, called = results["arms"], names(results["arms"])
    head = "".join(f"<th>{chip(arm, called)}</th>" for arm in arms)
    lines = [
        f"<tr><th>{both(f'metrics.{name}.label')}</th>"
        + "".join(f"<td>{figure(arm['scores'].get(name), 'mean', '.3f')}</td>" for arm in arms)
        + "</tr>"
        for name in results["metrics"]
    ]
    table = f'<div class="wide"><table><tr><th></th>{head}</tr>{"".join(lines)}</table></div>'
    return section(both("report.overview"), charts.overview(results), table, charts.cost(results))


def _contrasts(results: Mapping[str, Any]) -> str:
    metric = results["primary"]
    told = [one for one in results["contrasts"] if one["metric"] == metric]
    if not told:
        return ""
    head = "".join(f"<th>{both(f'report.{key}')}</th>" for key in ("contrast", "difference"))
    head += f"<th>p</th><th>p (Holm)</th><th>{both('report.counts')}</th><th>{both('report.verdict')}</th>"
    return section(both("report.contrasts"), charts.contrasts(results), _rows_of(told, head, names(results["arms"])))


def _rows_of(told: Sequence[Mapping[str, Any]], head: str, called: Mapping[str, Said]) -> str:
    lines = [
        f"<tr><td>{_arm(called[one['b']])} – {_arm(called[one['a']])}</td><td>{figure(one, 'delta', '+.3f')}</td>"
        f"<td>{one['p']:.4f}</td><td>{one['p_holm']:.4f}</td>"
        f"<td>{one['helped']} / {one['hurt']} / {one['unchanged']}</td><td>{_verdict(one, called)}</td></tr>"
        for one in told
    ]
    return f'<div class="wide"><table><tr>{head}</tr>{"".join(lines)}</table></div>'


def _arm(called: Said) -> str:
    return bilingual(called.__getitem__)


def _verdict(found: Mapping[str, Any], called: Mapping[str, Said]) -> str:
    about = {"a": called[found["a"]], "b": called[found["b"]], "n": found["n"]}
    return both(f"metrics.verdicts.{found['verdict']}", **about).replace("**", "")


def _interactions(results: Mapping[str, Any]) -> str:
    told = [one for one in results["interactions"] if one["metric"] == results["primary"]]
    called = names(results["arms"])
    lines = [
        f"<tr><td>{_arm(called[one['cells'][-1]])}</td>"
        f"<td>{figure(one, 'delta', '+.3f')}</td><td>{one['p']:.4f}</td></tr>"
        for one in told
    ]
    head = f"<th></th><th>{both('report.difference')}</th><th>p</th>"
    table = f'<div class="wide"><table><tr>{head}</tr>{"".join(lines)}</table></div>'
    shown = (f"<p>{both('report.interactions_help')}</p>", table) if told else ()
    return section(both("report.interactions"), *shown)


def _trust(results: Mapping[str, Any]) -> str:
    met = results["overlap"]
    lines = []
    for one in met:
        where = html.escape(one["source"])
        if one["where"] == "train":
            where = both("report.overlap_train", place=one["place"] + 1, name=one["adapter"])
        share = f"{one['share']:.0%}"
        told = both("report.overlap_line", row=one["row"] + 1, share=share, where="\0")
        lines.append(f"<li>{told.replace(chr(0), where)}: {html.escape(one['text'])}</li>")
    parts = [f"<p>{both('report.overlap_some', count=len(met))}</p><ul>{''.join(lines)}</ul>"]
    if not met:
        parts = [f"<p>{both('report.overlap_none')}</p>"]
    if results["overlap_unknown"]:
        parts.append(f"<p>{both('report.overlap_unknown', names=', '.join(results['overlap_unknown']))}</p>")
    return section(both("report.trust"), *parts, *checks.too_long(results))


def _measures(experiment: Mapping[str, Any], results: Mapping[str, Any]) -> str:
    lines = [
        f"<dt>{both(f'metrics.{name}.label')}</dt><dd>{both(f'metrics.{name}.definition')} "
        f"{both(f'metrics.{name}.better')}</dd>"
        for name in results["metrics"]
    ]
    chosen = results["tokenizer"]
    tokens = f"<p>ROUGE, F1: {both(f'metrics.tokenizers.{chosen}')}</p>"
    if frozen := experiment.get("tokenizer_frozen"):
        now, then = said(f"metrics.tokenizers.{chosen}"), said(f"metrics.tokenizers.{frozen}")
        tokens = f"<p>{both('comparison.measured_anew', now=now, then=then)}</p>"
    return section(both("report.measures"), f"{tokens}<dl>{''.join(lines)}</dl>")


def _repeat(results: Mapping[str, Any]) -> str:
    made = json.dumps(results["about"], ensure_ascii=False, indent=1)
    return section(
        both("report.repeat"),
        f"<pre>{html.escape(results['command'])}</pre>",
        f"<details><summary>{both('report.made_of')}</summary><pre>{html.escape(made)}</pre></details>",
    )
