"""An encoder that stays in memory between two uses, until another one is wanted or its memory is."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from core.models import placement


@dataclass(frozen=True)
class Loaded:
    """A model in memory: its catalog name, bytes of its weights, their type, and where they are."""

    name: str
    memory: int
    dtype: str
    device: str


class Kept:
    """The model of a kind that is in memory; a decorator for the function that loads one by its catalog name.

    The one before is given up first, so that there are never two. Whoever calls it holds a lock of his own.
    """

    def __init__(self, load: Callable[[str], Any]) -> None:
        self._load, self._name, self._model = load, "", None

    def __call__(self, name: str) -> Any:
        if self._model is None or name != self._name:
            self.cache_clear()
            self._model, self._name = self._load(name), name
        return self._model

    def cache_clear(self) -> None:
        """Give the model's memory back to the machine."""
        if self._model is not None:
            self._model = None
            placement.release()

    def loaded(self) -> Loaded | None:
        """The one in memory; None while there is none."""
        name, model = self._name, self._model
        if model is None:
            return None
        weights = list(model.parameters())
        dtype = str(weights[0].dtype).removeprefix("torch.")
        return Loaded(name, sum(weight.nbytes for weight in weights), dtype, str(weights[0].device))
