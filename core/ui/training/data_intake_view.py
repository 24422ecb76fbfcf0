"""How a data set gets in: read, its columns recognised or told, every problem shown, split, and kept."""

from pathlib import PurePath
from typing import Any

import pandas as pd
import streamlit as st

from core.models import store
from core.training.data import checks, columns, datasets, problems, remote
from core.training.data.checks import Inspection
from core.training.data.columns import Mapping
from core.training.data.formats import SUFFIXES, Table
from core.training.data.problems import FIXES, MAY, MUST, Problem
from core.ui import components, forms, resources
from core.ui.i18n import show_error, t
from core.ui.training import data_fetch_view

SHOWN = 1000
"""Problems in the table; the file has all."""


def add() -> None:
    """The form that takes a data set in, from a file given or an address."""
    intake = st.session_state.get("data_intake")
    fetched = data_fetch_view.address()
    with st.expander(t("data.add"), icon=":material/upload:", expanded=bool(intake or fetched)):
        _read(busy=bool(fetched))
        if fetched:
            _fetch(fetched)
        if intake := st.session_state.get("data_intake"):
            _look(intake)


def _read(busy: bool) -> None:
    left, right = st.columns(2)
    turn = st.session_state.setdefault("data_turn", 0)
    file = left.file_uploader(
        t("data.upload"), [suffix.removeprefix(".") for suffix in SUFFIXES], help=t("finetune.upload_help"),
        key=f"data_file_{turn}",
    )  # fmt: skip
    source = right.text_input(
        t("data.address"), placeholder="hf:OWNER/NAME", help=t("data.address_help"), key=f"data_address_{turn}"
    ).strip()
    with right:
        asked = st.button(t("data.read"), icon=":material/search:", key="data_read", disabled=busy or not source)
    given = st.session_state.get("data_given")
    if file is not None and given != file.file_id:
        st.session_state["data_given"] = file.file_id
        with st.spinner(t("data.checking")):
            _take(file.name, {"train": checks.inspect(file.name, file.getvalue(), **_how())})
    elif asked:
        try:
            if remote.address(source):
                data_fetch_view.begin(source)
                st.rerun()
            with st.spinner(t("data.checking")):
                _take(source, datasets.inspect(source, **_how()))
        except Exception as error:
            show_error(error)


def _fetch(address: str) -> None:
    """A hub's data set on its way; it is read once it is here."""
    files = data_fetch_view.follow(address)
    if files is None:
        return
    try:
        with st.spinner(t("data.checking")):
            _take(address, datasets.inspect_files(files, **_how()))
    except Exception as error:
        show_error(error)
        data_fetch_view.end()
    else:
        data_fetch_view.end()
        st.rerun()


def _how() -> dict[str, Any]:
    """What makes rows too long: the model that answers by default, where it is here, and the form's limit."""
    card = store.default_generator()
    if not store.is_ready(card):
        return {}
    return {"tokenizer": resources.tokenizer(card.name), "max_length": st.session_state[forms.key("max_length")]}


def _take(source: str, found: dict[str, Inspection]) -> None:
    label = PurePath(source).stem or source
    number = st.session_state.setdefault("data_number", 0) + 1
    st.session_state["data_number"] = number
    st.session_state["data_intake"] = {"number": number, "source": source, "label": label, "found": found}


def _look(intake: dict[str, Any]) -> None:
    """What was read: columns, problems, what to do about them, and the way in."""
    found: dict[str, Inspection] = intake["found"]
    first = next(iter(found.values()))
    if first.table is not None and first.table.columns:
        _columns(intake, first.table, first.mapping)
        found = intake["found"]
    for split, inspection in found.items():
        if len(found) > 1:
            st.markdown(f"**{components.plain(split)}**")
        _report(f"{intake['label']}-{split}", inspection)
    if all(inspection.report.usable for inspection in found.values()):
        _keep(intake, found)


def _columns(intake: dict[str, Any], table: Table, mapping: Mapping | None) -> None:
    """The layout and its columns; when they are changed, everything is checked again."""
    mark, layouts = intake["number"], list(columns.LAYOUTS)
    parts = st.columns(4)
    layout = parts[0].selectbox(
        t("data.columns.layout"), layouts, layouts.index(mapping.layout) if mapping else None,
        format_func=lambda name: t(f"data.layouts.{name}"), key=f"data_layout_{mark}", placeholder=t("data.unknown"),
    )  # fmt: skip
    if layout is None:
        return
    needed, guessed = columns.LAYOUTS[layout], mapping.columns if mapping and mapping.layout == layout else {}
    chosen = {}
    for place, field in enumerate((*needed.required, *needed.optional), 1):
        options = [*(() if field in needed.required else ("",)), *table.columns]
        default = guessed.get(field, field if field in table.columns else None if field in needed.required else "")
        chosen[field] = parts[place % 4].selectbox(
            t("data.field", field=field), options, None if default is None else options.index(default),
            format_func=lambda name: name or "–", key=f"data_field_{mark}_{layout}_{field}",
            placeholder=t("data.choose_column"),
        )  # fmt: skip
    if any(not chosen[field] for field in needed.required):
        st.caption(t("data.columns_missing"))
        return
    named = {field: column for field, column in chosen.items() if column}
    if mapping is None or (layout, named) != (mapping.layout, mapping.columns):
        told = Mapping(layout, named, table.names.get(named.get("label", ""), []))
        with st.spinner(t("data.checking")):
            intake["found"] = {
                split: checks.inspect_table(inspection.table, told, **_how()) if inspection.table else inspection
                for split, inspection in intake["found"].items()
            }


def _report(name: str, inspection: Inspection) -> None:
    """Problems counted by reason, then row by row, then as a file."""
    report = inspection.report
    if not report.problems:
        st.success(t("data.no_problems", rows=f"{report.rows:,}"), icon=":material/check_circle:")
        return
    must = len(report.must_fix)
    (st.warning if must else st.info)(
        t("data.problems", rows=f"{report.rows:,}", must=must, may=len(report.problems) - must),
        icon=":material/report:",
    )
    st.markdown(" ".join(f":gray-badge[{t(f'data.reasons.{key}')} {count}]" for key, count in report.counts.items()))
    st.dataframe(
        pd.DataFrame([_line(problem) for problem in report.problems[:SHOWN]]),
        hide_index=True,
        height=245,
        placeholder="–",
    )
    st.download_button(
        t("data.report"), report.as_csv().encode("utf-8-sig"), f"{name}-problems.csv", "text/csv",
        icon=":material/download:", type="tertiary", on_click="ignore", key=f"data_report_{name}",
    )  # fmt: skip


def _line(problem: Problem) -> dict[str, Any]:
    severity = "must" if problem.severity == MUST else "may"
    return {
        t("data.columns.row"): problem.row or None,
        t("data.columns.field"): problems.printable(problem.field) or None,
        t("data.columns.reason"): problems.printable(t(f"problems.{problem.reason}", **problem.values)),
        t("data.columns.severity"): t(f"data.severity.{severity}"),
        t("data.columns.fix"): t(f"data.fixes.{problem.fix}") if problem.fix else None,
    }


def _keep(intake: dict[str, Any], found: dict[str, Inspection]) -> None:
    """What is done about the problems, how the rows are split, and the button."""
    mark = intake["number"]
    all_problems = [problem for inspection in found.values() for problem in inspection.report.problems]
    fixable = [fix for fix in FIXES if any(problem.fix == fix for problem in all_problems)]
    milder = sorted({problem.reason for problem in all_problems if problem.severity == MAY})
    fixes, skip = fixable, []
    if all_problems:
        left, middle, right = st.columns(3)
        if fixable:
            fixes = left.multiselect(
                t("data.fix"), fixable, fixable, format_func=lambda fix: t(f"data.fixes.{fix}"), key=f"data_fix_{mark}"
            )
        if milder:
            skip = middle.multiselect(
                t("data.skip"), milder, format_func=lambda reason: t(f"data.reasons.{reason}"), key=f"data_skip_{mark}"
            )
        with right:
            act = st.radio(
                t("data.must"), ["stop", "skip"], horizontal=True, format_func=lambda word: t(f"data.acts.{word}"),
                key=f"data_must_{mark}",
            )  # fmt: skip
        skip = [*skip, MUST] if act == "skip" else skip
    label, seed, share = _split(intake, found)
    try:
        rows = sum(len(inspection.rows(fixes, skip)) for inspection in found.values())
    except Exception as error:
        show_error(error)
        return
    if not st.button(t("finetune.use_rows", count=rows), type="primary", icon=":material/check:", key="data_keep"):
        return
    try:
        st.query_params["data"] = datasets.keep(
            label or intake["label"], found, fixes, skip, seed=seed, share=share, source=intake["source"]
        )
    except Exception as error:
        show_error(error)
    else:
        st.session_state.pop("data_intake")
        st.session_state["data_turn"] += 1
        st.rerun()


def _split(intake: dict[str, Any], found: dict[str, Inspection]) -> tuple[str, int, float]:
    left, middle, right = st.columns(3)
    label = left.text_input(t("data.label"), intake["label"], key=f"data_label_{intake['number']}").strip()
    if len(found) > 1:
        middle.caption(t("data.own_splits"))
        return label, 7, 0.0
    seed = middle.number_input(t("data.seed"), 0, 2**31 - 1, 7, key="data_seed", help=t("data.seed_help"))
    share = right.number_input(t("data.share"), 0, 90, 0, key="data_share", help=t("data.share_help"))
    return label, seed, share / 100
