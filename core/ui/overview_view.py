"""The Overview page's parts. Nothing here may load torch, transformers or chromadb: this page is the first seen."""

import html

import streamlit as st

from core.hardware import hardware
from core.models import cards, store
from core.training import runs
from core.ui import components, shell, theme
from core.ui.i18n import t

GIB = 2**30


def bench() -> None:
    """The 2×2 bench, drawn: rows base and fine-tuned, columns without and with knowledge base."""
    cells = []
    for arm, x, y in (("base", 90, 34), ("base_rag", 234, 34), ("tuned", 90, 124), ("tuned_rag", 234, 124)):
        light, dark = theme.ARMS[arm]
        label = html.escape(t(f"overview.cells.{arm}"))
        cells.append(
            f'<g style="color:light-dark({light},{dark})"><rect x="{x}" y="{y}" width="136" height="82" rx="10" '
            f'fill="currentColor" fill-opacity=".13" stroke="currentColor" stroke-width="1.6"/>'
            f'<text x="{x + 68}" y="{y + 46}" text-anchor="middle" font-size="13" font-weight="620" '
            f'fill="currentColor">{label}</text></g>'
        )
    heads = (
        (158, 22, "middle", "without"),
        (302, 22, "middle", "with"),
        (80, 80, "end", "base"),
        (80, 170, "end", "tuned"),
    )
    axes = "".join(
        f'<text x="{x}" y="{y}" text-anchor="{anchor}" font-size="12" fill="currentColor" opacity=".75">'
        f"{html.escape(t(f'overview.axes.{key}'))}</text>"
        for x, y, anchor, key in heads
    )
    title = html.escape(t("overview.bench"))
    st.html(f'<svg class="bench" viewBox="0 0 380 214" role="img" aria-label="{title}">{axes}{"".join(cells)}</svg>')


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
        state = "ready" if store.is_ready(entry) else "absent"
        in_use = f" · **{t('overview.answers')}**" if entry.name == card.name else ""
        st.markdown(f"{entry.title} · {t('overview.state.' + state)} · {entry.size / 1e9:.1f} GB{in_use}")
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
            st.badge(t(f"status.{status}"), icon=components.status_icon(status), color=components.status_color(status))
            st.page_link(
                f"pages/{shell.PAGES['finetune'][0]}", label=run["id"], query_params={"run": run["id"]}
            )
