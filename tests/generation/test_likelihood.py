"""Log-probabilities of given answers, against one forward pass a row and a softmax of one's own."""

from pathlib import Path

import pytest

from core.generation import likelihood
from core.generation.engine import Engine, Request
from core.generation.prompts import conversation, encode
from core.models.cards import ModelCard
from tests.helpers import architectures, tiny
from tests.helpers.likelihood import alone

QUESTIONS = ["Hi", "What is a llama and why does it carry loads over the Andes?", "广州大学在哪里？"]
ANSWERS = ["The quick brown fox", "It carries loads.", "广东省广州市的大学"]


def test_a_batch_of_base_and_adapters_is_what_each_row_is_alone(
    tiny_card: ModelCard,
    tiny_model_dir: Path,
    tiny_adapters: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also where few logits are held at once, and with an adapter that PEFT does not mix."""
    engine = Engine()
    asked = [(q, a, adapter) for q, a in zip(QUESTIONS, ANSWERS, strict=True) for adapter in (None, *tiny_adapters)]
    wanted = [alone(tiny_model_dir, *one) for one in asked]
    requests = [Request(conversation(question), adapter) for question, _, adapter in asked]
    answers = [answer for _, answer, _ in asked]
    for found in (engine.score("tiny", requests, answers), few(engine, requests, answers, monkeypatch)):
        for mine, other in zip(found, wanted, strict=True):
            assert mine == pytest.approx(other, abs=2e-4)
    assert len({round(sum(one), 3) for one in wanted}) == len(wanted), "they must differ for this to prove anything"
    dora = tiny.make_adapter(tmp_path / "dora", tiny_model_dir, 9, use_dora=True)
    mixed = engine.score("tiny", [*requests[:3], Request(conversation(QUESTIONS[0]), dora)], [*answers[:3], ANSWERS[0]])
    for mine, other in zip(mixed, [*wanted[:3], alone(tiny_model_dir, QUESTIONS[0], ANSWERS[0], dora)], strict=True):
        assert mine == pytest.approx(other, abs=2e-4)


def few(
    engine: Engine, requests: list[Request], answers: list[str], monkeypatch: pytest.MonkeyPatch
) -> list[list[float] | None]:
    with monkeypatch.context() as patch:
        patch.setattr(likelihood, "CELLS", 20_000)
        return engine.score("tiny", requests, answers)


def test_what_has_no_token_or_no_room_has_no_likelihood(tiny_card: ModelCard) -> None:
    requests = [Request(conversation(text)) for text in ("Hi", "Hi", "llama " * 600)]
    empty, whole, long = Engine().score("tiny", requests, ["", "fox", "fox"])
    assert (empty, long) == (None, None)
    assert whole and all(one < 0 for one in whole)


def test_an_encoder_with_a_decoder_and_the_model_with_a_convolution(tmp_path: Path) -> None:
    """T5 pads on the right and starts with a token of its own; Yuan's filter must not see the padding."""
    for make in (architectures.t5, architectures.yuan):
        card = architectures.card(make, tmp_path / make.__name__)
        engine = Engine()
        requests = [Request(conversation(question)) for question in QUESTIONS]
        together = engine.score(card.name, requests, ANSWERS)
        for request, answer, found in zip(requests, ANSWERS, together, strict=True):
            assert found == pytest.approx(engine.score(card.name, [request], [answer])[0], abs=2e-4)
        assert make is architectures.yuan or together[0] == pytest.approx(
            by_t5(card, QUESTIONS[0], ANSWERS[0]), abs=2e-4
        )


def by_t5(card: ModelCard, question: str, answer: str) -> list[float]:
    import torch

    from core.models import loading

    model, tokenizer = loading.load_generator(card)
    prompt, said = encode(tokenizer, conversation(question)), tokenizer(answer, add_special_tokens=False)["input_ids"]
    with torch.inference_mode():
        out = model(input_ids=torch.tensor([prompt]), decoder_input_ids=torch.tensor([[0, *said]]))
    logits = out.logits[0].log_softmax(-1)
    return [float(logits[place, token]) for place, token in enumerate(said)]
