"""How well the embedded model answers Chinese questions from a passage, without and with an adapter.

    python -m benchmarks.chinese_answers [--file FILE] [--adapter DIR] [--limit N]

FILE is a data set of SQuAD's shape that nobody trained on (the CMRC 2018 trial). Each passage is cut to the chunk that
the answer lies in, as retrieval would bring it, and asked in the app's own words, greedily, base and adapter in one
batch. Prints ROUGE-L over characters and exact match (white space, punctuation and width aside), each the best over the
references, with 95 % intervals, the paired difference, and the answers themselves with --show.
"""

import argparse
import json
import random
import re
import unicodedata
from pathlib import Path
from typing import Any

FILE = Path("../shared/datasets/cmrc2018.trial.json")
ADAPTER = Path("assets/adapters/rag-qa-zh")
MODEL = "SmolLM2-135M-Instruct"
CHARACTERS = 280  # of a passage: a chunk of the usual 220 tokens
BATCH, NEW_TOKENS = 16, 64


def rows(path: Path, limit: int) -> list[dict[str, Any]]:
    """Questions with the piece of their passage that holds the first answer; drawn with a fixed seed.

    Returns:
        {"question", "context": at most ``CHARACTERS``, "answers": references}.
    """
    found = []
    for document in json.loads(path.read_text("utf-8"))["data"]:
        for paragraph in document["paragraphs"]:
            for asked in paragraph["qas"]:
                answers = [answer["text"] for answer in asked["answers"]]
                if not asked["question"].strip() or not (at := _place(paragraph["context"], answers[0])):
                    continue
                context = _piece(paragraph["context"], *at)
                found.append({"question": asked["question"], "context": context, "answers": answers})
    random.Random(0).shuffle(found)
    return found[:limit]


def _place(context: str, answer: str) -> tuple[int, int] | None:
    start = context.find(answer)
    return (start, start + len(answer)) if start >= 0 and len(answer) < CHARACTERS // 2 else None


def _piece(context: str, start: int, end: int) -> str:
    """Whole sentences around the span, as many as fit."""
    from core.rag.chunks import sentences

    spans = sentences(context)
    first = last = next(i for i, (a, b) in enumerate(spans) if a <= start < b)
    while spans[last][1] < end:
        last += 1
    while True:
        wider = [(first - 1, last)] if first else []
        wider += [(first, last + 1)] if last + 1 < len(spans) else []
        fitting = [(a, b) for a, b in wider if spans[b][1] - spans[a][0] <= CHARACTERS]
        if not fitting:
            return context[spans[first][0] : spans[last][1]].strip()[: 2 * CHARACTERS]
        first, last = min(fitting, key=lambda pair: spans[pair[1]][1] - spans[pair[0]][0])


def plain(text: str) -> str:
    """What is compared for an exact match."""
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", text).lower())


def score(text: str, answers: list[str]) -> dict[str, float]:
    """ROUGE-L and exact match of an answer against the best of its references."""
    from core.evaluation.metrics import rouge_row

    return {
        "rougeL": max(rouge_row(text, answer)["rougeL"] for answer in answers),
        "exact": float(any(plain(text) == plain(answer) for answer in answers)),
    }


def measure(asked: list[dict[str, Any]], adapter: Path) -> dict[str, Any]:
    """Both arms on the same rows."""
    from core.evaluation.statistics import contrast, interval
    from core.generation import prompts
    from core.generation.engine import Engine, Options, Request

    engine = Engine()
    order = sorted(asked, key=lambda row: len(row["context"]))
    for first in range(0, len(order), BATCH):
        batch = order[first : first + BATCH]
        messages = [prompts.conversation(prompts.with_context(r["question"], [r["context"]])) for r in batch]
        requests = [Request(m, path) for m in messages for path in (None, adapter)]
        answers = engine.submit(MODEL, requests, Options(max_new_tokens=NEW_TOKENS)).result()
        for number, row in enumerate(batch):
            row["base"], row["tuned"] = (answers[2 * number + arm].text for arm in (0, 1))
    report: dict[str, Any] = {"questions": len(order), "characters": CHARACTERS}
    for metric in ("rougeL", "exact"):
        base, tuned = ([score(row[arm], row["answers"])[metric] for row in order] for arm in ("base", "tuned"))
        report[metric] = {"base": interval(base), "tuned": interval(tuned), "difference": contrast(base, tuned)}
    return report


def main() -> None:
    """Measure and print as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--file", type=Path, default=FILE)
    parser.add_argument("--adapter", type=Path, default=ADAPTER)
    parser.add_argument("--limit", type=int, default=300)
    parser.add_argument("--show", type=int, default=0, metavar="N", help="also print the first N answers")
    chosen = parser.parse_args()
    if not chosen.file.is_file():
        print(f"Skipped: there is no file {chosen.file}.")
        return
    asked = rows(chosen.file, chosen.limit)
    print(json.dumps(measure(asked, chosen.adapter.resolve()), indent=1))
    for row in asked[: chosen.show]:
        print(json.dumps({part: row[part] for part in ("question", "answers", "base", "tuned")}, ensure_ascii=False))


if __name__ == "__main__":
    main()
