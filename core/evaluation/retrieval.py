"""How often retrieval finds the document that holds the answer, stage by stage."""

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from core.errors import UserError
from core.evaluation.statistics import interval
from core.rag import retrieval

HITS = (1, 3, 5, 10)
WIDTH = 100  # candidates of each way of recall: ten documents even where one fills many of the first places


def evaluate(
    name: str,
    qa: Path,
    progress: Callable[[int, int], None] | None = None,
    settings: retrieval.Settings | None = None,
) -> dict[str, Any]:
    """Score a knowledge base on rows {"question", "source"}, ``source`` being the document that holds the answer.

    Documents count once, by their best chunk, so ranks are ranks of documents.

    Returns:
        {"kb", "n", "reranker", "stages": {stage: {"hit@1", …, "hit@10", "mrr", "ndcg@10"}}}, each figure from 0 to 1
        as {"mean", "low", "high", "n"} (95 % bootstrap interval over the questions); stages that are switched off are
        not there.

    Raises:
        UserError: no such file or knowledge base, or a row without question and source.
    """
    rows = read(qa)
    chosen = settings or retrieval.Settings(width=WIDTH, reranked=WIDTH)
    ranks: dict[str, list[int | None]] = {stage: [] for stage in retrieval.STAGES}
    reranker = ""
    for number, (question, source) in enumerate(rows, 1):
        found = retrieval.retrieve(name, question, max(HITS), chosen)
        reranker = found.reranker
        for stage, places in ranks.items():
            places.append(_document_rank(found.candidates, stage, source))
        if progress:
            progress(number, len(rows))
    off = {"dense": not chosen.dense and chosen.lexical, "lexical": not chosen.lexical, "rerank": not chosen.rerank}
    stages = {stage: scores(places) for stage, places in ranks.items() if not off.get(stage)}
    return {"kb": name, "n": len(rows), "reranker": reranker, "stages": stages}


def read(qa: Path) -> list[tuple[str, str]]:
    """(question, source) of each row of a JSONL file.

    Raises:
        UserError: no such file, nothing in it, or a row without question and source.
    """
    if not qa.is_file():
        raise UserError("There is no file {path}.", "Check the path.", path=qa)
    try:
        lines = [line for line in qa.read_text("utf-8-sig").split("\n") if line.strip()]
    except UnicodeDecodeError as error:
        raise UserError("{name} is not UTF-8 text.", "Save it as UTF-8 and add it again.", name=qa.name) from error
    if not lines:
        raise UserError("{path} has no rows.", "Each line: a JSON object with question and source.", path=qa)
    rows = []
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line)
            rows.append((row["question"].strip(), row["source"].strip()))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError(
                "{path}, row {row}: not an object with question and source.", "Mend it.", path=qa, row=number
            ) from error
    return rows


def _document_rank(candidates: Sequence[retrieval.Candidate], stage: str, source: str) -> int | None:
    ranked = sorted((c.ranks[stage], c.source) for c in candidates if c.ranks[stage] is not None)
    documents = list(dict.fromkeys(name for _, name in ranked))
    return documents.index(source) + 1 if source in documents else None


def scores(ranks: Sequence[int | None]) -> dict[str, dict[str, float]]:
    """Hit rates, MRR and nDCG@10 from the rank of the right one per question (from 1; None: not found).

    One right answer a question, so that nDCG@10 is 1 / log2(rank + 1) (Järvelin and Kekäläinen, 2002). Ranks beyond
    ten count as not found in all of them.
    """
    near = [rank if rank is not None and rank <= max(HITS) else None for rank in ranks]
    figures: dict[str, list[float]] = {f"hit@{k}": [float(r is not None and r <= k) for r in near] for k in HITS}
    figures["mrr"] = [1 / r if r else 0.0 for r in near]
    figures["ndcg@10"] = [1 / math.log2(r + 1) if r else 0.0 for r in near]
    return {metric: _rounded(interval(values)) for metric, values in figures.items()}


def _rounded(figure: dict[str, float]) -> dict[str, float]:
    return {part: round(value, 4) for part, value in figure.items()}
