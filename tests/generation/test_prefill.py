"""Prompts read in groups: what is generated on from their joined cache is what each row is alone."""

import itertools
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM

from core.generation import prefill
from core.generation.engine import Engine, Options, Request
from core.generation.prompts import conversation
from core.models.cards import ModelCard
from tests.helpers import architectures

SHORT, LONG = "What is a llama?", "The quick brown fox jumps over the lazy dog. " * 9
LENGTHS = (7, 150, 12, 140, 9)


@pytest.mark.parametrize(
    "lengths", [(58, 502, 58, 502), (30,), (30, 40), (5, 200), (400, 3, 90, 95), (1, 70, 140, 210, 280), (9, 9, 9, 300)]
)
def test_no_other_grouping_costs_less(lengths: tuple[int, ...]) -> None:
    def cost(parts: list[list[int]]) -> int:
        return sum(len(part) * max(lengths[place] for place in part) + prefill.PASS for part in parts)

    found = prefill.groups(lengths)
    assert sorted(itertools.chain(*found)) == list(range(len(lengths)))
    ways = itertools.product(range(len(lengths)), repeat=len(lengths))
    every = [[[p for p, own in enumerate(way) if own == mark] for mark in set(way)] for way in ways]
    assert cost(found) == min(map(cost, every))


@pytest.mark.parametrize("make", [architectures.llama, architectures.phi, architectures.yuan])
def test_the_joined_cache_is_that_of_each_row_alone(make: Any, tmp_path: Path) -> None:
    """Logits of the last prompt token and of three more; in Yuan one row has an end of a document in it."""
    import core.yuan2  # noqa: F401 - makes its architecture known

    model = AutoModelForCausalLM.from_pretrained(make(tmp_path / "model")).eval()
    torch.manual_seed(5)
    rows = [torch.randint(5, 300, (length + 3,)) for length in LENGTHS]
    end = getattr(model.config, "eod_token", None)
    if end is not None:
        rows[1][60] = rows[2][4] = end
    ids, mask = torch.zeros(2, len(rows), max(LENGTHS), dtype=torch.long)
    for place, length in enumerate(LENGTHS):
        ids[place, -length:], mask[place, -length:] = rows[place][:length], 1
    cache = prefill.read(model, {"input_ids": ids, "attention_mask": mask})
    assert cache.get_seq_length() == max(LENGTHS) - 1
    with torch.inference_mode():
        alone = [model(row[None]).logits[0, -4:] for row in rows]
        next_ids = ids[:, -1:]
        for step in range(4):
            positions = (mask.cumsum(1) - 1)[:, -1:]
            found = model(next_ids, attention_mask=mask, position_ids=positions, past_key_values=cache).logits[:, -1]
            torch.testing.assert_close(found, torch.stack([row[step] for row in alone]), atol=1e-4, rtol=0)
            if step < 3:
                next_ids = torch.stack([row[length + step] for row, length in zip(rows, LENGTHS, strict=True)])[:, None]
                mask = torch.nn.functional.pad(mask, (0, 1), value=1)


def test_base_and_adapters_with_long_and_short_prompts_answer_as_alone(
    tiny_card: ModelCard, tiny_adapters: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    read = []
    plain = prefill.read
    monkeypatch.setattr(prefill, "read", lambda *args: read.append(plain(*args)) or read[-1])
    one, two = tiny_adapters
    arms = [(SHORT, None), (LONG, one), (SHORT, two), (LONG, None), (SHORT, one)]
    requests = [Request(conversation(text), adapter) for text, adapter in arms]
    engine, options = Engine(), Options(max_new_tokens=16)
    together = [answer.text for answer in engine.submit("tiny", requests, options).result()]
    assert read[0] is not None, "the batch is read in groups"
    alone = [engine.submit("tiny", [request], options).result()[0].text for request in requests]
    assert together == alone
    assert len(set(alone)) == len(alone), "they must differ for this to prove anything"


def test_prompts_of_like_length_and_other_kinds_of_caches_are_read_by_the_model_itself(tmp_path: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(architectures.llama(tmp_path / "model")).eval()
    ids = torch.randint(5, 300, (2, 90))
    mask = torch.ones_like(ids)
    assert prefill.read(model, {"input_ids": ids, "attention_mask": mask}) is None
    mask[0, :88] = 0
    assert prefill.read(model, {"input_ids": ids, "attention_mask": mask}) is not None
    model.config.sliding_window, model.config.layer_types = 16, ["sliding_attention"] * 2
    assert prefill.read(model, {"input_ids": ids, "attention_mask": mask}) is None
