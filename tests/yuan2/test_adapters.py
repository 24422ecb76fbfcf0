"""LoRA on Yuan 2.0, also on its convolutions and on quantized weights; several adapters in one batch."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model, prepare_model_for_kbit_training
from transformers import AutoModelForCausalLM, BitsAndBytesConfig

from core.yuan2.layers import PairConv
from tests.helpers import yuan
from tests.helpers.tiny import TARGETS

SETS: dict[str, Any] = {"linears": TARGETS, "with the filter": [*TARGETS, "conv1", "conv2"], "all-linear": "all-linear"}
QUANTIZED = {
    "4 bit": BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.float32,
    ),
    "8 bit": BitsAndBytesConfig(load_in_8bit=True),
}


def close(found: torch.Tensor, expected: torch.Tensor) -> None:
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


def config(targets: Any) -> LoraConfig:
    return LoraConfig(r=4, lora_alpha=8, target_modules=targets, task_type="CAUSAL_LM")


@pytest.fixture
def adapters(load: Callable[..., Any], tmp_path: Path) -> Callable[[Any], list[Path]]:
    """Writes two adapters with random weights, for the given modules."""

    def write(targets: Any) -> list[Path]:
        folders = []
        for seed in (1, 2):
            torch.manual_seed(seed)
            model = get_peft_model(load(), config(targets))
            for name, weight in model.named_parameters():
                if "lora_B" in name:
                    torch.nn.init.normal_(weight, std=0.2)
            model.save_pretrained(tmp_path / str(seed))
            folders.append(tmp_path / str(seed))
        return folders

    return write


def with_adapters(load: Callable[..., Any], folders: list[Path]) -> Any:
    model = PeftModel.from_pretrained(load(), folders[0], adapter_name="a").eval()
    model.load_adapter(folders[1], adapter_name="b")
    return model


def answers(model: Any, rows: list[torch.Tensor], **options: Any) -> list[list[int]]:
    end = model.config.eos_token_id
    ids, mask = yuan.padded(rows, end)
    out = model.generate(input_ids=ids, attention_mask=mask, max_new_tokens=8, do_sample=False, **options)
    found = out[:, ids.shape[1] :].tolist()
    return [answer[: answer.index(end) + 1] if end in answer else answer for answer in found]


@pytest.mark.parametrize("targets", SETS)
def test_each_row_has_its_own_adapter(
    load: Callable[..., Any], adapters: Callable[[Any], list[Path]], targets: str
) -> None:
    model = with_adapters(load, adapters(SETS[targets]))
    rows = [yuan.row(length, length) for length in (9, 4, 6)]
    ids, mask = yuan.padded(rows, model.config.eos_token_id)
    names = ["__base__", "a", "b"]
    with torch.no_grad():
        mixed = model(input_ids=ids, attention_mask=mask, adapter_names=names).logits
        alone = [load()(rows[0][None]).logits[0]]
        for name, row in zip(names[1:], rows[1:], strict=True):
            model.set_adapter(name)
            alone.append(model(input_ids=row[None]).logits[0])
        with model.disable_adapter():
            plain = [model(input_ids=row[None]).logits[0] for row in rows]
    for row, found, expected in zip(rows, mixed, alone, strict=True):
        close(found[-len(row) :], expected)
    assert torch.equal(plain[0], alone[0])
    assert all((a - b).abs().max() > 0.1 for a, b in zip(alone[1:], plain[1:], strict=True))

    expected_answers = answers(load(), rows[:1])
    for name, row in zip(names[1:], rows[1:], strict=True):
        model.set_adapter(name)
        expected_answers += answers(model, [row])
    assert answers(model, rows, adapter_names=names) == expected_answers
    with model.disable_adapter():
        assert all(a != b for a, b in zip(answers(model, rows)[1:], expected_answers[1:], strict=True))


@pytest.mark.usefixtures("inference")
@pytest.mark.parametrize("targets", SETS)
def test_merged_it_is_the_same_model(
    load: Callable[..., Any], adapters: Callable[[Any], list[Path]], targets: str, tmp_path: Path
) -> None:
    ids = torch.stack([yuan.row(11, 1), yuan.row(11, 2)])
    model = PeftModel.from_pretrained(load(), adapters(SETS[targets])[0]).eval()
    expected = model(input_ids=ids).logits
    assert (expected - load()(ids).logits).abs().max() > 0.1
    merged = model.merge_and_unload(safe_merge=True)
    close(merged(ids).logits, expected)
    merged.save_pretrained(tmp_path / "merged")
    again = AutoModelForCausalLM.from_pretrained(tmp_path / "merged").eval()
    assert torch.equal(again(ids).logits, merged(ids).logits)
    assert {type(layer.self_attn.lf_gate.conv1) for layer in again.model.layers} == {PairConv}


def test_training_the_filter_too_lowers_the_loss(load: Callable[..., Any], tmp_path: Path) -> None:
    """Every adapter weight learns, the base stays, and what was trained is what is loaded."""
    torch.manual_seed(1)
    base = load()
    model = get_peft_model(base, config(SETS["with the filter"])).train()
    before = {name: weight.clone() for name, weight in model.named_parameters()}
    losses = train(model, 8)
    assert losses[-1] < losses[0] - 0.2
    for name, weight in model.named_parameters():
        assert torch.equal(weight, before[name]) == ("lora" not in name), name
    assert sum("conv" in name and "lora_A" in name for name in before) == 4
    model.save_pretrained(tmp_path)
    ids = yuan.row(9, 1)[None]
    with torch.no_grad():
        again = PeftModel.from_pretrained(load(), tmp_path).eval()
        assert torch.equal(again(input_ids=ids).logits, model.eval()(input_ids=ids).logits)


@pytest.mark.parametrize("bits", QUANTIZED)
def test_quantized_weights_are_trained_around(yuan_dir: Path, load: Callable[..., Any], bits: str) -> None:
    from bitsandbytes.nn import Linear4bit, Linear8bitLt

    torch.manual_seed(1)
    model = AutoModelForCausalLM.from_pretrained(yuan_dir, quantization_config=QUANTIZED[bits])
    kind = Linear4bit if bits == "4 bit" else Linear8bitLt
    for layer in model.model.layers:
        linears = [getattr(layer.self_attn, name) for name in TARGETS[:4]]
        linears += [getattr(layer.mlp, name) for name in TARGETS[4:]]
        assert {type(linear) for linear in linears} == {kind}
        assert type(layer.self_attn.lf_gate.conv1) is PairConv
    model = prepare_model_for_kbit_training(model, gradient_checkpointing_kwargs={"use_reentrant": False})
    model = get_peft_model(model, config(TARGETS)).train()
    before = {name: weight.clone() for name, weight in model.named_parameters() if weight.requires_grad}
    losses = train(model, 6)
    assert losses[-1] < losses[0] - 0.2
    for name, weight in model.named_parameters():
        assert not weight.requires_grad or not torch.equal(weight, before[name]), f"{name} has learned nothing"
    # Only now: once bitsandbytes has answered, on some CPUs it keeps its weights in a form that passes no gradient on.
    ids = torch.stack([yuan.row(11, seed) for seed in (1, 2)])
    with torch.no_grad(), model.eval().disable_adapter():
        found, exact = model(input_ids=ids).logits, load()(ids).logits
        assert 0 < (found - exact).abs().mean() < exact.abs().mean() * (0.5 if bits == "4 bit" else 0.1)
        out = model.generate(input_ids=ids, max_new_tokens=3, min_new_tokens=3, do_sample=False)
    assert out.shape == (2, 14)


def train(model: Any, steps: int) -> list[float]:
    """Losses of a few steps on the same rows."""
    ids = torch.stack([yuan.row(11, seed) for seed in (1, 2)])
    optimizer = torch.optim.AdamW([weight for weight in model.parameters() if weight.requires_grad], lr=1e-2)
    losses = []
    for _ in range(steps):
        loss = model(input_ids=ids, labels=ids).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    return losses
