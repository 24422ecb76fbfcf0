"""The engine's model: loaded, told of, given back, and not lost to one that cannot be loaded."""

from pathlib import Path

import pytest

from core import hardware
from core.errors import UserError
from core.generation.check import TOKENS, check
from core.generation.engine import Engine, Options, Request
from core.generation.prompts import conversation
from core.models import cards
from core.models.cards import ModelCard
from tests.helpers import checkpoints, tiny
from tests.helpers.isolation import add_card


@pytest.fixture
def t5(tmp_path: Path) -> ModelCard:
    return add_card("t5", "seq2seq", checkpoints.t5(tmp_path / "t5"))


def test_what_is_loaded_is_told_and_given_back(tiny_card: ModelCard) -> None:
    engine = Engine()
    assert engine.loaded() is None
    engine.load("tiny").result()
    loaded = engine.loaded()
    assert loaded
    assert (loaded.name, loaded.dtype, loaded.device) == ("tiny", "float32", "cpu")
    model = engine._model
    assert loaded.memory == sum(tensor.nbytes for tensor in [*model.parameters(), *model.buffers()])
    engine.unload().result()
    assert engine.loaded() is None
    assert engine._model is None
    assert engine.submit("tiny", [Request(conversation("Hi"))], Options(max_new_tokens=4)).result()[0].tokens > 0


def test_unloading_waits_for_the_answer_under_way(tiny_card: ModelCard) -> None:
    engine = Engine()
    generation = engine.submit("tiny", [Request(conversation("Hi"))], Options(max_new_tokens=40, min_new_tokens=40))
    engine.unload().result()
    assert generation.done
    assert generation.result()[0].tokens == 40


def test_a_model_too_large_is_refused_with_figures_and_the_old_one_stays(
    tiny_card: ModelCard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine()
    engine.load("tiny").result()
    before = engine.loaded()
    add_card("other", "generate", tiny.make_generator(tmp_path / "other", seed=2))
    monkeypatch.setattr(hardware, "memory", lambda: (200_000_000, 10**9))
    with pytest.raises(UserError, match=r"Tiny other needs 0\.3 GB of memory on cpu, and 0\.2 GB are free"):
        engine.load("other").result()
    assert engine.loaded() == before
    assert engine.submit("tiny", [Request(conversation("Hi"))], Options(max_new_tokens=4)).result()[0].tokens > 0


def test_a_model_of_another_task_does_not_cost_the_one_that_is_there(
    tiny_card: ModelCard, tiny_embedder: ModelCard
) -> None:
    engine = Engine()
    engine.load("tiny").result()
    with pytest.raises(UserError, match="for another task"):
        engine.load("tiny-embedder").result()
    assert engine.loaded()


def test_memory_that_runs_out_on_the_way_is_said_in_words(tiny_card: ModelCard) -> None:
    engine = Engine()
    engine.load("tiny").result()

    def full(*_: object) -> None:
        raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")

    engine._model.model.layers[0].register_forward_hook(full)
    with pytest.raises(UserError, match="memory ran out"):
        engine.submit("tiny", [Request(conversation("Hi"))]).result()


def test_a_seq2seq_batch_answers_like_single_runs_and_as_its_library_does(t5: ModelCard, tmp_path: Path) -> None:
    import torch
    from transformers import AutoTokenizer, T5ForConditionalGeneration

    questions = ["summarize: The quick brown fox jumps.", "Hi", "广州大学在哪里？"]
    engine, options = Engine(), Options(max_new_tokens=12, min_new_tokens=12)
    batch = engine.submit("t5", [Request(conversation(q)) for q in questions], options).result()
    single = [engine.submit("t5", [Request(conversation(q))], options).result()[0] for q in questions]
    assert [a.text for a in batch] == [a.text for a in single]
    assert [a.tokens for a in batch] == [12, 12, 12]
    model = T5ForConditionalGeneration.from_pretrained(tmp_path / "t5").eval()
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "t5")
    for question, answer in zip(questions, batch, strict=True):
        with torch.inference_mode():
            row = model.generate(
                **tokenizer(question, return_tensors="pt"), max_new_tokens=12, min_new_tokens=12, do_sample=False
            )
        assert answer.text == tokenizer.decode(row[0], skip_special_tokens=True).rstrip("\ufffd").strip()


def test_a_seq2seq_prompt_may_fill_the_encoder(t5: ModelCard) -> None:
    """It has 128 positions, and the answer does not take any of them."""
    engine = Engine()
    engine.load("t5").result()
    long = "a" * 400
    while len(engine._tokenizer(long)["input_ids"]) > 128:
        long = long[:-1]
    assert engine.submit("t5", [Request(conversation(long))], Options(max_new_tokens=8)).result()[0].tokens > 0
    with pytest.raises(UserError, match="too long for this model"):
        engine.submit("t5", [Request(conversation(long + "z!"))], Options(max_new_tokens=8)).result()


def test_a_repetition_penalty_changes_the_answer(tiny_card: ModelCard) -> None:
    engine, request = Engine(), [Request(conversation("What is a llama?"))]
    plain = engine.submit("tiny", request, Options(max_new_tokens=40, min_new_tokens=40)).result()[0].text
    varied = Options(max_new_tokens=40, min_new_tokens=40, repetition_penalty=1.8)
    assert engine.submit("tiny", request, varied).result()[0].text != plain


def test_options_come_from_the_card_unless_chosen() -> None:
    card = cards.card("Qwen2.5-0.5B-Instruct")
    assert Options.of(card) == Options(max_new_tokens=256, temperature=0.0, top_p=0.8, repetition_penalty=1.05)
    assert Options.of(card, temperature=0.7, max_new_tokens=None).temperature == 0.7


def test_a_generating_model_is_checked_in_the_engine_it_will_answer_from(tiny_card: ModelCard) -> None:
    engine = Engine()
    report = check(tiny_card, engine)
    assert (report.model, report.task, report.dtype, report.device) == ("tiny", "generate", "float32", "cpu")
    assert 0 < report.tokens <= TOKENS
    assert report.output
    assert report.seconds > 0 < report.load_seconds
    loaded = engine.loaded()
    assert loaded
    assert loaded.memory == report.memory > 0


@pytest.mark.parametrize(
    ("task", "pattern"),
    [
        ("classify", r"(negative|positive) [01]\.\d\d"),
        ("embed", r"-?[01]\.\d\d / -?[01]\.\d\d"),
        ("rerank", r"[01]\.\d\d / [01]\.\d\d"),
        ("seq2seq", r"(?s).*"),
    ],
)
def test_every_other_task_is_checked_by_doing_it(task: str, pattern: str, tmp_path: Path) -> None:
    import re

    make = {
        "classify": checkpoints.bert_classifier,
        "embed": checkpoints.bert_embedder,
        "rerank": checkpoints.reranker,
        "seq2seq": checkpoints.t5,
    }[task]
    report = check(add_card("small", task, make(tmp_path / "small")))
    assert report.task == task
    assert re.fullmatch(pattern, report.output)
    assert report.tokens > 0 < report.memory
    assert report.seconds > 0


def test_a_model_that_is_not_here_is_not_checked() -> None:
    with pytest.raises(UserError, match="not downloaded yet"):
        check(cards.card("bge-reranker-base"))
