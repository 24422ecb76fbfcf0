"""Every way of running the model gives what one uncached pass gives: parts, kinds of cache, ways of generating."""

import functools
from typing import Any

import pytest
import torch
from transformers import DynamicCache, StaticCache

from tests.helpers import yuan

pytestmark = pytest.mark.usefixtures("inference")
CACHES = {
    "growing": lambda model: None,
    "given": lambda model: DynamicCache(config=model.config),
    "static": lambda model: StaticCache(config=model.config, max_cache_len=64),
}
WAYS: dict[str, dict[str, Any]] = {
    "cached": {},
    "chunks of 1": {"prefill_chunk_size": 1},
    "chunks of 4": {"prefill_chunk_size": 4},
    "static": {"cache_implementation": "static", "disable_compile": True},
    "static, chunks of 1": {"cache_implementation": "static", "disable_compile": True, "prefill_chunk_size": 1},
    "static, chunks of 4": {"cache_implementation": "static", "disable_compile": True, "prefill_chunk_size": 4},
}


def in_parts(model: Any, ids: torch.Tensor, size: int, cache: Any = None, mask: torch.Tensor | None = None) -> Any:
    """Logits of ids fed ``size`` tokens at a time, the mask growing along."""
    logits, fed = [], 0
    for part in ids.split(size, dim=1):
        fed += part.shape[1]
        seen = None if mask is None else mask[:, :fed]
        out = model(part, attention_mask=seen, past_key_values=cache, use_cache=True)
        cache = out.past_key_values
        logits.append(out.logits)
    return torch.cat(logits, dim=1)


def close(found: torch.Tensor, expected: torch.Tensor) -> None:
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


@functools.cache
def by_hand(model: Any, prompt: tuple[int, ...], count: int = 12) -> list[int]:
    """Greedy continuation, the whole row computed anew for each token."""
    ids = torch.tensor([prompt])
    while ids.shape[1] < len(prompt) + count:
        best = model(ids, use_cache=False).logits[:, -1:].argmax(-1)
        ids = torch.cat((ids, best), dim=1)
        if best.item() == model.config.eos_token_id:
            break
    return ids[0, len(prompt) :].tolist()


def answers(model: Any, rows: list[torch.Tensor], fill: int, **options: Any) -> list[list[int]]:
    """What a left-padded batch of rows is continued with, up to the end of each."""
    ids, mask = yuan.padded(rows, fill)
    out = model.generate(ids, attention_mask=mask, **{"max_new_tokens": 12, "do_sample": False, **options})
    return [cut(answer, model.config.eos_token_id) for answer in out[:, ids.shape[1] :].tolist()]


def cut(answer: list[int], end: int) -> list[int]:
    return answer[: answer.index(end) + 1] if end in answer else answer


@functools.cache
def beams(model: Any, prompt: tuple[int, ...]) -> list[int]:
    """Beam search over one row without a cache."""
    row = torch.tensor(prompt)
    return answers(model, [row], model.config.eos_token_id, num_beams=3, use_cache=False)[0]


@pytest.mark.parametrize("kind", CACHES)
@pytest.mark.parametrize("size", [1, 2, 5, 18])
def test_any_partition_of_a_row_gives_the_same_logits(any_model: Any, end: int, kind: str, size: int) -> None:
    ids = torch.stack([yuan.row(18, 1), yuan.row(18, 2), yuan.row(18, 3)])
    ids[1, 5] = end
    ids[2, [2, 3, 8]] = end
    close(in_parts(any_model, ids, size, CACHES[kind](any_model)), any_model(ids, use_cache=False).logits)


@pytest.mark.parametrize("kind", CACHES)
@pytest.mark.parametrize("size", [1, 2, 5, 17])
def test_any_partition_of_a_left_padded_batch(
    any_model: Any, rows: list[torch.Tensor], kind: str, size: int, end: int
) -> None:
    """Also when the padding is not <eod>, which hides what is before it anyway."""
    alone = [any_model(row[None], use_cache=False).logits[0] for row in rows]
    for fill in (end, 300):
        ids, mask = yuan.padded(rows, fill)
        found = in_parts(any_model, ids, size, CACHES[kind](any_model), mask)
        for index, row in enumerate(rows):
            close(found[index, -len(row) :], alone[index])


def test_a_prompt_of_one_token(any_model: Any) -> None:
    """The published code's cached path is wrong here."""
    ids = torch.tensor([[42], [300]])
    close(any_model(ids, use_cache=True).logits, any_model(ids, use_cache=False).logits)
    for row in ids:
        out = any_model.generate(row[None], max_new_tokens=6, do_sample=False)[0, 1:].tolist()
        assert out == by_hand(any_model, tuple(row.tolist()), 6)


@pytest.mark.parametrize("way", WAYS)
def test_greedy_answers_of_a_batch_are_those_by_hand(
    generator: Any, rows: list[torch.Tensor], way: str, end: int
) -> None:
    expected = [by_hand(generator, tuple(row.tolist())) for row in rows]
    assert len({tuple(answer) for answer in expected}) == len(rows), "the answers must depend on the prompts"
    assert answers(generator, rows, end, **WAYS[way]) == expected
    assert answers(generator, [rows[4]], end, **WAYS[way]) == [expected[4]]


@pytest.mark.parametrize("way", ["cached", "static", "uncached"])
def test_beams_of_a_batch_are_those_of_single_rows(
    generator: Any, rows: list[torch.Tensor], way: str, end: int
) -> None:
    options = {"num_beams": 3, **WAYS.get(way, {"use_cache": False})}
    expected = [beams(generator, tuple(row.tolist())) for row in rows]
    assert expected != [by_hand(generator, tuple(row.tolist())) for row in rows], "or the beams prove nothing"
    assert answers(generator, rows, end, **options) == expected


def test_an_answer_that_ends_early_leaves_the_others_alone(model: Any, rows: list[torch.Tensor], end: int) -> None:
    full = answers(model, rows, end)
    stop = full[3][4]
    found = answers(model, rows, end, eos_token_id=[end, stop])
    assert found[3][: full[3].index(stop) + 1] == full[3][: full[3].index(stop) + 1]
    assert [cut(answer, stop) for answer in found] == [cut(answer, stop) for answer in full]


def test_a_document_that_ends_in_the_answer(model: Any, oracle: Any, end: int) -> None:
    """Generation goes on after an <eod> of its own where nothing stops it, and then sees only what came after."""
    prompt = torch.cat((yuan.row(9, 4), torch.tensor([end])))[None]
    everything = torch.ones_like(prompt)  # else generate takes the prompt's <eod> for padding
    for options in ({}, WAYS["static"]):
        for forced in (None, {(end,): 1000.0}):
            out = model.generate(
                prompt, attention_mask=everything, max_new_tokens=8, do_sample=False, eos_token_id=None,
                output_logits=True, return_dict_in_generate=True, sequence_bias=forced, **options,
            )  # fmt: skip
            assert (end in out.sequences[0, 10:]) == (forced is not None)
            close(torch.cat(out.logits), oracle(out.sequences[0])[9:-1])


@pytest.mark.parametrize("seed", range(3))
def test_prompt_lookup_changes_no_token(generator: Any, seed: int, end: int) -> None:
    """Guessed tokens are taken back where they were wrong, and with them all that the cache knew."""
    part = yuan.row(6, seed)
    if seed % 2:
        part[3] = end
    prompt = part.repeat(4)[None]
    options = {
        "max_new_tokens": 24, "do_sample": False, "eos_token_id": None, "attention_mask": torch.ones_like(prompt)
    }  # fmt: skip
    calls = []
    handle = generator.register_forward_hook(lambda *_: calls.append(1))
    try:
        found = generator.generate(prompt, prompt_lookup_num_tokens=4, max_matching_ngram_size=2, **options)
        fewer = len(calls)
    finally:
        handle.remove()
    assert torch.equal(found, generator.generate(prompt, **options))
    assert fewer <= 24


def test_a_smaller_model_that_guesses_changes_no_token(model: Any, load: Any) -> None:
    helper, prompt = load(attention="eager"), yuan.row(9, 5)[None]
    helper.model.layers = helper.model.layers[:1]
    helper.config.num_hidden_layers = 1
    helper.config.layer_types = helper.config.layer_types[:1]
    options = {"max_new_tokens": 20, "do_sample": False, "eos_token_id": None}
    found = model.generate(prompt, assistant_model=helper, **options)
    assert torch.equal(found, model.generate(prompt, **options))


def test_a_cache_is_taken_back_by_any_number_of_tokens(model: Any, end: int) -> None:
    """After a crop the rest of another continuation is computed as if the removed tokens had never been there."""
    ids, other = yuan.row(12, 6)[None], yuan.row(4, 7)[None]
    ids[0, 7] = end
    for removed in (1, 2, 3, 5):
        cache = DynamicCache(config=model.config)
        model(ids[:, :5], past_key_values=cache)
        cache.activate_past_recording()
        for part in ids[:, 5:].split(4, dim=1):
            model(part, past_key_values=cache)
        cache.crop(-removed)
        kept = ids[:, :-removed]
        found = model(other, past_key_values=cache).logits
        close(found, model(torch.cat((kept, other), dim=1), use_cache=False).logits[:, kept.shape[1] :])


def test_turns_share_a_cache(generator: Any, end: int) -> None:
    cache = DynamicCache(config=generator.config)
    options = {"max_new_tokens": 6, "do_sample": False, "eos_token_id": None}
    talk = yuan.row(7, 8)[None]
    for turn in range(3):
        options["attention_mask"] = torch.ones_like(talk)
        found = generator.generate(talk, past_key_values=cache, **options)
        assert torch.equal(found, generator.generate(talk, use_cache=False, **options)), turn
        question = yuan.row(1 + 3 * turn, 20 + turn)[None]
        if turn == 1:
            question[0, 1] = end
        talk = torch.cat((found, question), dim=1)


def test_a_static_cache_is_used_again_after_a_reset(any_model: Any, end: int) -> None:
    cache = StaticCache(config=any_model.config, max_cache_len=32)
    first, second = yuan.row(12, 9)[None], yuan.row(7, 10)[None]
    first[0, 10] = end
    any_model(first, past_key_values=cache)
    cache.reset()
    close(in_parts(any_model, second, 3, cache), any_model(second, use_cache=False).logits)


def test_embeddings_instead_of_ids(any_model: Any) -> None:
    ids = torch.stack([yuan.row(9, 11), yuan.row(9, 12)])
    embeddings = any_model.get_input_embeddings()(ids)
    close(any_model(inputs_embeds=embeddings).logits, any_model(ids).logits)
    out = any_model.generate(inputs_embeds=embeddings, max_new_tokens=8, do_sample=False)
    assert torch.equal(out, any_model.generate(ids, max_new_tokens=8, do_sample=False)[:, 9:])


def test_only_the_wanted_logits(any_model: Any) -> None:
    ids = torch.stack([yuan.row(9, 13), yuan.row(9, 14)])
    whole = any_model(ids).logits
    assert whole.shape == (2, 9, any_model.config.vocab_size)
    close(any_model(ids, logits_to_keep=1).logits, whole[:, -1:])
    close(any_model(ids, logits_to_keep=torch.tensor([0, 4])).logits, whole[:, [0, 4]])


@pytest.mark.parametrize("way", ["cached", "static", "uncached"])
def test_sampling_is_repeated_by_its_seed(model: Any, rows: list[torch.Tensor], way: str, end: int) -> None:
    options = {"do_sample": True, "temperature": 0.8, "top_p": 0.9, "num_beams": 1, "top_k": 50}

    def sample(seed: int, **more: Any) -> list[list[int]]:
        torch.manual_seed(seed)
        return answers(model, rows, end, **options, **more)

    more = WAYS.get(way, {"use_cache": False})
    assert sample(1, **more) == sample(1)
    assert sample(1, **more) != sample(2, **more)


def test_several_samples_of_one_prompt_are_those_of_a_batch(model: Any) -> None:
    prompt, options = yuan.row(8, 15), {"do_sample": True, "max_new_tokens": 6}
    torch.manual_seed(3)
    found = model.generate(prompt[None], num_return_sequences=3, **options)
    torch.manual_seed(3)
    assert torch.equal(found, model.generate(prompt.repeat(3, 1), **options))
    assert len({tuple(row) for row in found.tolist()}) == 3
