"""Does a model work here? Load it, let it do one small thing of its trade, and say what came out and how fast."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from core.generation.engine import Engine, Options, Request
from core.generation.prompts import conversation
from core.models import Progress, loading, placement
from core.models.cards import ModelCard

TOKENS = 16
"""Tokens a generating model writes."""
_WORDS = {
    "zh": {"ask": "你好，请介绍一下你自己。", "near": ("今天天气很好。", "外面阳光明媚。"), "far": "数据库需要重启。"},
    "en": {
        "ask": "Hello, who are you?",
        "near": ("The weather is lovely today.", "The sun is shining outside."),
        "far": "The database has to be restarted.",
    },
}


@dataclass(frozen=True)
class Check:
    """What a model made of its task.

    ``output`` is the answer, "label score" of a classifier's best class, or the two scores of an embedder (cosine) or
    reranker for a pair that belongs together and one that does not. ``seconds`` is the work alone, without loading.
    ``tokens`` were written by a generating model, and read by any other. ``memory`` is its weights' bytes.
    """

    model: str
    task: str
    output: str
    tokens: int
    seconds: float
    tokens_per_second: float
    load_seconds: float
    memory: int
    dtype: str
    device: str


def check(card: ModelCard, engine: Engine | None = None, progress: Progress = lambda step, share: None) -> Check:
    """Load the card's model and let it work once; blocks until that is done.

    A generating model is loaded into ``engine`` and stays there; any other one is let go of afterwards.

    Args:
        engine: the process's own, so that no second model comes into memory; None: one for this call.

    Raises:
        UserError: it is not here, cannot be loaded, or does not fit into memory.
    """
    words = _WORDS["zh" if "zh" in card.languages else "en"]
    if card.generates:
        return _write(card, words, engine or Engine())
    try:
        return {"classify": _classify, "embed": _embed, "rerank": _rerank}[card.task](card, words, progress)
    finally:
        placement.release()


def _write(card: ModelCard, words: dict[str, Any], engine: Engine) -> Check:
    began = time.perf_counter()
    engine.load(card.name).result()
    load_seconds = time.perf_counter() - began
    options = Options.of(card, max_new_tokens=TOKENS)
    answer = engine.submit(card.name, [Request(conversation(words["ask"]))], options).result()[0]
    loaded = engine.loaded()
    return Check(
        model=card.name,
        task=card.task,
        output=answer.text,
        tokens=answer.tokens,
        seconds=answer.seconds,
        tokens_per_second=answer.tokens_per_second,
        load_seconds=load_seconds,
        memory=loaded.memory if loaded else 0,
        dtype=loaded.dtype if loaded else "",
        device=loaded.device if loaded else "",
    )


def _classify(card: ModelCard, words: dict[str, Any], progress: Progress) -> Check:
    def work(loaded: tuple[Any, Any]) -> tuple[str, int]:
        import torch

        model, tokenizer = loaded
        batch = tokenizer(words["near"][0], return_tensors="pt").to(model.device)
        with torch.inference_mode():
            shares = model(**batch).logits[0].float().softmax(-1)
        best = int(shares.argmax())
        return f"{model.config.id2label[best]} {shares[best]:.2f}", batch["input_ids"].numel()

    return _timed(card, lambda: loading.load_classifier(card, progress), work)


def _embed(card: ModelCard, words: dict[str, Any], progress: Progress) -> Check:
    def work(model: Any) -> tuple[str, int]:
        texts = [*words["near"], words["far"]]
        vectors = model.encode(texts, prompt_name="passage", normalize_embeddings=True, show_progress_bar=False)
        return f"{vectors[0] @ vectors[1]:.2f} / {vectors[0] @ vectors[2]:.2f}", _count(model.tokenizer, texts)

    return _timed(card, lambda: loading.load_embedder(card, progress), work)


def _rerank(card: ModelCard, words: dict[str, Any], progress: Progress) -> Check:
    def work(model: Any) -> tuple[str, int]:
        near, far = words["near"], words["far"]
        scores = model.predict([near, (near[0], far)], show_progress_bar=False)
        return f"{scores[0]:.2f} / {scores[1]:.2f}", _count(model.tokenizer, [*near, near[0], far])

    return _timed(card, lambda: loading.load_reranker(card, progress), work)


def _count(tokenizer: Any, texts: list[str]) -> int:
    return sum(len(ids) for ids in tokenizer(texts)["input_ids"])


def _timed(card: ModelCard, load: Callable[[], Any], work: Callable[[Any], tuple[str, int]]) -> Check:
    began = time.perf_counter()
    loaded = load()
    ready = time.perf_counter()
    output, tokens = work(loaded)
    seconds = time.perf_counter() - ready
    weights = list((loaded[0] if isinstance(loaded, tuple) else loaded).parameters())
    return Check(
        model=card.name,
        task=card.task,
        output=output,
        tokens=tokens,
        seconds=seconds,
        tokens_per_second=tokens / seconds,
        load_seconds=ready - began,
        memory=sum(weight.nbytes for weight in weights),
        dtype=str(weights[0].dtype).removeprefix("torch."),
        device=str(weights[0].device),
    )
