"""A question → passages: queries, recall by meaning and by words, fusion, a closer look at the best, and the threshold.

Every stage can be switched off, and every candidate keeps its rank and score per stage and why it was left out.
"""

import functools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from core.errors import UserError
from core.rag import calibration, context, embedding, fusion, knowledge, queries, rerank
from core.rag.bases import Row, View
from core.rag.passages import Passage

STAGES = ("dense", "lexical", "fused", "rerank")
SENTENCE = 6.0  # spreads that one sentence with all of the query's words is worth
BELOW_TOP_K, BELOW_THRESHOLD = "top_k", "threshold"


@dataclass(frozen=True)
class Settings:
    """Which stages run and how wide they are."""

    dense: bool = True  # recall by meaning; also used when lexical recall is off
    lexical: bool = True  # recall by words
    rerank: bool = True  # a cross-encoder where the catalog has one on disk, else the sentence-level scores
    width: int = 50  # candidates that each way of recall brings
    reranked: int = 20  # best of the fused ones that are reranked
    threshold: bool = True  # nothing is given for a question that the base has nothing about
    rewrite: bool = False  # a model puts the question as a search query, or a follow-up as one that stands alone
    queries: int = 1  # ways to ask, searched for together; beyond the first by a model, or without question words


@dataclass(frozen=True)
class Candidate:
    """A row that was looked at.

    Attributes:
        row: its number in the base's view.
        ranks: by stage, from 1; None where the stage did not bring or see it.
        scores: dense (cosine), lexical (BM25), fused, rerank; None like ranks, but the cosine is known of all; and
            evidence, what the leading query alone says of it, to be held against the threshold.
        dropped: "" for the passages given; "top_k" or "threshold".
    """

    row: int
    text: str
    source: str
    ranks: dict[str, int | None]
    scores: dict[str, float | None]
    dropped: str = ""


@dataclass(frozen=True)
class Retrieval:
    """What one question brought.

    Attributes:
        passages: at most top_k, best first; none where ``found`` is False.
        candidates: all rows that a stage brought, in the last stage's order.
        seconds: by stage (queries, embed, dense, lexical, fused, rerank) and in all ("total"); dense and lexical run at
            once, several queries one after the other.
        found: the leading query's best fused score (``evidence``) reaches the base's threshold.
        reranker: catalog name of the cross-encoder, "sentences", or "" without that stage.
        queries: what was really searched for, the leading one first.
    """

    passages: list[Passage]
    candidates: list[Candidate]
    seconds: dict[str, float]
    found: bool
    threshold: float
    evidence: float
    reranker: str = ""
    queries: list[str] = field(default_factory=list)


def search(name: str, query: str, top_k: int = 3, progress: Callable[[int, int], None] | None = None) -> list[Passage]:
    """What a model is given to read for a question, best first; nothing where the knowledge base has nothing about it.

    At most top_k passages; neighbours in a document come as one.

    Raises:
        UserError: no such knowledge base, or an empty question.
    """
    return context.build(name, retrieve(name, query, top_k, progress=progress).passages)


def retrieve(
    base: str,
    query: str,
    top_k: int = 3,
    settings: Settings | None = None,
    progress: Callable[[int, int], None] | None = None,
    history: Sequence[str] = (),
    write: queries.Write | None = None,
) -> Retrieval:
    """Take a question through the stages.

    Args:
        progress: told (chunks done, chunks in all) while a shipped base is indexed first.
        history: the questions before, oldest first: a follow-up is searched for with its subject.
        write: the model that rewrites, where the settings ask for that.

    Raises:
        UserError: no such knowledge base, or an empty question.
    """
    if not query.strip():
        raise UserError("The question is empty.", "Type a question.")
    chosen = settings or Settings()
    chosen = replace(chosen, dense=chosen.dense or not chosen.lexical, width=max(chosen.width, top_k))
    began = time.perf_counter()
    asked = queries.plan(query.strip(), history, write, chosen.rewrite, chosen.queries)
    planned = time.perf_counter() - began
    while True:
        seen = knowledge.view(base, progress)
        try:
            return _retrieve(seen, asked, top_k, chosen, planned)
        except UserError:
            if knowledge.version(base) == seen.version:
                raise  # else: it was changed in the middle, and the next look sees it whole


def _retrieve(seen: View, asked: list[str], top_k: int, chosen: Settings, planned: float) -> Retrieval:
    known = calibration.prepared(seen)
    began = time.perf_counter()
    founds = _recall(seen, known, asked, chosen)
    found = queries.unite(founds)
    order, scores, reranker = found.order(), dict[int, float](), ""
    if chosen.rerank and order:
        start = time.perf_counter()
        few = order[: max(chosen.reranked, top_k)]
        reranker, scores = _rerank(seen, known, found, asked[0], few)
        order = [*sorted(few, key=lambda row: (-scores[row], few.index(row))), *order[len(few) :]]
        found.seconds["rerank"] = time.perf_counter() - start
    if chosen.rewrite or chosen.queries > 1:
        found.seconds = {"queries": planned, **found.seconds}
    found.seconds["total"] = time.perf_counter() - began + found.seconds.get("queries", 0.0)
    # Calibrated for questions: the best over all queries, keywords among them, found something for 9 of 30 foreign
    # questions where the leading one found nothing for any.
    evidence, threshold = founds[0].best, known.threshold(asked[0], chosen.dense, chosen.lexical)
    enough = bool(order) and (not chosen.threshold or evidence >= threshold)
    ranks = _ranks(found, order, scores)
    candidates = [
        Candidate(
            row,
            seen.rows[row].text,
            seen.rows[row].source,
            ranks[row],
            {
                "dense": found.cosine.get(row),
                "lexical": found.bm25.get(row),
                "fused": found.fused[row],
                "evidence": founds[0].fused.get(row),
                "rerank": scores.get(row),
            },
            BELOW_THRESHOLD if not enough else "" if place < top_k else BELOW_TOP_K,
        )
        for place, row in enumerate(order)
    ]
    passages = [_passage(seen.rows[c.row], c) for c in candidates if not c.dropped]
    return Retrieval(passages, candidates, found.seconds, enough, threshold, evidence, reranker, asked)


def _recall(seen: View, known: calibration.Prepared, asked: list[str], chosen: Settings) -> list[fusion.Recalled]:
    """What each query brings; all are embedded in one batch, by whichever needs its vector first."""
    vectors = functools.cache(lambda: embedding.embed(asked, "query", seen.embedder))

    def one(number: int) -> fusion.Recalled:
        embedded = (lambda: vectors()[number]) if chosen.dense else None
        return fusion.recall(seen, known.lexical, known.spread, asked[number], embedded, chosen.width, chosen.lexical)

    return [one(number) for number in range(len(asked))]


def _rerank(
    seen: View, known: calibration.Prepared, found: fusion.Recalled, query: str, few: Sequence[int]
) -> tuple[str, dict[int, float]]:
    """The reranker's name and its score of each of the rows."""
    texts = [seen.rows[row].text for row in few]
    if card := rerank.card():
        return card.name, dict(zip(few, rerank.by_model(card.name, query, texts), strict=True))
    covered = rerank.by_sentence(known.lexical, query, texts)
    pairs = zip(few, covered, strict=True)
    worth = SENTENCE * known.spread
    return "sentences", {row: found.fused[row] + worth * share * (row not in found.by_chance) for row, share in pairs}


def _ranks(found: fusion.Recalled, order: Sequence[int], scores: dict[int, float]) -> dict[int, dict[str, int | None]]:
    fused = {row: rank for rank, row in enumerate(found.order(), 1)}
    last = {row: rank for rank, row in enumerate(order, 1) if row in scores}
    by_stage = dict(zip(STAGES, (found.dense_rank, found.lexical_rank, fused, last), strict=True))
    return {row: {stage: ranks.get(row) for stage, ranks in by_stage.items()} for row in order}


def _passage(row: Row, candidate: Candidate) -> Passage:
    score = candidate.scores["dense"] or 0.0
    place: dict[str, Any] = {"id": row.id, "page": row.page, "start": row.start, "end": row.end}
    return Passage(row.text, row.source, round(score, 4), row.heading, candidate.ranks, **place)
