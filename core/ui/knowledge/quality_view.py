"""The Knowledge page's evaluation: sets of questions, retrieval scored stage by stage, and chunk sizes compared."""

import json
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from core import jobs
from core.charts import retrieval_charts
from core.errors import UserError
from core.evaluation import questions, sweep
from core.rag.retrieval import STAGES
from core.settings import settings
from core.ui import components, theme
from core.ui.i18n import seconds, show_error, t

METRICS = {"hit@1": "hit@1", "hit@5": "hit@5", "mrr": "MRR", "ndcg@10": "nDCG@10"}
SIZES, TOP_K = (60, 110, 160, 220, 330, 440), (1, 2, 3, 5, 8, 10)
UPLOAD, SHIPPED = "upload", "shipped"
# Stages are no arms of the 2x2 bench: shades of the knowledge base's own colour, each at least 3:1 on its background.
SHADES = {False: ("#3B82F6", "#2563EB", "#1E40AF", "#172554"), True: ("#2563EB", "#3B82F6", "#60A5FA", "#93C5FD")}


def evaluate(name: str) -> None:
    """Choose or make questions, ask them all, and look at what came of it now and before."""
    found = {job["id"]: job for job in sweep.listing(name)}
    wanted = st.session_state.get("quality_job", "")
    current = wanted if wanted in found else next(iter(found), "")
    _form(name, found, current)
    if not found:
        st.info(t("quality.empty"), icon=":material/rule:")
        return
    labels = {key: _label(job, found) for key, job in found.items()}
    picked = components.job_choice(t("quality.kept"), labels, current, f"quality_{name}")
    if picked != current:
        _open(picked)
    _job(name, picked, found[picked]["status"])


def _open(job_id: str) -> None:
    st.session_state["quality_job"] = job_id
    st.rerun(scope="app")


def _label(job: dict[str, Any], found: dict[str, Any]) -> str:
    asked = job.get("qa", "")
    more = [f"n = {job['n']}", _set_label(found[asked]) if asked in found else asked]
    kind = t(f"quality.kind.{job['kind']}")
    return components.job_label(job["id"], kind, job["status"], " · ".join(filter(None, more)))


def _form(name: str, found: dict[str, Any], current: str) -> None:
    """Which questions, and what to do with them."""
    own = settings().knowledge_dir / f"{name}.qa.jsonl"
    made = {key: job for key, job in found.items() if job["kind"] == sweep.QUESTIONS and job["status"] == jobs.FINISHED}
    labels = {SHIPPED: t("quality.shipped")} if own.is_file() else {}
    labels |= {key: _set_label(job) for key, job in made.items()} | {UPLOAD: t("quality.upload")}
    keys, kept = list(labels), st.session_state.get("quality_set", "")
    wanted = current if current in made else kept if kept in labels else keys[0]
    chosen = st.selectbox(
        t("quality.set"),
        keys,
        keys.index(wanted),
        format_func=labels.__getitem__,
        key=f"quality_set_{name}_{len(keys)}_{current}",
        help=t("quality.set_help"),
    )
    st.session_state["quality_set"] = chosen
    upload = st.file_uploader(t("quality.upload_help"), ["jsonl"], key="quality_upload") if chosen == UPLOAD else None
    ready = chosen != UPLOAD or upload is not None

    def begin(**how: Any) -> None:
        if upload is not None:
            _start_upload(name, upload, how)
            return
        path = own if chosen == SHIPPED else sweep.folder(name, chosen) / "qa.jsonl"
        # A set made here is called by its id, so that lists can name it in the language of whoever looks.
        _start(lambda: sweep.start(name, path, label="" if chosen == SHIPPED else chosen, **how))

    version = len(found)  # with a job more the popovers are new ones, and shut
    with st.container(horizontal=True):
        if st.button(
            t("quality.evaluate"), icon=":material/rule:", type="primary", key="quality_evaluate", disabled=not ready
        ):
            begin()
        with st.popover(
            t("quality.sweep"), icon=":material/stacked_line_chart:", disabled=not ready, key=f"quality_p1_{version}"
        ):
            _sweep_form(begin)
        with st.popover(t("quality.generate"), icon=":material/quiz:", key=f"quality_p2_{version}"):
            _questions_form(name)


def _set_label(job: dict[str, Any]) -> str:
    return components.job_label(job["id"], t("quality.generated"), more=f"n = {job['n']}")


def _sweep_form(begin: Any) -> None:
    st.caption(t("quality.sweep_help"))
    sizes = st.pills(t("quality.sizes"), SIZES, default=list(sweep.SIZES), selection_mode="multi", key="quality_sizes")
    top_k = st.pills(t("quality.top_k"), TOP_K, default=list(sweep.TOP_K), selection_mode="multi", key="quality_top_k")
    overlap = st.number_input(t("knowledge.overlap"), 0, 100, 0, 10, key="quality_overlap")
    if st.button(
        t("quality.start"), icon=":material/play_arrow:", type="primary", key="quality_sweep",
        disabled=not sizes or not top_k,
    ):  # fmt: skip
        begin(sizes=sizes, top_k=top_k, overlap=int(overlap))


def _questions_form(name: str) -> None:
    count = st.number_input(t("quality.count"), 1, 500, questions.COUNT, 5, key="quality_count")
    seed = st.number_input(t("quality.seed"), 0, 9999, 0, key="quality_seed", help=t("quality.seed_help"))
    with_model = st.toggle(t("quality.with_model"), True, key="quality_with_model")
    st.caption(t("quality.honest"))
    if st.button(t("quality.make"), icon=":material/play_arrow:", type="primary", key="quality_make"):
        _start(lambda: sweep.start_questions(name, int(count), int(seed), with_model))


def _start(act: Any) -> None:
    try:
        started = act()
    except Exception as error:
        show_error(error)
    else:
        _open(started)


def _start_upload(name: str, upload: Any, how: dict[str, Any]) -> None:
    """The job keeps the rows itself: the file is needed only until it is read."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "qa.jsonl"
        path.write_bytes(upload.getvalue())

        def act() -> str:
            try:
                return sweep.start(name, path, label=upload.name, **how)
            except UserError as error:  # where it lay meanwhile says nothing to anybody
                error.values.update({key: upload.name for key in ("path", "name") if key in error.values})
                raise

        _start(act)


def _job(name: str, job_id: str, status: str) -> None:
    """The job on screen: its progress while it runs, what came of it, and how to go on or be rid of it."""
    if status in jobs.LIVE:
        _follow(name, job_id, status)
    job = sweep.show(name, job_id)
    if status not in jobs.LIVE and status != jobs.FINISHED:
        components.job_error(job)
        st.caption(t("quality.unfinished"))
        if st.button(t("knowledge.resume"), icon=":material/resume:", key="quality_resume"):
            components.act(lambda: sweep.resume(name, job_id))
    if job["kind"] == sweep.QUESTIONS:
        _questions(job)
    elif job["results"]:
        _sweep(job) if job["kind"] == sweep.SWEEP else _stages(job)
    if status in jobs.LIVE:
        return
    with st.popover(t("quality.delete"), icon=":material/delete:", type="tertiary"):
        st.caption(t("quality.delete_help"))
        if st.button(t("quality.delete"), key="quality_delete"):
            components.act(lambda: sweep.delete(name, job_id))


@st.fragment(run_every=1.0)
def _follow(name: str, job_id: str, status: str) -> None:
    now = sweep.show(name, job_id)
    if now["status"] != status or len(now["results"]) != st.session_state.setdefault(f"quality_done_{job_id}", 0):
        st.session_state[f"quality_done_{job_id}"] = len(now["results"])
        st.rerun(scope="app")
    st.progress(min(1.0, now.get("share", 0.0)), text=_how_far(now))
    if st.button(t("knowledge.stop"), icon=":material/stop_circle:", key="quality_stop"):
        components.act(lambda: sweep.stop(name, job_id))


def _how_far(job: dict[str, Any]) -> str:
    stage = job.get("stage", "")
    moving = job["status"] == jobs.RUNNING and stage
    parts = [t(f"quality.stage.{stage}", size=job.get("size", 0)) if moving else t(f"status.{job['status']}")]
    if len(job.get("points", ())) > 1 and "point" in job:
        parts.append(f"{job['point']} / {len(job['points'])}")
    if job.get("elapsed") is not None:
        parts.append(f"{t('common.elapsed')} {seconds(job['elapsed'])}")
    if job.get("eta") is not None:
        parts.append(f"{t('common.remaining')} {seconds(job['eta'])}")
    return " · ".join(parts)


def _stages(job: dict[str, Any]) -> None:
    """Each stage's figures with their intervals."""
    [point] = job["results"]
    stages = {stage: scores for stage, scores in point["stages"].items() if stage in STAGES}
    labels = {stage: t(f"knowledge.stage.{stage}") for stage in STAGES} | METRICS
    labels |= {
        "title": t("knowledge.chart.scores"),
        "subtitle": t("knowledge.chart.scores_subtitle", n=point["n"]),
        "score": t("knowledge.chart.score"),
    }
    table = pd.DataFrame(
        [{t("quality.columns.stage"): labels[stage], **_wide(scores, list(scores))} for stage, scores in stages.items()]
    )
    figure = retrieval_charts.stage_scores(
        stages, list(METRICS), labels, SHADES[theme.is_dark()][-len(stages) :], theme.ink()
    )
    components.chart(figure, table, f"retrieval-scores-{job['id']}")
    tokens = " · ".join(f"top {k}: {figure['mean']:.0f}" for k, figure in point["tokens"].items())
    st.caption(t("quality.cost", chunks=point["chunks"], tokens=tokens, ms=f"{point['ms']:.0f}"))
    rows = [{t("quality.columns.stage"): labels[s], **_short(v, list(v))} for s, v in stages.items()]
    st.dataframe(pd.DataFrame(rows), hide_index=True)


def _wide(scores: dict[str, dict[str, float]], metrics: list[str]) -> dict[str, float]:
    parts = {"mean": "", "low": " low", "high": " high"}
    return {f"{METRICS.get(m, m)}{word}": scores[m][part] for m in metrics for part, word in parts.items()}


def _short(scores: dict[str, dict[str, float]], metrics: list[str]) -> dict[str, str]:
    return {METRICS.get(m, m): f"{(f := scores[m])['mean']:.3f} [{f['low']:.3f}, {f['high']:.3f}]" for m in metrics}


def _sweep(job: dict[str, Any]) -> None:
    """What is found, and what it costs to read, by the size of chunks."""
    points = [{**point, "figures": sweep.last_stage(point)} for point in job["results"]]
    hits = [f"hit@{k}" for k in job["top_k"]]
    labels = {key: t(f"quality.chart.{key}") for key in ("title", "size", "score")} | METRICS
    labels |= {hit: hit for hit in hits}
    labels["subtitle"] = t("quality.chart.subtitle", n=job["n"], overlap=job["points"][0]["overlap"])
    shown = [*hits, "mrr", "ndcg@10"]
    table = pd.DataFrame([_row(point, _wide(point["figures"], shown)) for point in points])
    figure = retrieval_charts.sweep(points, [*hits, "mrr"], labels, theme.arm_colors()["base_rag"], theme.ink())
    components.chart(figure, table, f"sweep-{job['id']}")
    best = max(points, key=lambda point: point["figures"]["mrr"]["mean"])
    k, mrr = str(job["top_k"][-1]), _short(best["figures"], ["mrr"])["MRR"]
    tied = len(points) > 1 and len({point["figures"]["mrr"]["mean"] for point in points}) == 1
    st.caption(
        t("quality.same", mrr=mrr)
        if tied
        else t("quality.best", size=best["size"], mrr=mrr, k=k, tokens=f"{best['tokens'][k]['mean']:.0f}")
    )
    st.dataframe(pd.DataFrame([_row(point, _short(point["figures"], shown)) for point in points]), hide_index=True)


def _row(point: dict[str, Any], figures: dict[str, Any]) -> dict[str, Any]:
    return {
        t("quality.columns.size"): point["size"],
        t("quality.columns.chunks"): point["chunks"],
        **figures,
        **{t("quality.columns.tokens", k=k): figure["mean"] for k, figure in point["tokens"].items()},
        t("quality.columns.ms"): point["ms"],
    }


def _questions(job: dict[str, Any]) -> None:
    """A set of questions: how it was made, the rows, and the file."""
    if not job["rows"]:
        return
    made = questions.summary(job["rows"])
    st.caption(t("quality.made", n=made["n"], model=made["model"], words=made["words"]))
    if made["refused"]:
        why = " · ".join(f"{t(f'quality.refused.{reason}')} {count}" for reason, count in made["refused"].items())
        st.caption(t("quality.refused_help", why=why))
    table = pd.DataFrame(
        [
            {
                t("quality.columns.question"): row["question"],
                t("quality.columns.source"): row["source"],
                t("quality.columns.made"): t(f"quality.by.{row['made']}"),
            }
            for row in job["rows"]
        ]
    )
    st.dataframe(table, hide_index=True)
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in job["rows"])
    st.download_button(
        t("quality.download"), text, f"{job['kb']}.qa.jsonl", "application/jsonl", icon=":material/download:",
        type="tertiary", key="quality_download", on_click="ignore",
    )  # fmt: skip
