"""What is seen of a generation while it is written: each step's tokens become text, and a stop is heard."""

import time
from typing import TYPE_CHECKING, Any

from core.models import IMPORTING

if TYPE_CHECKING:
    from core.generation.engine import Answer, Generation


def watcher(tokenizer: Any, eos: set[int], generation: "Generation", limit: int) -> Any:
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

        def _grow(self, answer: "Answer", ids: list[int], token: int, now: float) -> None:
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
