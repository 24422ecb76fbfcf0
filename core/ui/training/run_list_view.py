"""The list of runs and the queue: what there is, what is at work and what waits; choosing opens one or several."""

import datetime
import zlib
from collections.abc import Sequence
from typing import Any

import pandas as pd
import streamlit as st

from core import jobs, queue
from core.settings import settings
from core.training import portable, runs
from core.training.data import datasets
from core.ui import components
from core.ui.i18n import show_error, t
from core.ui.training.run_monitor_view import steps

ROWS = 7
"""Rows of the table on screen; more are scrolled to."""
ORDERS: tuple[tuple[queue.Direction, str], ...] = (
    ("first", "vertical_align_top"),
    ("up", "arrow_upward"),
    ("down", "arrow_downward"),
)


def open_runs(run_ids: Sequence[str]) -> None:
    """Put a run, or several over one another, on screen: in the address, so that a refresh finds them again."""
    if run_ids:
        st.query_params["run"] = ",".join(run_ids)
    else:
        st.query_params.pop("run", None)


def chosen() -> list[str]:
    """The runs on screen: the address's, else one that is running, else the newest."""
    found = {run["id"]: run["status"] for run in runs.listing()}
    asked = [run_id for run_id in st.query_params.get("run", "").split(",") if run_id in found]
    live = [run_id for run_id, status in found.items() if status in jobs.LIVE]
    busy = [run_id for run_id in live if found[run_id] != jobs.QUEUED]
    return asked or [*busy, *live, *found][:1]


def table(current: Sequence[str]) -> None:
    """The queue, and all runs that match the search, the newest first; looked at again while one lives."""
    states = {run["id"]: run["status"] for run in runs.listing()}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        words = st.text_input(
            t("runs.search"), key="runs_search", placeholder=t("runs.search_help"), width=320,
            icon=":material/search:", label_visibility="collapsed",
        )  # fmt: skip
        kept = st.multiselect(
            t("runs.columns.status"), sorted(set(states.values())), width=260, key="runs_status",
            format_func=lambda status: t(f"status.{status}"), placeholder=t("runs.any_status"),
            label_visibility="collapsed",
        )  # fmt: skip
        with st.popover(t("runs.import"), icon=":material/upload:"):
            _import()

    @st.fragment(run_every=2.0 if jobs.LIVE & set(states.values()) else None)
    def look() -> None:
        found = runs.listing()
        if error := st.session_state.pop("runs_error", None):
            show_error(error)
        _queue(found, current)
        _rows([run for run in found if matches(run, words, kept)], current)
        if st.session_state.pop("runs_opened", False) or {run["id"]: run["status"] for run in found} != states:
            st.rerun(scope="app")

    look()


def matches(run: runs.Run, words: str, statuses: Sequence[str]) -> bool:
    """Whether a run has one of the statuses (none: any) and every word somewhere in what is said of it."""
    config = run["config"]
    parts = [run["id"], run["name"], *run["tags"], run["notes"], config["model"], config["method"]]
    parts += [config["dataset"], datasets.called(config["dataset"])]
    said = " ".join(map(str, parts)).casefold()
    return (not statuses or run["status"] in statuses) and all(word in said for word in words.casefold().split())


def _rows(found: list[runs.Run], current: Sequence[str]) -> None:
    if not found:
        st.caption(t("runs.none"))
        return
    ids = [run["id"] for run in found]
    turn = st.session_state.setdefault("runs_table_turn", 0)
    key = f"runs_table_{zlib.crc32(','.join(ids).encode())}_{turn}"  # rows are chosen by number: others, another table

    def opened() -> None:
        picked = st.session_state[key]["selection"]
        if not picked["rows"] and not picked["cells"]:
            return
        if picked["cells"]:  # clicked, not ticked: this one alone, and the ticks begin anew
            st.session_state["runs_table_turn"] = turn + 1
        open_runs([ids[row] for row in sorted(picked["rows"])] if not picked["cells"] else [ids[picked["cells"][0][0]]])
        st.session_state["runs_opened"] = True

    columns = [_row(run) for run in found]
    st.dataframe(
        pd.DataFrame(columns),
        hide_index=True,
        height=38 + 35 * min(ROWS, len(found)),
        placeholder="–",
        key=key,
        on_select=opened,
        selection_mode=["multi-row", "single-cell"],
        selection_default={"selection": {"rows": [ids.index(run_id) for run_id in current if run_id in ids]}},
        column_config={
            t("runs.columns.tags"): st.column_config.ListColumn(),
            t("runs.columns.when"): st.column_config.DatetimeColumn(format="MM-DD HH:mm"),
            t("finetune.cells.train"): st.column_config.NumberColumn(format="%.3f"),
            t("finetune.cells.eval"): st.column_config.NumberColumn(format="%.3f"),
        },
    )
    st.caption(t("runs.choose", count=len(found)))


def _row(run: runs.Run) -> dict[str, Any]:
    config, began = run["config"], run.get("started") or run.get("created")
    return {
        t("runs.columns.name"): run["name"],
        t("runs.columns.status"): t(f"status.{run['status']}"),
        t("runs.columns.steps"): steps(run),
        t("finetune.cells.train"): run.get("train_loss"),
        t("finetune.cells.eval"): run.get("eval_loss"),
        t("fields.model.label"): config["model"],
        t("fields.dataset.label"): datasets.called(config["dataset"]),
        t("fields.method.label"): config["method"],
        t("runs.columns.tags"): run["tags"],
        t("runs.columns.when"): datetime.datetime.fromtimestamp(began) if began else None,
    }


def _queue(found: Sequence[runs.Run], current: Sequence[str]) -> None:
    """What has the device, and who waits for it in which order."""
    names = {run["id"]: run["name"] for run in found}
    line = queue.line()
    if not [ticket for ticket in line if ticket.job.name not in current]:  # what is on screen tells it itself
        return
    waiting = [ticket for ticket in line if not ticket.holds]
    with st.container(border=True, gap="small"):
        st.markdown(f"**{t('runs.queue.title', device=line[0].device)}**")
        for ticket in line:
            number = waiting.index(ticket) if ticket in waiting else -1
            _place(ticket, names.get(ticket.job.name, ""), number, len(waiting))


def _place(ticket: queue.Ticket, name: str, number: int, count: int) -> None:
    """One line of the queue. Only runs are moved from here; other jobs have pages of their own."""
    run_id, mine = ticket.job.name, ticket.job.parent == settings().runs_dir.resolve()
    label = components.plain(name or run_id) if mine else t("runs.queue.other", name=components.plain(run_id))
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        where = t("runs.queue.waits", place=number + 1) if number >= 0 else t("runs.queue.works")
        st.markdown(f"{where} · {label}", width="stretch")
        if number < 0 or not mine:
            return
        for direction, icon in ORDERS:
            st.button(
                "", icon=f":material/{icon}:", key=f"{direction}-{run_id}", help=t(f"runs.queue.{direction}"),
                disabled=number == (count - 1 if direction == "down" else 0), on_click=_do,
                args=(runs.move, run_id, direction), type="tertiary",
            )  # fmt: skip
        st.button(
            t("runs.queue.cancel"), icon=":material/close:", key=f"cancel-{run_id}", on_click=_do,
            args=(runs.cancel, run_id), type="tertiary",
        )  # fmt: skip


def _do(act: Any, *given: Any) -> None:
    """What a button of the queue does; by then the run may have come to its turn, and is told so."""
    try:
        act(*given)
    except Exception as error:
        st.session_state["runs_error"] = error


def _import() -> None:
    st.markdown(t("runs.import_help"))
    turn = st.session_state.setdefault("runs_imports", 0)
    file = st.file_uploader(t("runs.import"), ["zip"], label_visibility="collapsed", key=f"runs_import_{turn}")
    if st.button(t("runs.import_do"), type="primary", disabled=file is None, key="runs_import_do") and file:
        try:
            run_id = portable.take_in(file)
        except Exception as error:
            show_error(error)
        else:
            st.session_state["runs_imports"] += 1
            open_runs([run_id])
            st.rerun()
