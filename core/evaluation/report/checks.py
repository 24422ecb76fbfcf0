"""What a report says on how far its figures go: what fine-tuning has cost, other draws, rows that were not asked."""

import html
from collections.abc import Mapping
from typing import Any

from core.evaluation.forgetting import METRICS, named
from core.evaluation.report.words import bilingual, both, figure, label, names, section, table
from core.evaluation.stability import drawn


def forgetting(results: Mapping[str, Any]) -> str:
    """General questions, asked of each adapter and of its base model; empty: they were not."""
    if not results["forgetting"]:
        return ""
    found = named(results["forgetting"])
    told = [one for one in found["contrasts"] if one["metric"] == METRICS[0]]
    verdicts = []
    for one in told:
        share = f"{found['same'][one['b']]:.0%}"
        verdict = both("report.forgetting_" + one["verdict"], b=one["b"], n=one["n"])
        verdicts.append(f"<li>{verdict} {both('report.forgetting_same', share=share)}</li>")
    names = "".join(f"<th>{html.escape(name)}</th>" for name in found["scores"])
    lines = [
        f"<th>{_label(metric)}</th>"
        + "".join(f"<td>{figure(of[metric], 'mean', '.3f')}</td>" for of in found["scores"].values())
        for metric in METRICS
    ]
    differences = [
        f"<td>{html.escape(one['b'])} – {html.escape(one['a'])}</td><td>{_label(one['metric'])}</td>"
        f"<td>{figure(one, 'delta', '+.3f')}</td><td>{one['p_holm']:.4f}</td>"
        for one in found["contrasts"]
    ]
    head = f"<th>{both('report.contrast')}</th><th></th><th>{both('report.difference')}</th><th>p (Holm)</th>"
    answers = table(f"<th>{both('report.question')}</th><th>{both('report.reference')}</th>{names}", _answers(found))
    return section(
        both("report.forgetting"),
        f"<p>{both('report.forgetting_help', n=found['rows'])}</p><ul>{''.join(verdicts)}</ul>",
        table(f"<th></th>{names}", lines),
        table(head, differences),
        f"<details><summary>{both('report.forgetting_answers', n=found['rows'])}</summary>{answers}</details>",
    )


def _answers(found: Mapping[str, Any]) -> list[str]:
    return [
        "".join(
            f'<td class="said">{html.escape(text)}</td>'
            for text in (row["input"], row["reference"], *(one["text"] for one in row["answers"].values()))
        )
        for row in found["answers"]
    ]


def _label(metric: str) -> str:
    return bilingual(lambda language: label(language, metric))


def stability(results: Mapping[str, Any]) -> str:
    """What each seed alone would have said; empty: answers were greedy."""
    found, metric = results["stability"], results["primary"]
    if not found:
        return ""
    lines, called = [], names(results["arms"])
    for name, arm in found["arms"].items():
        of = arm["metrics"].get(metric)
        means = [f"<td>{mean:.3f}</td>" for mean in of["means"]] if of else ["<td>–</td>"] * len(found["seeds"])
        spread = f"{of['sd']:.3f}" if of else "–"
        title = bilingual(called[name].__getitem__)
        lines.append(f"<th>{title}</th>{''.join(means)}<td>{spread}</td><td>{arm['same']:.0%}</td>")
    head = "".join(f"<th>{_label(metric)} · {seed}</th>" for seed in found["seeds"])
    head = f"<th></th>{head}<th>{both('report.stability_sd')}</th><th>{both('report.stability_same')}</th>"
    return section(
        both("report.stability"), f"<p>{both('report.stability_help', **drawn(found))}</p>", table(head, lines)
    )


def too_long(results: Mapping[str, Any]) -> list[str]:
    """Rows that did not fit into the model, by arm."""
    called = names(results["arms"])
    found = {name: ", ".join(str(row + 1) for row in rows) for name, rows in results["too_long"].items()}
    return [f"<p>{both('report.too_long', arm=called[name], rows=rows)}</p>" for name, rows in found.items()]
