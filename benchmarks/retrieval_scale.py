"""``python -m benchmarks.retrieval --scale N``: a knowledge base of N chunks, stored, indexed, searched, against the
seed's way of doing it.

The vectors are synthetic: points around random centres on the sphere, as texts gather around topics; so this says
nothing about quality, only how fast and how truly the nearest are found. Everything else is the app's own path.
"""

import os
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from core.models import store as models
from core.rag import bases, dense, embedding, knowledge, staging, store
from core.rag.bases import Row, View
from core.rag.staging import Staged
from core.settings import settings

DIMENSIONS, TOPICS, SPREAD = 384, 2000, 0.9
PER_DOCUMENT, QUERIES, TRUE, SAMPLE = 250, 200, 10, 48
NAME = "scale"
LIMITS = {"recall@10": 0.99, "store p95, ms": 20.0, "end to end p95, ms": 60.0}


class Cloud:
    """Points around topics; the same for the same seed."""

    def __init__(self, seed: int = 7) -> None:
        self.chance = np.random.default_rng(seed)
        self.centres = self.chance.normal(size=(TOPICS, DIMENSIONS)).astype(np.float32)

    def draw(self, count: int) -> np.ndarray:
        """``count`` unit vectors, (count, DIMENSIONS) float32."""
        noise = self.chance.normal(size=(count, DIMENSIONS)).astype(np.float32)
        points = self.centres[self.chance.integers(0, TOPICS, count)] + SPREAD * noise
        return points / np.linalg.norm(points, axis=1, keepdims=True)


def run(count: int) -> bool:
    """Measure with ``count`` chunks, print it, and say whether all limits are kept."""
    with tempfile.TemporaryDirectory() as root:
        settings().models_dir.mkdir(parents=True, exist_ok=True)  # the embedder is fetched to where it belongs
        (Path(root) / "models").symlink_to(settings().models_dir)
        os.environ["YUAN_DATA_DIR"] = root
        settings.cache_clear()
        print(f"{count:,} chunks of 250 Chinese characters, {DIMENSIONS} dimensions, {os.cpu_count()} cores.")
        print(f"Vectors are synthetic: {TOPICS} topics on the sphere, spread {SPREAD}. Memory is the process's peak.\n")
        cloud = Cloud()
        built = _build(cloud, count)
        figures = _search(cloud)
        _on_paper(count, built)
    met = figures["recall@10"] >= LIMITS["recall@10"]
    met &= all(figures[name] <= LIMITS[name] for name in ("store p95, ms", "end to end p95, ms"))
    print("\n" + ("All limits are kept." if met else f"NOT KEPT: {LIMITS}"))
    return met


def peak() -> float:
    """The most memory this process has held so far, MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _documents(cloud: Cloud, count: int) -> Iterator[tuple[Staged, np.ndarray]]:
    letters = [chr(0x4E00 + i) for i in range(3000)]
    for start in range(0, count, PER_DOCUMENT):
        texts = ["".join(row) for row in cloud.chance.choice(letters, (min(PER_DOCUMENT, count - start), 250))]
        name = f"{start:07}.txt"
        rows = tuple(Row("", text, name, start=i * 252, end=i * 252 + 250) for i, text in enumerate(texts))
        yield Staged(name, name, name, 0, "txt", 0, (), ".txt", "\n\n".join(texts), rows), cloud.draw(len(rows))


def _build(cloud: Cloud, count: int) -> dict[str, float]:
    print(f"{'':<44}{'seconds':>9}{'per second':>12}{'peak MB':>9}")
    store.client()
    before = peak()
    _line("before", 0, 0)
    began = time.perf_counter()
    for document, vectors in _documents(cloud, count):
        staging.stage(NAME, [document], vectors)
    made = {"embedder": models.default_embedder().name, "size": 220, "overlap": 0}
    _line("stored: rows and vectors in the base's file", time.perf_counter() - began, count)
    began = time.perf_counter()
    staging.commit(NAME, lambda *_: True, made, [])
    _line("gone live: repetitions, version", time.perf_counter() - began, count)
    began = time.perf_counter()
    seen = bases.view(NAME)
    _line("rows read", time.perf_counter() - began, count)
    began = time.perf_counter()
    dense.sync(seen)
    taken = time.perf_counter() - began
    _line("indexed: HNSW in Chroma", taken, count)
    size = sum(path.stat().st_size for path in settings().kb_dir.rglob("*") if path.is_file()) / 1e6
    print(f"on disk: {size:,.0f} MB; index {store._INDEX}\n")
    return {"indexed": taken, "disk": size, "before": before, "peak": peak()}


def _line(what: str, seconds: float, count: int) -> None:
    rate = f"{count / seconds:,.0f}" if seconds else ""
    print(f"{what:<44}{seconds:>9.1f}{rate:>12}{peak():>9,.0f}", flush=True)


def _search(cloud: Cloud) -> dict[str, float]:
    seen = bases.view(NAME)
    queries = cloud.draw(QUERIES)
    truth = [set(row) for row in _exact(seen, queries)]
    found: list[set[int]] = []
    alone = _timed(queries, lambda query: store.query(dense.collection(seen), query, TRUE))
    stage = _timed(queries, lambda query: found.append({row for row, _ in dense.nearest(seen, query, TRUE)}))
    recall = float(np.mean([len(a & b) / TRUE for a, b in zip(truth, found, strict=True)]))
    print(f"recall@{TRUE} against exact search, {QUERIES} queries: {recall:.4f}")
    _times("store only", alone)
    _times("dense stage (with its check that nothing changed)", stage)
    texts = [f"第{i}个问题：广州大学是在哪一年创办的，现在有多少学生？" for i in range(60)]
    embedding.embed(texts[:3], "query")

    def whole(text: str) -> None:
        dense.nearest(knowledge.view(NAME), embedding.embed([text], "query")[0], TRUE)

    both = _timed(texts, whole)
    _times("end to end: the query embedded (real e5), searched", both)
    _against_seed(seen, queries, stage, both)
    return {
        "recall@10": recall,
        "store p95, ms": float(np.percentile(alone, 95)),
        "end to end p95, ms": float(np.percentile(both, 95)),
    }


def _exact(seen: View, queries: np.ndarray) -> np.ndarray:
    """The true nearest, (queries, TRUE) numbers of rows, from the base's own vectors block by block."""
    scores = np.concatenate([v @ queries.T for _, v in bases.vector_blocks(seen, [row.id for row in seen.rows])])
    return np.argpartition(-scores, TRUE, axis=0)[:TRUE].T


def _timed(inputs: np.ndarray | list[str], act: Callable) -> np.ndarray:
    """Milliseconds of each call."""
    taken = []
    for one in inputs:
        began = time.perf_counter()
        act(one)
        taken.append(1000 * (time.perf_counter() - began))
    return np.array(taken)


def _times(what: str, taken: np.ndarray) -> None:
    middle, late = np.percentile(taken, [50, 95])
    print(f"{what:<52} median {middle:6.1f} ms   p95 {late:6.1f} ms")


def _against_seed(seen: View, queries: np.ndarray, alone: np.ndarray, both: np.ndarray) -> None:
    """The seed embedded all chunks at every start, then went over them in a Python loop for every question."""
    held = list(bases.vectors(seen))

    def loop(query: np.ndarray) -> None:
        norm = np.linalg.norm(query)
        scores = [float(np.dot(query, row) / (norm * np.linalg.norm(row))) for row in held]
        sorted(range(len(scores)), key=scores.__getitem__, reverse=True)[:TRUE]

    seed = _timed(queries[:5], loop)
    _times("the seed's loop over cosine, search alone", seed)
    began = time.perf_counter()
    embedding.embed([row.text for row in seen.rows[:SAMPLE]], "passage")
    start = (time.perf_counter() - began) / SAMPLE * len(held)
    bases._view.cache_clear()
    began = time.perf_counter()
    dense.nearest(knowledge.view(NAME), queries[0], TRUE)
    ready = time.perf_counter() - began
    embed = max(0.0, float(np.median(both) - np.median(alone)))
    print(f"seed / ours: search alone {np.median(seed) / np.median(alone):.1f} times, ", end="")
    print(f"with the same embedding of the query {(np.median(seed) + embed) / np.median(both):.1f} times")
    print(
        f"ready after a start: the seed embeds everything, {start:,.0f} s ({SAMPLE} chunks scaled); ours {ready:.2f} s"
    )


def _on_paper(count: int, built: dict[str, float]) -> None:
    """1,000,000 chunks from these figures: what grows with the rows grows in proportion, HNSW by n log n."""
    times = 1_000_000 / count
    longer = times * np.log(1_000_000) / np.log(count)
    hours = built["indexed"] * longer / 3600
    memory = built["peak"] * times / 1000
    print(
        f"\nOn paper, 1,000,000 chunks: {built['disk'] * times / 1000:.1f} GB on disk, index in {hours:.1f} h, ", end=""
    )
    print(f"memory at most {memory:.1f} GB (rows and HNSW are held), a query's steps grow by the logarithm only.")


if __name__ == "__main__":
    import sys

    sys.exit(0 if run(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000) else 1)
