"""What an experiment is made of, fixed before the first answer: rows, whole prompts, passages, hashes, versions, seed.

Nothing that changes afterwards (a template, a knowledge base, a data set) changes what is asked; weights are known by
their hash.
"""

import hashlib
import importlib.metadata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from core.errors import UserError
from core.evaluation import forgetting, lengths, overlap, shots
from core.evaluation.grid import Arm, condition
from core.evaluation.lengths import Lengths
from core.evaluation.metrics import class_names, expected
from core.evaluation.metrics.tokens import CHARACTER
from core.generation import prompts, templates
from core.generation.engine import Options
from core.generation.strategies import Example, Strategy
from core.generation.templates import FEW_SHOT, ZERO_SHOT, Template
from core.models import adapters, cards, loading, store
from core.models.cards import ModelCard
from core.rag import context, knowledge, retrieval
from core.training import runs
from core.training.data import datasets
from core.training.data.columns import LABEL, Row

Progress = Callable[[int, int], None]
PACKAGES = ("torch", "transformers", "peft", "tokenizers", "sentence-transformers", "rouge-score")


@dataclass(frozen=True)
class Plan:
    """What a person asks for.

    Attributes:
        dataset: data set name or file; its test rows are asked.
        models: "base", ids of runs (RUN, RUN@STEP) or names of the app's own adapters, all of one base model.
        kb: knowledge base for the arms that use one. With one, rows that bring a passage are asked by their question
            alone: what is compared is then where the passage comes from.
        rag: which of without / with knowledge base to ask.
        strategies: names of prompt strategies.
        limit: at most so many rows, from the start of the test split; 0: all.
        top_k: passages to read; 0: what suits the model.
        model: base model; empty: that of the runs, else the one that answers by default.
        tokenizer: of ROUGE and token F1.
        seed: of the few-shot examples, of the resampling, and the first one of sampled answers.
        temperature: 0: greedy answers, which repeat exactly; above it they are drawn.
        top_p: share of the probability mass that drawn tokens come from.
        repeats: drawn answers of each row, with as many seeds; greedy there is one.
        forgetting: whether each adapter and the base model are also asked general questions
            (:mod:`core.evaluation.forgetting`).
    """

    dataset: str
    models: Sequence[str] = ("base",)
    kb: str = ""
    rag: Sequence[bool] = (False,)
    strategies: Sequence[str] = (ZERO_SHOT,)
    limit: int = 0
    top_k: int = 0
    model: str = ""
    tokenizer: str = CHARACTER
    seed: int = 0
    temperature: float = 0.0
    top_p: float = Options.top_p
    repeats: int = 3
    forgetting: bool = False


def freeze(plan: Plan, progress: Progress | None = None) -> dict[str, Any]:
    """The inputs of an experiment, plain enough for JSON.

    Raises:
        UserError: unknown data set, run, strategy or knowledge base; runs of different base models; no arm.
    """
    card = _base(plan)
    if any(plan.rag) and not plan.kb:
        raise UserError("No knowledge base was named.", "Choose one, or compare without.")
    chosen = {name: templates.load(name) for name in dict.fromkeys(plan.strategies)}
    arms = _arms(plan, list(chosen))
    if not arms:
        raise UserError("There is nothing to compare.", "Choose at least one model.")
    general = forgetting.freeze(arms) if plan.forgetting else []
    data = datasets.load(plan.dataset)
    asked = data.questions()[: plan.limit or None]
    with_kb = any(plan.rag)
    labels = data.labels if data.kind == LABEL else class_names([*data.train, *data.test])
    rows = [_row(row, with_kb, labels) for row in asked]
    fit = lengths.of(card, rows)
    if with_kb:
        for done, row in enumerate(rows):
            sought = asked[done].get("text") or row["input"]  # of a label row the instruction would be looked for
            found = retrieval.retrieve(plan.kb, sought, plan.top_k or card.passages).passages
            room = fit.room(chosen.values(), row["input"]) if fit else None
            row["passages"] = [passage.as_dict() for passage in context.build(plan.kb, found, room)]
            if progress:
                progress(done + 1, len(rows))
    _render(rows, arms, chosen, shots.pool(data, with_kb), card, plan.seed, fit)
    met, unknown = _overlap(asked, plan.models, plan.kb if with_kb else "")
    return {
        "dataset": plan.dataset,
        "model": card.name,
        "kb": plan.kb,
        "limit": plan.limit,
        "top_k": plan.top_k,
        "seed": plan.seed,
        "temperature": plan.temperature,
        "top_p": plan.top_p,
        "repeats": plan.repeats,
        "forgetting": plan.forgetting,
        "tokenizer": plan.tokenizer,
        "embedder": _embedder(rows, plan.kb if with_kb else ""),
        "strategies": {name: {"version": one.version, **asdict(one)} for name, one in chosen.items()},
        "files": _files(card),
        "versions": {name: _version(name) for name in PACKAGES},
        "overlap": met,
        "overlap_unknown": unknown,
        "arms": arms,
        "rows": rows,
        "general": general,
    }


def sha256(path: Path) -> str:
    """The checksum of a file as it is now."""
    about = path.stat()
    return _sha256(path, about.st_mtime_ns, about.st_size)


@lru_cache(maxsize=64)
def _sha256(path: Path, changed: int, size: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def weights(arm: Arm) -> Path:
    """The file of an arm's adapter."""
    return Path(arm["path"]) / "adapter_model.safetensors"


def _base(plan: Plan) -> ModelCard:
    bases = {runs.base(name) for name in plan.models if name != "base"} | ({plan.model} if plan.model else set())
    if len(bases) > 1:
        raise UserError(
            "These runs adapt different base models: {names}.", "Compare one at a time.", names=", ".join(sorted(bases))
        )
    card = cards.card(bases.pop() if bases else store.default_generator().name)
    loading.check_loadable(card, "generate", "seq2seq")
    return card


def _arms(plan: Plan, strategies_: Sequence[str]) -> list[Arm]:
    arms = [
        {"adapter": "", "path": "", "rag": use, "strategy": strategy}
        if name == "base"
        else {"adapter": name, "path": str(runs.adapter(name)), "rag": use, "strategy": strategy}
        for name in dict.fromkeys(plan.models)
        for use in dict.fromkeys(plan.rag)
        for strategy in strategies_
    ]
    return [{**arm, "sha256": sha256(weights(arm))} if arm["path"] else arm for arm in arms]


def _row(row: Row, with_kb: bool, labels: Sequence[str]) -> dict[str, Any]:
    wanted = expected(row, labels)
    frozen = {"input": shots.asked(row, with_kb), "reference": wanted.references[0], "expected": asdict(wanted)}
    return frozen if with_kb or "context" not in row else {**frozen, "context": row["context"]}


def _render(
    rows: list[dict[str, Any]],
    arms: Sequence[Arm],
    chosen: dict[str, Template],
    pool: Sequence[Example],
    card: ModelCard,
    seed: int,
    fit: Lengths | None,
) -> None:
    """Put into each row its few-shot examples by strategy, and its prompts by condition (:func:`grid.condition`).

    A strategy shows the same examples with and without the knowledge base: as many as both prompts have room for.
    """
    conditions = {condition(arm): arm for arm in arms}
    for row in rows:
        question = row["input"]
        read = prompts.reading(question, row.get("passages", []), card.source_tags)
        row["examples"], row["prompts"] = {}, {}
        for name, template in chosen.items():
            uses = {key: read if arm["rag"] else () for key, arm in conditions.items() if arm["strategy"] == name}
            shown = Strategy(template, tuple(shots.choose(template, question, pool, seed)))
            made = _fitting(shown, question, uses, fit)
            row["prompts"] |= {key: made.prompt(question, passages) for key, passages in uses.items()}
            if template.kind == FEW_SHOT:
                row["examples"][name] = [asdict(example) for example in made.examples]


def _fitting(how: Strategy, question: str, uses: Mapping[str, Sequence[str]], fit: Lengths | None) -> Strategy:
    """The strategy with as many examples as all its prompts have room for."""

    def fits(one: Strategy) -> bool:
        asked = (one.prompt(question, passages) for passages in uses.values())
        return fit is None or all(fit.fits(text, one.template.kind) for text in asked)

    return how.within(fits)


def _overlap(asked: Sequence[Row], models: Sequence[str], kb: str) -> tuple[list[dict[str, Any]], list[str]]:
    """Test rows met in the training rows of each adapter and in the knowledge base; adapters whose rows are not here.

    Shipped adapters and imported runs come without the rows they were trained on.
    """
    met: list[dict[str, Any]] = []
    unknown = []
    for name in dict.fromkeys(name for name in models if name != "base"):
        folder = None if name in adapters.shipped() else runs.folder(runs.split(name)[0]) / "data"
        if folder and (folder / "train.jsonl").is_file():
            found = overlap.find(asked, datasets.read(folder).train)
            met += [{"adapter": name, **asdict(one)} for one in found]
        else:
            unknown.append(name)
    if kb:
        chunks = knowledge.rows(kb)
        texts, sources = [chunk.text for chunk in chunks], [chunk.source for chunk in chunks]
        met += [{"adapter": None, **asdict(one)} for one in overlap.find(asked, (), texts, sources)]
    return met, unknown


def _embedder(rows: Sequence[dict[str, Any]], kb: str) -> str:
    """With which model sentences of answers are held against passages; empty: there are none, or no model is here."""
    if kb:
        return knowledge.view(kb).embedder
    default = store.default_embedder()
    return default.name if any("context" in row for row in rows) and store.is_ready(default) else ""


def _files(card: ModelCard) -> dict[str, str]:
    if not store.is_ready(card):
        return {}
    return {path.name: sha256(path) for path in sorted(store.directory(card).glob("*.safetensors"))}


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
