"""Tiny Yuan 2.0 directories in the published layout, their models, and the oracle's answers for them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

import core.yuan2  # noqa: F401  teaches the Auto classes
from tests.helpers import naive_yuan, yuan

VARIANTS = {
    "filtered": {},
    "shareqk": {"use_shareqk": True},
    "no-reset": {"reset_attention_mask": False},
    "shareqk-no-reset": {"use_shareqk": True, "reset_attention_mask": False},
}


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "slow: compiles; about a quarter of a minute")


@pytest.fixture(scope="session")
def yuan_dirs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A directory of each variant."""
    root = tmp_path_factory.mktemp("yuan")
    return {name: yuan.make_yuan(root / name, **changes) for name, changes in VARIANTS.items()}


@pytest.fixture(scope="session")
def yuan_dir(yuan_dirs: dict[str, Path]) -> Path:
    """The directory like Yuan2-2B's."""
    return yuan_dirs["filtered"]


@pytest.fixture(scope="session")
def load(yuan_dirs: dict[str, Path]) -> Callable[..., Any]:
    """Loads a new model of a variant."""
    from transformers import AutoModelForCausalLM

    def load_(variant: str = "filtered", attention: str = "sdpa") -> Any:
        return AutoModelForCausalLM.from_pretrained(yuan_dirs[variant], attn_implementation=attention).eval()

    return load_


@pytest.fixture(
    scope="session",
    params=["sdpa-filtered", "eager-filtered", "sdpa-shareqk", "eager-no-reset", "sdpa-shareqk-no-reset"],
)
def any_model(request: pytest.FixtureRequest, load: Callable[..., Any]) -> Any:
    """A loaded model of each kind, shared: leave it as it is."""
    attention, _, variant = request.param.partition("-")
    return load(variant, attention)


@pytest.fixture(scope="session", params=["sdpa-filtered", "eager-filtered", "sdpa-shareqk"])
def generator(request: pytest.FixtureRequest, load: Callable[..., Any]) -> Any:
    """The kinds that generate differently, shared: leave it as it is."""
    attention, _, variant = request.param.partition("-")
    return load(variant, attention)


@pytest.fixture(scope="session", params=["eager", "sdpa"])
def model(request: pytest.FixtureRequest, load: Callable[..., Any]) -> Any:
    """The model like Yuan2-2B with either attention, shared: leave it as it is."""
    return load(attention=request.param)


@pytest.fixture(scope="session")
def oracle(yuan_dirs: dict[str, Path]) -> Callable[..., torch.Tensor]:
    """The naive implementation's logits for a row of ids, from the files of a variant."""
    files = {
        name: (load_file(folder / "model.safetensors"), json.loads((folder / "config.json").read_text("utf-8")))
        for name, folder in yuan_dirs.items()
    }

    def oracle_(row: torch.Tensor, variant: str = "filtered") -> torch.Tensor:
        return naive_yuan.logits(*files[variant], row.tolist()).float()

    return oracle_


@pytest.fixture
def rows(end: int) -> list[torch.Tensor]:
    """Rows of 1 to 17 tokens; in some a document ends: at the start, inside, at the very end."""
    made = [yuan.row(length, seed=length) for length in (1, 2, 5, 11, 14, 17)]
    made[2][-1] = end
    made[3][4] = end
    made[4][2] = made[4][3] = made[4][9] = end
    made[5][0] = end
    return made


@pytest.fixture(scope="session")
def end(yuan_dir: Path) -> int:
    """The id of ``<eod>``."""
    return json.loads((yuan_dir / "config.json").read_text("utf-8"))["eod_token"]


@pytest.fixture
def inference() -> Any:
    """The test runs without gradients."""
    with torch.no_grad():
        yield
