"""How often retrieval finds what holds the answer, stage by stage: the document, or the place in it."""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from core.errors import UserError
from core.evaluation.statistics import interval
from core.rag import context, embedding, knowledge, retrieval
from core.rag.passages import Passage

HITS = (1, 3, 5, 10)
DEPTH = 10  # ranks beyond count as not found in MRR and nDCG
WIDTH = 100  # candidates of each way of recall: ten documents even where one fills many of the first places
COVERED = 0.5  # of the answer's place: what a chunk must hold of it to be a hit


@dataclass(frozen=True)
class Question:
    """A question and the document that answers it.

    Attributes:
        start, end: characters of the answer in :func:`core.rag.knowledge.document_text`; None: the document counts.
    """

    question: str
    source: str
    start: int | None = None
    end: int | None = None

    def is_held_by(self, source: str, start: int, end: int) -> bool:
        """Whether a chunk of that document and span covers at least half of the answer's place."""
        if self.start is None or self.end is None:
            return source == self.source
        shared = min(end, self.end) - max(start, self.start)
        return source == self.source and shared >= COVERED * (self.end - self.start)


@dataclass
class Measured:
    """What the questions brought, one entry each.

    Attributes:
        ranks: by stage, from 1 (None: not found): of the document, or of the first chunk that holds the place.
        tokens: by top-k, what a model would be given to read, in the embedding model's tokens.
        seconds: from question to passages.
    """

    reranker: str = ""
    ranks: dict[str, list[int | None]] = field(default_factory=dict)
    tokens: dict[int, list[int]] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)


def evaluate(
    name: str,
    qa: Path,
    progress: Callable[[int, int], None] | None = None,
    settings: retrieval.Settings | None = None,
) -> dict[str, Any]:
    """Score a knowledge base on rows {"question", "source"}, ``source`` being the document that holds the answer.

    Documents count once, by their best chunk, so ranks are ranks of documents. Where a row also says at which
    characters the answer stands ("start", "end"), ranks are those of chunks, and a hit is one that holds that place.

    Returns:
        {"kb", "n", "reranker", "stages": {stage: {"hit@1", …, "hit@10", "mrr", "ndcg@10"}}}, each figure from 0 to 1
        as {"mean", "low", "high", "n"} (95 % bootstrap interval over the questions); stages that are switched off are
        not there.

    Raises:
        UserError: no such file or knowledge base, a row without question and source, or no source is in the base.
    """
    rows = read(qa)
    found = measure(name, rows, progress=progress, settings=settings)
    stages = {stage: scores(ranks) for stage, ranks in found.ranks.items()}
    return {"kb": name, "n": len(rows), "reranker": found.reranker, "stages": stages}


def measure(
    name: str,
    rows: Sequence[Question],
    top_k: Sequence[int] = (),
    progress: Callable[[int, int], None] | None = None,
    settings: retrieval.Settings | None = None,
) -> Measured:
    """Ask all questions.

    Args:
        top_k: numbers of passages to count the tokens of.
        progress: told (questions asked, questions in all); may raise to stop.

    Raises:
        UserError: no such knowledge base.
    """
    chosen = settings or retrieval.Settings(width=WIDTH, reranked=WIDTH, threshold=False)
    off = {"dense": not chosen.dense and chosen.lexical, "lexical": not chosen.lexical, "rerank": not chosen.rerank}
    measured = Measured(
        ranks={stage: [] for stage in retrieval.STAGES if not off.get(stage)}, tokens={k: [] for k in top_k}
    )
    for number, row in enumerate(rows, 1):
        found = retrieval.retrieve(name, row.question, max([DEPTH, *top_k]), chosen)
        if number == 1:  # by now a base that was never asked is indexed
            _check_sources(name, rows)
        measured.reranker = found.reranker
        measured.seconds.append(found.seconds.get("total", 0.0))
        for stage, ranks in measured.ranks.items():
            ranks.append(_rank(name, found.candidates, stage, row))
        for k, tokens in measured.tokens.items():
            tokens.append(_tokens(name, found.passages[:k]))
        if progress:
            progress(number, len(rows))
    return measured


def _check_sources(name: str, rows: Sequence[Question]) -> None:
    """A figure of 0 would say that retrieval fails where the questions are about another knowledge base."""
    known = {chunk.source for chunk in knowledge.rows(name)}
    if not any(row.source in known for row in rows):
        raise UserError(
            "No question's source is a document of “{name}”, for instance “{source}” is none.",
            "Write the sources as python -m core kb documents lists them.",
            name=name,
            source=rows[0].source,
        )


def _rank(name: str, candidates: Sequence[retrieval.Candidate], stage: str, row: Question) -> int | None:
    ranked = sorted((rank, c.row, c.source) for c in candidates if (rank := c.ranks[stage]) is not None)
    if row.start is None:
        documents = list(dict.fromkeys(source for _, _, source in ranked))
        return documents.index(row.source) + 1 if row.source in documents else None
    chunks = knowledge.rows(name)
    places = ((rank, chunks[number]) for rank, number, _ in ranked)
    return next((rank for rank, chunk in places if row.is_held_by(chunk.source, chunk.start, chunk.end)), None)


def _tokens(name: str, passages: Sequence[Passage]) -> int:
    count = embedding.counter(knowledge.view(name).embedder)
    room = context.Room(count=lambda passage: count(passage["text"]))
    return sum(count(passage.text) for passage in context.build(name, passages, room))


def read(qa: Path) -> list[Question]:
    """The rows of a JSONL file.

    Raises:
        UserError: no such file, nothing in it, a row without question and source, or a place that is none.
    """
    if not qa.is_file():
        raise UserError("There is no file {path}.", "Check the path.", path=qa)
    try:
        lines = [line for line in qa.read_text("utf-8-sig").split("\n") if line.strip()]
    except UnicodeDecodeError as error:
        raise UserError("{name} is not UTF-8 text.", "Save it as UTF-8 and add it again.", name=qa.name) from error
    if not lines:
        raise UserError("{path} has no rows.", "Each line: a JSON object with question and source.", path=qa)
    return [_question(line, qa, number) for number, line in enumerate(lines, 1)]


def _question(line: str, qa: Path, number: int) -> Question:
    try:
        row = json.loads(line)
        question, source = row["question"].strip(), row["source"].strip()
        start, end = row.get("start"), row.get("end")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            "{path}, row {row}: not an object with question and source.", "Mend it.", path=qa, row=number
        ) from error
    if (start, end) != (None, None) and not (isinstance(start, int) and isinstance(end, int) and 0 <= start < end):
        raise UserError(
            "{path}, row {row}: start and end are no span of characters.",
            "Give both, as whole numbers from 0, or neither.",
            path=qa,
            row=number,
        )
    return Question(question, source, start, end)


def as_dict(row: Question) -> dict[str, Any]:
    """A row as a file holds it."""
    return {key: value for key, value in asdict(row).items() if value is not None}


def scores(ranks: Sequence[int | None], hits: Sequence[int] = HITS) -> dict[str, dict[str, float]]:
    """Hit rates, MRR and nDCG@10 from the rank of the right one per question (from 1; None: not found).

    One right answer a question, so that nDCG@10 is 1 / log2(rank + 1) (Järvelin and Kekäläinen, 2002). Ranks beyond
    ten count as not found in MRR and nDCG.
    """
    near = [rank if rank is not None and rank <= DEPTH else None for rank in ranks]
    figures: dict[str, list[float]] = {f"hit@{k}": [float(r is not None and r <= k) for r in ranks] for k in hits}
    figures["mrr"] = [1 / r if r else 0.0 for r in near]
    figures["ndcg@10"] = [1 / math.log2(r + 1) if r else 0.0 for r in near]
    return {metric: rounded(interval(values)) for metric, values in figures.items()}


def rounded(figure: dict[str, float]) -> dict[str, float]:
    """A figure as it is kept."""
    return {part: round(value, 4) for part, value in figure.items()}
