"""The Knowledge page's measuring part: one query through the stages, and a map."""

import html
from collections import Counter
from typing import Any

import pandas as pd
import streamlit as st

from core import files
from core.charts import retrieval_charts
from core.generation import ask as generation
from core.models import store
from core.rag import embedding, knowledge, retrieval
from core.settings import settings
from core.ui import components, resources, theme
from core.ui.i18n import show_error, t

STAGES = ("dense", "lexical", "fused", "rerank")
QUERIES = 3  # ways to ask, with multi-query
SHOWN = 15  # candidates drawn; the table has all of them
SHORT = 90  # characters of a chunk in lists and on hover


def lab(name: str) -> None:
    """One question, and what each stage made of it."""
    left, middle, right = st.columns([5, 4, 2], vertical_alignment="bottom")
    question = left.text_input(t("knowledge.query"), placeholder=t("knowledge.query_help"), key="lab_query")
    switches = [stage for stage in STAGES if stage != "fused"]
    on = middle.pills(
        t("knowledge.stages"), switches, default=switches, selection_mode="multi", key="lab_stages",
        format_func=lambda stage: t(f"knowledge.stage.{stage}"),
    )  # fmt: skip
    with right.popover(t("chat.settings"), icon=":material/tune:", width="stretch"):
        options, count = _options(on)
    if not question.strip():
        _example(name)
    if not question.strip() or not on:
        return
    try:
        with st.spinner(t("knowledge.working")):
            _warm(knowledge.view(name).embedder)
            write = generation.writer(resources.engine(), store.default_generator().name)
            found = retrieval.retrieve(name, question, count, options, write=write)
    except Exception as error:
        show_error(error)
        return
    _found(found)


def _example(name: str) -> None:
    """What to try first: the first of the questions that come with a base."""
    own = settings().knowledge_dir / f"{name}.qa.jsonl"
    if not own.is_file():
        return
    text = next(files.read_jsonl(own))["question"]
    st.caption(t("knowledge.query_empty"))
    st.button(text, icon=":material/arrow_forward:", key="lab_example", on_click=_ask, args=(text,))


def _ask(text: str) -> None:
    st.session_state["lab_query"] = text


def _options(on: list[str]) -> tuple[retrieval.Settings, int]:
    """What the popover holds: how wide the stages are, how the question is put, and how many passages are wanted."""
    default = retrieval.Settings()
    count = st.number_input(t("knowledge.top_k"), 1, 10, 3, key="lab_top_k")
    width = st.number_input(
        t("knowledge.width"), 1, 500, default.width, key="lab_width", help=t("knowledge.width_help")
    )
    reranked = st.number_input(
        t("knowledge.reranked"), 1, 200, default.reranked, key="lab_reranked", help=t("knowledge.reranked_help"),
        disabled="rerank" not in on,
    )  # fmt: skip
    threshold = st.toggle(t("knowledge.apply_threshold"), True, key="lab_threshold")
    rewrite = st.toggle(t("chat.rewrite"), key="lab_rewrite", help=t("chat.rewrite_help"))
    several = st.toggle(t("chat.multi_query"), key="lab_multi_query", help=t("chat.multi_query_help"))
    stages = {stage: stage in on for stage in ("dense", "lexical", "rerank")}
    options = retrieval.Settings(
        **stages,
        width=width,
        reranked=reranked,
        threshold=threshold,
        rewrite=rewrite,
        queries=QUERIES if several else 1,
    )
    return options, count


@st.cache_resource(show_spinner=False)
def _warm(embedder: str) -> None:
    """Load the embedding model before anything is timed."""
    embedding.embed(["warm"], "query", embedder)


def _found(found: Any) -> None:
    if not found.found:
        words = t("knowledge.nothing", best=f"{found.evidence:.3f}", threshold=f"{found.threshold:.3f}")
        st.info(words, icon=":material/search_off:")
    if len(found.queries) > 1:
        st.caption(t("chat.searched", queries=components.plain(" · ".join(found.queries))))
    with st.container(horizontal=True, gap="large"):
        for stage, spent in found.seconds.items():
            st.metric(t(f"knowledge.stage.{stage}"), f"{1000 * spent:.0f} ms", width="content")
    ran = [stage for stage in STAGES if any(c.ranks.get(stage) for c in found.candidates)]
    rows = [
        {
            "label": html.escape(f"{c.source} · {c.text[:SHORT]}…"),
            "ranks": c.ranks,
            "scores": c.scores,
            "used": not c.dropped,
            "text": c.text,
            "source": c.source,
            "dropped": c.dropped,
        }
        for c in found.candidates
    ]
    used = sum(row["used"] for row in rows)
    colors = theme.arm_colors()
    labels = {stage: t(f"knowledge.stage.{stage}") for stage in STAGES}
    labels |= {
        "title": t("knowledge.chart.ranks"),
        "subtitle": t("knowledge.chart.ranks_subtitle", count=min(SHOWN, len(rows)), used=used),
        "rank": t("knowledge.chart.rank"),
    }
    table = pd.DataFrame(
        [
            {
                t("knowledge.used"): row["used"],
                t("knowledge.columns.name"): row["source"],
                t("knowledge.columns.text"): row["text"],
                **{f"{labels[s]} #": row["ranks"].get(s) for s in ran},
                **{labels[s]: row["scores"].get(s) for s in ran},
                t("knowledge.left_out"): t(f"knowledge.dropped.{row['dropped']}") if row["dropped"] else "",
            }
            for row in rows
        ]
    )
    if len(ran) > 1:
        components.chart(
            retrieval_charts.ranks(rows[:SHOWN], ran, labels, (colors["base_rag"], colors["base"])), table, "lab-ranks"
        )
    if rows:
        _evidence(found, table)
    why = Counter(row["dropped"] for row in rows)
    st.caption(t("knowledge.outcome", candidates=len(rows), used=used, beyond=why["top_k"], below=why["threshold"]))
    st.dataframe(table, hide_index=True)


def _evidence(found: retrieval.Retrieval, table: pd.DataFrame) -> None:
    """The fused scores against the threshold that the best of them must reach."""
    scored = [(score, c) for c in found.candidates if (score := c.scores["evidence"]) is not None]
    best = sorted(scored, key=lambda pair: -pair[0])[:SHOWN]
    below = sum(score < found.threshold for score, _ in scored)
    labels = {
        "title": t("knowledge.chart.evidence"),
        "subtitle": t(
            "knowledge.chart.evidence_subtitle", count=len(best), threshold=f"{found.threshold:.3f}", below=below,
            all=len(scored),
        ),
        "rank": t("knowledge.chart.rank"),
        "score": t("knowledge.chart.score"),
    }  # fmt: skip
    points = [(score, html.escape(f"{c.source} · {c.text[:SHORT]}…")) for score, c in best]
    colors = theme.arm_colors()
    figure = retrieval_charts.evidence(
        points, found.threshold, labels, (colors["base_rag"], colors["base"]), theme.ink()
    )
    components.chart(figure, table, "lab-evidence")


def chunk_map(name: str) -> None:
    """The chunks in the plane that shows most of their differences, and where a question lands."""
    import numpy as np

    rows, (_, vectors) = knowledge.rows(name), knowledge.vectors(name)
    question = st.text_input(t("knowledge.map_query"), key="map_query")
    if len(rows) < 3:
        st.info(t("knowledge.empty"), icon=":material/note_add:")
        return
    center = vectors.mean(0)
    _, spread, axes = np.linalg.svd(vectors - center, full_matrices=False)
    places = (vectors - center) @ axes[:2].T
    points = [
        {"x": float(x), "y": float(y), "source": row.source, "text": _wrapped(row.text)}
        for (x, y), row in zip(places, rows, strict=True)
    ]
    query = None
    if question.strip():
        x, y = (embedding.embed([question], "query", knowledge.view(name).embedder)[0] - center) @ axes[:2].T
        query = (float(x), float(y))
    share = float((spread[:2] ** 2).sum() / (spread**2).sum())
    st.caption(t("knowledge.map_help", share=f"{share:.0%}"))
    labels = {key: t(f"knowledge.chart.{key}") for key in ("query",)}
    documents = len({row.source for row in rows})
    labels |= {
        "title": t("knowledge.chart.map"),
        "subtitle": t("knowledge.chart.map_subtitle", count=len(rows), documents=documents),
    }
    data = pd.DataFrame(points).assign(text=[row.text for row in rows])
    components.chart(retrieval_charts.chunk_map(points, query, labels), data, "chunk-map")


def _wrapped(text: str) -> str:
    """For hovering: the beginning, in short lines, with nothing in it that a chart would render."""
    cut = html.escape(text[: 4 * SHORT])
    return "<br>".join(cut[i : i + 60] for i in range(0, len(cut), 60))
