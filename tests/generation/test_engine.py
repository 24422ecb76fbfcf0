"""The engine on a tiny random model: what is batched, stopped, adapted or broken comes out as if it were alone."""

import itertools
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from core.errors import UserError
from core.generation import engine as engines
from core.generation.engine import Engine, Options, Request
from core.generation.prompts import conversation
from core.generation.watching import Answer
from core.models.cards import ModelCard
from tests.helpers import tiny
from tests.helpers.isolation import add_card
from tests.helpers.waiting import eventually

QUESTIONS = [
    "Hi",
    "What is a llama and why does it carry loads over the Andes?",
    "广州大学在哪里？",
    "The quick brown fox",
]


def request(text: str, adapter: Path | None = None) -> Request:
    return Request(conversation(text), adapter)


def texts(answers: list[Answer]) -> list[str]:
    return [answer.text for answer in answers]


@pytest.fixture
def engine(tiny_card: ModelCard) -> Engine:
    return Engine()


def run(engine: Engine, requests: list[Request], **options: Any) -> list[Answer]:
    return engine.submit("tiny", requests, Options(**{"max_new_tokens": 24, **options})).result()


def test_a_batch_answers_like_single_runs(engine: Engine) -> None:
    batch = run(engine, [request(q) for q in QUESTIONS])
    single = [run(engine, [request(q)])[0] for q in QUESTIONS]
    assert texts(batch) == texts(single)
    assert [a.tokens for a in batch] == [a.tokens for a in single]
    assert [a.finish for a in batch] == [a.finish for a in single]
    assert len(set(texts(batch))) == len(QUESTIONS), (
        "the tiny model must tell the questions apart for this to prove much"
    )


def greedy(model_dir: Path, question: str, count: int) -> tuple[Any, list[int]]:
    """The tokenizer and ``count`` tokens by a loop of one's own: argmax of the last logits, no cache, no padding."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model, tokenizer = AutoModelForCausalLM.from_pretrained(model_dir), AutoTokenizer.from_pretrained(model_dir)
    ids = tokenizer(f"<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n")["input_ids"]
    start = len(ids)
    with torch.no_grad():
        while len(ids) < start + count:
            ids.append(int(model(torch.tensor([ids])).logits[0, -1].argmax()))
    return tokenizer, ids[start:]


def test_greedy_text_is_what_the_model_says_step_by_step(engine: Engine, tiny_model_dir: Path) -> None:
    tokenizer, expected = greedy(tiny_model_dir, QUESTIONS[1], 16)
    if tokenizer.eos_token_id in expected:
        expected = expected[: expected.index(tokenizer.eos_token_id)]
    answer = run(engine, [request(QUESTIONS[1])], max_new_tokens=16)[0]
    assert answer.text == tokenizer.decode(expected, skip_special_tokens=True).rstrip("\ufffd").strip()


def test_a_mixed_batch_equals_single_runs(engine: Engine, tiny_adapters: list[Path]) -> None:
    one, two = tiny_adapters
    arms = [None, one, two, one]
    batch = run(engine, [request(QUESTIONS[1], adapter) for adapter in arms])
    single = [run(Engine(), [request(QUESTIONS[1], adapter)])[0] for adapter in (None, one, two)]
    assert texts(batch) == [*texts(single), single[1].text]
    assert len({a.text for a in single}) == 3, "base and adapters must differ for this to prove anything"


def test_adapters_that_cannot_be_mixed_answer_all_the_same(
    engine: Engine, tiny_adapters: list[Path], tiny_model_dir: Path, tmp_path: Path
) -> None:
    dora = tiny.make_adapter(tmp_path / "dora", tiny_model_dir, 9, use_dora=True)
    arms = [None, dora, tiny_adapters[0], dora]
    batch = run(engine, [request(QUESTIONS[1], adapter) for adapter in arms])
    single = [run(Engine(), [request(QUESTIONS[1], adapter)])[0] for adapter in (None, dora, tiny_adapters[0])]
    assert texts(batch) == [single[0].text, single[1].text, single[2].text, single[1].text]
    assert len({answer.text for answer in single}) == 3
    assert all(answer.finish and answer.tokens for answer in batch)
    # Afterwards a batch without it is mixed as ever.
    after = run(engine, [request(QUESTIONS[1], adapter) for adapter in (None, tiny_adapters[0])])
    assert texts(after) == [single[0].text, single[2].text]


def test_the_base_model_is_itself_again_after_an_adapter(engine: Engine, tiny_adapters: list[Path]) -> None:
    before = run(engine, [request(QUESTIONS[0])])
    adapted = run(engine, [request(QUESTIONS[0], tiny_adapters[0])])
    after = run(engine, [request(QUESTIONS[0])])
    assert texts(before) == texts(after) != texts(adapted)


@pytest.mark.filterwarnings("ignore:Adapter .* was active which is now deleted")
def test_more_adapters_than_are_kept_in_memory(
    engine: Engine, tiny_adapters: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "MAX_ADAPTERS", 1)
    first = run(engine, [request(QUESTIONS[1], tiny_adapters[0])])
    second = run(engine, [request(QUESTIONS[1], tiny_adapters[1])])
    assert len(engine._adapters) == 1
    assert texts(run(engine, [request(QUESTIONS[1], tiny_adapters[0])])) == texts(first) != texts(second)
    both = run(engine, [request(QUESTIONS[1], adapter) for adapter in tiny_adapters])
    assert texts(both) == [first[0].text, second[0].text]


def test_an_adapter_trained_further_is_loaded_anew(engine: Engine, tiny_adapters: list[Path], tmp_path: Path) -> None:
    """A resumed run writes its adapter to the same place."""
    path = tmp_path / "adapter"
    shutil.copytree(tiny_adapters[0], path)
    before = run(engine, [request(QUESTIONS[1], path)])
    shutil.rmtree(path)
    shutil.copytree(tiny_adapters[1], path, copy_function=shutil.copy)  # a new file, with a new time
    after = run(engine, [request(QUESTIONS[1], path)])
    assert texts(after) == texts(run(Engine(), [request(QUESTIONS[1], tiny_adapters[1])])) != texts(before)


def test_an_unknown_adapter_is_a_persons_mistake_and_harms_nothing(engine: Engine, tmp_path: Path) -> None:
    before = run(engine, [request(QUESTIONS[0])])
    with pytest.raises(UserError, match="no adapter"):
        run(engine, [request(QUESTIONS[0], tmp_path / "nowhere")])
    assert texts(run(engine, [request(QUESTIONS[0])])) == texts(before)


def test_an_unknown_model_names_the_known_ones(engine: Engine) -> None:
    with pytest.raises(UserError, match=r"Known models: .*tiny"):
        engine.submit("no-such-model", [request("Hi")]).result()


def test_after_an_exception_in_generation_the_next_call_is_right(engine: Engine, tiny_adapters: list[Path]) -> None:
    """PEFT's per-row hooks survive an exception; the next call must not go through the broken one's adapters."""
    right = run(engine, [request(QUESTIONS[0]), request(QUESTIONS[1], tiny_adapters[0])])
    layer = engine._model.get_base_model().model.layers[1]
    handle = layer.register_forward_hook(lambda *_: (_ for _ in ()).throw(RuntimeError("boom")))
    broken = engine.submit("tiny", [request(QUESTIONS[0], tiny_adapters[1]), request(QUESTIONS[1])])
    with pytest.raises(RuntimeError, match="boom"):
        broken.result()
    assert [a.finish for a in broken.answers] == ["error", "error"]
    handle.remove()
    again = run(engine, [request(QUESTIONS[0]), request(QUESTIONS[1], tiny_adapters[0])])
    assert texts(again) == texts(right)
    assert not any(module._forward_pre_hooks for module in engine._model.modules()), "hooks of the broken call are left"


def test_the_length_limit_is_counted_and_named(engine: Engine) -> None:
    answer = run(engine, [request(QUESTIONS[1])], max_new_tokens=5, min_new_tokens=5)[0]
    assert (answer.tokens, answer.finish) == (5, "length")


def test_an_answer_that_ends_by_itself_says_so(engine: Engine, tiny_model_dir: Path, tmp_path: Path) -> None:
    """A token of one row's answer is made an end token: that row ends there, its neighbour goes on."""
    _, first = greedy(tiny_model_dir, QUESTIONS[1], 8)
    _, other = greedy(tiny_model_dir, QUESTIONS[0], 8)
    at = next(i for i, token in enumerate(first) if i and token not in [*first[:i], *other])
    folder = shutil.copytree(tiny_model_dir, tmp_path / "ending")
    config = json.loads((folder / "generation_config.json").read_text("utf-8"))
    config["eos_token_id"] = [config["eos_token_id"], first[at]]
    (folder / "generation_config.json").write_text(json.dumps(config), "utf-8")
    add_card("ending", "generate", folder)
    requests = [request(QUESTIONS[1]), request(QUESTIONS[0])]
    answers = engine.submit("ending", requests, Options(max_new_tokens=8)).result()
    assert [(a.tokens, a.finish) for a in answers] == [(at + 1, "end"), (8, "length")]


def test_stopping_keeps_the_text_so_far(engine: Engine) -> None:
    generation = engine.submit(
        "tiny", [request(QUESTIONS[1]), request(QUESTIONS[0])], Options(max_new_tokens=400, min_new_tokens=400)
    )
    eventually(lambda: min(a.tokens for a in generation.answers) >= 5)
    generation.stop()
    answers = generation.result()
    assert {a.finish for a in answers} == {"stopped"}
    assert all(5 <= a.tokens < 400 for a in answers)
    assert all(a.text for a in answers)
    full = run(engine, [request(QUESTIONS[1])], max_new_tokens=400, min_new_tokens=400)[0]
    assert full.text.startswith(answers[0].text)


def test_text_grows_and_is_never_taken_back(engine: Engine) -> None:
    generation = engine.submit("tiny", [request(q) for q in QUESTIONS], Options(max_new_tokens=120, min_new_tokens=120))
    seen: list[list[str]] = []
    while not generation.wait(0.002):
        seen.append([a.text for a in generation.answers])
    final = texts(generation.result())
    snapshots = [row for i, row in enumerate(seen) if i == 0 or row != seen[i - 1]]
    assert len(snapshots) > 3, "nothing was streamed"
    for earlier, later in itertools.pairwise(snapshots):
        assert all(b.startswith(a) for a, b in zip(earlier, later, strict=True))
    assert all(text.startswith(partial.strip()) for partial, text in zip(snapshots[-1], final, strict=True))


def test_sampling_repeats_with_the_same_seed(engine: Engine) -> None:
    def sampled(seed: int) -> str:
        return run(engine, [request(QUESTIONS[1])], temperature=1.2, top_p=1.0, seed=seed, min_new_tokens=24)[0].text

    assert sampled(3) == sampled(3)
    assert len({sampled(seed) for seed in range(4)}) > 1


def test_tokens_are_counted_with_the_end_token_and_times_are_in_order(engine: Engine, tiny_model_dir: Path) -> None:
    answer = run(engine, [request(QUESTIONS[2])], max_new_tokens=12, min_new_tokens=12)[0]
    assert answer.tokens == 12
    assert answer.first_token_seconds is not None
    assert 0 < answer.first_token_seconds <= answer.seconds
    assert answer.tokens_per_second == pytest.approx(11 / (answer.seconds - answer.first_token_seconds))


def test_a_question_too_long_for_the_model_is_refused_in_words(engine: Engine) -> None:
    with pytest.raises(UserError, match="too long for this model"):
        run(engine, [request("llama " * 600)])
    with pytest.raises(UserError, match="600 tokens leaves no room for the question: this model holds 512"):
        run(engine, [request("Hi")], max_new_tokens=600)
    assert run(engine, [request("Hi")])[0].tokens > 0


def test_an_old_turn_is_dropped_rather_than_the_question_refused(engine: Engine) -> None:
    """With 512 positions and 24 new tokens the first turn does not fit: the answer is that of the question alone."""
    messages = conversation(QUESTIONS[1], [("llama " * 600, "fox")])
    long = engine.submit("tiny", [Request(messages)], Options(max_new_tokens=24)).result()
    assert texts(long) == texts(run(engine, [request(QUESTIONS[1])]))


def test_generations_queue_up_and_all_end(engine: Engine) -> None:
    waiting = [engine.submit("tiny", [request(q)], Options(max_new_tokens=8)) for q in QUESTIONS]
    together = [generation.result()[0].text for generation in waiting]
    assert together == [run(engine, [request(q)], max_new_tokens=8)[0].text for q in QUESTIONS]


def test_changing_the_model_changes_the_answer(engine: Engine, tmp_path: Path) -> None:
    add_card("other", "generate", tiny.make_generator(tmp_path / "other", seed=99))
    mine = run(engine, [request(QUESTIONS[1])])
    other = engine.submit("other", [request(QUESTIONS[1])], Options(max_new_tokens=24)).result()
    assert texts(other) != texts(mine) == texts(run(engine, [request(QUESTIONS[1])]))
