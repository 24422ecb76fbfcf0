"""Retrieval scores on hand-made rankings, checked against figures worked out by hand."""

import json
import math
from pathlib import Path
from types import SimpleNamespace

import pytest

from core.errors import UserError
from core.evaluation import retrieval
from core.rag.bases import Row
from core.rag.retrieval import Candidate, Retrieval, Settings

# Sources of the passages found, best first; several passages of one document count once, by the best.
RANKINGS = {
    "first": ["a.md", "b.md"],
    "second": ["b.md", "b.md", "b.md", "a.md"],
    "fourth": ["b.md", "c.md", "b.md", "d.md", "a.md"],
    "tenth": [*(f"{i}.md" for i in range(9)), "a.md"],
    "eleventh": [*(f"{i}.md" for i in range(10)), "a.md"],
    "nowhere": ["b.md"],
}


@pytest.fixture
def ranked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every stage but the lexical one ranks as said above; that one finds nothing."""

    def retrieve(name: str, query: str, top_k: int, settings: Settings) -> Retrieval:
        assert name == "kb"
        found = [
            Candidate(i, f"passage {i}", source, {"dense": i, "lexical": None, "fused": i, "rerank": i}, {})
            for i, source in enumerate(RANKINGS[query], 1)
        ]
        return Retrieval([], found[::-1], {}, True, 0.0, 1.0)

    monkeypatch.setattr("core.rag.retrieval.retrieve", retrieve)
    monkeypatch.setattr("core.rag.knowledge.rows", lambda name: [SimpleNamespace(source="a.md")])


def qa_file(folder: Path, questions: list[str]) -> Path:
    path = folder / "qa.jsonl"
    path.write_text("".join(json.dumps({"question": q, "source": "a.md"}) + "\n" for q in questions), "utf-8")
    return path


def test_the_figures_are_those_worked_out_by_hand(ranked: None, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    report = retrieval.evaluate("kb", qa_file(tmp_path, list(RANKINGS)), lambda done, total: seen.append((done, total)))
    ranks = [1, 2, 4, 10]  # and two questions whose document is not among the first ten
    assert (report["kb"], report["n"]) == ("kb", 6)
    expected = {
        "hit@1": 1 / 6,
        "hit@3": 2 / 6,
        "hit@5": 3 / 6,
        "hit@10": 4 / 6,
        "mrr": (1 + 1 / 2 + 1 / 4 + 1 / 10) / 6,
        "ndcg@10": sum(1 / math.log2(rank + 1) for rank in ranks) / 6,
    }
    assert list(report["stages"]) == ["dense", "lexical", "fused", "rerank"]
    for stage in ("dense", "fused", "rerank"):
        scores = report["stages"][stage]
        assert {metric: figure["mean"] for metric, figure in scores.items()} == pytest.approx(expected, abs=1e-4)
        assert all(f["low"] <= f["mean"] <= f["high"] and f["n"] == 6 for f in scores.values())
        assert scores["hit@5"]["low"] < scores["hit@5"]["high"]
    assert {figure["mean"] for figure in report["stages"]["lexical"].values()} == {0.0}
    assert seen == [(i, 6) for i in range(1, 7)]


def test_questions_about_other_documents_are_no_failure_of_retrieval(ranked: None, tmp_path: Path) -> None:
    path = tmp_path / "qa.jsonl"
    path.write_text('{"question": "first", "source": "other.md"}\n', "utf-8")
    with pytest.raises(
        UserError, match=r"No question's source is a document of “kb”, for instance “other\.md” is none"
    ):
        retrieval.evaluate("kb", path)


def test_all_found_first_is_one_everywhere(ranked: None, tmp_path: Path) -> None:
    report = retrieval.evaluate("kb", qa_file(tmp_path, ["first"] * 3))
    assert {figure["low"] for figure in report["stages"]["dense"].values()} == {1.0}


def test_a_stage_that_is_off_has_no_figures(ranked: None, tmp_path: Path) -> None:
    report = retrieval.evaluate("kb", qa_file(tmp_path, ["first"]), settings=Settings(lexical=False, rerank=False))
    assert list(report["stages"]) == ["dense", "fused"]


@pytest.mark.parametrize("line", ["{", "[]", '{"question": "first"}', '"first"', "null"])
def test_a_bad_row_is_named(ranked: None, tmp_path: Path, line: str) -> None:
    path = qa_file(tmp_path, ["first"])
    path.write_text(path.read_text("utf-8") + line + "\n", "utf-8")
    with pytest.raises(UserError, match=r"qa\.jsonl, row 2: not an object with question and source"):
        retrieval.evaluate("kb", path)


def test_a_file_that_is_missing_or_empty(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="There is no file"):
        retrieval.evaluate("kb", tmp_path / "gone.jsonl")
    with pytest.raises(UserError, match="has no rows"):
        retrieval.evaluate("kb", qa_file(tmp_path, []))


def test_with_its_place_given_a_hit_is_a_chunk_that_holds_half_of_it(
    ranked: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The chunks of a.md are found first, second and fourth; each row of the file asks for another place in it."""
    spans = [("x", 0, 0), ("a.md", 0, 100), ("a.md", 80, 200), ("b.md", 0, 400), ("a.md", 200, 300)]
    rows = [Row(str(i), "", source, start=start, end=end) for i, (source, start, end) in enumerate(spans)]
    monkeypatch.setattr("core.rag.knowledge.rows", lambda name: rows)
    monkeypatch.setitem(RANKINGS, "places", [source for source, _, _ in spans[1:]])
    places = [(10, 60), (90, 110), (130, 160), (195, 205), (210, 260), (185, 220), (310, 340)]
    expected = [
        1,
        1,
        2,
        2,
        4,
        4,
        None,
    ]  # (90, 110): both halves do, the first counts; (310, 340) is in b.md's span only
    path = tmp_path / "qa.jsonl"
    lines = [json.dumps({"question": "places", "source": "a.md", "start": s, "end": e}) for s, e in places]
    path.write_text("\n".join(lines), "utf-8")
    found = retrieval.measure("kb", retrieval.read(path))
    assert found.ranks["dense"] == expected
    report = retrieval.evaluate("kb", path)["stages"]["dense"]
    assert report["mrr"]["mean"] == pytest.approx((1 + 1 + 1 / 2 + 1 / 2 + 1 / 4 + 1 / 4) / 7, abs=1e-4)
    assert report["hit@3"]["mean"] == pytest.approx(4 / 7, abs=1e-4)


@pytest.mark.parametrize("place", [{"start": 5}, {"end": 5}, {"start": 5, "end": 5}, {"start": -1, "end": 5}])
def test_a_place_that_is_none_is_named(tmp_path: Path, place: dict[str, int]) -> None:
    path = tmp_path / "qa.jsonl"
    path.write_text(json.dumps({"question": "q", "source": "a.md", **place}), "utf-8")
    with pytest.raises(UserError, match=r"row 1: start and end are no span"):
        retrieval.read(path)


def test_hits_beyond_ten_are_counted_where_they_are_asked_for() -> None:
    figures = retrieval.scores([1, 12, None, 25], [1, 15])
    assert {m: f["mean"] for m, f in figures.items()} == {"hit@1": 0.25, "hit@15": 0.5, "mrr": 0.25, "ndcg@10": 0.25}
