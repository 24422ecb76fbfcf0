"""Retrieval stage by stage on real questions, and at scale.

    python -m benchmarks.retrieval [FILE]            a data set of SQuAD's shape: question → its passage among all
    python -m benchmarks.retrieval --chunks [FILE]   the same cut into chunks; any chunk of the passage counts
    python -m benchmarks.retrieval --scale 100000    index build, recall and latency (benchmarks/retrieval_scale.py)

Prints hit@1, hit@5 and MRR with 95 % intervals for dense, lexical, fused and reranked, and the median milliseconds of
each stage. Claims: fused beats the better single stage in MRR, and reranked is not below fused. Exit 1 when one is
broken.
"""

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

FILE = Path("../shared/datasets/cmrc2018.trial.json")
METRICS = ("hit@1", "hit@5", "mrr")


def read(path: Path) -> tuple[list[str], list[tuple[str, int]]]:
    """Passages, each text once, and (question, number of its passage)."""
    data = json.loads(path.read_text("utf-8"))
    passages: dict[str, int] = {}
    questions = []
    for document in data["data"]:
        for paragraph in document["paragraphs"]:
            number = passages.setdefault(paragraph["context"].strip(), len(passages))
            questions += [(row["question"], number) for row in paragraph["qas"] if row["question"].strip()]
    return list(passages), questions


def quality(path: Path, cut: bool) -> dict[str, Any]:
    """Figures per stage through the app's own code: one document a passage, in a data directory of its own.

    Args:
        cut: chunks of the usual size instead of whole passages.
    """
    from core.evaluation.retrieval import scores
    from core.rag import knowledge, retrieval
    from core.settings import settings

    passages, questions = read(path)
    ranks: dict[str, list[int | None]] = {stage: [] for stage in retrieval.STAGES}
    seconds: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder, models = Path(name), settings().models_dir
        settings().data_dir = folder
        (folder / "models").symlink_to(models, target_is_directory=True)
        (folder / "passages").mkdir()
        for number, text in enumerate(passages):
            (folder / "passages" / f"{number}.txt").write_text(text, "utf-8")
        knowledge.build("passages", [folder / "passages"], size=0 if cut else 10_000)
        chunks = len(knowledge.rows("passages"))
        for question, number in questions:
            found = retrieval.retrieve("passages", question, 10)
            for stage, places in ranks.items():
                places.append(_rank(found.candidates, stage, f"{number}.txt"))
            for stage, spent in found.seconds.items():
                seconds.setdefault(stage, []).append(spent)
    stages = {stage: {m: scores(places)[m] for m in METRICS} for stage, places in ranks.items()}
    milliseconds = {stage: round(1000 * statistics.median(spent), 1) for stage, spent in seconds.items()}
    sizes = {"passages": len(passages), "chunks": chunks, "questions": len(questions)}
    return {**sizes, "stages": stages, "milliseconds": milliseconds}


def _rank(candidates: list[Any], stage: str, source: str) -> int | None:
    """Rank of a passage among passages, each by its best chunk."""
    order = sorted((c.ranks[stage], c.source) for c in candidates if c.ranks[stage])
    sources = list(dict.fromkeys(name for _, name in order))
    return sources.index(source) + 1 if source in sources else None


def broken(stages: dict[str, Any]) -> list[str]:
    """The claims that do not hold, in words."""
    mrr = {stage: scores["mrr"]["mean"] for stage, scores in stages.items()}
    said = []
    if mrr["fused"] <= max(mrr["dense"], mrr["lexical"]):
        said.append("fused does not beat the better single stage in MRR")
    if mrr["rerank"] < mrr["fused"]:
        said.append("reranked is below fused in MRR")
    return said


def main() -> None:
    """Measure what was asked for and print it as JSON, then whether the claims hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, nargs="?", default=FILE)
    parser.add_argument("--chunks", action="store_true", help="cut the passages as documents are")
    parser.add_argument("--scale", type=int, metavar="N", help="chunks of the scale run")
    asked = parser.parse_args()
    if asked.scale:
        from benchmarks import retrieval_scale

        sys.exit(not retrieval_scale.run(asked.scale))
    if not asked.file.is_file():
        print(f"Skipped: there is no file {asked.file}.")
        return
    report = quality(asked.file, asked.chunks)
    print(json.dumps(report, indent=1))
    wrong = broken(report["stages"])
    print("OUT OF BOUNDS: " + "; ".join(wrong) if wrong else "all within bounds")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
