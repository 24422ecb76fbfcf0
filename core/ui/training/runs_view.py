"""The Runs screen of Fine-tune: the list with the queue, and below it one run, or several over one another."""

import streamlit as st

from core.training import runs
from core.ui import components
from core.ui.i18n import t
from core.ui.training import run_actions_view, run_list_view, run_take_view
from core.ui.training.run_monitor_view import monitor
from core.ui.training.run_overlay_view import overlay
from core.ui.training.run_predict_view import ask


def page() -> None:
    """All of the screen; what is chosen on it stands in the address."""
    current = run_list_view.chosen()
    if not current:
        st.markdown(t("finetune.empty"))
    run_list_view.table(current)
    if len(current) > 1:
        overlay(current)
    elif current:
        _run(current[0])


def _run(run_id: str) -> None:
    run = runs.show(run_id)
    st.subheader(components.plain(run["name"]), anchor=False)
    run_actions_view.actions(run_id)
    monitor(run_id)
    parts = {
        "checkpoints": run_actions_view.checkpoints,
        "take": run_take_view.take,
        "predict": ask,
        "reproduce": run_actions_view.reproduce,
    }
    asked = run["config"].get("task") in ("classify", "seq2seq") and (run.get("model") or run.get("adapter"))
    shown = [name for name in parts if name != "predict" or asked]
    for tab, name in zip(st.tabs([t(f"runs.parts.{name}") for name in shown]), shown, strict=True):
        with tab:
            parts[name](run)
