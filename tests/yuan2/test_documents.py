"""Who sees whom: documents ended by <eod>, documents packed into a row, padding on either side."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from transformers import DataCollatorWithFlattening
from transformers.masking_utils import find_packed_sequence_indices

from tests.helpers import yuan

Oracle = Callable[..., torch.Tensor]


def close(found: torch.Tensor, expected: torch.Tensor) -> None:
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


def packed(rows: list[torch.Tensor]) -> tuple[torch.Tensor, dict[str, dict[str, Any]]]:
    """The rows laid end to end, (1, time), and each way of saying where the borders are."""
    lengths = torch.tensor([0, *map(len, rows)])
    borders = lengths.cumsum(0).to(torch.int32)
    ways = {
        "position_ids": {"position_ids": torch.cat([torch.arange(len(row)) for row in rows])[None]},
        "cu_seq_lens": {
            "cu_seq_lens_q": borders,
            "cu_seq_lens_k": borders,
            "max_length_q": int(lengths.max()),
            "max_length_k": int(lengths.max()),
        },
    }
    return torch.cat(rows)[None], ways


@pytest.mark.usefixtures("inference")
@pytest.mark.parametrize(
    "places", [[0], [5], [11], [0, 1, 2], [4, 6], [3, 4, 9], []], ids=lambda places: f"ends at {places}"
)
@pytest.mark.parametrize("variant", ["filtered", "shareqk", "no-reset"])
def test_documents_are_as_in_the_oracle(load: Any, oracle: Oracle, end: int, places: list[int], variant: str) -> None:
    row = yuan.row(12, seed=31)
    row[places] = end
    for attention in ("eager", "sdpa"):
        close(load(variant, attention)(row[None], use_cache=False).logits[0], oracle(row, variant))


@pytest.mark.usefixtures("inference")
@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_a_token_reaches_the_next_document_only_through_the_filtering(load: Any, attention: str, end: int) -> None:
    """In one layer the filtering looks two tokens back, at what has seen its own document; with a single layer
    nothing else gets across."""
    model = load(attention=attention)
    model.model.layers = model.model.layers[:1]
    row = yuan.row(20, seed=32)
    row[11] = end
    before = model(row[None], use_cache=False).logits[0]

    def changed(place: int) -> list[int]:
        """The tokens whose logits change with the token at this place."""
        other = row.clone()
        other[place] = 400 if row[place] != 400 else 401
        return ((model(other[None], use_cache=False).logits[0] - before).abs().amax(-1) > 0).nonzero()[:, 0].tolist()

    own, following = list(range(12)), list(range(12, 20))
    for place in range(10):
        assert changed(place) == own[place:]
    assert changed(10) == own[10:] + following[1:], "the very first attends to itself alone, whatever its query is"


@pytest.mark.usefixtures("inference")
def test_without_resetting_everything_before_is_seen(load: Any, end: int) -> None:
    row = yuan.row(20, seed=32)
    row[11] = end
    model = load("no-reset")
    before = model(row[None]).logits[0]
    row[1] = 400
    assert ((model(row[None]).logits[0] - before).abs().amax(-1) > 1e-3)[1:].all()


@pytest.mark.usefixtures("inference")
def test_attention_weights_are_those_that_act(load: Any, end: int) -> None:
    row = yuan.row(9, seed=33)
    row[3] = end
    out = load(attention="eager")(row[None], output_attentions=True, output_hidden_states=True)
    assert len(out.hidden_states) == 3
    assert len(out.attentions) == 2
    seen = torch.tensor([[first <= key <= token for key in range(9)] for token, first in enumerate([0] * 4 + [4] * 5)])
    for weights in out.attentions:
        assert weights.shape == (1, 4, 9, 9)
        assert ((weights > 0) == seen).all()
        close(weights.sum(-1), torch.ones(1, 4, 9))


@pytest.mark.usefixtures("inference")
def test_embeddings_carry_no_documents(load: Any, oracle: Oracle, end: int) -> None:
    """No id says <eod> there, so nothing is reset."""
    model = load()
    row = yuan.row(9, seed=34)
    row[3] = end
    embeddings = model.get_input_embeddings()(row[None])
    assert (model(inputs_embeds=embeddings).logits[0] - oracle(row)).abs().max() > 0.1
    kept = load("no-reset")
    close(kept(inputs_embeds=embeddings).logits[0], oracle(row, "no-reset"))


@pytest.mark.usefixtures("inference")
@pytest.mark.parametrize("way", ["position_ids", "cu_seq_lens"])
@pytest.mark.parametrize("cached", [None, False])
def test_packed_documents_are_as_alone(any_model: Any, rows: list[torch.Tensor], way: str, cached: bool | None) -> None:
    ids, ways = packed(rows)
    alone = torch.cat([any_model(row[None], use_cache=False).logits[0] for row in rows])
    close(any_model(ids, use_cache=cached, **ways[way]).logits[0], alone)


@pytest.mark.usefixtures("inference")
@pytest.mark.parametrize("way", ["position_ids", "cu_seq_lens"])
@pytest.mark.parametrize("cached", [None, False])
def test_nothing_leaks_into_a_packed_document(model: Any, way: str, cached: bool | None) -> None:
    rows = [yuan.row(6, seed=41), yuan.row(7, seed=42), yuan.row(1, seed=43), yuan.row(4, seed=44)]
    ids, ways = packed(rows)
    before = model(ids, use_cache=cached, **ways[way]).logits[0]
    for place in (0, 4, 5):
        other = ids.clone()
        other[0, place] = 400 if ids[0, place] != 400 else 401
        after = model(other, use_cache=cached, **ways[way]).logits[0]
        assert torch.equal(after[6:], before[6:])
        assert not torch.equal(after[place:6], before[place:6])


@pytest.mark.usefixtures("inference")
def test_rows_are_packed_each_in_its_own_way(model: Any) -> None:
    lengths = [[3, 6], [5, 1, 3]]
    parts = [[yuan.row(length, seed=50 + length) for length in row] for row in lengths]
    ids = torch.stack([torch.cat(row) for row in parts])
    positions = torch.stack([torch.cat([torch.arange(length) for length in row]) for row in lengths])
    assert find_packed_sequence_indices(positions) is not None
    alone = torch.stack([torch.cat([model(part[None]).logits[0] for part in row]) for row in parts])
    close(model(ids, position_ids=positions).logits, alone)


@pytest.mark.parametrize("borders", ["position_ids", "cu_seq_lens"])
def test_transformers_own_packing_trains_as_single_rows(model: Any, rows: list[torch.Tensor], borders: str) -> None:
    collate = DataCollatorWithFlattening(
        return_flash_attn_kwargs=borders == "cu_seq_lens", return_position_ids=borders == "position_ids"
    )
    batch = collate([{"input_ids": row.tolist()} for row in rows if len(row) > 1])
    alone = [(model(row[None], labels=row[None]).loss * (len(row) - 1), len(row) - 1) for row in rows if len(row) > 1]
    expected = sum(loss for loss, _ in alone) / sum(count for _, count in alone)
    close(model(**batch).loss, expected)


@pytest.mark.usefixtures("inference")
@pytest.mark.parametrize("side", ["left", "right"])
def test_a_padded_row_is_as_alone(any_model: Any, rows: list[torch.Tensor], side: str, end: int) -> None:
    alone = [any_model(row[None], use_cache=False).logits[0] for row in rows]
    for fill in (end, 300):
        ids, mask = yuan.padded(rows, fill, side)
        for cached in (None, False):
            found = any_model(ids, attention_mask=mask, use_cache=cached).logits
            for row, logits, expected in zip(rows, found, alone, strict=True):
                close(logits[-len(row) :] if side == "left" else logits[: len(row)], expected)


@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_teaches_nothing(model: Any, rows: list[torch.Tensor], side: str, end: int) -> None:
    """Loss and gradients of a padded batch are those of its rows' tokens alone."""
    ids, mask = yuan.padded(rows, end, side)
    labels = ids.masked_fill(mask == 0, -100)
    if side == "left":  # else a row's first token is one to be predicted, from padding
        labels[torch.arange(len(rows)), mask.argmax(-1)] = -100
    grads = []
    for batched in (True, False):
        model.zero_grad()
        if batched:
            loss = model(ids, attention_mask=mask, labels=labels).loss
        else:
            sums = [
                torch.nn.functional.cross_entropy(model(r[None]).logits[0, :-1], r[1:], reduction="sum") for r in rows
            ]
            expected = sum(sums) / sum(len(row) - 1 for row in rows)
            close(loss, expected)
            loss = expected
        loss.backward()
        grads.append({name: weight.grad.clone() for name, weight in model.named_parameters()})
    for name, grad in grads[1].items():
        close(grads[0][name], grad)
    model.zero_grad()
