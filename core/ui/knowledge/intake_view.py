"""How documents get into a knowledge base: what is given, the embedding model and the chunks, looked at beforehand."""

import shutil
from pathlib import Path
from typing import Any

import streamlit as st

from core.errors import UserError
from core.rag import chunks, documents, embedding, knowledge, preview
from core.rag.rows import Making
from core.ui import components
from core.ui.i18n import show_error, t

SMALL = 1_000_000  # bytes: the chunks of more than this are shown when somebody asks for them
LARGEST = 400  # tokens of a chunk; fewer where the embedding model reads less
SHOWN = 500  # chunks in the preview's table


def add(base: str) -> None:
    """Give documents to a base, or (without one) to a new one; its chunks are shown as they would be."""
    name = base or st.text_input(t("knowledge.new_name"), placeholder=t("knowledge.new_help"), key="kb_name").strip()
    given = st.file_uploader(
        t("knowledge.files"), [*sorted(s.removeprefix(".") for s in documents.SUFFIXES), "zip"],
        accept_multiple_files=True, key=f"kb_files_{base}",
    )  # fmt: skip
    with st.expander(t("knowledge.paste"), icon=":material/content_paste:"):
        pasted = st.text_area(t("knowledge.paste"), key=f"kb_paste_{base}", height=120, label_visibility="collapsed")
    uploads = _uploads(given or [], pasted)
    made = _of(base) if base else _choose(Making(knowledge.embedders()[0].name))
    with st.container(horizontal=True, vertical_alignment="center"):
        ready = bool(name and uploads)
        if st.button(t("knowledge.add"), icon=":material/upload:", type="primary", key="kb_add", disabled=not ready):
            _start(name, not base, uploads, made)
        small = sum(len(data) for _, data in uploads) <= SMALL
        look = st.toggle(t("knowledge.preview"), value=small, key=f"kb_look_{small}")
    if not uploads:
        st.caption(t("knowledge.preview_help"))
    elif look:
        with st.spinner(t("knowledge.reading")):
            read, rejected = _parsed(tuple(uploads))
        components.rejected_files(rejected)
        _preview(read, made)


def _start(name: str, new: bool, uploads: list[tuple[str, bytes]], made: Making) -> None:
    try:
        if new and name in {row["name"] for row in knowledge.listing()}:
            hint = "Add documents to it, or choose another name."
            raise UserError("There is a knowledge base “{name}” already.", hint, name=name)
        own = {"size": made.size, "overlap": made.overlap, "embedder": made.embedder} if new else {}
        knowledge.start(name, [knowledge.save_uploads(uploads)], mode="add", **own)
    except Exception as error:
        show_error(error)
    else:
        shown(name)


def shown(name: str) -> None:
    """Put a base's documents and the job that is at work on them on screen."""
    st.query_params.from_dict({"kb": name} if name else {})
    st.rerun(scope="app")


def change(base: str) -> None:
    """Another embedding model or other chunks for all of a base: tried on one of its documents, then indexed again."""
    st.caption(t("knowledge.change_help"))
    now = _of(base)
    made = _choose(now)
    if st.button(t("knowledge.rebuild"), icon=":material/refresh:", type="primary", key="kb_rebuild"):
        try:
            knowledge.start(base, mode="rebuild", size=made.size, overlap=made.overlap, embedder=made.embedder)
        except Exception as error:
            show_error(error)
        else:
            shown(base)
    if made == now:
        st.caption(t("knowledge.unchanged"))
    names = [row["name"] for row in knowledge.documents(base) if row["status"] == "ready"]
    tried = st.selectbox(t("knowledge.try_on"), names, key=f"kb_try_{base}")
    if tried and (path := knowledge.original(base, tried)):
        _preview(_kept(tried, path), made)


def _of(base: str) -> Making:
    """How a base's documents are cut and embedded now."""
    row = next(row for row in knowledge.listing() if row["name"] == base)
    default = knowledge.embedders()[0].name
    return Making(row["embedder"] or default, row["chunk_size"] or chunks.SIZE, row["overlap"] or 0)


def _choose(now: Making) -> Making:
    """The widgets for it; what the preview shows is what is indexed."""
    titles = {card.name: card.title for card in knowledge.embedders()}
    titles.setdefault(now.embedder, now.embedder)
    model, size, overlap = st.columns([1.2, 1, 1], gap="large")
    names = list(titles)
    embedder = model.selectbox(
        t("knowledge.embedder"), names, names.index(now.embedder), format_func=titles.__getitem__,
        help=t("knowledge.embedder_help"), key="kb_embedder",
    )  # fmt: skip
    most = min(LARGEST, embedding.reach(embedder) // 10 * 10)
    return Making(
        embedder,
        size.slider(t("knowledge.chunk_size"), 40, most, min(most, max(40, now.size)), 10, key=f"kb_size_{most}"),
        overlap.slider(t("knowledge.overlap"), 0, 80, min(80, now.overlap), 5, key="kb_overlap"),
    )


def _uploads(given: list[Any], pasted: str) -> list[tuple[str, bytes]]:
    """Uploads and pasted text as files to be, by name."""
    uploads = [(upload.name, upload.getvalue()) for upload in given]
    if pasted.strip():
        first = "".join(c if c.isalnum() or c in "-_" else " " for c in pasted.strip()[:40])
        uploads.append(((" ".join(first.split()) or "text") + ".txt", pasted.encode()))
    return uploads


@st.cache_data(max_entries=4, show_spinner=False)
def _parsed(uploads: tuple[tuple[str, bytes], ...]) -> Any:
    """Files read and cleaned, once for all positions of the sliders."""
    folder = knowledge.save_uploads(uploads)
    try:
        return preview.read([folder])
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@st.cache_data(max_entries=4, show_spinner=False)
def _kept(name: str, path: Path) -> Any:
    """The same for a document that is in a base; its copy is named by its content."""
    return preview.read_one(path, name)


def _preview(given: list[Any], made: Making) -> None:
    """Chunks as they would be with these settings, and what would be left out."""
    try:
        with st.spinner(t("knowledge.working")):
            pieces = preview.pieces(given, made)
    except Exception as error:
        show_error(error)
        return
    left_out = sum(piece.same_as is not None for piece in pieces)
    st.caption(t("knowledge.preview_counts", chunks=len(pieces), duplicates=left_out))
    rows = [
        {
            t("knowledge.columns.text"): piece.chunk.text,
            t("knowledge.columns.tokens"): piece.tokens,
            t("knowledge.columns.left_out"): t("knowledge.same_as", name=piece.same_as.source) if piece.same_as else "",
            t("knowledge.columns.heading"): piece.chunk.heading,
            t("knowledge.page"): piece.chunk.page or None,
            t("knowledge.columns.name"): piece.chunk.source if len(given) > 1 else "",
        }
        for piece in pieces[:SHOWN]
    ]
    if rows:
        wide = {t("knowledge.columns.text"): st.column_config.TextColumn(width="large")}
        st.dataframe(components.filled(rows), hide_index=True, height=420, row_height=90, column_config=wide)
