"""A comparison as one HTML page that needs nothing else: charts, contrasts, every row, in both languages.

All that comes from documents, data and models is escaped, and the page may load nothing from anywhere.
"""

import html
import json
from collections.abc import Mapping, Sequence
from typing import Any

from core import comparison_charts
from core.evaluation import scoring
from core.evaluation.report import checks, rows
from core.evaluation.report.words import LANGUAGES, both, chip, color, figure, label, section, text

INK = "#111827"


def page(experiment: Mapping[str, Any], results: Mapping[str, Any], language: str = "zh") -> str:
    """The whole report.

    Args:
        experiment: of :func:`core.evaluation.experiments.show`.
        results: of :func:`core.evaluation.results.results`.
        language: shown first; a button switches.
    """
    from plotly.offline import get_plotlyjs

    about = {"n": results["rows"], "dataset": experiment["dataset"], "model": experiment["model"]}
    parts = [
        f"<header><h1>{both('report.title')}</h1>{_SWITCH}<p>{both('report.lead', **about)}</p></header>",
        _overview(results),
        _contrasts(results),
        _interactions(results),
        _trust(results),
        checks.forgetting(results),
        checks.stability(results),
        *(rows.gallery(experiment, results, factor) for factor in ("rag", "adapter", "strategy")),
        rows.table(experiment, results),
        _measures(results),
        _repeat(results),
    ]
    title = html.escape(f"{text(language, 'report.title')} · {experiment['dataset']}")
    return (
        f'<!doctype html><html lang="{language}"><head><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}"><style>{_CSS}</style>'
        f'<script>{get_plotlyjs()}</script></head><body class="{language}"><main>{"".join(parts)}</main>'
        f"<script>{_SCRIPT}</script></body></html>\n"
    )


def _chart(figures: Mapping[str, dict[str, Any]]) -> str:
    """A figure per language."""
    kept = {one: json.dumps(figure, ensure_ascii=False).replace("<", "\\u003c") for one, figure in figures.items()}
    return "".join(
        f'<div class="{one} chart"><script type="application/json">{kept[one]}</script></div>' for one in kept
    )


def _overview(results: Mapping[str, Any]) -> str:
    shares = [name for name in results["metrics"] if scoring.metrics()[name].unit == "share"]
    arms, figures = results["arms"], {}
    for one in LANGUAGES:
        words = {part: text(one, f"report.{key}") for part, key in (("title", "overview"), ("score", "score"))}
        words["subtitle"] = text(one, "report.intervals", n=results["rows"])
        names = {name: label(one, name) for name in shares}
        figures[one] = comparison_charts.overview(arms, names, [color(arm) for arm in arms], words, INK)
    head = "".join(f"<th>{chip(arm)}</th>" for arm in arms)
    lines = [
        f"<tr><th>{both(f'metrics.{name}.label')}</th>"
        + "".join(f"<td>{figure(arm['scores'].get(name), 'mean', '.3f')}</td>" for arm in arms)
        + "</tr>"
        for name in results["metrics"]
    ]
    table = f'<div class="wide"><table><tr><th></th>{head}</tr>{"".join(lines)}</table></div>'
    return section(both("report.overview"), _chart(figures), table)


def _contrasts(results: Mapping[str, Any]) -> str:
    metric = results["primary"]
    told = [one for one in results["contrasts"] if one["metric"] == metric]
    if not told:
        return ""
    colors, figures = {arm["name"]: color(arm) for arm in results["arms"]}, {}
    for one in LANGUAGES:
        words = {
            "title": text(one, "report.contrasts"),
            "subtitle": text(one, "report.intervals", n=results["rows"]),
            "delta": text(one, "report.delta", metric=label(one, metric)),
            "against": text(one, "report.against"),
        }
        figures[one] = comparison_charts.forest(told, words, colors, INK)
    head = "".join(f"<th>{both(f'report.{key}')}</th>" for key in ("contrast", "difference"))
    head += f"<th>p</th><th>p (Holm)</th><th>{both('report.counts')}</th><th>{both('report.verdict')}</th>"
    return section(both("report.contrasts"), _chart(figures), _rows_of(told, head))


def _rows_of(told: Sequence[Mapping[str, Any]], head: str) -> str:
    lines = [
        f"<tr><td>{html.escape(one['b'])} – {html.escape(one['a'])}</td><td>{figure(one, 'delta', '+.3f')}</td>"
        f"<td>{one['p']:.4f}</td><td>{one['p_holm']:.4f}</td>"
        f"<td>{one['helped']} / {one['hurt']} / {one['unchanged']}</td><td>{_verdict(one)}</td></tr>"
        for one in told
    ]
    return f'<div class="wide"><table><tr>{head}</tr>{"".join(lines)}</table></div>'


def _verdict(found: Mapping[str, Any]) -> str:
    return both(f"metrics.verdicts.{found['verdict']}", a=found["a"], b=found["b"], n=found["n"]).replace("**", "")


def _interactions(results: Mapping[str, Any]) -> str:
    told = [one for one in results["interactions"] if one["metric"] == results["primary"]]
    lines = [
        f"<tr><td>{html.escape(one['adapter'])} · {html.escape(one['strategy'])}</td>"
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


def _measures(results: Mapping[str, Any]) -> str:
    lines = [
        f"<dt>{both(f'metrics.{name}.label')}</dt><dd>{both(f'metrics.{name}.definition')} "
        f"{both(f'metrics.{name}.better')}</dd>"
        for name in results["metrics"]
    ]
    tokens = both(f"metrics.tokenizers.{results['tokenizer']}")
    return section(both("report.measures"), f"<p>ROUGE, F1: {tokens}</p><dl>{''.join(lines)}</dl>")


def _repeat(results: Mapping[str, Any]) -> str:
    made = json.dumps(results["about"], ensure_ascii=False, indent=1)
    return section(
        both("report.repeat"),
        f"<pre>{html.escape(results['command'])}</pre>",
        f"<details><summary>{both('report.made_of')}</summary><pre>{html.escape(made)}</pre></details>",
    )


_POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"
_SWITCH = '<nav><button data-language="zh">中文</button><button data-language="en">English</button></nav>'
_SCRIPT = """
const draw = () => document.querySelectorAll('.chart').forEach(place => {
  if (getComputedStyle(place).display === 'none' || place.dataset.drawn) return;
  const figure = JSON.parse(place.querySelector('script').textContent);
  Plotly.newPlot(place, figure.data, figure.layout, {responsive: true, displaylogo: false});
  place.dataset.drawn = 'yes';
});
document.querySelectorAll('[data-language]').forEach(button => button.addEventListener('click', () => {
  document.body.className = document.documentElement.lang = button.dataset.language;
  draw();
}));
draw();
"""
_CSS = """
:root { color-scheme: light; font: 16px/1.55 system-ui, "Noto Sans SC", "PingFang SC", "Microsoft YaHei", sans-serif; }
body { margin: 0; background: #FBFBFD; color: #111827; } body.zh .en, body.en .zh { display: none; }
main { max-width: 1080px; margin: auto; padding: 1.5rem 1rem 4rem; }
header { position: relative; } nav { position: absolute; top: 0; right: 0; } h1 { padding-right: 9rem; }
button { font: inherit; padding: .2rem .6rem; margin-left: .3rem; border: 1px solid #CBD5E1; border-radius: 8px;
  background: #fff; cursor: pointer; }
h2 { margin: 2.4rem 0 .6rem; font-size: 1.2rem; } p { max-width: 46rem; }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-size: .88rem; font-variant-numeric: tabular-nums; }
th, td { text-align: left; vertical-align: top; padding: .4rem .7rem; border-bottom: 1px solid #E2E8F0; }
td, th { min-width: 4.5rem; } td.text, td:last-child { min-width: 15rem; }
small { color: #475569; white-space: nowrap; }
.arm { font-weight: 620; color: var(--arm); overflow-wrap: anywhere; }
.arms { display: grid; grid-template-columns: repeat(auto-fit, minmax(15rem, 1fr)); gap: .7rem; margin: .6rem 0; }
.card { border: 1px solid #E2E8F0; border-top: 3px solid var(--arm); border-radius: 10px; padding: .5rem .7rem;
  background: #fff; } .said { white-space: pre-wrap; overflow-wrap: anywhere; max-width: 72ch; }
summary { cursor: pointer; overflow-wrap: anywhere; } pre { white-space: pre-wrap; overflow-wrap: anywhere;
  background: #F1F5F9; border-radius: 10px; padding: .7rem; font-size: .82rem; } dt { font-weight: 620; }
dd { margin: 0 0 .5rem; max-width: 46rem; }
"""
