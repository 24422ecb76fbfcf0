"""What is seen of a generation while it is written: answers made of each step's tokens, and a stop that is heard."""

import threading
import time
from dataclasses import dataclass, field
from typing import Any

from core.models import IMPORTING


@dataclass
class Answer:
    """What one row has become so far. ``finish`` is "" while it grows, then "end", "length", "stopped" or "error"."""

    text: str = ""
    tokens: int = 0
    first_token_seconds: float | None = None
    seconds: float = 0.0
    finish: str = ""

    @property
    def tokens_per_second(self) -> float:
        """Decoding speed after the first token, in tokens per second; 0 before there are two tokens."""
        if self.first_token_seconds is None or self.tokens < 2 or self.seconds <= self.first_token_seconds:
            return 0.0
        return (self.tokens - 1) / (self.seconds - self.first_token_seconds)


@dataclass
class Generation:
    """A batch under way: its growing answers, what is being waited for, and a way to stop it."""

    answers: list[Answer]
    stage: tuple[str, float] = ("queue", 0.0)
    error: BaseException | None = None
    _done: threading.Event = field(default_factory=threading.Event)
    _stop: threading.Event = field(default_factory=threading.Event)

    @property
    def done(self) -> bool:
        return self._done.is_set()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until all answers are finished; False when ``timeout`` seconds passed first."""
        return self._done.wait(timeout)

    def stop(self) -> None:
        """End at the next token and keep the text so far."""
        self._stop.set()

    def result(self) -> list[Answer]:
        """The finished answers.

        Raises:
            UserError: what went wrong in words; any other exception is ours.
        """
        self.wait()
        if self.error:
            raise self.error
        return self.answers


def watcher(tokenizer: Any, eos: set[int], generation: Generation, limit: int) -> Any:
    """An object that transformers calls with each step's tokens (streamer) and asks whether to go on (criteria)."""
    import torch

    with IMPORTING:
        from transformers.generation import BaseStreamer, StoppingCriteria

    class Watcher(StoppingCriteria, BaseStreamer):
        def start(self) -> None:
            self.started = time.perf_counter()
            self.ids: list[list[int]] = [[] for _ in generation.answers]
            self.prompt_seen = False

        def put(self, value: Any) -> None:
            if not self.prompt_seen:  # the first call brings the prompts
                self.prompt_seen = True
                return
            now = time.perf_counter() - self.started
            for answer, ids, token in zip(generation.answers, self.ids, value.reshape(-1).tolist(), strict=True):
                if not answer.finish:
                    self._grow(answer, ids, token, now)

        def _grow(self, answer: Answer, ids: list[int], token: int, now: float) -> None:
            answer.first_token_seconds = answer.first_token_seconds or now
            answer.seconds = now
            answer.tokens += 1
            if token in eos:
                answer.finish = "end"
                return
            ids.append(token)
            # A character may be spread over several tokens: its half is not shown yet.
            answer.text = tokenizer.decode(ids, skip_special_tokens=True).rstrip("\ufffd")
            if answer.tokens >= limit:
                answer.finish = "length"

        def end(self) -> None:
            pass

        def __call__(self, input_ids: Any, scores: Any, **kwargs: Any) -> Any:
            return torch.full((input_ids.shape[0],), generation._stop.is_set(), device=input_ids.device)

        def close(self) -> None:
            for answer in generation.answers:
                answer.finish = answer.finish or ("stopped" if generation._stop.is_set() else "length")
                answer.text = answer.text.strip()

    return Watcher()
