"""The Knowledge page's managing part: bases, their documents, adding with a preview, and a document at its place."""

import hashlib
import html
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from core.duplicates import duplicates
from core.rag import chunks, cleaning, documents, knowledge
from core.ui import components
from core.ui.i18n import seconds, show_error, t, translate
from core.ui.models_view import size as bytes_in_words

AROUND = 1500  # characters shown before and after a passage in its document


def open_base(name: str) -> None:
    """Put a base on screen, in the address too."""
    if name:
        st.query_params["kb"] = name
    for key in ("document", "at"):
        st.query_params.pop(key, None)
    st.rerun(scope="app")


def choose_base() -> str:
    """Which base is on screen: the address's, else the first; and the way to a new one."""
    rows = {row["name"]: row for row in knowledge.listing()}
    current = st.query_params.get("kb", "")
    current = current if current in rows else next(iter(rows))
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
        added = st.session_state.get("kb_adds", 0)  # a new key closes it once something was added
        with st.popover(t("knowledge.new"), icon=":material/add:", type="primary", key=f"kb_new_{added}"):
            name = st.text_input(
                t("knowledge.new_name"), key=f"kb_new_name_{added}", placeholder=t("knowledge.new_help")
            )
            with st.form("kb_new", border=False):
                _add_widgets(name.strip(), f"new{added}")
    if picked != current:
        open_base(picked)
    return picked


def _label(row: dict[str, Any]) -> str:
    if not row["ready"]:
        return f"{row['name']} · {t('knowledge.not_indexed')}"
    return f"{row['name']} · {t('knowledge.counts', documents=row['documents'], chunks=row['chunks'])}"


def _add_widgets(name: str, key: str) -> None:
    """Files or pasted text, and the button that starts to index them."""
    given = st.file_uploader(
        t("knowledge.files"), [*sorted(s.removeprefix(".") for s in documents.SUFFIXES), "zip"],
        accept_multiple_files=True, key=f"kb_files_{key}",
    )  # fmt: skip
    pasted = st.text_area(t("knowledge.paste"), key=f"kb_paste_{key}", height=90)
    if not st.form_submit_button(t("knowledge.add"), type="primary", icon=":material/upload:"):
        return
    try:
        knowledge.start(name, [keep(given or [], pasted)], mode="add")
    except Exception as error:
        show_error(error)
    else:
        st.session_state["kb_added"] = True
        st.session_state["kb_adds"] = st.session_state.get("kb_adds", 0) + 1
        open_base(name)


def keep(given: list[Any], pasted: str) -> Path:
    """Uploads and pasted text as files that the indexing job reads; returns their folder."""
    uploads = [(upload.name, upload.getvalue()) for upload in given]
    if pasted.strip():
        first = "".join(c if c.isalnum() or c in "-_" else " " for c in pasted.strip()[:40])
        uploads.append((" ".join(first.split()) + ".txt", pasted.encode()))
    return knowledge.save_uploads(uploads)


def manage(name: str) -> None:
    """The base on screen: what it holds, what is being done with it, and its documents."""
    row = next(row for row in knowledge.listing() if row["name"] == name)
    _job(name)
    cells = {
        "documents": row["documents"],
        "chunks": row["chunks"],
        "duplicates": row["duplicates"] if row["ready"] else None,
        "size": bytes_in_words(row["size"]) if row["size"] else None,
    }
    with st.container(horizontal=True, gap="large"):
        for key, value in cells.items():
            st.metric(t(f"knowledge.cells.{key}"), "–" if value is None else value, width="content")
    if row["ready"]:
        st.caption(t("knowledge.made", embedder=row["embedder"], size=row["chunk_size"], overlap=row["overlap"]))
    if row.get("outdated"):
        st.warning(t("knowledge.outdated"), icon=":material/update:")
        _button("rebuild", "refresh", lambda: knowledge.start(name, [], mode="rebuild"))
    if not row["ready"] and row["shipped"]:
        st.info(t("knowledge.first_use"), icon=":material/info:")
        _button("index", "play_arrow", lambda: knowledge.view(name))
        return
    _documents(name, row["shipped"])
    if row["shipped"]:
        st.caption(t("knowledge.shipped"))
        return
    with st.expander(t("knowledge.add_more"), icon=":material/note_add:"), st.form("kb_add", border=False):
        _add_widgets(name, "more")
    with st.popover(t("knowledge.remove"), icon=":material/delete:", type="tertiary"):
        st.caption(t("knowledge.remove_help"))
        _button("remove", "delete", lambda: knowledge.remove(name), then="")


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
            _button("resume", "resume", lambda: knowledge.resume(name), then=name)
        for rejected in (now.report or {}).get("rejected", []):
            words = " ".join(translate(rejected))
            st.warning(f"**{components.plain(rejected['name'])}**: {components.plain(words)}", icon=":material/block:")
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
        st.info(t("knowledge.empty"), icon=":material/note_add:")
        return
    shown = [
        {
            t("knowledge.columns.name"): row["name"],
            t("knowledge.columns.kind"): row["kind"],
            t("knowledge.columns.pages"): row["pages"] or None,
            t("knowledge.columns.chunks"): row["chunks"],
            t("knowledge.columns.duplicates"): row["duplicates"] or None,
            t("knowledge.columns.size"): bytes_in_words(row["size"]),
            t("knowledge.columns.notes"): ", ".join(row["notes"]),
        }
        for row in rows
    ]
    table = pd.DataFrame(shown).dropna(axis=1, how="all")  # no column of pages where nothing has pages
    picked = st.dataframe(
        table.loc[:, (table != "").any()],
        hide_index=True,
        on_select="rerun",
        selection_mode="single-row",
        key=f"kb_documents_{name}",
    )
    chosen = [rows[i]["name"] for i in picked["selection"]["rows"] if i < len(rows)]
    if not chosen:
        st.caption(t("knowledge.select"))
        return
    with st.container(horizontal=True):
        if st.button(t("knowledge.open"), icon=":material/open_in_new:", key="kb_open", type="primary"):
            st.query_params["document"] = chosen[0]
            st.query_params.pop("at", None)
            st.rerun()
        if not shipped:
            _button("delete", "delete", lambda: knowledge.delete_document(name, chosen[0]))


def _button(name: str, icon: str, act: Any, then: str | None = None) -> None:
    if st.button(t(f"knowledge.{name}"), icon=f":material/{icon}:", key=f"kb_{name}"):
        try:
            with st.spinner(t("knowledge.working")):
                act()
        except Exception as error:
            show_error(error)
        else:
            if then is not None:
                st.query_params.pop("kb", None)
            open_base(then or "")


def document(name: str, title: str, at: str) -> None:
    """A document's text, with the chunk at ``at`` (its first character) marked; never rendered."""
    with st.container(horizontal=True, vertical_alignment="center"):
        if st.button(t("knowledge.back"), icon=":material/arrow_back:", type="tertiary", key="kb_back"):
            open_base(name)
        st.subheader(components.plain(title))
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


@st.cache_data(max_entries=8, show_spinner=False)
def _parsed(name: str, data: bytes) -> Any:
    """A file read and cleaned, once for all positions of the sliders."""
    folder = knowledge.save_uploads([(name, data)])
    try:
        return cleaning.clean(documents.read(next(folder.iterdir())))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def preview() -> None:
    """What a file becomes before it is indexed: its chunks, live with the chunk size, and what would be left out."""
    st.markdown(t("knowledge.preview_help"))
    given = st.file_uploader(t("knowledge.files"), accept_multiple_files=True, key="kb_preview")
    left, right = st.columns(2)
    size = left.slider(t("knowledge.chunk_size"), 40, 400, 220, 10, key="kb_size")
    overlap = right.slider(t("knowledge.overlap"), 0, 80, 0, 5, key="kb_overlap")
    if not given:
        return
    pieces: list[Any] = []
    for name, data in [(upload.name, upload.getvalue()) for upload in given]:
        try:
            pieces += chunks.split(_parsed(name, data), size=size, overlap=overlap)
        except Exception as error:
            show_error(error)
    left_out = duplicates(pieces)
    st.caption(t("knowledge.preview_counts", chunks=len(pieces), duplicates=len(left_out)))
    skipped = {duplicate.index for duplicate in left_out}
    rows = [
        {
            t("knowledge.columns.name"): piece.source,
            t("knowledge.columns.pages"): piece.page or None,
            t("knowledge.columns.heading"): piece.heading,
            t("knowledge.columns.text"): piece.text,
            t("knowledge.columns.tokens"): chunks.estimate(piece.text),
            t("knowledge.columns.left_out"): index in skipped,
        }
        for index, piece in enumerate(pieces)
    ]
    st.dataframe(pd.DataFrame(rows), hide_index=True, height=420)
