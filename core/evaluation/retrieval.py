"""How often retrieval finds the document that holds the answer."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from core.errors import UserError
from core.rag import knowledge

HITS = (1, 3, 5, 10)


def evaluate(name: str, qa: Path, progress: Callable[[int, int], None] | None = None) -> dict[str, Any]:
    """Score a knowledge base on rows {"question", "source"}, ``source`` being the file that holds the answer.

    Documents count once, by their best chunk, so ranks are ranks of documents.

    Returns:
        {"kb", "n", "stages": {"dense": {"hit@1", …, "hit@10", "mrr", "ndcg@10"}}}, each from 0 to 1.

    Raises:
        UserError: no such file or knowledge base, or a row without question and source.
    """
    if not qa.is_file():
        raise UserError("There is no file {path}.", "Check the path.", path=qa)
    ranks = []
    try:
        lines = [line for line in qa.read_text("utf-8-sig").split("\n") if line.strip()]
    except UnicodeDecodeError as error:
        raise UserError("{name} is not UTF-8 text.", "Save it as UTF-8 and add it again.", name=qa.name) from error
    if not lines:
        raise UserError("{path} has no rows.", "Each line: a JSON object with question and source.", path=qa)
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line)
            question, source = row["question"].strip(), row["source"].strip()
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError(
                "{path}, row {row}: not an object with question and source.", "Mend it.", path=qa, row=number
            ) from error
        found = [passage.source for passage in knowledge.search(name, question, 10 * max(HITS))]
        documents = list(dict.fromkeys(found))[: max(HITS)]
        ranks.append(documents.index(source) + 1 if source in documents else None)
        if progress:
            progress(number, len(lines))
    count = len(ranks)
    scores = {f"hit@{k}": round(sum(r is not None and r <= k for r in ranks) / count, 4) for k in HITS}
    scores["mrr"] = round(sum(1 / r for r in ranks if r) / count, 4)
    scores["ndcg@10"] = round(sum(1 / math.log2(r + 1) for r in ranks if r) / count, 4)
    return {"kb": name, "n": count, "stages": {"dense": scores}}
