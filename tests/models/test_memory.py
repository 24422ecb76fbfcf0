"""Memory: estimated from headers alone, counted as a container sees it, and refused with figures."""

from pathlib import Path
from typing import Any

import psutil
import pytest

from core import hardware
from core.errors import UserError
from core.models import cards, loading, memory, placement, weights
from core.models.cards import ModelCard
from core.settings import settings
from tests.helpers import checkpoints
from tests.helpers.isolation import add_card

GB = 10**9


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_weights_are_estimated_as_they_are_once_loaded(dtype: str, tmp_path: Path) -> None:
    card = add_card("m", "generate", checkpoints.causal(tmp_path / "m", "qwen2"), f'dtype = "{dtype}"\n')
    model, _ = loading.load_generator(card)
    assert memory.estimate(card).weights == sum(p.nbytes for p in model.parameters())


@pytest.mark.parametrize("shard", ["1GB", "20KB"])
def test_only_the_models_own_files_are_counted(shard: str, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(checkpoints.causal(tmp_path / "m", "llama"))
    model.save_pretrained(tmp_path / "saved", max_shard_size=shard)
    assert (len(list((tmp_path / "saved").glob("*.safetensors"))) > 1) == (shard == "20KB")
    save_file({"x": torch.zeros(10**5)}, tmp_path / "saved" / "other.safetensors")
    found = weights.tensors(tmp_path / "saved")
    assert sum(tensor.elements for tensor in found.values()) == sum(p.numel() for p in model.parameters())


def test_an_embedding_stored_twice_is_counted_once(tmp_path: Path) -> None:
    import json

    from safetensors.torch import load_file, save_file

    folder = checkpoints.causal(tmp_path / "m", "llama")
    tensors = load_file(folder / "model.safetensors")
    tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"].clone()
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((folder / "config.json").read_text("utf-8"))
    (folder / "config.json").write_text(json.dumps({**config, "tie_word_embeddings": True}), "utf-8")
    card = add_card("m", "generate", folder)
    model, _ = loading.load_generator(card)
    assert memory.estimate(card).weights == sum(p.nbytes for p in model.parameters())


def test_the_cache_of_a_conversation_is_counted_per_token_and_row(tmp_path: Path) -> None:
    """The key-value cache is what transformers makes for as many tokens; activations come on top of it."""
    import torch

    card = add_card("m", "generate", checkpoints.causal(tmp_path / "m", "llama"))
    model, _ = loading.load_generator(card)
    with torch.inference_mode():
        cache = model(torch.ones(2, 100, dtype=torch.long), use_cache=True).past_key_values
    real = sum(layer.keys.nbytes + layer.values.nbytes for layer in cache.layers)
    one, two = (memory.estimate(card, context=100, rows=rows).context for rows in (1, 2))
    assert two == 2 * one > real
    assert memory.estimate(card, context=50).context == one / 2
    assert memory.estimate(card, context=10**6).context == memory.estimate(card, context=256).context


def test_before_it_is_here_the_card_tells_the_size() -> None:
    card = cards.card("phi-2")
    assert memory.estimate(card, where="cpu").weights == 4 * card.parameters


def test_what_is_used_now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "gpu_memory", lambda: (("Test GPU", 3 * GB, 8 * GB),))
    now = memory.usage()
    assert 10**6 < now.process < now.total
    assert 0 < now.used < now.total <= psutil.virtual_memory().total
    assert now.gpus == (("Test GPU", 3 * GB, 8 * GB),)


def group(root: Path, limit: str, used: int, cache: int, old: bool) -> None:
    names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
    names, folder = (names, root / "memory") if old else (("memory.max", "memory.current", "inactive_file"), root)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / names[0]).write_text(f"{limit}\n")
    (folder / names[1]).write_text(f"{used}\n")
    (folder / "memory.stat").write_text(f"anon 1\n{names[2]} {cache}\n")


@pytest.mark.parametrize("old", [False, True])
def test_a_containers_limit_counts_and_its_file_cache_does_not(
    old: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    group(tmp_path, str(10**8), 7 * 10**7, 2 * 10**7, old)
    assert hardware._container(tmp_path) == (10**8, 5 * 10**7)
    read = hardware._container
    monkeypatch.setattr(hardware, "_container", lambda: read(tmp_path))
    assert hardware.memory() == (5 * 10**7, 10**8)


def test_without_a_limit_the_machines_memory_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = hardware._container
    monkeypatch.setattr(hardware, "_container", lambda: read(tmp_path))
    assert hardware.memory()[1] == psutil.virtual_memory().total
    group(tmp_path, "max", 10**7, 0, old=False)
    assert hardware.memory()[1] == psutil.virtual_memory().total


def big(monkeypatch: pytest.MonkeyPatch, free: dict[str, int], device: str = "auto") -> ModelCard:
    """A card of 10 GB in bfloat16 on a machine with this much free on each device."""
    monkeypatch.setenv("YUAN_DEVICE", device)
    settings.cache_clear()
    gpus = sum(name.startswith("cuda") for name in free)
    import torch

    monkeypatch.setattr(placement, "device", lambda: device if device != "auto" else "cuda" if gpus else "cpu")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    # "cuda" without a number is the first one
    monkeypatch.setattr(memory, "free", lambda where: free["cuda:0" if where == "cuda" else where])
    return ModelCard.model_validate(
        {**cards.card("phi-2").model_dump(), "name": "big", "title": "Big", "parameters": 5 * GB, "dtype": "bfloat16"}
    )


@pytest.mark.parametrize(
    ("free", "device", "place"),
    [
        ({"cpu": 16 * GB}, "auto", "cpu"),
        ({"cuda:0": 16 * GB, "cpu": 4 * GB}, "auto", "cuda"),
        ({"cuda:0": 8 * GB, "cuda:1": 8 * GB, "cpu": GB}, "auto", "auto"),
        ({"cuda:0": 8 * GB, "cpu": 4 * GB}, "auto", "auto"),
        ({"cuda:0": 2 * GB, "cuda:1": 16 * GB, "cpu": GB}, "cuda:1", "cuda:1"),
        ({"cpu": 4 * GB}, "auto", None),
        ({"cuda:0": 4 * GB, "cpu": 4 * GB}, "auto", None),
        ({"cuda:0": 8 * GB, "cuda:1": 8 * GB, "cpu": 16 * GB}, "cuda:1", None),
    ],
)
def test_a_model_goes_where_it_fits(
    free: dict[str, int], device: str, place: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = big(monkeypatch, free, device)
    if place:
        assert memory.place(card) == place
    else:
        with pytest.raises(UserError, match=r"Big needs 10\.\d GB of memory on .*, and \d+\.\d GB are free"):
            memory.place(card)


@pytest.mark.parametrize(("bits", "free", "fits"), [(4, 4 * GB, True), (8, 4 * GB, False), (8, 6 * GB, True)])
def test_a_quantised_model_needs_less_and_is_not_spread(
    bits: int, free: int, fits: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = big(monkeypatch, {"cuda:0": free, "cpu": 16 * GB})
    if fits:
        assert memory.place(card, bits=bits) == "cuda"
    else:
        with pytest.raises(UserError, match=r"Big needs 5\.\d GB of memory on cuda, and 4\.0 GB are free"):
            memory.place(card, bits=bits)


@pytest.mark.parametrize("bits", [4, 8])
def test_a_quantised_models_weights_are_estimated_as_they_are_once_loaded(bits: int, tmp_path: Path) -> None:
    folder = checkpoints.causal(tmp_path / "m", "llama")
    card = add_card("m", "generate", folder)
    model, _ = loading.load_generator(card, bits=bits)
    held = sum(p.nbytes for p in model.parameters())
    assert held < sum(p.elements for p in weights.tensors(folder).values()) * 4 * 0.9
    assert memory.estimate(card, bits=bits).weights == pytest.approx(held, rel=0.05)


def test_memory_that_the_old_model_gives_back_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    card = big(monkeypatch, {"cpu": 8 * GB})
    with pytest.raises(UserError):
        memory.place(card)
    assert memory.place(card, freed=4 * GB) == "cpu"


@pytest.mark.parametrize("bits", [0, 4])
def test_a_model_that_does_not_fit_is_refused_before_it_is_loaded(
    bits: int, tiny_card: ModelCard, monkeypatch: pytest.MonkeyPatch
) -> None:
    def loaded(*_: Any, **__: Any) -> None:
        raise AssertionError("it was loaded all the same")

    from transformers import AutoModelForCausalLM

    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", loaded)
    monkeypatch.setattr(hardware, "memory", lambda: (10**6, GB))
    with pytest.raises(UserError, match=r"needs .* GB of memory"):
        loading.load_generator(tiny_card, bits=bits)


def test_on_a_gpu_weights_are_bfloat16_where_it_computes_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    card = cards.card("phi-2")
    for native, expected in ((True, "bfloat16"), (False, "float16")):
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation, native=native: native)
        assert placement.dtype(card, "cuda") == expected
    assert placement.dtype(card, "cpu") == "float32"
    assert placement.dtype(cards.card("bge-small-zh-v1.5"), "cuda") == "float32"
