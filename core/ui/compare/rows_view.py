"""The rows of a comparison: all of them in a table to sort and filter, one of them in full."""

import zlib
from typing import Any

import pandas as pd
import streamlit as st

from core.evaluation import grid, rows, scoring
from core.ui import bench
from core.ui.compare import case_view
from core.ui.i18n import t

SIGNS = {rows.HELPED: "▲", rows.HURT: "▼", rows.UNCHANGED: "=", rows.UNKNOWN: ""}
ALL = ""
IN_SIGHT = 8  # rows of the table; it cannot be told to scroll
LINE = 36  # pixels


@st.fragment
def show(experiment: dict[str, Any], report: dict[str, Any]) -> None:
    """Two arms held against each other row by row; the chosen row in full, with every arm's answer.

    Args:
        experiment: of :func:`core.evaluation.experiments.show`; shared by all visits, to be read only.
        report: of :func:`core.evaluation.results.results`; read only too.
    """
    a, b, metric = _choices(experiment, report)
    found = rows.table(experiment, metric, a, b)
    wanted, words = _filter(experiment["id"], rows.counts(found))
    shown = rows.select(found, experiment, wanted, words)
    if shown.empty:
        st.info(t("rows.nothing"), icon=":material/search_off:")
        return
    number = _table(experiment, shown, metric, (a, b), f"{wanted}\n{words}\n{report['tokenizer']}")
    _one(experiment, number, metric)


def open_row(experiment_id: str, number: int) -> None:
    """Go to a row, counted from 1, among all rows: what was looked for before might not show it."""
    st.session_state[f"rows_effect_{experiment_id}"], st.session_state[f"rows_words_{experiment_id}"] = ALL, ""
    st.session_state.pop("rows_lead", None)
    st.query_params.update(tab="rows", row=str(number))
    st.rerun(scope="app")


def measures(report: dict[str, Any]) -> list[str]:
    """The metrics by which a row can be better or worse, the one that stands for the others first."""
    names = [name for name in report["metrics"] if scoring.metrics()[name].better]
    return sorted(names, key=lambda name: name != report["primary"])


def choose_measure(place: Any, report: dict[str, Any], key: str) -> str:
    """One of them, chosen in ``place``, a column."""
    chosen: str = place.selectbox(
        t("rows.metric"),
        measures(report),
        format_func=lambda name: t(f"metrics.{name}.label"),
        key=key,
        persist_state="page",
    )
    return chosen


def _choices(experiment: dict[str, Any], report: dict[str, Any]) -> tuple[str, str, str]:
    """Names of the two arms and of the metric."""
    labels = bench.labels(experiment["arms"])
    names, key = list(labels), experiment["id"]
    left, middle, right = st.columns(3)
    a = left.selectbox(t("rows.a"), names, format_func=labels.__getitem__, key=f"rows_a_{key}", persist_state="page")
    b = middle.selectbox(
        t("rows.b"),
        names,
        len(names) - 1,
        format_func=labels.__getitem__,
        key=f"rows_b_{key}",
        persist_state="page",
    )
    return a, b, choose_measure(right, report, f"rows_metric_{key}")


def _filter(key: str, counted: dict[str, int]) -> tuple[str, str]:
    """The effect and the words that are looked for."""
    labels = {ALL: t("rows.all", n=sum(counted.values()))}
    labels |= {name: f"{SIGNS[name]} {t(f'rows.{name}')} ({n})" for name, n in counted.items()}
    st.session_state.setdefault(f"rows_effect_{key}", ALL)  # no default: open_row may have set it
    left, right = st.columns([2, 1], vertical_alignment="bottom")
    wanted = left.segmented_control(
        t("rows.effect"),
        list(labels),
        required=True,
        wrap=True,
        format_func=labels.__getitem__,
        key=f"rows_effect_{key}",
        persist_state="page",
    )
    words = right.text_input(
        t("rows.search"),
        placeholder=t("rows.search_help"),
        icon=":material/search:",
        key=f"rows_words_{key}",
        persist_state="page",
    )
    return wanted or ALL, words


def _table(experiment: dict[str, Any], shown: pd.DataFrame, metric: str, pair: tuple[str, str], how: str) -> int:
    """The table; returns the number of the chosen row, which the address keeps."""
    asked = st.query_params.get("row", "")
    # A selection is a place in what is shown: with other rows it is another table.
    version = zlib.crc32("\n".join([metric, *pair, how, experiment["id"]]).encode())
    lead = _lead(version, list(shown["row"]), asked)
    shown = pd.concat([shown[shown["row"] == lead], shown[shown["row"] != lead]], ignore_index=True)
    numbers = list(shown["row"])
    place = numbers.index(int(asked)) if asked.isdigit() and int(asked) in numbers else 0
    labels = bench.labels(experiment["arms"])
    told = [t("rows.help", n=len(shown), metric=t(f"metrics.{metric}.label"))]
    st.caption(" ".join([*told, *([t("rows.lead", row=lead)] if lead else [])]))
    event = st.dataframe(
        shown.assign(effect=[f"{SIGNS[name]} {t(f'rows.{name}')}" if name else "–" for name in shown["effect"]]),
        hide_index=True,
        height=min(LINE * (len(shown) + 1), LINE * (IN_SIGHT + 1) + LINE // 3),
        column_order=["row", "input", "effect", "delta", *dict.fromkeys([*pair, *labels]), "reference"],
        column_config=_columns(labels, pair),
        on_select="rerun",
        selection_mode="single-row-required",
        selection_default={"selection": {"rows": [place]}},
        key=f"rows_table_{version}_{lead}",
    )
    chosen = event.selection.rows
    number = numbers[chosen[0]] if chosen and chosen[0] < len(numbers) else numbers[place]
    if str(number) != asked:
        st.query_params["row"] = str(number)
    return number


def _lead(version: int, numbers: list[int], asked: str) -> int:
    """The row that stands first since it was asked for and would be out of sight; 0: none.

    Settled when a table is new, so that nothing moves under a click.
    """
    kept, lead = st.session_state.get("rows_lead", (0, 0))
    if kept != version:
        lead = int(asked) if asked.isdigit() and int(asked) in numbers[IN_SIGHT:] else 0
        st.session_state["rows_lead"] = version, lead
    return lead


def _columns(labels: dict[str, str], pair: tuple[str, str]) -> dict[str, Any]:
    a, b = (labels[name] for name in pair)
    return {
        "row": st.column_config.NumberColumn(t("rows.row"), width=56, pinned=True),
        "input": st.column_config.TextColumn(t("rows.question"), width=260),
        "effect": st.column_config.TextColumn(t("rows.effect"), width=110),
        "delta": st.column_config.NumberColumn(t("rows.delta"), format="%+.3f", help=f"{b} − {a}"),
        "reference": st.column_config.TextColumn(t("rows.reference"), width=220),
        **{name: st.column_config.NumberColumn(label, format="%.3f", help=name) for name, label in labels.items()},
    }


def _one(experiment: dict[str, Any], number: int, metric: str) -> None:
    """A row under its number, with the answers marked or as they stand."""
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.subheader(t("rows.number", row=number), anchor=False, width="content")
        marked = st.toggle(t("rows.marks"), True, help=t("rows.marks_help"), key="rows_marks", persist_state="page")
    names = [grid.name(arm) for arm in experiment["arms"]]
    case_view.show(experiment, number - 1, metric, names, marked)
