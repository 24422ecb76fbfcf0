"""A run as a model of its own in the catalog: verified to answer as base model and adapter do before it is offered."""

import gc
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from core import files
from core.errors import UserError
from core.generation import prompts
from core.models import IMPORTING, Progress, cards, loading, own, preparing
from core.models.cards import ModelCard, Source
from core.settings import settings
from core.training import runs
from core.training.data import datasets
from core.training.dependents import ORIGIN

QUESTIONS = ["What is a llama?", "请用一句话介绍你自己。", "Write down three colours.", "1 + 1 = ?"]
OF_THE_DATA = 2
"""Questions of the run's own test rows that are asked, too."""
NEW_TOKENS = 24
TOLERANCE = {"float32": 1e-3, "bfloat16": 0.05, "float16": 0.02}
"""Largest difference of a logit allowed, as a share of the largest logit. In float32 the tokens must be the same too;
in half precision rounding the merged weights may tip a near tie, so there only the logits count."""


@dataclass(frozen=True)
class Verification:
    """How a merged model was compared with its base model and adapter.

    Attributes:
        prompts: questions answered greedily by both.
        same: how many of the answers are the same, token by token.
        tokens: tokens of those answers.
        difference: largest difference of a logit at any of those tokens, as a share of the largest logit.
        tolerance: the difference allowed in this ``dtype``.
    """

    prompts: int
    same: int
    tokens: int
    difference: float
    tolerance: float
    dtype: str

    @property
    def passed(self) -> bool:
        """Whether the two answer alike."""
        return self.difference <= self.tolerance and (self.same == self.prompts or self.dtype != "float32")


@dataclass(frozen=True)
class Merged:
    """The new model: its card's name, its directory, and how it was verified."""

    name: str
    path: Path
    verification: Verification


def merge(run_id: str, name: str, progress: Progress = lambda step, share: None) -> Merged:
    """Write base model + adapter, or the whole model a run has trained, as a new model of the catalog.

    It is loaded back from disk and compared with what the run answers; only then its card is written.

    Args:
        run_id: RUN, or RUN@STEP for one of its checkpoints.

    Raises:
        UserError: the run has nothing to merge, is a classifier, the name is taken or not usable, or the merged model
            answers differently.
    """
    run = runs.show(run_id)
    base = cards.card(run["config"]["model"])
    card = _card(run, base, name)
    aside = settings().models_dir / f".{name}.merging"
    shutil.rmtree(aside, ignore_errors=True)
    try:
        asked = QUESTIONS + _own_questions(runs.folder(run["id"]))
        progress("merge", 0.0)
        expected, dtype = _build(run_id, base, aside, asked)
        progress("verify", 0.5)
        verification = _compare(expected, _load(card, aside), dtype)
        if not verification.passed:
            raise UserError(
                "The merged model answers differently from base model and adapter ({same} of {count} answers are the "
                "same), so it was removed.",
                "Use the adapter itself.",
                same=verification.same,
                count=verification.prompts,
            )
        files.write_json(aside / ORIGIN, {"run": run["id"], "adapter": run_id, **asdict(verification)})
        size = sum(path.stat().st_size for path in aside.rglob("*") if path.is_file())
        card = own.add(card.model_copy(update={"size": size}))
        return Merged(name, preparing.finish(card, card.sources[0], aside), verification)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _card(run: runs.Run, base: ModelCard, name: str) -> ModelCard:
    if base.task == "classify" or run["config"].get("task") == "classify":
        raise UserError(
            "Run {run} has trained a classifier, which cannot chat.", "Use it for predicting labels.", run=run["id"]
        )
    taken = name in cards.catalog() or (settings().models_dir / name).exists()
    if taken or not name or name != Path(name).name or name.startswith("."):
        raise UserError("The name {name} is taken or not usable.", "Choose another one.", name=name)
    note = {
        "en": f"{base.title}, fine-tuned by run {run['id']} ({run['name']}).",
        "zh": f"{base.title} 经训练任务 {run['id']}（{run['name']}）微调而成。",
    }
    about = {"name": name, "title": name, "note": note, "sources": [Source(kind="run", id=run["id"])]}
    return base.model_copy(update={**about, "embedded": False, "preferred_on_gpu": False})


def _own_questions(folder: Path) -> list[str]:
    if not (folder / "data" / "test.jsonl").is_file():  # an imported run
        return []
    data = datasets.read(folder / "data")
    return [row["input"] for row in data.test[:OF_THE_DATA] if "input" in row]


Asked = list[tuple[Any, Any, Any]]
"""Of each question: the prompt's ids, the answer's ids, and the logits at the answer's tokens (tokens, vocabulary)."""


def _build(run_id: str, base: ModelCard, target: Path, asked: list[str]) -> tuple[Asked, str]:
    """Write the merged model to ``target``; what the run answers before it is merged, and in which type."""
    whole = runs.folder(runs.split(run_id)[0]) / "model"
    if whole.is_dir():
        model, tokenizer = _load(base, whole)
        expected = _ask(model, tokenizer, asked)
    else:
        weights = runs.adapter(run_id)
        model, tokenizer = loading.load_generator(base)
        with IMPORTING:
            from peft import PeftModel

        model = PeftModel.from_pretrained(model, str(weights)).eval()
        expected = _ask(model, tokenizer, asked)
        model = model.merge_and_unload(safe_merge=True)
    model.save_pretrained(target)
    tokenizer.save_pretrained(target)
    dtype = str(model.dtype).removeprefix("torch.")
    del model
    gc.collect()
    return expected, dtype


def _load(card: ModelCard, folder: Path) -> tuple[Any, Any]:
    """The model in any directory, through the same door as the catalog's."""
    there = card.model_copy(update={"sources": [Source(kind="path", id=str(folder))], "embedded": False})
    return loading.load_generator(there)


def _ask(model: Any, tokenizer: Any, asked: list[str]) -> Asked:
    found = []
    for question in asked:
        ids = prompts.encode(tokenizer, prompts.conversation(question))
        answer = _greedy(model, tokenizer, ids)
        found.append((ids, answer, _logits(model, ids, answer)))
    return found


def _greedy(model: Any, tokenizer: Any, ids: list[int]) -> list[int]:
    import torch

    given = torch.tensor([ids], device=model.device)
    with torch.inference_mode():
        made = model.generate(
            input_ids=given,
            attention_mask=torch.ones_like(given),
            do_sample=False,
            repetition_penalty=1.0,
            max_new_tokens=NEW_TOKENS,
            min_new_tokens=NEW_TOKENS,
            pad_token_id=tokenizer.pad_token_id,
        )[0].tolist()
    return made if model.config.is_encoder_decoder else made[len(ids) :]


def _logits(model: Any, ids: list[int], answer: list[int]) -> Any:
    """The logits that chose each of the answer's tokens, on the CPU in float32."""
    import torch

    def row(values: list[int]) -> Any:
        return torch.tensor([values], device=model.device)

    with torch.inference_mode():
        if model.config.is_encoder_decoder:  # its answer begins with the decoder's start token
            logits = model(input_ids=row(ids), decoder_input_ids=row(answer)).logits[0]
        else:
            logits = model(input_ids=row(ids + answer)).logits[0][len(ids) - 1 :]
    return logits[:-1].float().cpu()


def _compare(expected: Asked, loaded: tuple[Any, Any], dtype: str) -> Verification:
    model, tokenizer = loaded
    same, worst, largest = 0, 0.0, 1e-6
    for ids, answer, logits in expected:
        same += _greedy(model, tokenizer, ids) == answer
        worst = max(worst, float((_logits(model, ids, answer) - logits).abs().max()))
        largest = max(largest, float(logits.abs().max()))
    tokens = sum(len(answer) for _, answer, _ in expected)
    return Verification(len(expected), same, tokens, worst / largest, TOLERANCE[dtype], dtype)
