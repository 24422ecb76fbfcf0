"""Against outputs of the published implementation and tokenizer, where they are at hand beside the project."""

import json
import random
from pathlib import Path

import pytest
import sentencepiece

from benchmarks.yuan2 import BOUNDS, parity, tokenizer
from core.settings import ROOT
from core.yuan2 import YuanTokenizer
from tests.helpers import naive_yuan

REFERENCE = Path(ROOT).parent / "shared" / "yuan2"
pytestmark = pytest.mark.skipif(not REFERENCE.is_dir(), reason="no ../shared/yuan2 with the published outputs")


def test_logits_loss_gradients_and_generations() -> None:
    report = parity(REFERENCE / "tiny")
    assert len(report) >= 40
    for case, deviation in report.items():
        kind = "relative" if "(relative)" in case else "logits"
        assert deviation <= (0 if "(tokens)" in case else BOUNDS[kind]), case


def test_ids_of_the_tokenizer_used_in_training() -> None:
    found = tokenizer(REFERENCE / "tokenizer")
    assert found["texts"] > 10
    assert found["which"] == []


def test_ids_of_mixtures_with_the_published_vocabulary() -> None:
    """The naive tokenizer agrees with the recorded ids, so it may judge texts that nobody recorded."""
    folder = REFERENCE / "tokenizer"
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(folder / "tokenizer.model"))
    tokenizer = YuanTokenizer.from_pretrained(folder)
    rows = json.loads((folder / "ids.json").read_text("utf-8"))
    for row in rows:
        assert naive_yuan.encode(pieces, row["text"]) == row["ids"], row["text"]
    fragments = [row["text"] for row in rows] + naive_yuan.KEPT + naive_yuan.SWALLOWING + [" ", "\n", "<n>", "</s>"]
    chance = random.Random(0)
    for _ in range(300):
        text = "".join(chance.choices(fragments, k=chance.randint(1, 6)))
        assert tokenizer(text)["input_ids"] == naive_yuan.encode(pieces, text), text
