"""The Fine-tune page's parts: choosing data, the form, and a run watched live."""

from typing import Any

import pandas as pd
import streamlit as st

from core import charts, jobs
from core.models import cards, store
from core.training import config as configs
from core.training import runs
from core.training.data import checks, datasets
from core.ui import components, forms, shell, theme
from core.ui.i18n import seconds, show_error, t

EXAMPLE = "resume-extraction"


def open_run(run_id: str) -> None:
    """Put a run on screen, in the address too, so that a refresh finds it again."""
    if run_id:
        st.query_params["run"] = run_id
    else:
        st.query_params.pop("run", None)
    st.rerun(scope="app")


def choose_data() -> str:
    """The data set to train on: shipped or uploaded before, or a file of one's own; shows its first rows."""
    left, right = st.columns([2, 1], vertical_alignment="bottom")
    labels = datasets.listing()
    fresh = st.session_state.pop("fresh_dataset", None)
    if fresh in labels:
        st.session_state["train_dataset"] = fresh
    with left:
        name = st.selectbox(
            t("finetune.dataset"), list(labels), format_func=lambda key: labels.get(key, key), key="train_dataset"
        )
    with right, st.popover(t("finetune.upload"), icon=":material/upload:", width="stretch"):
        _upload()
    data = datasets.load(name)
    st.caption(t("finetune.rows", train=len(data.train), test=len(data.test)))
    with st.expander(t("finetune.preview"), icon=":material/table_rows:"):
        st.dataframe(pd.DataFrame(data.train[:20]), hide_index=True, height=260)
    return name


def _upload() -> None:
    st.markdown(t("finetune.upload_help"))
    file = st.file_uploader(
        t("finetune.upload"), ["json", "jsonl", "csv", "parquet"], label_visibility="collapsed", key="train_file"
    )
    if file is None:
        return
    try:
        rows = checks.inspect(file.name, file.getvalue(), near=False).rows(fixes=(), skip=())
    except Exception as error:
        show_error(error)
        return
    st.dataframe(pd.DataFrame(rows[:5]), hide_index=True)
    if st.button(t("finetune.use_rows", count=len(rows)), type="primary", key="use_rows"):
        try:
            st.session_state["fresh_dataset"] = datasets.add(file.name.rsplit(".", 1)[0], rows)
        except Exception as error:
            show_error(error)
        else:
            st.rerun()


def form() -> None:
    """The form of a new run, generated from the typed config; starts it and puts it on screen."""
    recipe = configs.load(EXAMPLE)
    dataset = choose_data()
    usable = [c for c in cards.catalog().values() if c.task == "generate" and (c.embedded or store.is_usable(c))]
    names = [card.name for card in usable]
    default = names.index(store.default_generator().name) if store.default_generator().name in names else 0
    with st.container(border=True):
        left, right = st.columns(2)
        name = left.text_input(t("fields.name.label"), recipe.name, help=t("fields.name.help"), key="train_name")
        model = right.selectbox(t("fields.model.label"), names, default, help=t("fields.model.help"), key="train_model")
        targets = cards.card(model).lora_targets
        values = forms.train_fields(forms.AT_HAND, recipe, targets, per_row=5)
        with st.expander(t("finetune.advanced"), icon=":material/settings:"):
            values |= forms.train_fields(forms.FOLDED, recipe, targets)
        if st.button(t("finetune.start"), type="primary", icon=":material/play_arrow:", key="train_start"):
            try:
                run_id = runs.start(configs.make({"name": name, "model": model, "dataset": dataset, **values}))
            except Exception as error:
                show_error(error)
            else:
                open_run(run_id)


def run_choice(current: str) -> str:
    """Which run is on screen: the address's, else one that is running, else the newest; offers the list."""
    found = {run["id"]: run for run in runs.listing()}
    if not found:
        return ""
    if current not in found:
        live = [run_id for run_id, run in found.items() if run["status"] in jobs.LIVE]
        busy = [run_id for run_id in live if found[run_id]["status"] != jobs.QUEUED]
        current = next(iter([*busy, *live, *found]))
    labels = {key: components.job_label(key, run["config"]["name"], run["status"]) for key, run in found.items()}
    picked = components.job_choice(t("finetune.runs"), labels, current, "run_choice")
    if picked != current:
        open_run(picked)
    return picked


def monitor(run_id: str) -> None:
    """A run on screen; while it lives, looked at again every second without redrawing the rest of the page."""
    status = runs.show(run_id)["status"]
    live = status in jobs.LIVE

    @st.fragment(run_every=1.0 if live else None)
    def look() -> None:
        run = runs.show(run_id)
        _state(run)
        _curves(run)
        with st.expander(t("finetune.log"), icon=":material/terminal:"):
            st.code(runs.log_tail(run_id) or "…", language=None)
        if run["status"] != status:  # the list and the buttons around this must follow
            st.rerun(scope="app")

    look()


def _state(run: dict[str, Any]) -> None:
    status = run["status"]
    with st.container(horizontal=True, vertical_alignment="center"):
        components.status_badge(status)
        st.caption(components.plain(f"{run['config']['model']} · {run['config']['dataset']}"))
    if status in jobs.LIVE:
        components.progress(run, run.get("step", 0), run.get("steps", 0))
    if status == jobs.QUEUED:
        st.caption(t("finetune.queued"))
    components.job_error(run)
    metrics = runs.metrics(run["id"])
    losses = [point["loss"] for point in metrics if "loss" in point]
    cells = {
        "step": f"{run.get('step', 0)} / {run.get('steps') or '?'}",
        "train": f"{losses[-1]:.3f}" if losses else "–",
        "eval": f"{run['eval_loss']:.3f}" if run.get("eval_loss") is not None else "–",
        "speed": f"{run['tokens_per_second']:.0f}" if run.get("tokens_per_second") else "–",
        "elapsed": seconds(run.get("elapsed")),
        "eta": seconds(run.get("eta")) if status in jobs.LIVE else "–",
    }
    with st.container(horizontal=True, gap="large"):
        for name, value in cells.items():
            st.metric(t(f"finetune.cells.{name}"), value, width="content")


def _curves(run: dict[str, Any]) -> None:
    points, config = runs.metrics(run["id"]), run["config"]
    colors = theme.arm_colors()
    labels = {key: t(f"finetune.chart.{key}") for key in ("title", "step", "loss", "train", "eval")}
    labels["subtitle"] = t(
        "finetune.chart.subtitle",
        rows=run.get("measured", config["eval_rows"]),
        rank=config["rank"],
        rate=config["learning_rate"],
    )
    figure = charts.loss(points, labels, {"train": colors["base"], "eval": colors["tuned"]}, run.get("steps", 0))
    components.chart(figure, pd.DataFrame(points), f"loss-{run['id']}")
    with st.expander(t("finetune.chart.rate"), icon=":material/show_chart:"):
        words = {"title": t("finetune.chart.rate"), "subtitle": "", "step": labels["step"]}
        st.plotly_chart(
            charts.learning_rate(points, words, colors["base_rag"], run.get("steps", 0)), key=f"rate-{run['id']}"
        )


def actions(run_id: str) -> None:
    """What can be done with the run on screen."""
    run = runs.show(run_id)
    status, here = run["status"], bool(run.get("adapter"))
    with st.container(horizontal=True):
        if status in jobs.LIVE:
            _button("stop", "stop_circle", lambda: runs.stop(run_id), disabled=status == jobs.STOPPING)
            return
        if here:
            if st.button(t("finetune.to_chat"), icon=":material/forum:", key="to_chat", type="primary"):
                st.session_state.pop("chat_adapter", None)
                shell.go("chat", {"adapter": run_id})
            if st.button(t("finetune.to_compare"), icon=":material/balance:", key="to_compare"):
                st.session_state.pop("compare_run", None)
                shell.go("comparison", {"run": run_id})
        if status != jobs.FINISHED:
            _button("resume", "resume", lambda: runs.resume(run_id))
        with st.popover(t("finetune.delete"), icon=":material/delete:"):
            st.caption(t("finetune.delete_help"))
            _button("delete_run", "delete", lambda: runs.delete(run_id), then="")


def _button(name: str, icon: str, act: Any, disabled: bool = False, then: str | None = None) -> None:
    if st.button(t(f"finetune.{name}"), icon=f":material/{icon}:", key=f"run_{name}", disabled=disabled):
        try:
            act()
        except Exception as error:
            show_error(error)
        else:
            open_run(then if then is not None else st.query_params.get("run", ""))
