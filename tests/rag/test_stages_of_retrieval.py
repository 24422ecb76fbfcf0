"""Retrieval stage by stage on a tiny embedder, held against the same figures worked out from the parts."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.models.cards import ModelCard
from core.rag import calibration, embedding, fusion, knowledge, rerank, retrieval
from core.rag.lexical import Lexical
from core.rag.retrieval import Settings, retrieve
from tests.helpers import checkpoints
from tests.helpers.isolation import add_card

OPEN = {"threshold": False}
TEXTS = [
    "A llama carries loads over the Andes.",
    "The quick brown fox jumps over the lazy dog.",
    "广州塔位于广州市。",
    "珠江流过广州。",
    "An owl sees at night.",
    "The river is long.",
    "Loads of llamas graze here. They are calm.",
    "Bread is baked in an oven.",
    "A bicycle has two wheels.",
    "猫在睡觉。",
]
QUERY = "which llama carries loads?"


@pytest.fixture(autouse=True)
def base(tiny_embedder: ModelCard, tmp_path: Path) -> str:
    """A knowledge base "kb" with one row per text."""
    (tmp_path / "documents").mkdir()
    for number, text in enumerate(TEXTS):
        (tmp_path / "documents" / f"{number}.md").write_text(text, "utf-8")
    knowledge.build("kb", [tmp_path / "documents"])
    assert [row.text for row in knowledge.rows("kb")] == TEXTS
    return "kb"


def test_each_stage_is_what_its_parts_say() -> None:
    """Cosines from the vectors, BM25 from an index of its own, the sum of both, and the sentences' share on top."""
    found = retrieve("kb", QUERY, 3, Settings(**OPEN))
    cosines = embedding.embed(TEXTS, "passage") @ embedding.embed([QUERY], "query")[0]
    index = Lexical.build(TEXTS)
    spread = calibration.prepared(knowledge.view("kb")).spread
    fused = cosines + fusion.WEIGHT * spread * index.shares(QUERY)
    last = fused + retrieval.SENTENCE * spread * np.array(rerank.by_sentence(index, QUERY, TEXTS))
    scores = {"dense": cosines, "lexical": index.scores(QUERY), "fused": fused, "rerank": last}
    assert len(found.candidates) == len(TEXTS)
    for stage, values in scores.items():
        order = sorted(range(len(TEXTS)), key=lambda row: (-values[row], row))
        if stage == "lexical":
            order = [row for row in order if values[row] > 0]
        ranks = {c.row: c.ranks[stage] for c in found.candidates if c.ranks[stage]}
        assert sorted(ranks, key=ranks.__getitem__) == order, stage
        assert sorted(ranks.values()) == list(range(1, len(order) + 1))
        for candidate in found.candidates:
            if candidate.ranks[stage]:
                assert candidate.scores[stage] == pytest.approx(values[candidate.row], abs=1e-4)
    assert [c.row for c in found.candidates] == sorted(range(len(TEXTS)), key=lambda row: (-last[row], row))
    assert found.evidence == pytest.approx(fused.max(), abs=1e-4)
    assert {"embed", "dense", "lexical", "fused", "rerank", "total"} == set(found.seconds)
    assert found.reranker == "sentences"


def test_what_is_given_and_what_is_left_out() -> None:
    found = retrieve("kb", QUERY, 3, Settings(**OPEN))
    assert [c.dropped for c in found.candidates] == [""] * 3 + ["top_k"] * (len(TEXTS) - 3)
    assert [p.text for p in found.passages] == [c.text for c in found.candidates[:3]]
    best = found.passages[0]
    assert (best.text, best.source) == (TEXTS[0], "0.md")
    assert best.ranks == found.candidates[0].ranks
    assert best.score == pytest.approx(found.candidates[0].scores["dense"], abs=1e-4)
    assert knowledge.document_text("kb", best.source)[best.start : best.end] == best.text


@pytest.mark.parametrize(
    ("settings", "absent"),
    [
        (Settings(dense=False, **OPEN), {"dense"}),
        (Settings(lexical=False, **OPEN), {"lexical"}),
        (Settings(rerank=False, **OPEN), {"rerank"}),
        (Settings(dense=False, lexical=False, rerank=False, **OPEN), {"lexical", "rerank"}),
    ],
)
def test_a_stage_that_is_off_ranks_nothing(settings: Settings, absent: set[str]) -> None:
    found = retrieve("kb", QUERY, 2, settings)
    ran = {stage for stage in retrieval.STAGES if any(c.ranks[stage] for c in found.candidates)}
    assert ran == set(retrieval.STAGES) - absent
    assert found.passages
    assert not absent & (set(found.seconds) - {"dense"})


def test_by_words_alone_only_what_shares_some_is_there() -> None:
    found = retrieve("kb", "广州塔", 10, Settings(dense=False, **OPEN))
    assert {c.text for c in found.candidates} == {TEXTS[2], TEXTS[3]}
    assert found.passages[0].text == TEXTS[2]
    assert retrieve("kb", "zebra", 10, Settings(dense=False)).passages == []


def test_the_width_bounds_each_way_and_both_scores_are_known_of_all() -> None:
    found = retrieve("kb", "广州", 1, Settings(width=1, **OPEN))
    assert 1 <= len(found.candidates) <= 2
    assert all(c.scores["dense"] is not None and c.scores["fused"] is not None for c in found.candidates)
    assert len(retrieve("kb", "广州", 4, Settings(width=1, **OPEN)).passages) == 4


def test_only_the_best_are_reranked_and_stay_before_the_rest() -> None:
    found = retrieve("kb", QUERY, 1, Settings(reranked=3, **OPEN))
    assert [c.ranks["rerank"] for c in found.candidates[:3]] == [1, 2, 3]
    assert {c.ranks["rerank"] for c in found.candidates[3:]} == {None}
    assert [c.ranks["fused"] for c in found.candidates[3:]] == list(range(4, len(TEXTS) + 1))


def test_below_the_threshold_nothing_is_given_but_everything_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    found = retrieve("kb", QUERY, 3, Settings(**OPEN))
    monkeypatch.setattr(calibration.Prepared, "threshold", lambda *_: found.evidence + 1e-6)
    nothing = retrieve("kb", QUERY, 3)
    assert (nothing.found, nothing.passages) == (False, [])
    assert {c.dropped for c in nothing.candidates} == {"threshold"}
    assert [c.row for c in nothing.candidates] == [c.row for c in found.candidates]
    monkeypatch.setattr(calibration.Prepared, "threshold", lambda *_: found.evidence)
    assert len(retrieve("kb", QUERY, 3).passages) == 3


def test_a_cross_encoder_that_is_on_disk_decides_the_order(tmp_path: Path) -> None:
    from core.models import loading

    card = add_card("reranker", "rerank", checkpoints.reranker(tmp_path / "reranker"))
    found = retrieve("kb", QUERY, 3, Settings(**OPEN))
    scores = loading.load_reranker(card).predict([(QUERY, text) for text in TEXTS])
    assert found.reranker == "reranker"
    assert [c.row for c in found.candidates] == sorted(range(len(TEXTS)), key=lambda row: -scores[row])


def test_what_is_prepared_is_kept_on_disk_until_the_base_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    retrieve("kb", QUERY)
    built: list[Any] = []
    real = Lexical.build
    monkeypatch.setattr(Lexical, "build", lambda texts: built.append(1) or real(texts))
    calibration._prepared.cache_clear()
    before = retrieve("kb", QUERY)
    assert not built, "made again though it is on disk"
    (folder,) = (path for path in knowledge.cache_dir("kb").glob("lexical-*") if path.is_dir())
    (folder / "scores.npz").write_bytes(b"spoilt")
    calibration._prepared.cache_clear()
    assert retrieve("kb", QUERY).passages == before.passages
    assert len(built) == 1
    (tmp_path / "new.md").write_text("A zebra carries stripes.", "utf-8")
    knowledge.add("kb", [tmp_path / "new.md"])
    assert retrieve("kb", "zebra stripes", 1, Settings(**OPEN)).passages[0].source == "new.md"
    assert len([path for path in knowledge.cache_dir("kb").glob("lexical-*") if path.is_dir()]) == 1
    knowledge.delete_document("kb", "new.md")
    assert all(c.source != "new.md" for c in retrieve("kb", "zebra stripes", 1, Settings(**OPEN)).candidates)


def test_the_threshold_is_the_median_and_so_many_deviations() -> None:
    foreign = [0.1, 0.2, 0.3, 0.4, 0.5]
    assert calibration._threshold(foreign, [2.0]) == pytest.approx(0.3 + calibration.DEVIATIONS * 1.4826 * 0.1)
    assert calibration._threshold(foreign, [0.4]) == pytest.approx(0.35), "half way to the base's own at most"
    # A base about the subject of some probes: they do not lift it.
    assert calibration._threshold([*foreign, 9.0], [20.0]) < 1.2
