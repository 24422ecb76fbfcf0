"""The Knowledge page's managing part: bases, their documents and what is done with them, a document at its place."""

import hashlib
import html
from collections.abc import Callable
from typing import Any

import streamlit as st

from core.rag import knowledge
from core.ui import components
from core.ui.i18n import seconds, show_error, size, t
from core.ui.knowledge import intake_view

AROUND = 1500  # characters shown before and after a passage in its document


TASKS = {"new": "new", "add": "add_more", "rebuild": "change"}  # in the address → its words


def choose_base() -> str:
    """Which base is on screen: the address's, else the first; and the way to a new one."""
    rows = {row["name"]: row for row in knowledge.listing()}
    current = st.query_params.get("kb", "")
    current = current if current in rows else next(iter(rows))
    if (what := st.query_params.get("task")) in TASKS and not (rows[current]["shipped"] and what != "new"):
        _task(current, str(what))
        st.stop()
    labels = {name: _label(row) for name, row in rows.items()}
    with st.container(horizontal=True, vertical_alignment="bottom", horizontal_alignment="distribute"):
        picked = st.selectbox(
            t("knowledge.base"),
            list(rows),
            list(rows).index(current),
            format_func=labels.__getitem__,
            key=f"kb_choice_{hashlib.sha256(''.join(labels.values()).encode()).hexdigest()[:8]}_{current}",
            width=420,
        )
        if st.button(t("knowledge.new"), icon=":material/add:", type="primary", key="kb_new"):
            _ask_for("new", current)
    if picked != current:
        intake_view.shown(picked)
    return picked


def _task(name: str, what: str) -> None:
    """One thing done with a base on a screen of its own, with the way back."""
    _head(name, t(f"knowledge.{TASKS[what]}") + (f" · {components.plain(name)}" if what != "new" else ""))
    if what == "rebuild":
        intake_view.change(name)
    else:
        intake_view.add("" if what == "new" else name)


def _ask_for(what: str, name: str) -> None:
    st.query_params.from_dict({"kb": name, "task": what})
    st.rerun(scope="app")


def _head(name: str, title: str) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        if st.button(t("knowledge.back"), icon=":material/arrow_back:", type="tertiary", key="kb_back"):
            intake_view.shown(name)
        st.subheader(title)


def _label(row: dict[str, Any]) -> str:
    if not row["ready"]:
        return f"{row['name']} · {t('knowledge.not_indexed')}"
    return f"{row['name']} · {t('knowledge.counts', documents=row['documents'], chunks=row['chunks'])}"


def manage(name: str) -> None:
    """The base on screen: what it holds, what is being done with it, and its documents."""
    row = next(row for row in knowledge.listing() if row["name"] == name)
    _job(name)
    cells = {
        "documents": row["documents"],
        "chunks": row["chunks"],
        "duplicates": row["duplicates"] if row["ready"] else None,
        "size": size(row["size"]) if row["size"] else None,
    }
    with st.container(horizontal=True, gap="medium"):
        for key, value in cells.items():
            st.metric(t(f"knowledge.cells.{key}"), "–" if value is None else value, width="content")
    if row["ready"]:
        st.caption(t("knowledge.made", embedder=row["embedder"], size=row["chunk_size"], overlap=row["overlap"]))
    if row["outdated"]:
        st.warning(t("knowledge.outdated"), icon=":material/update:")
        _button("rebuild_now", "refresh", lambda: knowledge.start(name, mode="rebuild"), name)
    if not row["ready"] and row["shipped"]:
        st.info(t("knowledge.first_use"), icon=":material/info:")
        _button("index", "play_arrow", lambda: knowledge.view(name), name)
        return
    _documents(name, row["shipped"])
    if row["shipped"]:
        st.caption(t("knowledge.shipped"))
        return
    with st.container(horizontal=True):
        if st.button(t("knowledge.add_more"), icon=":material/note_add:", key="kb_add_more"):
            _ask_for("add", name)
        if row["ready"] and st.button(t("knowledge.change"), icon=":material/tune:", key="kb_change"):
            _ask_for("rebuild", name)
        with st.popover(t("knowledge.remove"), icon=":material/delete:", type="tertiary"):
            st.caption(t("knowledge.remove_help"))
            _button("remove", "delete", lambda: knowledge.remove(name), "")


def _job(name: str) -> None:
    """The indexing job of this base: how far it is, stop and resume, and the files it could not take."""
    found = knowledge.progress(name)
    if found is None:
        return
    live = found.live

    @st.fragment(run_every=1.0 if live else None)
    def look() -> None:
        now = knowledge.progress(name)
        if now is None:
            return
        if now.live:
            st.progress(min(1.0, now.share), text=components.plain(_how_far(now)))
            if st.button(t("knowledge.stop"), icon=":material/stop_circle:", key="kb_stop"):
                knowledge.stop(name)
                st.rerun(scope="app")
        elif now.unfinished:
            components.job_error({"error": now.error})
            st.caption(t("knowledge.unfinished"))
            _button("resume", "resume", lambda: knowledge.resume(name), name)
        if live != now.live:
            st.rerun(scope="app")

    look()


def _how_far(now: Any) -> str:
    parts = [t(f"knowledge.stages_of_indexing.{now.stage}") if now.stage else t(f"status.{now.status}"), now.file]
    if now.of:
        parts.append(f"{now.files} / {now.of}")
    if now.eta is not None:
        parts.append(f"{t('common.remaining')} {seconds(now.eta)}")
    parts.append(f"{t('common.elapsed')} {seconds(now.elapsed)}")
    return " · ".join(part for part in parts if part)


def _documents(name: str, shipped: bool) -> None:
    rows = knowledge.documents(name)
    if not rows:
        if not ((job := knowledge.progress(name)) and job.live):
            st.info(t("knowledge.empty"), icon=":material/note_add:")
        return
    if refused := sum(row["error"] is not None for row in rows):
        st.warning(t("knowledge.rejected_count", count=refused), icon=":material/block:")
    shown = [
        {
            t("knowledge.columns.name"): row["name"],
            t("knowledge.columns.status"): t(f"knowledge.status.{_status(row)}"),
            t("knowledge.columns.why"): components.reason(row["error"]) if row["error"] else "",
            t("knowledge.columns.kind"): row["kind"],
            t("knowledge.columns.pages"): row["pages"] or None,
            t("knowledge.columns.chunks"): row["chunks"],
            t("knowledge.columns.duplicates"): row["duplicates"] or None,
            t("knowledge.columns.size"): size(row["size"]) if row["size"] else "",
            t("knowledge.columns.notes"): ", ".join(row["notes"]),
        }
        for row in rows
    ]
    picked = st.dataframe(
        components.filled(shown),
        hide_index=True,
        placeholder="–",
        on_select="rerun",
        selection_mode="single-row",
        key=f"kb_documents_{name}",
    )
    chosen = [rows[i] for i in picked["selection"]["rows"] if i < len(rows)]
    if chosen:
        _actions(name, chosen[0], shipped)
    else:
        st.caption(t("knowledge.select"))


def _status(row: dict[str, Any]) -> str:
    """ready, rejected, or old: an earlier edition answers, since the newest one could not be read."""
    return "old" if row["error"] and row["status"] == "ready" else str(row["status"])


def _actions(name: str, row: dict[str, Any], shipped: bool) -> None:
    """What can be done with the chosen document."""
    title, ready = row["name"], row["status"] == "ready"
    if row["error"]:
        components.rejected_files([row["error"]])
    with st.container(horizontal=True):
        if ready and st.button(t("knowledge.open"), icon=":material/open_in_new:", key="kb_open"):
            st.query_params.from_dict({"kb": name, "document": title})
            st.rerun()
        if shipped:
            return
        with st.popover(t("knowledge.replace"), icon=":material/swap_horiz:"):
            given = st.file_uploader(t("knowledge.replace_help"), key=f"kb_replace_{title}")
            if given:
                upload = [(given.name, given.getvalue())]
                _button("replace_now", "upload", lambda: _replace(name, title, upload), name)
        if ready:
            _button("reindex", "refresh", lambda: knowledge.start(name, mode="reindex", document=title), name)
        _button("delete", "delete", lambda: knowledge.delete_document(name, title), name)


def _replace(name: str, document: str, upload: list[tuple[str, bytes]]) -> None:
    knowledge.start(name, [knowledge.save_uploads(upload)], document=document)


def _button(name: str, icon: str, act: Callable[[], object], then: str) -> None:
    """A button that does something, and shows the base ``then`` once that is done (the first one for "")."""
    if st.button(t(f"knowledge.{name}"), icon=f":material/{icon}:", key=f"kb_{name}"):
        try:
            with st.spinner(t("knowledge.working")):
                act()
        except Exception as error:
            show_error(error)
        else:
            intake_view.shown(then)


def document(name: str, title: str, at: str) -> None:
    """A document's text, with the chunk at ``at`` (its first character) marked; never rendered."""
    _head(name, components.plain(title))
    try:
        text = knowledge.document_text(name, title)
    except Exception as error:
        show_error(error)
        return
    mine = [row for row in knowledge.rows(name) if row.source == title]
    marked = next((row for row in mine if str(row.start) == at), None)
    st.caption(t("knowledge.counts", documents=1, chunks=len(mine)))
    if marked is None:
        st.html(f'<div class="source">{html.escape(text)}</div>')
        return
    before, after = max(0, marked.start - AROUND), marked.end + AROUND
    place = f"{t('knowledge.page')} {marked.page} · " if marked.page else ""
    st.caption(components.plain(place + marked.heading))
    st.html(
        f'<div class="source">{"… " if before else ""}{html.escape(text[before : marked.start])}'
        f"<mark>{html.escape(text[marked.start : marked.end])}</mark>"
        f"{html.escape(text[marked.end : after])}{' …' if after < len(text) else ''}</div>"
    )
    with st.expander(t("knowledge.whole")):
        st.html(f'<div class="source">{html.escape(text)}</div>')
