"""A merged model is offered only when it answers as base model and adapter do."""

import json
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest

from core import files
from core.errors import UserError
from core.generation.engine import Engine, Options, Request
from core.generation.prompts import conversation
from core.models import cards, downloads, own, preparing, store
from core.models.cards import ModelCard
from core.settings import settings
from core.training import dependents, merge, runs
from tests.helpers import runs as stored
from tests.helpers import tiny

RUN = "20260101-000000-a-0001"


@pytest.fixture
def run(tiny_card: ModelCard, tiny_adapters: list[Path]) -> Path:
    """A finished run of the tiny model, whose adapter changes every logit."""
    folder = stored.make(RUN)
    copytree(tiny_adapters[0], folder / "adapter")
    return folder


def answers(model: str, adapter: Path | None = None) -> list[str]:
    options = Options(max_new_tokens=16, min_new_tokens=16)
    rows = [Request(conversation(question), adapter) for question in merge.QUESTIONS]
    return [answer.text for answer in Engine().submit(model, rows, options).result()]


def test_a_merged_model_joins_the_catalog_and_answers_as_the_adapter_does(run: Path) -> None:
    stages: list[str] = []
    merged = merge.merge(RUN, "mine", lambda step, share: stages.append(step))
    assert merged.verification.passed
    assert merged.verification.same == merged.verification.prompts == len(merge.QUESTIONS)
    assert merged.verification.tokens == merge.NEW_TOKENS * len(merge.QUESTIONS)
    assert merged.verification.difference < 1e-4
    assert merged.verification.dtype == "float32"
    assert stages == ["merge", "verify"]

    card = cards.card("mine")
    assert store.is_ready(card)
    assert (card.task, card.lora_targets, card.sources[0].label) == ("generate", tiny.TARGETS, f"run:{RUN}")
    assert card.size == pytest.approx(store.disk_use(card), rel=0.05)
    assert merged.path == store.directory(card)
    assert not list(merged.path.glob("adapter*"))
    assert json.loads((merged.path / "config.json").read_text("utf-8"))["model_type"] == "llama"
    assert answers("mine") == answers("tiny", runs.adapter(RUN)) != answers("tiny")
    assert dependents.dependents(RUN).models == ["mine"]

    with pytest.raises(UserError, match="taken or not usable"):
        merge.merge(RUN, "mine")
    own.remove_own("mine")
    assert "mine" not in cards.catalog()
    assert not merged.path.exists()


def test_one_that_answers_differently_is_removed_with_a_sentence(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("peft.tuners.lora.LoraModel.merge_and_unload", lambda self, **_: self.unload())
    with pytest.raises(UserError, match="answers differently from base model and adapter"):
        merge.merge(RUN, "mine")
    assert "mine" not in cards.catalog()
    assert [path.name for path in settings().models_dir.iterdir() if "mine" in path.name] == []


def test_a_checkpoint_is_merged_as_itself(run: Path, tiny_adapters: list[Path]) -> None:
    kept = stored.checkpoint(run, 20)
    for file in tiny_adapters[1].iterdir():
        (kept / file.name).write_bytes(file.read_bytes())
    merge.merge(f"{RUN}@20", "early")
    assert answers("early") == answers("tiny", tiny_adapters[1])


def test_a_whole_model_becomes_a_card(run: Path, tmp_path: Path) -> None:
    files.write_json(run / "about.json", {})
    tiny.make_generator(run / "model", seed=12)
    merged = merge.merge(RUN, "whole")
    assert merged.verification.same == merged.verification.prompts
    assert answers("whole") != answers("tiny")


@pytest.mark.parametrize("name", ["tiny", "../elsewhere", "..", ".hidden", "", "a/b"])
def test_a_name_must_be_free_and_a_folders(run: Path, name: str) -> None:
    with pytest.raises(UserError, match="taken or not usable"):
        merge.merge(RUN, name)


def test_a_classifier_is_not_offered_for_chat(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    card = cards.card("tiny").model_copy(update={"task": "classify"})
    monkeypatch.setattr("core.models.cards.card", lambda name: card)
    with pytest.raises(UserError, match="a classifier, which cannot chat"):
        merge.merge(RUN, "labels")


def test_a_run_without_an_adapter_has_nothing_to_merge(tiny_card: ModelCard) -> None:
    stored.make(RUN)
    with pytest.raises(UserError, match="has no adapter"):
        merge.merge(RUN, "mine")
    assert "mine" not in cards.catalog()


@pytest.mark.parametrize(
    ("dtype", "same", "difference", "passed"),
    [
        ("float32", 4, 1e-6, True),
        ("float32", 3, 1e-6, False),
        ("float32", 4, 1e-2, False),
        ("bfloat16", 3, 0.01, True),
        ("bfloat16", 4, 0.2, False),
    ],
)
def test_in_half_precision_only_the_logits_count(dtype: str, same: int, difference: float, passed: bool) -> None:
    values: dict[str, Any] = {"tokens": 96, "tolerance": merge.TOLERANCE[dtype], "dtype": dtype}
    assert merge.Verification(4, same, difference=difference, **values).passed is passed


def test_a_merged_model_whose_files_are_gone_says_where_it_came_from(run: Path) -> None:
    merged = merge.merge(RUN, "mine")
    (merged.path / "config.json").unlink()
    card = cards.card("mine")
    assert downloads.state(card).kind == downloads.BROKEN
    with pytest.raises(UserError, match=f"merged here from run {RUN}"):
        preparing.prepare(card)
