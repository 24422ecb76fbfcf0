"""The Overview page's parts. Nothing here may load torch, transformers or chromadb: this page is the first seen."""

import html

import streamlit as st

from core.hardware import hardware
from core.models import cards, store
from core.training import runs
from core.ui import components, shell, theme
from core.ui.i18n import size, t

GIB = 2**30


def bench() -> None:
    """The 2×2 bench, drawn: rows base and fine-tuned, columns without and with knowledge base."""
    words = {key: html.escape(t(f"overview.axes.{key}")) for key in ("without", "with", "base", "tuned")}
    cells = {arm: f'<div class="cell chip {arm}">{html.escape(t(f"overview.cells.{arm}"))}</div>' for arm in theme.ARMS}
    st.html(
        f'<div class="bench" role="img" aria-label="{html.escape(t("overview.bench"))}">'
        f"<span></span><span>{words['without']}</span><span>{words['with']}</span>"
        f"<span>{words['base']}</span>{cells['base']}{cells['base_rag']}"
        f"<span>{words['tuned']}</span>{cells['tuned']}{cells['tuned_rag']}</div>"
    )


def three_things() -> None:
    """Three cards, each with what happens there and the link to it."""
    for column, name in zip(st.columns(3), ("chat", "finetune", "comparison"), strict=True):
        with column, st.container(border=True, height="stretch"):
            shell.page_link(name, t(f"nav.{name}"))
            st.markdown(t(f"overview.things.{name}"))


def machine() -> None:
    """Hardware, and which model answers."""
    found, card = hardware(), store.default_generator()
    st.subheader(t("overview.machine"))
    gpu = ", ".join(f"{name} ({memory / GIB:.0f} GiB)" for name, memory in found.gpus) or t("overview.no_gpu")
    st.markdown(
        t(
            "overview.hardware",
            cores=found.cores,
            memory=f"{found.memory / GIB:.0f}",
            disk=f"{found.disk_free / GIB:.0f}",
            gpu=gpu,
            system=found.system,
        )
    )
    st.markdown(f"**{t('overview.models')}**")
    for entry in cards.catalog().values():
        if store.is_ready(entry):
            in_use = f" · **{t('overview.answers')}**" if entry.name == card.name else ""
            st.markdown(f"{components.plain(entry.title)} · {size(entry.size)}{in_use}")
    shell.page_link("models", t("overview.all_models"))
    st.caption(t("common.embedded_answers" if card.embedded else "common.model_answers", title=card.title))


def recent_runs() -> None:
    """The last few fine-tuning runs, or how to start the first."""
    st.subheader(t("overview.recent"))
    recent = runs.listing()[:5]
    if not recent:
        st.markdown(t("overview.no_runs"))
        shell.page_link("finetune", t("overview.first_run"))
    for run in recent:
        with st.container(horizontal=True, vertical_alignment="center"):
            status = run["status"]
            components.status_badge(status)
            st.page_link(
                f"pages/{shell.PAGES['finetune'][0]}",
                label=components.plain(components.job_label(run["id"], run["config"]["name"])),
                query_params={"run": run["id"]},
            )
