"""How a data set gets in: read, its columns recognised or told, every problem shown, split, and kept."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from core.errors import UserError
from core.models import store
from core.training.data import checks, columns, datasets, intake, problems, remote
from core.training.data.checks import Inspection
from core.training.data.columns import Mapping
from core.training.data.formats import SUFFIXES
from core.training.data.problems import FIXES, MAY, MUST, Problem
from core.ui import components, forms, resources
from core.ui.i18n import in_words, show_error, t
from core.ui.training import data_job_view

SHOWN = 1000
"""Problems in the table; the file has all."""
FEW = 6
"""Problems up to which the table is as high as they are."""
_KEY = "data_intake"
LARGE = 2**20
"""Bytes of a file, about a second's work, from which on a worker takes it in."""


def add() -> None:
    """The form that takes a data set in, from a file given or an address."""
    job = data_job_view.followed()
    with st.expander(t("data.add"), icon=":material/upload:", expanded=bool(job or st.session_state.get(_KEY))):
        now = intake.progress(job) if job else None
        _read(busy=bool(now and now.live))
        if (job := data_job_view.followed()) and not _arrived(job):
            return
        if shown := st.session_state.get(_KEY):
            _look(shown)


def _read(busy: bool) -> None:
    left, right = st.columns(2)
    turn = st.session_state.setdefault("data_turn", 0)
    file = left.file_uploader(
        t("data.upload"), [suffix.removeprefix(".") for suffix in SUFFIXES], help=t("finetune.upload_help"),
        key=f"data_file_{turn}", disabled=busy,
    )  # fmt: skip
    source = right.text_input(
        t("data.address"), placeholder="hf:OWNER/NAME", help=t("data.address_help"), key=f"data_address_{turn}"
    ).strip()
    with right:
        asked = st.button(t("data.read"), icon=":material/search:", key="data_read", disabled=busy or not source)
    try:
        if file is not None and st.session_state.get("data_given") != file.file_id:
            st.session_state["data_given"] = file.file_id
            _given(file.name, file.getvalue())
        elif asked:
            _named(source)
    except Exception as error:
        show_error(error)


def _given(name: str, data: bytes) -> None:
    if len(data) >= LARGE:
        _work(intake.start(name, data, **_how()))
    with st.spinner(t("data.checking")):
        _take(name, {"train": checks.inspect(name, data, **_counting())})


def _named(source: str) -> None:
    path = Path(source)
    if remote.address(source) or path.is_dir() or (path.is_file() and path.stat().st_size >= LARGE):
        _work(intake.start(source, **_how()))
    with st.spinner(t("data.checking")):
        _take(source, datasets.inspect(source, **_counting()))


def _work(job: str) -> None:
    data_job_view.begin(job)
    st.session_state.pop(_KEY, None)
    st.rerun()


def _arrived(job: str) -> bool:
    """Whether a worker has checked the rows, which are then looked at; kept ones are shown in the list."""
    now = data_job_view.follow(job)
    if now is None:
        return False
    if now.kept:
        _kept(now.kept)
    shown = st.session_state.get(_KEY)
    if shown is None or shown["job"] != job or (shown["began"] != now.began and not now.keeping):
        _show(now.source, intake.found(job), job=job, began=now.began)
    return True


def _kept(name: str) -> None:
    data_job_view.end()
    st.session_state.pop(_KEY, None)
    st.session_state["data_turn"] += 1
    st.query_params["data"] = name
    st.rerun()


def _how() -> dict[str, Any]:
    """What makes rows too long: the model that answers by default, where it is here, and the form's limit."""
    card = store.default_generator()
    return {"model": card.name, "max_length": st.session_state[forms.key("max_length")]} if store.is_ready(card) else {}


def _counting() -> dict[str, Any]:
    """The same with the model's tokenizer."""
    how = _how()
    return {"tokenizer": resources.tokenizer(how["model"]), "max_length": how["max_length"]} if how else {}


def _take(source: str, found: dict[str, Inspection]) -> None:
    """What was read here, in place of what a worker has read."""
    data_job_view.end()
    _show(source, found)


def _show(source: str, found: dict[str, Inspection], job: str = "", began: float = 0.0) -> None:
    number = st.session_state.setdefault("data_number", 0) + 1
    st.session_state["data_number"] = number
    about = {"number": number, "source": source, "label": Path(source).stem or source, "job": job, "began": began}
    st.session_state[_KEY] = {**about, "found": found}


def _look(shown: dict[str, Any]) -> None:
    """What was read: columns, problems, what to do about them, and the way in."""
    found: dict[str, Inspection] = shown["found"]
    first = next(iter(found.values()))
    if first.columns:
        _columns(shown, first)
        found = shown["found"]
    for split, inspection in found.items():
        if len(found) > 1:
            st.markdown(f"**{components.plain(split)}**")
        _report(f"{shown['label']}-{split}", inspection)
    if all(inspection.report.usable for inspection in found.values()):
        _keep(shown, found)


def _columns(shown: dict[str, Any], first: Inspection) -> None:
    """The layout and its columns; when they are changed, everything is checked again."""
    mark, layouts, mapping = shown["number"], list(columns.LAYOUTS), first.mapping
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
        options = [*(() if field in needed.required else ("",)), *first.columns]
        named = field if field in first.columns else None if field in needed.required else ""
        default = guessed.get(field, "") if guessed else named
        if place % 4 == 0:
            parts = st.columns(4)  # a line at a time, which keeps their order on a phone
        chosen[field] = parts[place % 4].selectbox(
            t("data.field", field=field), options, None if default is None else options.index(default),
            format_func=lambda name: name or "–", key=f"data_field_{mark}_{layout}_{field}",
            placeholder=t("data.choose_column"),
        )  # fmt: skip
    if any(not chosen[field] for field in needed.required):
        st.caption(t("data.columns_missing"))
        return
    said = {field: column for field, column in chosen.items() if column}
    if mapping is None or (layout, said) != (mapping.layout, mapping.columns):
        _again(shown, Mapping(layout, said, first.names.get(said.get("label", ""), [])))


def _again(shown: dict[str, Any], told: Mapping) -> None:
    if shown["job"]:
        intake.again(shown["job"], mapping=asdict(told))
        st.rerun()
    with st.spinner(t("data.checking")):
        shown["found"] = {
            split: checks.inspect_table(inspection.table, told, **_counting()) if inspection.table else inspection
            for split, inspection in shown["found"].items()
        }


def _report(name: str, inspection: Inspection) -> None:
    """Problems counted by reason, then what is wrong with the file as a whole, then row by row, then as a file."""
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
    for problem in report.problems:
        if not problem.row:
            st.error(components.plain(words(problem)), icon=":material/error:")
    if lines := [_line(problem) for problem in report.problems[:SHOWN] if problem.row]:
        height = 245 if len(lines) > FEW else "content"
        st.dataframe(pd.DataFrame(lines), hide_index=True, height=height, placeholder="–")
    st.download_button(
        t("data.report"), lambda: report.as_csv().encode("utf-8-sig"), f"{name}-problems.csv", "text/csv",
        icon=":material/download:", type="tertiary", on_click="ignore", key=f"data_report_{name}",
    )  # fmt: skip


def _line(problem: Problem) -> dict[str, Any]:
    severity = "must" if problem.severity == MUST else "may"
    return {
        t("data.columns.row"): problem.row or None,
        t("data.columns.field"): problems.printable(problem.field) or None,
        t("data.columns.reason"): words(problem),
        t("data.columns.severity"): t(f"data.severity.{severity}"),
        t("data.columns.fix"): t(f"data.fixes.{problem.fix}") if problem.fix else None,
    }


def words(problem: Problem) -> str:
    """What is wrong, in the language of the screen."""
    values = dict(problem.values)
    if error := values.pop("error", None):  # of ours, which has its words in the language of the screen
        values["why"] = in_words(error)
    return problems.printable(t(f"problems.{problem.reason}", **values))


def _keep(shown: dict[str, Any], found: dict[str, Inspection]) -> None:
    """What is done about the problems, how the rows are split, and the button."""
    mark = shown["number"]
    all_problems = [problem for inspection in found.values() for problem in inspection.report.problems]
    fixable = [fix for fix in FIXES if any(problem.fix == fix for problem in all_problems)]
    milder = sorted({problem.reason for problem in all_problems if problem.severity == MAY})
    fixes, skip = fixable, []
    if all_problems:
        left, middle, right = st.columns(3)
        if fixable:
            fixes = left.multiselect(
                t("data.fix"), fixable, fixable, format_func=lambda fix: t(f"data.fixes.{fix}"), key=f"data_fix_{mark}",
                persist_state="session",
            )  # fmt: skip
        if milder:
            skip = middle.multiselect(
                t("data.skip"), milder, format_func=lambda reason: t(f"data.reasons.{reason}"), key=f"data_skip_{mark}",
                persist_state="session",
            )  # fmt: skip
        with right:
            act = st.radio(
                t("data.must"), ["stop", "skip"], horizontal=True, format_func=lambda word: t(f"data.acts.{word}"),
                key=f"data_must_{mark}", persist_state="session",
            )  # fmt: skip
        skip = [*skip, MUST] if act == "skip" else skip
    label, seed, share = _split(shown, found)
    try:
        rows = sum(len(inspection.left(fixes, skip)) for inspection in found.values())
    except UserError as error:
        if "row" in error.values:  # its words stand in the table above, in the language of the screen
            st.error(t("data.stopped", **error.values), icon=":material/error:")
        else:
            show_error(error)
        return
    if not st.button(t("finetune.use_rows", count=rows), type="primary", icon=":material/check:", key="data_keep"):
        return
    try:
        if shown["job"]:
            intake.keep(shown["job"], label or shown["label"], fixes, skip, seed, share)
            st.rerun()
        with st.spinner(t("data.stage.split")):
            about = {"seed": seed, "share": share, "source": shown["source"]}
            name = datasets.keep(label or shown["label"], found, fixes, skip, **about)
    except Exception as error:
        show_error(error)
    else:
        _kept(name)


def _split(shown: dict[str, Any], found: dict[str, Inspection]) -> tuple[str, int, float]:
    """The name and the split; like all that is said of a set here, they outlive a look at another view."""
    left, middle, right = st.columns(3)
    mark = shown["number"]
    label = left.text_input(t("data.label"), shown["label"], key=f"data_label_{mark}", persist_state="session").strip()
    if len(found) > 1:
        middle.caption(t("data.own_splits"))
        return label, 7, 0.0
    seed = middle.number_input(
        t("data.seed"), 0, 2**31 - 1, 7, key=f"data_seed_{mark}", help=t("data.seed_help"), persist_state="session"
    )
    share = right.number_input(
        t("data.share"), 0, 90, 0, key=f"data_share_{mark}", help=t("data.share_help"), persist_state="session"
    )
    return label, seed, share / 100
