"""The engine: requests in, streamed tokens out. One queue, one model in memory, adapters mixed within a batch.

It knows nothing of knowledge bases, pages or files of a conversation. Every model call of a process goes through
one thread, because switching PEFT adapters and generating are not thread-safe. A generation belongs to the engine,
not to whoever watches it: a watcher may go away and another one come back to it.
"""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import UserError
from core.generation import likelihood, prefill
from core.generation.prompts import Message, encode_within, longest_prompt
from core.generation.watching import Answer, Generation, watcher
from core.models import IMPORTING, cards, loading, memory, placement
from core.models.cards import ModelCard
from core.models.kept import Loaded

BASE = "__base__"  # PEFT's word for a row that goes past all adapters
MAX_ADAPTERS = 8
Weights = tuple[Path, int]
"""An adapter's directory and when its weights were written: a resumed run puts new ones in the same place."""


@dataclass(frozen=True)
class Request:
    """One row of a batch: a conversation, and the adapter's directory (None: the base model)."""

    messages: list[Message]
    adapter: Path | None = None


@dataclass(frozen=True)
class Options:
    """How to generate; temperature 0 is greedy and repeats exactly."""

    max_new_tokens: int = 256
    min_new_tokens: int = 0
    temperature: float = 0.0
    top_p: float = 0.9
    repetition_penalty: float = 1.0
    seed: int = 0

    @classmethod
    def of(cls, card: ModelCard, **chosen: Any) -> "Options":
        """The card's own defaults, except for what somebody has chosen (None: nothing chosen)."""
        defaults = card.generation.model_dump()
        return cls(**{**defaults, **{name: value for name, value in chosen.items() if value is not None}})


class Engine:
    """Generates for one process; hand it to every page instead of loading a model again."""

    def __init__(self) -> None:
        self._queue = ThreadPoolExecutor(max_workers=1, thread_name_prefix="engine")
        self._loaded: Loaded | None = None
        self._model: Any = None
        self._tokenizer: Any = None
        self._adapters: dict[Weights, str] = {}

    def submit(self, model: str, requests: Sequence[Request], options: Options | None = None) -> Generation:
        """Queue a batch; returns at once with the generation to watch.

        Args:
            model: catalog name; loaded (and an embedded one fetched) first where it is not the one in memory.
            requests: the rows of the batch, generated together.
            options: the same for all rows.
        """
        rows, chosen = list(requests), options or Options()

        def job(generation: Generation) -> None:
            self._load(model, generation)

            def write(places: list[int], names: list[str] | None) -> None:
                part = Generation([generation.answers[place] for place in places], _stop=generation._stop)
                generation.stage = ("write", 0.0)
                self._write(part, [rows[place] for place in places], chosen, names)

            self._in_passes(rows, write)

        return self._enqueue(job, Generation([Answer() for _ in rows]))

    def score(self, model: str, requests: Sequence[Request], answers: Sequence[str]) -> list[list[float] | None]:
        """How likely given answers are: the natural logarithm of each token's probability, row by row.

        Waits for what is queued before, and for the model to be loaded.

        Args:
            answers: one for each request; its end-of-text token is not counted.

        Returns:
            Shape (rows, tokens of the answer); None where the answer has no token, or does not fit behind its prompt.

        Raises:
            UserError: as :meth:`Generation.result`.
        """
        found: dict[int, list[float]] = {}

        def job(generation: Generation) -> None:
            self._load(model, generation)
            config, tokens = self._model.config, self._tokenizer
            told = [likelihood.row(tokens, config, r.messages, a) for r, a in zip(requests, answers, strict=True)]
            fitting = [(place, one) for place, one in enumerate(told) if one]

            def read(places: list[int], names: list[str] | None) -> None:
                part = [fitting[place] for place in places]
                scored = likelihood.log_probabilities(self._model, tokens, [one for _, one in part], names)
                found.update({place: one for (place, _), one in zip(part, scored, strict=True)})

            self._in_passes([requests[place] for place, _ in fitting], read)

        self._enqueue(job, Generation([])).result()
        return [found.get(place) for place in range(len(requests))]

    def load(self, model: str) -> Generation:
        """Load a model before anybody asks; the generation has no answers, but stages, an end, and what went wrong."""
        return self._enqueue(lambda generation: self._load(model, generation), Generation([]))

    def unload(self) -> Generation:
        """Give the model's memory back, after what is queued before."""
        return self._enqueue(lambda _: self._unload(), Generation([]))

    def loaded(self) -> Loaded | None:
        """The model in memory now; None while there is none or one is being loaded."""
        return self._loaded

    def _enqueue(self, job: Callable[[Generation], None], generation: Generation) -> Generation:
        self._queue.submit(self._work, generation, job)
        return generation

    def _work(self, generation: Generation, job: Callable[[Generation], None]) -> None:
        try:
            job(generation)
        except BaseException as error:
            generation.error = _in_words(error)
            for answer in generation.answers:
                answer.finish = answer.finish or "error"
            if not isinstance(error, UserError):
                logging.getLogger("yuan").exception("Generation failed")
                # An exception inside a mixed-adapter call leaves PEFT's hooks behind, and the next call would
                # silently use the wrong adapter: start from a freshly loaded model instead.
                self._unload()
        finally:
            generation._done.set()

    def _unload(self) -> None:
        self._loaded, self._model, self._tokenizer, self._adapters = None, None, None, {}
        placement.release()

    def _load(self, model: str, generation: Generation) -> None:
        if self._loaded and model == self._loaded.name:
            return

        def progress(step: str, share: float) -> None:
            generation.stage = (step, share)

        card = cards.card(model)
        # What cannot be loaded must not cost the model that is there; whose memory is free by then.
        loading.check_loadable(card, *loading.GENERATORS)
        memory.place(card, freed=self._loaded.memory if self._loaded else 0)
        self._unload()
        self._model, self._tokenizer = loading.load_generator(card, progress)
        self._loaded = Loaded(
            model,
            self._model.get_memory_footprint(),
            str(self._model.dtype).removeprefix("torch."),
            str(self._model.device),
        )

    def _adapter_names(self, requests: list[Request]) -> list[str] | None:
        """Adapter name per row; None when this model has never met an adapter."""
        rows = [_weights(request.adapter) if request.adapter else None for request in requests]
        wanted = {weights for weights in rows if weights}
        for weights in wanted - self._adapters.keys():
            self._add_adapter(weights, keep=wanted)
        if not self._adapters:
            return None
        return [self._adapters[weights] if weights else BASE for weights in rows]

    def _add_adapter(self, weights: Weights, keep: set[Weights]) -> None:
        with IMPORTING:
            from peft import PeftModel

        path = weights[0]
        name = f"adapter-{len(self._adapters)}-{time.monotonic_ns()}"
        if not isinstance(self._model, PeftModel):
            self._model = PeftModel.from_pretrained(self._model, str(path), adapter_name=name).eval()
        else:
            self._model.load_adapter(str(path), adapter_name=name)
        self._adapters[weights] = name
        for old in [w for w in self._adapters if w not in keep][: max(0, len(self._adapters) - MAX_ADAPTERS)]:
            self._model.delete_adapter(self._adapters.pop(old))

    def _in_passes(self, requests: list[Request], run: Callable[[list[int], list[str] | None], None]) -> None:
        """Run all rows at once; those of each adapter in a pass of their own where PEFT cannot mix them (DoRA).

        Args:
            run: takes the places of a pass's rows and their adapters' names (None: the model is as they need it).
        """
        names = self._adapter_names(requests)
        if names is None or not any(self._is_dora(name) for name in names):
            run(list(range(len(requests))), names)
            return
        for name in dict.fromkeys(names):
            with self._only(name):
                run([place for place, own in enumerate(names) if own == name], None)

    def _is_dora(self, name: str) -> bool:
        return name != BASE and self._model.peft_config[name].use_dora

    @contextmanager
    def _only(self, name: str) -> Iterator[None]:
        """The model with this adapter for every row, or with none."""
        if name == BASE:
            with self._model.disable_adapter():
                yield
        else:
            self._model.set_adapter(name)
            yield

    def _write(
        self, generation: Generation, requests: list[Request], options: Options, names: list[str] | None
    ) -> None:
        import torch

        batch = self._batch(requests, options).to(self._model.device)
        seen = watcher(self._tokenizer, self._eos(), generation, options.max_new_tokens)
        settings: dict[str, Any] = {
            "do_sample": options.temperature > 0,
            "repetition_penalty": options.repetition_penalty,  # else the checkpoint's own would count unseen
        }
        if options.temperature > 0:
            settings |= {"temperature": options.temperature, "top_p": options.top_p, "top_k": 0}
            torch.manual_seed(options.seed)
        if names is not None:
            settings["adapter_names"] = names
        seen.start()
        with torch.inference_mode():
            self._model.generate(
                **batch,
                **settings,
                past_key_values=prefill.read(self._model, batch, names),
                max_new_tokens=options.max_new_tokens,
                min_new_tokens=options.min_new_tokens or None,
                pad_token_id=self._tokenizer.pad_token_id,
                streamer=seen,
                stopping_criteria=[seen],
            )
        seen.close()

    def _eos(self) -> set[int]:
        eos = self._model.generation_config.eos_token_id
        return set(eos) if isinstance(eos, list) else {eos}

    def _batch(self, requests: list[Request], options: Options) -> Any:
        """Padded ids and mask of all rows, shape (rows, longest prompt)."""
        limit = longest_prompt(self._model.config, options.max_new_tokens)
        if limit < 1:
            raise UserError(
                "An answer of {asked} tokens leaves no room for the question: this model holds {held} in all.",
                "Ask for a shorter answer (--max-new-tokens).",
                asked=options.max_new_tokens,
                held=limit + options.max_new_tokens,
            )
        try:
            rows = [encode_within(self._tokenizer, request.messages, limit) for request in requests]
        except ValueError as error:
            raise UserError(
                "The question with its passages is too long for this model ({why}).",
                "Shorten it, or use fewer passages.",
                why=error,
            ) from error
        return self._tokenizer.pad({"input_ids": rows}, padding=True, return_tensors="pt")


def _in_words(error: BaseException) -> BaseException:
    if isinstance(error, UserError) or "out of memory" not in str(error).lower():
        return error
    short = UserError(
        "The memory ran out while the answer was written.",
        "Ask for a shorter answer, use fewer passages, or choose a smaller model.",
    )
    short.__cause__ = error
    return short


def _weights(path: Path) -> Weights:
    try:
        return path, (path / "adapter_model.safetensors").stat().st_mtime_ns
    except OSError as error:
        raise UserError("There is no adapter in {path}.", "Choose another run.", path=path) from error
