"""Yuan 2.0 written down from its paper as plainly as possible, to judge the implementation by (arXiv 2311.15786).

The model: one row of tokens, one token after the other, one head after the other, for each the positions it may see.
No batch, no mask, no cache, nothing shared with ``core.yuan2``. In float64, and differentiable.
The tokenizer: SentencePiece itself between the added tokens.
"""

import math
import re
from typing import Any

import torch
from torch.nn.functional import silu

KEPT = ["<s>", "<unk>", "<eod>"]
SWALLOWING = [
    "<sep>", "<pad>", "<mask>", "<predict>", "<FIM_SUFFIX>", "<FIM_PREFIX>", "<FIM_MIDDLE>", "<commit_before>",
    "<commit_msg>", "<commit_after>", "<jupyter_start>", "<jupyter_text>", "<jupyter_code>", "<jupyter_output>",
    "<empty_output>",
]  # fmt: skip


def logits(state: dict[str, torch.Tensor], config: dict[str, Any], ids: list[int]) -> torch.Tensor:
    """The logits (time, vocabulary) after each token of one row.

    Args:
        state: weights by the published names.
        config: the fields of config.json.
    """
    weights = {name: tensor.double() for name, tensor in state.items()}
    table = weights["model.embed_tokens.weight"]
    stream = [_embed(table, token, config) for token in ids]
    eps = config["rms_norm_eps"]
    for layer in range(config["num_hidden_layers"]):
        prefix = f"model.layers.{layer}."
        part = {name.removeprefix(prefix): tensor for name, tensor in weights.items() if name.startswith(prefix)}
        normed = [rms_norm(x, part["input_layernorm.weight"], eps) for x in stream]
        attended = attention(normed, part, config, ids)
        stream = [x + added for x, added in zip(stream, attended, strict=True)]
        normed = [rms_norm(x, part["post_attention_layernorm.weight"], eps) for x in stream]
        stream = [x + feed_forward(n, part) for x, n in zip(stream, normed, strict=True)]
    head = weights.get("lm_head.weight", table)
    return torch.stack([head @ rms_norm(x, weights["model.norm.weight"], eps) for x in stream])


def visible(ids: list[int], time: int, config: dict[str, Any]) -> list[int]:
    """The positions that the token at ``time`` attends to: its document's, up to itself."""
    seen = []
    for position in range(time + 1):
        seen.append(position)
        if config["reset_attention_mask"] and ids[position] == config["eod_token"] and position < time:
            seen = []  # an <eod> still belongs to what it ends; whoever comes after it starts afresh
    return seen


def attention(
    xs: list[torch.Tensor], part: dict[str, torch.Tensor], config: dict[str, Any], ids: list[int]
) -> list[torch.Tensor]:
    """Each token's attention output; values come from ``xs`` itself, queries and keys from its filtered form."""
    heads = config["num_attention_heads"]
    size = config["hidden_size"] // heads
    queries, keys = _queries_and_keys(xs, part, config, heads, size)
    values = [(part["self_attn.v_proj.weight"] @ x).split(size) for x in xs]
    turned = [[turn(key, position) for key in heads_] for position, heads_ in enumerate(keys)]
    outputs = []
    for time in range(len(xs)):
        seen = visible(ids, time, config)
        joined = []
        for head in range(heads):
            query = turn(queries[time][head], time)
            scores = [query @ turned[position][head] / math.sqrt(size) for position in seen]
            shares = torch.stack(scores).softmax(0)
            joined.append(sum(share * values[position][head] for share, position in zip(shares, seen, strict=True)))
        outputs.append(part["self_attn.o_proj.weight"] @ torch.cat(joined))
    return outputs


def _queries_and_keys(
    xs: list[torch.Tensor], part: dict[str, torch.Tensor], config: dict[str, Any], heads: int, size: int
) -> tuple[list[list[torch.Tensor]], list[list[torch.Tensor]]]:
    """For each token and head its query and its key, not yet turned."""
    queries, keys = [], []
    if config.get("use_shareqk"):
        scale, shift = part["self_attn.qk_weight"], part["self_attn.qk_bias"]
        for x in xs:
            both = part["self_attn.qk_proj.weight"] @ x
            queries.append([*(both * scale[0] + shift[0]).split(size)])
            keys.append([*(both * scale[1] + shift[1]).split(size)])
        return queries, keys
    for x in localized_filtering(xs, part, config["rms_norm_eps"]):
        # The two projections are laid end to end, then cut into heads: in each slice first the query, then the key.
        both = torch.cat([part["self_attn.q_proj.weight"] @ x, part["self_attn.k_proj.weight"] @ x])
        queries.append([both[2 * size * head : 2 * size * head + size] for head in range(heads)])
        keys.append([both[2 * size * head + size : 2 * size * head + 2 * size] for head in range(heads)])
    return queries, keys


def localized_filtering(xs: list[torch.Tensor], part: dict[str, torch.Tensor], eps: float) -> list[torch.Tensor]:
    """Two convolutions of width 2: each output is a sum over the token before and the token itself."""

    def convolve(inputs: list[torch.Tensor], name: str) -> list[torch.Tensor]:
        weight, bias = part[f"self_attn.lf_gate.{name}.weight"], part[f"self_attn.lf_gate.{name}.bias"]
        outputs = []
        for time, current in enumerate(inputs):
            output = weight[:, :, 1, 0] @ current + bias
            if time > 0:
                output = output + weight[:, :, 0, 0] @ inputs[time - 1]
            outputs.append(output)
        return outputs

    filtered = convolve(convolve(xs, "conv1"), "conv2")
    gain = part["self_attn.lf_gate.output_layernorm.weight"]
    return [rms_norm(z + x, gain, eps) for z, x in zip(filtered, xs, strict=True)]


def feed_forward(x: torch.Tensor, part: dict[str, torch.Tensor]) -> torch.Tensor:
    """The activation sits on ``up_proj``."""
    inner = (part["mlp.gate_proj.weight"] @ x) * silu(part["mlp.up_proj.weight"] @ x)
    return part["mlp.down_proj.weight"] @ inner


def rms_norm(x: torch.Tensor, gain: torch.Tensor, eps: float) -> torch.Tensor:
    return x / torch.sqrt((x * x).mean() + eps) * gain


def turn(x: torch.Tensor, position: int) -> torch.Tensor:
    """Rotary position: channels i and i + half are a point in a plane, turned by position · 10000^(-i / half)."""
    half = len(x) // 2
    turned = torch.empty_like(x)
    for i in range(half):
        angle = position * 10000.0 ** (-i / half)
        turned[i] = x[i] * math.cos(angle) - x[i + half] * math.sin(angle)
        turned[i + half] = x[i + half] * math.cos(angle) + x[i] * math.sin(angle)
    return turned


def _embed(table: torch.Tensor, token: int, config: dict[str, Any]) -> torch.Tensor:
    """The token's vector; the padding token's learns nothing from being read."""
    return table[token].detach() if token == config["pad_token_id"] else table[token]


def encode(pieces: Any, text: str) -> list[int]:
    """The slow tokenizer of transformers 4.30, as it was set up for training, written anew.

    The text is split at added tokens. Those added as plain strings strip the text on both sides, those that came as
    tokens with their own flags do not. Every run between is encoded by itself. An added token has its piece's id,
    else one after the last piece.
    """
    new = [token for token in SWALLOWING if pieces.id_to_piece(pieces.piece_to_id(token)) != token]
    ids = {token: pieces.piece_to_id(token) for token in [*KEPT, *SWALLOWING] if token not in new}
    ids |= {token: pieces.get_piece_size() + index for index, token in enumerate(new)}
    runs = re.split("(" + "|".join(map(re.escape, ids)) + ")", text)
    for index, run in enumerate(runs):
        if run in SWALLOWING:
            runs[index - 1] = runs[index - 1].rstrip()
            runs[index + 1] = runs[index + 1].lstrip()
    found: list[int] = []
    for run in runs:
        if run:
            found += [ids[run]] if run in ids else pieces.encode(run)
    return found
