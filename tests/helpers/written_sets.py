"""The data sets this project wrote: their scripts and their rows, by name."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

DATASETS = Path(__file__).parents[2] / "assets" / "datasets"


def load_make(name: str) -> ModuleType:
    """A data set's make.py, freshly loaded."""
    spec = importlib.util.spec_from_file_location(f"make_{name.replace('-', '_')}", DATASETS / name / "make.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def read(name: str, split: str) -> list[dict[str, Any]]:
    """The rows of train or test as they lie on disk."""
    lines = (DATASETS / name / f"{split}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]
