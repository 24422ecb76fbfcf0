"""``python -m tests.helpers.searcher BASE``: a process that answers each line of its input, as an app would.

A line is a JSON object: {"search": question} gives {"texts": […], "log": […]}, {"delete": document} and {"add": path}
change the base, {"own": true} takes hold of the embedded store.
"""

import json
import logging
import sys
from pathlib import Path
from typing import Any

from core.errors import UserError
from core.models import cards, store
from core.rag import knowledge
from core.rag import store as vector_store
from tests.helpers.searching import passages


def answer(base: str, asked: dict[str, Any], log: list[str]) -> dict[str, Any]:
    log.clear()
    try:
        if "search" in asked:
            return {"texts": [p.text for p in passages(base, asked["search"])], "log": list(log)}
        if "delete" in asked:
            knowledge.delete_document(base, asked["delete"])
        if "add" in asked:
            knowledge.add(base, [Path(asked["add"])])
        if "own" in asked:
            vector_store.client()
    except UserError as error:
        return {"error": str(error)}
    return {}


def main(base: str) -> None:
    card = cards.card("tiny-embedder")
    store.default_embedder = lambda: card
    log: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: log.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger("yuan").addHandler(handler)
    for line in sys.stdin:
        print(json.dumps(answer(base, json.loads(line), log)), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
