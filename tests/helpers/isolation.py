"""A data directory of its own for a test or a fixture, and the models in it."""

import gc
import os
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from core.models import cards, preparing
from core.models.cards import ModelCard
from core.settings import ROOT, Settings, settings
from tests.helpers import tiny

_set_aside = [0]
"""Modules there were at the last time."""


def _forget() -> None:
    """Empty every cache that would carry one test's data directory into the next."""
    settings.cache_clear()
    caches = (("core.rag.store", "_client"), ("core.rag.embedding", "_embedder"), ("core.rag.rerank", "_reranker"))
    for module, name in caches:
        if module in sys.modules:  # heavy ones are not imported for this
            getattr(sys.modules[module], name).cache_clear()


@contextmanager
def data_dir(folder: Path) -> Iterator[Path]:
    """``folder`` is the data directory of this process and its children, the settings otherwise the defaults."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("YUAN_") and name != "YUAN_TEST_MODELS"]:
            patch.delenv(name)
        patch.setenv("YUAN_DATA_DIR", str(folder))
        patch.setenv("YUAN_DEVICE", "cpu")
        patch.setitem(Settings.model_config, "env_file", None)
        _forget()
        try:
            yield folder
        finally:
            _forget()
    settings.cache_clear()


def at_work() -> list[str]:
    """The threads, other than the one that asks, that are at this moment in a function of ``core``."""
    names = {thread.ident: thread.name for thread in threading.enumerate() if thread is not threading.current_thread()}
    core = str(ROOT / "core") + os.sep
    stacks = ((names[ident], frame) for ident, frame in sys._current_frames().items() if ident in names)
    return [
        name
        for name, top in stacks
        if any(frame.f_code.co_filename.startswith(core) for frame, _ in traceback.walk_stack(top))
    ]


def set_aside_modules() -> None:
    """Take what heavy libraries have made on import out of the garbage collector's sight.

    The app collects after every model that it gives back, and in a test process that holds all its libraries at once
    this takes longer than many a test.
    """
    if len(sys.modules) - _set_aside[0] > 100:
        gc.collect()  # garbage is not set aside
        gc.freeze()
        _set_aside[0] = len(sys.modules)


def add_card(name: str, task: str, source: Path, extra: str = "") -> ModelCard:
    """Write a card of a directory into this data directory's own catalog; it must be a whole model."""
    _write(tiny.card_toml(name, task, source, extra))
    preparing.prepare(cards.card(name))
    return cards.card(name)


def add_hub_card(name: str, identifier: str, *kinds: str) -> ModelCard:
    """The same for a model on a hub, or on several in this order of preference."""
    text = tiny.card_toml(name, "generate", Path("/nowhere")).partition("[[model.sources]]")[0]
    _write(text + "".join(f'[[model.sources]]\nkind = "{kind}"\nid = "{identifier}"\n\n' for kind in kinds))
    return cards.card(name)


def _write(card: str) -> None:
    catalog = settings().models_dir / "cards.toml"
    catalog.parent.mkdir(parents=True, exist_ok=True)
    before = catalog.read_text("utf-8") if catalog.exists() else ""
    catalog.write_text(before + card, "utf-8")
    cards._read.cache_clear()
