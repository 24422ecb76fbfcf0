"""Pieces that more than one page shows."""

import html
import re
import zlib
from collections.abc import Callable, Collection, Sequence
from typing import Any
from urllib.parse import quote, urlencode

import pandas as pd
import streamlit as st

from core import jobs
from core.ui.i18n import in_words, seconds, show_error, t

_ICONS = {
    jobs.QUEUED: "schedule",
    jobs.STARTING: "hourglass_top",
    jobs.RUNNING: "play_arrow",
    jobs.STOPPING: "front_hand",
    jobs.STOPPED: "stop_circle",
    jobs.FINISHED: "check_circle",
    jobs.FAILED: "error",
    jobs.INTERRUPTED: "power_off",
}


def chip(arm: str, label: str) -> None:
    """The name of an arm behind its colour."""
    st.html(f'<span class="chip {arm}">{html.escape(label)}</span>')


def arm_label(arm: str) -> str:
    """The name of one of the four cells."""
    return t(f"arms.{arm}")


def job_label(job_id: str, name: str, status: str = "", more: str = "") -> str:
    """A run or comparison as lists show it: name, when it was started, status."""
    began = f"{job_id[4:6]}-{job_id[6:8]} {job_id[9:11]}:{job_id[11:13]}:{job_id[13:15]}"
    return " · ".join(part for part in (name, began, t(f"status.{status}") if status else "", more) if part)


def job_choice(label: str, labels: dict[str, str], current: str, key: str) -> str:
    """A list of jobs to choose from; its key follows the labels, since the browser keeps the text of a chosen one."""
    version = zlib.crc32("\n".join([current, *labels.values()]).encode())
    ids = list(labels)
    return st.selectbox(label, ids, ids.index(current), format_func=labels.__getitem__, key=f"{key}_{version}")


def view(views: Collection[str], parameter: str, key: str, label: str, words: str, first: str = "") -> str:
    """Which of a page's views is on screen, by a control that keeps the choice in the address.

    Args:
        parameter: of the address; ``first``: the view when it says none (empty: the first there is).
        words: where the views' names stand among the texts, by view.
    """
    asked = st.query_params.get(parameter, "")
    st.session_state[key] = current = asked if asked in views else first or next(iter(views))

    def choose() -> None:
        st.query_params[parameter] = st.session_state[key]

    st.segmented_control(
        label,
        list(views),
        format_func=lambda name: t(f"{words}.{name}"),
        key=key,
        on_change=choose,
        required=True,
        label_visibility="collapsed",
    )
    return current


def status_badge(status: str) -> None:
    """A job's status: icon, word, and a colour that never stands alone."""
    colors: dict[str, Any] = {jobs.FINISHED: "green", jobs.FAILED: "red", jobs.INTERRUPTED: "orange"}
    color = colors.get(status, "blue" if status in jobs.LIVE else "gray")
    st.badge(t(f"status.{status}"), icon=f":material/{_ICONS[status]}:", color=color)


def plain(text: str) -> str:
    """Somebody's text for a label: Markdown signs escaped, so that nothing in it is rendered or loaded."""
    return re.sub(r"([\\`*_{}\[\]()#+!|<>~$:-])", r"\\\1", text)


def model_text(text: str) -> str:
    """A model's answer as Markdown that loads nothing from elsewhere and sets no formula by accident."""
    text = re.sub(r"!\[", r"!\\[", text)
    return text.replace("$", r"\$")


def source_link(passage: dict[str, Any], kb: str) -> dict[str, str]:
    """The parameters of the Knowledge page's address that open a passage's document at its place."""
    return {"kb": kb, "document": passage["source"], "at": str(passage["start"])}


def cited_text(text: str, cited: Sequence[dict[str, Any]], read: Sequence[dict[str, Any]] = (), kb: str = "") -> str:
    """An answer as Markdown with a mark after each sentence: the number of its passage, or that none says it.

    Args:
        read: the passages, so that a number leads to its source in the knowledge base ``kb`` (in a tab of its own: the
            conversation stays where it is).
    """

    def number(index: int) -> str:
        badge = f":blue-badge[{index + 1}]"
        if not kb or index >= len(read) or not read[index].get("end"):
            return f" {badge}"
        address = urlencode(
            {**source_link(read[index], kb), "lang": st.session_state.get("language", "")}, quote_via=quote
        )
        return f" [{badge}](knowledge?{address})"

    unsupported = f" :orange-badge[{t('chat.unsupported')}]"
    marked, at = "", 0
    for sentence in sorted(cited, key=lambda sentence: sentence["start"]):
        end = sentence["start"] + len(text[sentence["start"] : sentence["end"]].rstrip())
        index = sentence["passage"]
        marked += model_text(text[at:end]) + (unsupported if index is None else number(index))
        at = end
    return marked + model_text(text[at:])


def passages(found: list[dict[str, Any]], kb: str = "") -> None:
    """The passages an answer was given, folded: text, source, score, and the way to the source.

    Their text is shown, never rendered.
    """
    if not found:
        return
    label = t("chat.passages", count=len(found), best=f"{found[0]['score']:.2f}")
    with st.expander(label, icon=":material/menu_book:"):
        for number, passage in enumerate(found, 1):
            place = html.escape(passage["source"] + (f" › {passage['heading']}" if passage.get("heading") else ""))
            st.html(
                f'<div class="passage"><b>[{number}] {passage["score"]:.3f}</b> · <i>{place}</i><br>'
                f"{html.escape(passage['text'])}</div>"
            )
            if kb and passage.get("end"):
                st.page_link(
                    "pages/knowledge.py",
                    label=t("chat.open_source"),
                    icon=":material/open_in_new:",
                    query_params=source_link(passage, kb),
                )


def job_error(state: dict[str, Any]) -> None:
    """Why a job failed, in words and with what to do."""
    if state.get("error"):
        st.error(in_words(state["error"]), icon=":material/error:")


def reason(error: dict[str, Any]) -> str:
    """Why a file could not be read and what to do, with its name."""
    words = in_words(error)
    return words if error["name"] in words else f"{error['name']}: {words}"


def rejected_files(rejected: Sequence[dict[str, Any]], most: int = 5) -> None:
    """Files that could not be read, a line each with the reason; of many the first few."""
    lines = [plain(reason(error)) for error in rejected[:most]]
    if len(rejected) > most:
        lines.append(t("knowledge.more_rejected", count=len(rejected) - most))
    if lines:
        st.warning("\n\n".join(lines), icon=":material/block:")


def progress(state: dict[str, Any], done: int, total: int) -> None:
    """A job's bar with what is being done, elapsed and remaining time."""
    share = done / total if total else 0.0
    stage = t(f"stage.{state['stage']}") if state.get("stage") else t(f"status.{state['status']}")
    text = stage if not total else f"{stage} · {done}/{total}"
    if state.get("elapsed") is not None:
        text += f" · {t('common.elapsed')} {seconds(state['elapsed'])}"
    if state.get("eta") is not None and total:
        text += f" · {t('common.remaining')} {seconds(state['eta'])}"
    st.progress(min(1.0, share), text=text)


def filled(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Rows as a table without the columns in which none of them has anything."""
    table = pd.DataFrame(rows).dropna(axis=1, how="all")
    return table.loc[:, (table != "").any()]


def chart(figure: Any, data: Any, key: str, **how: Any) -> Any:
    """A chart that can be downloaded as PNG (its toolbar) and its data as CSV; returns what is selected in it.

    Args:
        data: a table, or a function that makes one when it is asked for; None: there is no such button.
        how: of ``st.plotly_chart``: "on_select" and "selection_mode".
    """
    chosen = st.plotly_chart(
        figure,
        key=key,
        **how,
        config={
            "displaylogo": False,
            "modeBarButtons": [["toImage"]],
            "toImageButtonOptions": {"filename": key, "scale": 2},
        },
    )
    if data is None:
        return chosen
    st.download_button(
        t("common.csv"),
        (lambda: _csv(data())) if callable(data) else _csv(data),
        f"{key}.csv",
        "text/csv",
        icon=":material/download:",
        type="tertiary",
        key=f"csv-{key}",
        on_click="ignore",
    )
    return chosen


def _csv(data: pd.DataFrame) -> bytes:
    return data.to_csv(index=False).encode("utf-8-sig")


def act(action: Callable[[], Any]) -> None:
    """Do what a button stands for and draw the app anew; what goes wrong is said where the button is."""
    try:
        action()
    except Exception as error:
        show_error(error)
    else:
        st.rerun(scope="app")
