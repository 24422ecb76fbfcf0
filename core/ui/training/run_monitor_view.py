"""A run watched live: where it is, its curves, what it answers as it learns, its alerts, and its log."""

import html
from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from core import jobs
from core.charts import run_charts
from core.charts.run_charts import Line
from core.training import curves, runs, samples
from core.training.data import datasets
from core.ui import components, theme
from core.ui.i18n import seconds, t

POINTS, SMALL = 400, 200
"""Points drawn of a curve, in the large chart and in the small ones."""
STRETCHES = 80
"""Stretches of steps over which the speed is a mean."""
SMOOTHING = 0.9
LONGEST = 30
"""Answers shown of a prompt, the newest first."""
ALERTS = 92
"""Pixels kept for alerts; more of them are scrolled to."""
MANY = 1000
"""Steps from which on "how many of how many" needs a wider cell."""
RATES = {"learning_rate": ".2e", "grad_norm": ".3f", "speed": ".0f", "memory": ".2f"}
"""The small charts, and how their values are written."""


def monitor(run_id: str) -> None:
    """A run on screen; while it lives, looked at again every second without redrawing the rest of the page."""
    status = runs.show(run_id)["status"]
    live = status in jobs.LIVE

    @st.fragment(run_every=1.0 if live else None)
    def look() -> None:
        run = runs.show(run_id)
        show(run)
        if run["status"] != status:  # the list and the buttons around this must follow
            st.rerun(scope="app")

    look()


def show(run: dict[str, Any]) -> None:
    """All there is to see of a run as it is now. Of whatever length it is, the page does not move."""
    _state(run)
    _alerts(run)
    if run["status"] in jobs.LIVE or curves.keys(run["id"]):
        _loss(run)
        _rates(run)
    _answers(run)
    with st.expander(t("finetune.log"), icon=":material/terminal:"):
        st.code(runs.log_tail(run["id"], 60) or "…", language=None, height=260)


def _state(run: dict[str, Any]) -> None:
    status, config = run["status"], run["config"]
    with st.container(horizontal=True, vertical_alignment="center"):
        components.status_badge(status)
        about = f"{config['model']} · {datasets.called(config['dataset'])} · {config['method']}"
        st.caption(components.plain(about) + f"  \n{_in_words(run)}")
    if status in jobs.LIVE:
        components.progress(run, run.get("step", 0), run.get("steps", 0))
    components.job_error(run)
    cells = "".join(
        f"<div>{t(f'finetune.cells.{name}')}<b>{html.escape(value)}</b></div>" for name, value in _cells(run).items()
    )
    wide = " wide" if run.get("steps", 0) >= MANY else ""
    st.html(f'<div class="cells{wide}">{cells}</div>')


def _in_words(run: dict[str, Any]) -> str:
    if run["status"] == jobs.QUEUED and run.get("position"):
        return t("runs.ahead", count=run["position"])
    if run["imported"] and run["status"] == jobs.FINISHED:
        return t("runs.is.imported")
    if anew(run):
        return t("runs.is.anew")
    return t(f"runs.is.{run['status']}")


def anew(run: Mapping[str, Any]) -> bool:
    """Whether a run ended before its first checkpoint, in the queue most often, so that going on is beginning anew."""
    return run["status"] in (jobs.STOPPED, jobs.INTERRUPTED) and not runs.last_checkpoint(runs.folder(run["id"]))


def _cells(run: dict[str, Any]) -> dict[str, str]:
    """The figures a person follows, as texts."""
    live = run["status"] in jobs.LIVE
    smooth = curves.curve(run["id"], "loss", 2, SMOOTHING).smoothed
    train = run.get("train_loss") if run.get("train_loss") is not None else next(iter(smooth[-1:]), None)
    memory = curves.curve(run["id"], "memory", 2).values
    epoch = curves.curve(run["id"], "epoch", 2).values
    found = {
        "step": steps(run),
        "epoch": f"{epoch[-1]:.2f}" if epoch else "–",
        "train": _figure(train),
        "eval": _figure(run.get("eval_loss")),
        "accuracy": _figure(run.get("eval_accuracy")),
        "f1": _figure(run.get("eval_f1")),
        "speed": f"{run['tokens_per_second']:,.0f}" if run.get("tokens_per_second") else "–",
        "memory": f"{memory[-1] / 1e9:.2f} GB" if memory else "–",
        "elapsed": seconds(run.get("elapsed")),
        "eta": seconds(run.get("eta")) if live else "–",
    }
    left_out = [] if run["config"].get("task") == "classify" else ["accuracy", "f1"]
    left_out += [] if live else ["eta"]
    return {name: value for name, value in found.items() if name not in left_out}


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _alerts(run: dict[str, Any]) -> None:
    """What a person should look at. They come and go while a run lives, so their place is kept for them."""
    live, found = run["status"] in jobs.LIVE, run.get("alerts") or []
    if not live and not found:
        return
    with st.container(height=ALERTS if live else "content", border=False):
        if not found:
            st.caption(t("runs.no_alerts"))
        for alert in found:
            values = {name: value for name, value in alert.items() if name != "code"}
            words = f"runs.alerts.{alert['code']}"
            st.warning(f"{t(words, **values)} {t(f'{words}_hint')}", icon=":material/notifications:")


def _loss(run: dict[str, Any]) -> None:
    """Train loss raw and smoothed with the test loss; for labels accuracy and F1 below it."""
    run_id, config = run["id"], run["config"]
    train, test = theme.run_colors()[:2]
    loss, measured = curves.curve(run_id, "loss", POINTS, SMOOTHING), curves.curve(run_id, "eval_loss", POINTS)
    subtitle = t(
        "runs.chart.label_loss_about" if config.get("task") == "classify" else "runs.chart.loss_about",
        rows=run.get("measured", config["eval_rows"]),
        rate=f"{config['learning_rate']:g}",
        window=round(1 / (1 - SMOOTHING)),
    )
    lines = [
        Line("", loss.steps, loss.values, train, faint=True),
        Line(t("runs.chart.train"), loss.steps, loss.smoothed, train),
        Line(t("runs.chart.test"), measured.steps, measured.values, test, marks=True),
    ]
    labels = {
        "title": t("finetune.chart.title"),
        "subtitle": subtitle,
        "step": _step(),
        "value": t("finetune.chart.loss"),
    }
    figure = run_charts.curves(lines, labels, 380, run.get("steps", 0))
    components.chart(figure, lambda: pd.DataFrame(runs.metrics(run_id)), f"loss-{run_id}")
    if config.get("task") == "classify":
        _scores(run)


def _scores(run: dict[str, Any]) -> None:
    found = [curves.curve(run["id"], key, SMALL) for key in ("eval_accuracy", "eval_f1")]
    names = [t("finetune.cells.accuracy"), t("finetune.cells.f1")]
    lines = [
        Line(name, curve.steps, curve.values, shade, dash, marks=True)
        for name, curve, shade, dash in zip(names, found, theme.run_colors(), run_charts.DASHES, strict=False)
    ]
    subtitle = t("runs.chart.scores_about", rows=run.get("measured", run["config"]["eval_rows"]))
    labels = {"title": t("runs.chart.scores"), "subtitle": subtitle, "step": _step()}
    figure = run_charts.curves(lines, labels, 300, run.get("steps", 0), ".3f")
    components.chart(figure, None, f"scores-{run['id']}")


def _rates(run: dict[str, Any]) -> None:
    """The small charts; those that will never have a point are left out once the run has ended."""
    run_id, color = run["id"], theme.run_colors()[0]
    found = {key: series(run_id, key, SMALL) for key in RATES}
    shown = [key for key, curve in found.items() if curve.steps or run["status"] in jobs.LIVE]
    charts = [
        (key, [Line(t(f"runs.chart.{key}"), found[key].steps, found[key].values, color)], RATES[key]) for key in shown
    ]
    for first in range(0, len(charts), 2):
        for column, (key, lines, shape) in zip(st.columns(2), charts[first : first + 2], strict=False):
            labels = {"title": t(f"runs.chart.{key}"), "subtitle": "", "step": _step()}
            figure = run_charts.curves(lines, labels, 236, run.get("steps", 0), shape)
            with column:
                components.chart(figure, None, f"{key}-{run_id}")


def series(run_id: str, key: str, points: int, smoothing: float = 0.0) -> curves.Curve:
    """A curve by the key of its chart: in the units of the screen, GB and tokens per second."""
    if key == "speed":
        return curves.speed(run_id, min(points, STRETCHES))
    found = curves.curve(run_id, key, points, smoothing)
    if key == "memory":
        values, smoothed = ([value / 1e9 for value in part] for part in (found.values, found.smoothed))
        return curves.Curve(found.steps, values, smoothed, found.count)
    return found


def steps(run: Mapping[str, Any]) -> str:
    """How far a run is; before it knows how many steps it takes, that it is being prepared, if it is."""
    if run.get("steps"):
        return f"{run.get('step', 0)} / {run['steps']}"
    return t("runs.preparing") if run["status"] in (jobs.STARTING, jobs.RUNNING) else "–"


def _step() -> str:
    return t("finetune.chart.step")


def _answers(run: dict[str, Any]) -> None:
    """What the same prompts were answered, step by step, newest first."""
    found = samples.prompts(run["id"])
    if not found:
        return
    st.markdown(f"**{t('runs.answers')}**", help=t("runs.answers_help"))
    for column, prompt in zip(st.columns(len(found)), found, strict=True):
        said = "".join(_said(answer) for answer in prompt.said[:LONGEST])
        expected = f"<i>{t('runs.expected')}</i>{html.escape(prompt.expected)}" if prompt.expected else ""
        with column:
            st.html(f'<div class="said"><b>{html.escape(prompt.text)}</b><p>{expected}</p>{said}</div>')


def _said(answer: samples.Said) -> str:
    steps = str(answer.first) if answer.first == answer.last else f"{answer.first}–{answer.last}"
    share = f" · {answer.scores[answer.text]:.0%}" if answer.text in answer.scores else ""
    return f"<p><i>{t('runs.at_step', step=steps)}</i>{html.escape(answer.text) or '…'}{share}</p>"
