"""What can be done with a run: stopped, resumed, named, used, merged, taken elsewhere, made again, deleted."""

from collections.abc import Callable
from typing import Any

import pandas as pd
import streamlit as st

from core import jobs
from core.training import dependents, provenance, runs
from core.ui import components, shell
from core.ui.i18n import show_error, t
from core.ui.training.run_list_view import open_runs
from core.ui.training.run_monitor_view import anew


def actions(run_id: str) -> None:
    """The buttons above a run.

    Their keys name it: a tab may show a run that is gone by now, and what is pressed there must not meet the next one.
    """
    run = runs.show(run_id)
    status = run["status"]
    with st.container(horizontal=True):
        if status in jobs.LIVE:
            word = "runs.queue.cancel" if status == jobs.QUEUED else "finetune.stop"
            stopping = status == jobs.STOPPING
            _button(f"run_stop_{run_id}", word, "stop_circle", lambda: runs.stop(run_id), disabled=stopping)
        if usable(run):
            use(run_id, primary=status not in jobs.RESUMABLE)
        if status in jobs.RESUMABLE and (status != jobs.FAILED or runs.last_checkpoint(runs.folder(run_id))):
            word = "finetune.anew" if anew(run) else "finetune.resume"
            _button(f"run_resume_{run_id}", word, "resume", lambda: runs.resume(run_id))
        with st.popover(t("runs.about.title"), icon=":material/label:"):
            _about(run)
        if status not in jobs.LIVE and st.button(
            t("finetune.delete"), icon=":material/delete:", key=f"run_delete_{run_id}"
        ):
            st.session_state["runs_deleting"] = run_id
    if run["tags"] or run["notes"]:
        tags = " ".join(f":gray-badge[{components.plain(tag)}]" for tag in run["tags"])
        st.caption(f"{tags} {components.plain(run['notes'])}")
    if st.session_state.get("runs_deleting") == run_id:
        _delete(run_id)


def usable(run: runs.Run) -> bool:
    """Whether Chat and Compare can put the run's adapter on its base model."""
    return bool(run.get("adapter")) and run["config"].get("task") != "classify"


def use(adapter_id: str, primary: bool = False) -> None:
    """The ways of a run or one of its checkpoints to Chat and to Compare."""
    if st.button(
        t("finetune.to_chat"),
        icon=":material/forum:",
        key=f"to_chat_{adapter_id}",
        type="primary" if primary else "secondary",
    ):
        for chosen in ("chat_model", "chat_adapter"):
            st.session_state.pop(chosen, None)
        shell.go("chat", {"adapter": adapter_id})
    if st.button(t("finetune.to_compare"), icon=":material/balance:", key=f"to_compare_{adapter_id}"):
        st.session_state.pop("compare_run", None)
        shell.go("comparison", {"run": adapter_id})


def _button(key: str, word: str, icon: str, act: Callable[[], Any], disabled: bool = False) -> None:
    if st.button(t(word), icon=f":material/{icon}:", key=key, disabled=disabled):
        try:
            act()
        except Exception as error:
            show_error(error)
        else:
            st.rerun()


def _about(run: runs.Run) -> None:
    """The name, tags and notes that a person gives a run."""
    run_id = run["id"]
    name = st.text_input(t("runs.columns.name"), run["name"], max_chars=60, key=f"about_name_{run_id}")
    known = sorted({tag for other in runs.listing() for tag in other["tags"]} | set(run["tags"]))
    tags = st.multiselect(
        t("runs.columns.tags"), known, run["tags"], accept_new_options=True, key=f"about_tags_{run_id}",
        placeholder=t("runs.about.tags_help"),
    )  # fmt: skip
    notes = st.text_area(t("runs.about.notes"), run["notes"], key=f"about_notes_{run_id}", height=120)

    def keep() -> None:
        runs.rename(run_id, name)
        runs.annotate(run_id, tags, notes)

    _button(f"about_keep_{run_id}", "runs.about.keep", "check", keep)


def _delete(run_id: str) -> None:
    """Ask before a run is deleted, and say what would miss it."""
    found = dependents.dependents(run_id)
    with st.container(border=True):
        st.markdown(f"**{t('runs.delete.ask')}** {t('finetune.delete_help')}")
        for name, things in (
            ("experiments", found.experiments),
            ("models", found.models),
            ("chats", [title or chat for chat, title in found.chats]),
        ):
            if things:
                st.markdown(t(f"runs.delete.{name}", what=", ".join(map(components.plain, things))))
        with st.container(horizontal=True):
            if st.button(
                t("finetune.delete_run"), icon=":material/delete:", key=f"run_delete_do_{run_id}", type="primary"
            ):
                st.session_state.pop("runs_deleting")
                try:
                    runs.delete(run_id)
                except Exception as error:
                    show_error(error)
                else:
                    open_runs([])
                    st.rerun()
            if st.button(t("runs.delete.keep"), key=f"run_delete_not_{run_id}"):
                st.session_state.pop("runs_deleting")
                st.rerun()


def checkpoints(run: runs.Run) -> None:
    """The checkpoints a run kept, each with its way to Chat and to Compare; looked at again while the run lives."""
    st.fragment(_checkpoints, run_every=2.0 if run["status"] in jobs.LIVE else None)(run)


def _checkpoints(run: runs.Run) -> None:
    kept = runs.checkpoints(run["id"])
    if not kept:
        st.caption(t("runs.checkpoints.none"))
        return
    rows = [
        {
            t("finetune.cells.step"): at["step"],
            t("finetune.cells.eval"): at["eval_loss"],
            t("runs.checkpoints.best"): "★" if at["best"] else "",
        }
        for at in kept
    ]
    best = next((number for number, at in enumerate(kept) if at["best"]), len(kept) - 1)
    picked = st.dataframe(
        pd.DataFrame(rows),
        hide_index=True,
        placeholder="–",
        width=460,
        on_select="rerun",
        selection_mode="single-row",
        selection_default={"selection": {"rows": [best]}},
        key=f"checkpoints_{run['id']}_{kept[-1]['step']}_{best}",  # rows are chosen by number: others, another table
        column_config={t("finetune.cells.eval"): st.column_config.NumberColumn(format="%.4f")},
    )
    at = kept[picked.selection.rows[0] if picked.selection.rows else best]
    st.caption(t("runs.checkpoints.picked", step=at["step"]))
    if run["config"].get("task") != "classify":
        with st.container(horizontal=True):
            use(at["id"])


def reproduce(run: runs.Run) -> None:
    """The command and the config that make the run again."""
    told = provenance.reproduce(run["id"])
    st.caption(t("runs.reproduce.help"))
    st.code(told["command"], language="shell", wrap_lines=True)
    st.code(told["toml"], language="toml")
    st.download_button(
        "config.toml", told["toml"], f"{run['id']}.toml", "application/toml", icon=":material/download:",
        on_click="ignore", key="reproduce_toml",
    )  # fmt: skip
