"""PyTorch pickles become safetensors once: the same weights, no code run, whatever shares memory written whole."""

import json
import os
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from core.errors import UserError
from core.models import convert, downloads, loading, preparing, store
from tests.helpers.isolation import add_hub_card
from tests.helpers.stub_hub import StubHub


def run(folder: Path) -> list[str]:
    return [path.name for path in convert.pickles(folder, lambda step, share: None)]


def weights() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    shapes = {"a.weight": (8, 4), "b.weight": (4,), "c.weight": (16, 16)}
    return {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}


def same(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert found[name].dtype == tensor.dtype
        assert torch.equal(found[name], tensor), name


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("mappable", [True, False])
def test_one_file(tmp_path: Path, dtype: torch.dtype, mappable: bool) -> None:
    expected = {name: tensor.to(dtype) for name, tensor in weights().items()}
    torch.save(expected, tmp_path / "pytorch_model.bin", _use_new_zipfile_serialization=mappable)
    assert run(tmp_path) == ["pytorch_model.bin"]
    same(load_file(tmp_path / "model.safetensors"), expected)


def test_several_files_become_several(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(convert, "SHARD", 200)
    expected = weights()
    for number, name in enumerate(expected, start=1):
        torch.save({name: expected[name]}, tmp_path / f"pytorch_model-{number:05}-of-00003.bin")
    (tmp_path / "pytorch_model.bin.index.json").write_text("{}", "utf-8")
    assert sorted(run(tmp_path)) == [
        "pytorch_model-00001-of-00003.bin",
        "pytorch_model-00002-of-00003.bin",
        "pytorch_model-00003-of-00003.bin",
        "pytorch_model.bin.index.json",
    ]
    index = json.loads((tmp_path / "model.safetensors.index.json").read_text("utf-8"))
    assert index["metadata"]["total_size"] == sum(tensor.nbytes for tensor in expected.values())
    assert len(set(index["weight_map"].values())) == 2
    found = {name: load_file(tmp_path / file)[name] for name, file in index["weight_map"].items()}
    same(found, expected)


def test_what_shares_memory_is_written_whole(tmp_path: Path) -> None:
    base = torch.arange(24.0).reshape(6, 4)
    expected = {"tied.a": base, "tied.b": base, "view": base[2:4], "transposed": base.T, "empty": torch.zeros(0)}
    torch.save(expected, tmp_path / "pytorch_model.bin")
    run(tmp_path)
    same(load_file(tmp_path / "model.safetensors"), expected)


def test_a_pickle_with_code_is_refused_and_not_run(tmp_path: Path) -> None:
    witness = tmp_path / "ran"

    class Evil:
        def __reduce__(self) -> Any:
            return os.system, (f"touch {witness}",)

    torch.save({"a": Evil()}, tmp_path / "pytorch_model.bin")
    with pytest.raises(UserError, match=r"pytorch_model\.bin contains code"):
        run(tmp_path)
    (tmp_path / "pytorch_model.bin").write_bytes(pickle.dumps(Evil(), protocol=2))
    with pytest.raises(UserError, match=r"pytorch_model\.bin contains code"):
        run(tmp_path)
    assert not witness.exists()


@pytest.mark.parametrize("content", [b"", b"not a pickle", b"PK\x03\x04 and no more"])
def test_a_file_that_is_no_checkpoint_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "pytorch_model.bin").write_bytes(content)
    with pytest.raises(UserError, match=r"pytorch_model\.bin"):
        run(tmp_path)


@pytest.mark.parametrize("content", [{}, {"step": 3}, [torch.zeros(1)]])
def test_a_checkpoint_without_names_is_refused(tmp_path: Path, content: Any) -> None:
    torch.save(content, tmp_path / "pytorch_model.bin")
    with pytest.raises(UserError, match="holds no weights by name"):
        run(tmp_path)


def test_a_directory_of_safetensors_is_left_alone(tiny_model_dir: Path) -> None:
    assert run(tiny_model_dir) == []


def test_a_downloaded_pickle_is_converted_once_and_loads(
    stub_hub: StubHub, tiny_model_dir: Path, tmp_path: Path
) -> None:
    expected = AutoModelForCausalLM.from_pretrained(tiny_model_dir).state_dict()
    torch.save(expected, tmp_path / "pytorch_model.bin")
    names = [path.name for path in tiny_model_dir.iterdir() if path.suffix != ".safetensors"]
    stub_hub.models["o/m"] = {name: (tiny_model_dir / name).read_bytes() for name in names}
    stub_hub.models["o/m"]["pytorch_model.bin"] = (tmp_path / "pytorch_model.bin").read_bytes()
    card = add_hub_card("m", "o/m", "modelscope")
    stages: list[str] = []
    folder = preparing.prepare(card, lambda stage, share: stages.append(stage))
    assert list(dict.fromkeys(stages)) == ["list", "download", "verify", "convert"]
    assert sorted(path.name for path in folder.iterdir()) == sorted([*names, "model.safetensors", store.MANIFEST])
    assert downloads.state(card).kind == downloads.READY
    model, _ = loading.load_generator(card)
    same({name: tensor.float() for name, tensor in model.state_dict().items()}, expected)
