"""The model against the oracle, its gradients, its files, and what transformers expects of a model."""

import builtins
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    GenerationConfig,
    StaticCache,
)

from core.yuan2 import YuanConfig, YuanForCausalLM, YuanForSequenceClassification, YuanModel
from core.yuan2.linear import StreamedLinear
from tests.helpers import naive_yuan, yuan

Oracle = Callable[..., torch.Tensor]


def close(found: torch.Tensor, expected: torch.Tensor, atol: float = 1e-4) -> None:
    torch.testing.assert_close(found, expected, atol=atol, rtol=0)


@pytest.fixture
def ids() -> torch.Tensor:
    """A batch, (3, 11)."""
    return torch.stack([yuan.row(11, seed) for seed in (1, 2, 3)])


@pytest.mark.usefixtures("inference")
@pytest.mark.parametrize("variant", ["filtered", "shareqk", "no-reset", "shareqk-no-reset"])
@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_logits_are_the_oracles(load: Any, oracle: Oracle, variant: str, attention: str, end: int) -> None:
    model = load(variant, attention)
    for length in (1, 2, 3, 24):
        rows = torch.stack([yuan.row(length, seed) for seed in (1, 2)])
        rows[1, length // 2] = end
        expected = torch.stack([oracle(row, variant) for row in rows])
        assert expected.abs().max() > 1, "logits near zero prove nothing"
        close(model(rows, use_cache=False).logits, expected)
        close(model(rows).logits, expected)


def test_loss_and_every_gradient_are_the_oracles(model: Any, yuan_dir: Path, end: int) -> None:
    row = yuan.row(10, seed=4)
    row[4] = end
    labels = row.clone()
    labels[:3] = -100
    model.zero_grad()
    loss = model(row[None], labels=labels[None]).loss
    loss.backward()
    config = json.loads((yuan_dir / "config.json").read_text("utf-8"))
    state = {name: w.requires_grad_() for name, w in load_file(yuan_dir / "model.safetensors").items()}
    logits = naive_yuan.logits(state, config, row.tolist())
    expected = torch.stack([-logits[i].log_softmax(-1)[row[i + 1]] for i in range(2, 9)]).mean()
    expected.backward()
    close(loss, expected.float())
    for name, weight in model.named_parameters():
        grad = state.pop(name).grad
        assert grad.abs().max() > 0, name
        close(weight.grad, grad, atol=1e-5 * float(grad.abs().max()) + 1e-6)
    assert not state
    model.zero_grad()


def test_checkpointing_gives_the_same_gradients(load: Any, ids: torch.Tensor, end: int) -> None:
    ids[1, 5] = end
    grads = []
    for checkpointing in (False, True):
        model = load().train()
        calls: list[int] = []
        model.model.layers[0].mlp.register_forward_pre_hook(lambda *_, calls=calls: calls.append(1))
        if checkpointing:
            model.gradient_checkpointing_enable({"use_reentrant": False})
        model(ids, labels=ids).loss.backward()
        assert len(calls) == 1 + checkpointing
        grads.append({name: weight.grad for name, weight in model.named_parameters()})
    for name, grad in grads[0].items():
        close(grads[1][name], grad, atol=1e-6)


def test_training_learns(load: Any, ids: torch.Tensor) -> None:
    model = load().train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(12):
        loss = model(ids, labels=ids).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 2


def test_exactly_one_kind_of_input(model: Any, ids: torch.Tensor) -> None:
    with pytest.raises(ValueError, match="exactly one"):
        model()
    with pytest.raises(ValueError, match="exactly one"):
        model(ids, inputs_embeds=model.get_input_embeddings()(ids))


@pytest.mark.usefixtures("inference")
@pytest.mark.parametrize("variant", ["filtered", "shareqk"])
def test_an_old_pickle_holds_the_same_model(load: Any, ids: torch.Tensor, tmp_path: Path, variant: str) -> None:
    """With a head of its own and buffers that are none today, as old checkpoints have them."""
    folder = yuan.make_yuan(tmp_path, weights="bin", use_shareqk=variant == "shareqk")
    model, info = AutoModelForCausalLM.from_pretrained(folder, output_loading_info=True)
    assert {name: found for name, found in info.items() if found} == {}
    assert torch.equal(model.eval()(ids).logits, load(variant)(ids).logits)
    assert model.lm_head.weight is model.model.embed_tokens.weight


def test_published_files_are_taken_without_asking_or_running_their_code(
    yuan_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = shutil.copytree(yuan_dir, tmp_path / "published")
    for name in ("configuration_yuan.py", "yuan_hf_model.py"):
        (folder / name).write_text("raise SystemExit('code that came with the model has run')", "utf-8")

    def asked(*_: Any) -> str:
        raise AssertionError("a question on stdin")

    monkeypatch.setattr(builtins, "input", asked)
    config = AutoConfig.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder)
    assert type(config) is type(model.config) is YuanConfig
    assert type(model) is YuanForCausalLM
    assert type(AutoTokenizer.from_pretrained(folder)).__name__ == "YuanTokenizer"
    assert (config.dtype, config.eod_token, config.sep_token) == (torch.float32, 560, 562)
    assert config.use_cache, "off in the file because the published code's cache is broken"
    assert (config.reset_position_ids, config.mask_token_id) == (True, 560), "unknown fields are kept"


@pytest.mark.parametrize("generation_config", [False, True], ids=["config.json", "generation_config.json"])
def test_a_published_directory_generates_with_a_cache(yuan_dir: Path, tmp_path: Path, generation_config: bool) -> None:
    """``"use_cache": false`` also reaches generate, past the config: each token would cost the whole row."""
    folder = shutil.copytree(yuan_dir, tmp_path / "published")
    if generation_config:
        old = {"_from_model_config": True, "eos_token_id": 560, "use_cache": False, "transformers_version": "4.30.0"}
        (folder / "generation_config.json").write_text(json.dumps(old), "utf-8")
    for loaded in (folder, tmp_path / "saved"):
        model = AutoModelForCausalLM.from_pretrained(loaded)
        widths: list[int] = []
        model.model.layers[0].mlp.register_forward_hook(
            lambda module, args, out, widths=widths: widths.append(out.shape[1])
        )
        out = model.generate(yuan.row(7, 1)[None], max_new_tokens=4, do_sample=False)
        assert widths == [7, 1, 1, 1][: out.shape[1] - 7]
        assert len(widths) > 1
        model.save_pretrained(tmp_path / "saved")
    own = AutoModelForCausalLM.from_pretrained(folder, generation_config=GenerationConfig(use_cache=False))
    assert own.generation_config.use_cache is False, "a choice of one's own stands"


@pytest.mark.usefixtures("inference")
def test_saved_and_loaded_again_it_is_the_same(load: Any, ids: torch.Tensor, tmp_path: Path) -> None:
    for variant in ("filtered", "shareqk", "no-reset"):
        model, folder = load(variant), tmp_path / variant
        model.save_pretrained(folder)
        config = json.loads((folder / "config.json").read_text("utf-8"))
        assert "auto_map" not in config, "it would make other programs ask for the old code"
        assert config["model_type"] == "yuan"
        with safe_open(folder / "model.safetensors", "pt") as file:
            assert "lm_head.weight" not in file.keys(), "tied weights are written once"  # noqa: SIM118
            assert set(file.keys()) == dict(model.named_parameters()).keys()
        again = AutoModelForCausalLM.from_pretrained(folder).eval()
        assert again.config.to_dict() | {"_name_or_path": ""} == model.config.to_dict() | {"_name_or_path": ""}
        assert torch.equal(again(ids).logits, model(ids).logits)


def test_a_config_that_turns_the_cache_off_today_is_obeyed(load: Any, tmp_path: Path) -> None:
    model = load()
    model.config.use_cache = False
    model.save_pretrained(tmp_path)
    again = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert again.config.use_cache is False
    assert again(yuan.row(3, 1)[None]).past_key_values is None


def test_a_bfloat16_checkpoint_stays_so(ids: torch.Tensor, tmp_path: Path) -> None:
    folder = yuan.make_yuan(tmp_path, torch_dtype="bfloat16")
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    assert {weight.dtype for weight in model.parameters()} == {torch.bfloat16}
    wide = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    with torch.no_grad():
        found, expected = model(ids).logits, wide(ids).logits
        assert found.dtype == torch.bfloat16
        assert (found.float() - expected).abs().mean() < 0.05 * expected.abs().mean()
    out = model.generate(ids, max_new_tokens=4, do_sample=False)
    assert out.shape[1] > ids.shape[1]


@pytest.mark.usefixtures("inference")
def test_without_a_head(load: Any, yuan_dir: Path, ids: torch.Tensor) -> None:
    body, whole = AutoModel.from_pretrained(yuan_dir).eval(), load()
    assert type(body) is YuanModel
    hidden = body(ids).last_hidden_state
    assert hidden.shape == (3, 11, 64)
    close(whole.lm_head(hidden), whole(ids).logits, atol=1e-5)


def test_an_untied_head_is_its_own(tmp_path: Path, ids: torch.Tensor) -> None:
    """A head that a file holds is used where the config does not tie it to the embedding."""
    folder = yuan.make_yuan(tmp_path, weights="bin", tie_word_embeddings=False)
    state = torch.load(folder / "pytorch_model.bin")
    state["lm_head.weight"] = -state["lm_head.weight"]
    torch.save(state, folder / "pytorch_model.bin")
    tied = AutoModelForCausalLM.from_pretrained(yuan.make_yuan(tmp_path / "tied")).eval()
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    with torch.no_grad():
        close(model(ids).logits, -tied(ids).logits)


def test_more_tokens_than_before(load: Any, ids: torch.Tensor) -> None:
    model = load()
    before = model(ids).logits
    model.resize_token_embeddings(700, mean_resizing=False)
    assert model.lm_head.weight is model.get_input_embeddings().weight
    close(model(ids).logits[..., :593], before)


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_classifier_reads_the_last_token_of_each_row(yuan_dir: Path, side: str, end: int) -> None:
    torch.manual_seed(1)
    model = AutoModelForSequenceClassification.from_pretrained(yuan_dir, num_labels=3).eval()
    assert type(model) is YuanForSequenceClassification
    rows = [yuan.row(length, length) for length in (1, 4, 9)]
    ids, mask = yuan.padded(rows, end, side)
    with torch.no_grad():
        found = model(ids, attention_mask=mask).logits
        close(found, torch.cat([model(row[None]).logits for row in rows]))
        other = torch.cat([model(torch.cat((row[:-1], row[-1:] ^ 1))[None]).logits for row in rows])
    assert (found - other).abs().amax(-1).min() > 1e-3
    labels = torch.tensor([0, 2, 1])
    loss = model(ids, attention_mask=mask, labels=labels).loss
    close(loss, torch.nn.functional.cross_entropy(found, labels), atol=1e-5)
    loss.backward()
    assert model.model.layers[0].self_attn.lf_gate.conv1.weight.grad.abs().max() > 0


@pytest.mark.parametrize(("change", "named"), [({"num_attention_heads": 5}, "hidden_size"), ({"hidden_size": 12, "num_attention_heads": 4}, "head size")])  # fmt: skip  # noqa: E501
def test_sizes_that_cannot_be_built_are_refused(change: dict[str, int], named: str) -> None:
    with pytest.raises(Exception, match=named):
        YuanConfig(**change)


def test_fresh_weights(yuan_dir: Path, end: int) -> None:
    """Norms at one, padding at zero, the shared projection's scale and shift neutral, the rest spread as asked for."""
    torch.manual_seed(2)
    config = AutoConfig.from_pretrained(yuan_dir, use_shareqk=True, initializer_range=0.1)
    model = AutoModelForCausalLM.from_config(config)
    attention = model.model.layers[1].self_attn
    assert (attention.qk_weight == 1).all()
    assert (attention.qk_bias == 0).all()
    assert (model.model.norm.weight == 1).all()
    assert (model.model.embed_tokens.weight[end] == 0).all()
    assert 0.09 < attention.qk_proj.weight.std() < 0.11


@pytest.mark.usefixtures("inference")
@pytest.mark.parametrize("bias", [False, True])
def test_a_streamed_linear_computes_what_a_plain_one_does(bias: bool) -> None:
    torch.manual_seed(3)
    plain = torch.nn.Linear(48, 80, bias=bias)
    streamed = torch.nn.Linear(48, 80, bias=bias)
    streamed.load_state_dict(plain.state_dict())
    streamed.__class__ = StreamedLinear
    for rows in range(1, 71):
        x = torch.randn(rows, 48)
        close(streamed(x), plain(x))
        close(streamed(x[None, :, None]), plain(x[None, :, None]))
        apart = torch.randn(48, rows).T  # not contiguous
        close(streamed(apart), plain(apart))
    with torch.autocast("cpu", torch.bfloat16):
        assert streamed(torch.randn(8, 48)).dtype == torch.bfloat16
    half = streamed.to(torch.bfloat16)(torch.randn(8, 48, dtype=torch.bfloat16))
    assert (half.dtype, half.shape) == (torch.bfloat16, (8, 80))
    assert streamed(torch.randn(0, 48, dtype=torch.bfloat16)).shape == (0, 80)


def test_a_streamed_linear_learns_like_a_plain_one() -> None:
    plain, streamed = torch.nn.Linear(16, 8), torch.nn.Linear(16, 8)
    streamed.load_state_dict(plain.state_dict())
    streamed.__class__ = StreamedLinear
    x = torch.randn(8, 16)
    for linear in (plain, streamed):
        linear(x).square().sum().backward()
    assert torch.equal(streamed.weight.grad, plain.weight.grad)
    assert torch.equal(streamed.bias.grad, plain.bias.grad)


def test_linears_are_streamed_once_loaded(load: Any) -> None:
    kinds = {type(module) for module in load().modules() if isinstance(module, torch.nn.Linear)}
    assert kinds == {StreamedLinear}


@pytest.mark.slow
@pytest.mark.usefixtures("inference")
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs g++")
def test_a_compiled_decoding_step(load: Any, end: int) -> None:
    """One graph without a break, not compiled again as the row grows, the same logits; also across an <eod>."""
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    model = load()
    model.model.layers = model.model.layers[:1]  # compiles in half the time
    rows = [yuan.row(length + 8, 60 + length) for length in (5, 9, 7, 2)]
    for row in rows:
        row[-5] = end
    ids, mask = yuan.padded(rows, end)
    prompt = ids.shape[1] - 8
    cache = StaticCache(config=model.config, max_cache_len=32)
    model(ids[:, :prompt], attention_mask=mask[:, :prompt], past_key_values=cache)
    step = torch.compile(model.forward, fullgraph=True)
    for place in range(prompt, prompt + 8):
        seen = mask[:, : place + 1]
        inputs = model.prepare_inputs_for_generation(
            ids[:, : place + 1], past_key_values=cache, attention_mask=seen, next_sequence_length=1,
            position_ids=seen.cumsum(-1) - 1,
        )  # fmt: skip
        logits = step(**inputs).logits[:, -1]
        for row, found in zip(rows, logits, strict=True):
            so_far = row[: len(row) - ids.shape[1] + place + 1]
            close(found, model(so_far[None], use_cache=False).logits[0, -1])
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 1
    assert not torch._dynamo.utils.counters["graph_break"]
