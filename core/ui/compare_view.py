"""The Compare page's parts: the form, the job's progress, chart and table of results."""

from typing import Any

import pandas as pd
import streamlit as st

from core import comparison_charts, jobs
from core.evaluation import experiments, grid, scoring
from core.evaluation.freezing import Plan
from core.evaluation.metrics import ROUGE
from core.evaluation.report import page
from core.evaluation.results import kept
from core.generation import templates
from core.generation.ask import Arm
from core.rag import knowledge
from core.training import runs
from core.training.data import datasets
from core.ui import components, theme
from core.ui.i18n import language, show_error, t

DEFAULT_ROWS = 24


def open_experiment(experiment_id: str) -> None:
    """Put an experiment on screen, in the address too."""
    if experiment_id:
        st.query_params["experiment"] = experiment_id
    else:
        st.query_params.pop("experiment", None)
    st.rerun(scope="app")


def form() -> None:
    """Base against a run's adapter on test rows, with or without a knowledge base; starts the worker."""
    finished = _adapters()
    wanted = st.query_params.get("run", "")
    with st.container(border=True):
        left, middle, right = st.columns([2, 2, 1])
        ids = list(finished)
        run_id = left.selectbox(
            t("comparison.run"),
            ids,
            index=ids.index(wanted) if wanted in ids else 0,
            format_func=finished.__getitem__,
            key="compare_run",
        )
        names = list(datasets.listing())
        trained_on = runs.show(run_id)["config"]["dataset"]
        dataset = middle.selectbox(
            t("comparison.dataset"),
            names,
            index=names.index(trained_on) if trained_on in names else 0,
            key=f"compare_dataset_{run_id}",
        )
        rows = len(datasets.load(dataset).test)
        limit = right.number_input(
            t("comparison.rows"), 1, rows, min(DEFAULT_ROWS, rows), key="compare_rows", help=t("comparison.rows_help")
        )
        bases = ["", *(row["name"] for row in knowledge.listing())]
        with st.expander(t("comparison.more"), icon=":material/settings:"):
            kb = st.selectbox(
                t("comparison.kb"), bases, format_func=lambda name: name or t("comparison.no_kb"), key="compare_kb"
            )
            strategies = st.multiselect(
                t("comparison.strategies"),
                list(templates.listing()),
                [templates.ZERO_SHOT],
                key="compare_strategies",
                help=t("comparison.strategies_help"),
            )
        if st.button(t("comparison.start"), type="primary", icon=":material/play_arrow:", key="compare_start"):
            uses = [False, True] if kb else [False]
            _start(Plan(dataset, ["base", run_id], kb, uses, strategies or [templates.ZERO_SHOT], int(limit)))


def _adapters() -> dict[str, str]:
    """What can be compared with its base model: id → label, each run with an adapter and the checkpoints it kept."""
    found = {}
    for run in runs.listing():
        if run.get("adapter"):
            found[run["id"]] = components.job_label(run["id"], run["name"])
            for at in runs.checkpoints(run["id"]):
                found[at["id"]] = f"{found[run['id']]} · {t('runs.take.at', step=at['step'])}"
    return found


def _start(plan: Plan) -> None:
    try:
        with st.spinner(t("comparison.starting")):
            started = experiments.start(plan)
    except Exception as error:
        show_error(error)
    else:
        open_experiment(started)


def choice(current: str) -> str:
    """Which experiment is on screen: the address's, else the newest."""
    found = {item["id"]: item for item in experiments.listing()}
    if not found:
        return ""
    current = current if current in found else next(iter(found))
    labels = {
        key: components.job_label(key, item["dataset"], item["status"], f"n = {item['count']}")
        for key, item in found.items()
    }
    picked = components.job_choice(t("comparison.earlier"), labels, current, "experiment_choice")
    if picked != current:
        open_experiment(picked)
    return picked


def show(experiment_id: str) -> None:
    """An experiment: its progress while it runs, then chart, finding and table."""
    summary = experiments.summary(experiment_id)
    status = summary["status"]
    if status in jobs.LIVE:
        _follow(experiment_id, status)
        return
    components.status_badge(status)
    components.job_error(summary)
    if status in jobs.RESUMABLE and st.button(
        t("comparison.resume"), icon=":material/play_arrow:", key="experiment_resume"
    ):
        experiments.resume(experiment_id)
        st.rerun(scope="app")
    experiment, report = _results(experiment_id, (experiments.folder(experiment_id) / "state.json").stat().st_mtime_ns)
    if not report["rows"]:
        st.info(t("comparison.nothing"))
    else:
        _chart(report)
        _finding(report)
        _table(experiment, report)
        st.download_button(
            t("comparison.report"),
            lambda: page(experiment, report, language()),
            f"{experiment_id}.html",
            "text/html",
            icon=":material/description:",
            key="experiment_report",
            on_click="ignore",
        )
    with st.popover(t("comparison.delete"), icon=":material/delete:"):
        st.caption(t("comparison.delete_help"))
        if st.button(t("comparison.delete"), key="experiment_delete"):
            experiments.delete(experiment_id)
            open_experiment("")


@st.cache_data(max_entries=4, show_spinner=False)
def _results(experiment_id: str, changed: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """The experiment and what it found; reckoned again when its state has changed."""
    experiment = experiments.show(experiment_id)
    return experiment, kept(experiments.folder(experiment_id), experiment)


@st.fragment(run_every=1.0)
def _follow(experiment_id: str, status: str) -> None:
    summary = experiments.summary(experiment_id)
    if summary["status"] != status:
        st.rerun(scope="app")
    components.status_badge(status)
    if status == jobs.QUEUED:
        st.caption(t("finetune.queued"))
    components.progress(summary, summary.get("done", 0), summary.get("total", 0))
    if st.button(t("comparison.stop"), icon=":material/stop_circle:", key="experiment_stop"):
        experiments.stop(experiment_id)


def _cell(arm: dict[str, Any]) -> str:
    return Arm(arm["rag"], arm["adapter"] or "").key


def _named(arm: dict[str, Any]) -> str:
    """The arm's cell of the bench, and its prompt strategy where that is another one than zero-shot."""
    how = arm.get("strategy", templates.ZERO_SHOT)
    return components.arm_label(_cell(arm)) + ("" if how == templates.ZERO_SHOT else f" · {how}")


def _shown(report: dict[str, Any]) -> list[str]:
    """The metrics of the chart: ROUGE, or where the rows are no texts all that go from 0 to 1."""
    rouge = [metric for metric in ROUGE if metric in report["metrics"]]
    return rouge or [metric for metric in report["metrics"] if scoring.metrics()[metric].unit == "share"]


def _chart(report: dict[str, Any]) -> None:
    colors, shown = theme.arm_colors(), _shown(report)
    labels = {key: t(f"comparison.chart.{key}") for key in ("title", "score")}
    labels["subtitle"] = t("comparison.chart.subtitle", n=report["rows"])
    figure = comparison_charts.overview(
        [{**arm, "name": _named(arm)} for arm in report["arms"]],
        {metric: t(f"metrics.{metric}.label") for metric in shown},
        [colors[_cell(arm)] for arm in report["arms"]],
        labels,
        theme.ink(),
    )
    rows = [
        {"arm": arm["name"], "metric": metric, **score}
        for arm in report["arms"]
        for metric, score in arm["scores"].items()
    ]
    components.chart(figure, pd.DataFrame(rows), f"scores-{report['experiment']}")


def _finding(report: dict[str, Any]) -> None:
    primary = report["primary"]
    label = t(f"metrics.{primary}.label")
    for arm in report["arms"]:
        score = arm["scores"][primary]
        figures = {part: f"{score[part]:.3f}" for part in ("mean", "low", "high")}
        line = t("comparison.arm_line", metric=label, **figures, seconds=f"{arm['seconds']:.1f}")
        components.chip(_cell(arm), f"{_named(arm)}: {line}")
    for item in report["contrasts"]:
        if item["metric"] == primary:
            figures = {part: f"{item[part]:+.3f}" for part in ("delta", "low", "high")}
            p = f"{item['p_holm']:.3f}" if item["p_holm"] >= 0.001 else "< 0.001"
            names = {"a": item["a"], "b": item["b"]}
            told = t("comparison.contrast", metric=label, **names, **figures, p=p)
            st.markdown(f"{told} {t('metrics.verdicts.' + item['verdict'], n=item['n'], **names)}")
    if report["overlap"]:
        rows = ", ".join(dict.fromkeys(str(one["row"] + 1) for one in report["overlap"]))
        st.warning(t("comparison.overlap", rows=rows), icon=":material/content_copy:")


def _table(experiment: dict[str, Any], report: dict[str, Any]) -> None:
    primary = report["primary"]
    label = t(f"metrics.{primary}.label")
    names = [grid.name(arm) for arm in experiment["arms"]]
    rows = []
    for row in experiment["answers"]:
        if not all(name in row["answers"] for name in names):
            continue
        scores = {name: row["answers"][name]["scores"].get(primary, 0.0) for name in names}
        line = {t("comparison.columns.input"): row["input"], t("comparison.columns.reference"): row["reference"]}
        line[t("comparison.columns.gain")] = round(scores[names[-1]] - scores[names[0]], 4)
        for name in names:
            answer = row["answers"][name]
            line |= {name: answer["text"], f"{label} {name}": round(scores[name], 4), f"s {name}": answer["seconds"]}
        rows.append(line)
    table = pd.DataFrame(rows).sort_values(t("comparison.columns.gain"), ascending=False, ignore_index=True)
    st.subheader(t("comparison.table"))
    st.caption(t("comparison.table_help", metric=label))
    event = st.dataframe(
        table,
        hide_index=True,
        height=300,
        on_select="rerun",
        selection_mode="single-row",
        key=f"rows-{experiment['id']}",
    )
    picked = event.selection.rows[0] if event.selection.rows else 0
    _details(table.iloc[picked], experiment, names, label)
    data = table.to_csv(index=False).encode("utf-8-sig")
    st.download_button(t("common.csv"), data, f"answers-{experiment['id']}.csv", "text/csv", icon=":material/download:")


def _details(line: Any, experiment: dict[str, Any], names: list[str], label: str) -> None:
    st.text(line[t("comparison.columns.input")])
    st.caption(t("comparison.columns.reference"))
    st.code(line[t("comparison.columns.reference")], language=None, wrap_lines=True)
    for arm, name, column in zip(experiment["arms"], names, st.columns(len(names)), strict=True):
        cell = _cell(arm)
        with column, st.container(border=True, key=f"arm-{cell}-detail"):
            components.chip(cell, f"{_named(arm)} · {label} {line[f'{label} {name}']:.3f}")
            st.code(line[name] or "…", language=None, wrap_lines=True)
