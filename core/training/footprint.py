"""Memory a fine-tuning run takes at its peak, by its parts, from the model's files and the config: nothing is loaded.

Activations are counted as autograd keeps them for a transformer block with fused attention (Korthikanti et al. 2022,
"Reducing Activation Recomputation in Large Transformer Models", without the terms of unfused attention); the counts
were checked with ``saved_tensors_hooks``, the sums by ``benchmarks/training_memory.py``.
"""

from dataclasses import dataclass
from typing import Any

from core import hardware
from core.models import cards, placement, store, weights
from core.models.cards import ModelCard
from core.models.weights import Tensor
from core.training import methods
from core.training.config import TrainConfig

MIB = 2**20
RUNTIME = {"cpu": 490 * MIB, "gpu": 700 * MIB}
"""The interpreter and its libraries; on a GPU its context and kernels, there."""
HOLES = {"cpu": 2.0, "gpu": 0.2}
CHECKPOINTED_HOLES = {"cpu": 1.25, "gpu": 0.1}
"""Numbers of memory lost for each number an adapted layer puts out: between its result and what is kept, three
passing results are made and freed again, and glibc's heap has no use for most of the gaps."""
GRADIENT = 4
OPTIMIZER = {"adamw": 8, "paged-adamw-8bit": 2, "adafactor": 1}
"""Bytes of state for each trained weight."""
HALF = 2


@dataclass(frozen=True)
class Memory:
    """Bytes at the peak of a step, by what takes them.

    Attributes:
        runtime: interpreter and libraries, or the GPU's context.
        weights: the base model.
        trained: adapter weights, gradients and the optimizer's state.
        activations: kept from the forward for the backward pass, and what the allocator loses between them; with
            autocast also the weights' copies in bfloat16.
        logits: scores of the whole vocabulary, their probabilities and their gradient.
    """

    runtime: int
    weights: int
    trained: int
    activations: int
    logits: int

    @property
    def total(self) -> int:
        return self.runtime + self.weights + self.trained + self.activations + self.logits


def need(config: TrainConfig, longest: int = 0, answer: int = 0) -> Memory:
    """Memory at the peak of a step.

    Args:
        longest: tokens of the longest row; 0: the config's max length.
        answer: learned tokens of the longest answer; 0: all of the row.
    """
    card, where = cards.card(config.model), hardware.device()
    shape, tensors = parts(config)
    kind = "cpu" if where == "cpu" else "gpu"
    length = longest or config.max_length
    tokens = config.batch_size * length
    width = _width(config)
    vocabulary = weights.first(shape, "vocab_size") if config.task != "classify" else 0
    scored = config.batch_size * min(length, (answer or length) + 1)
    kept = _activations(config, shape, tensors, width) + _holes(config, tensors, kind) * width
    # The logits themselves, their logarithms of probabilities, and the gradient: the last two always in float32.
    logits = scored * vocabulary * (width + 4 + 4)
    return Memory(
        RUNTIME[kind],
        _base(config, card, tensors, where),
        _trained(config, tensors),
        int(tokens * kept) + _casts(config, card, tensors, width, where),
        logits,
    )


def parts(config: TrainConfig) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The base model's configuration and tensors; of one that is not here, those of a usual model of its size."""
    card = cards.card(config.model)
    folder = store.directory(card)
    shape = weights.configuration(folder)
    if tensors := weights.loaded(shape, weights.tensors(folder)):
        return shape, tensors
    # As wide as eighty times its layers are many, 12 h² weights in each: right within a tenth for Llama 2 and phi-2.
    hidden = round((80 * card.parameters / 12) ** (1 / 3))
    layers, names = max(1, hidden // 80), config.target_modules or ["q", "k", "v", "o", "gate", "up", "down"]
    shape = {"hidden_size": hidden, "num_hidden_layers": layers, "vocab_size": 50_000}
    return shape, {
        f"layers.{layer}.{name}.weight": Tensor((hidden, hidden), "F32") for layer in range(layers) for name in names
    }


def _width(config: TrainConfig) -> int:
    """Bytes of a number in the passes."""
    if config.precision == "float32":
        return 4
    from core.training import trainer

    return HALF if trainer.in_bfloat16(config) else 4


def _casts(config: TrainConfig, card: ModelCard, tensors: dict[str, Tensor], width: int, where: str) -> int:
    """Bytes of the weights' copies in bfloat16 that autocast keeps for the backward pass beside a float32 model."""
    if width != HALF or methods.bits(config) or _full_width(config, card, where) == HALF:
        return 0
    matrices = {name: tensor.elements for name, tensor in tensors.items() if len(tensor.shape) == 2}
    if not config.checkpointing:
        return HALF * sum(matrices.values())
    blocks = sum(count for name, count in matrices.items() if weights.in_layer(name))
    return int(HALF * (sum(matrices.values()) - blocks + blocks / _layers(tensors)))


def _full_width(config: TrainConfig, card: ModelCard, where: str) -> int:
    """Bytes of a weight of the base model that is not quantised."""
    return placement.BYTES[placement.dtype(card, where)] if config.adapts else 4


def _base(config: TrainConfig, card: ModelCard, tensors: dict[str, Tensor], where: str) -> int:
    full, bits = _full_width(config, card, where), methods.bits(config)
    if not store.is_ready(card):
        return int(card.parameters * weights.PACKED.get(bits, full))
    return weights.size(tensors, full, bits)


def adapted(config: TrainConfig, tensors: dict[str, Tensor]) -> list[tuple[int, int]]:
    """(out, in) of every linear layer the adapter goes beside; without names, all in the blocks."""
    targets = config.target_modules
    return [
        (tensor.shape[0], tensor.shape[1])
        for name, tensor in tensors.items()
        if len(tensor.shape) == 2
        and weights.in_layer(name)
        and (not targets or any(name.endswith(f"{target}.weight") for target in targets))
    ]


def trained_weights(config: TrainConfig, tensors: dict[str, Tensor]) -> int:
    """Number of weights that learn."""
    if config.adapts:
        pairs = adapted(config, tensors)
        magnitudes = sum(out for out, _ in pairs) if config.method == "dora" else 0
        return sum(config.rank * (out + into) for out, into in pairs) + magnitudes
    return int(sum(tensor.elements for tensor in tensors.values()) * _share(config, tensors))


def _share(config: TrainConfig, tensors: dict[str, Tensor]) -> float:
    """Part of the layers that is trained, at the most: gradual unfreezing ends with all."""
    layers = _layers(tensors)
    frozen = {"freeze": config.frozen_layers or layers // 2, "top": layers}.get(config.method, 0)
    return max(0, layers - frozen) / max(1, layers)


def _layers(tensors: dict[str, Tensor]) -> int:
    numbers = [int(part) for name in tensors for part in name.split(".") if part.isdecimal()]
    return max(numbers, default=0) + 1


def _trained(config: TrainConfig, tensors: dict[str, Tensor]) -> int:
    count = trained_weights(config, tensors)
    own = 4 if config.adapts else 0  # an adapter's weights are float32 beside the base; others are counted there
    paged = config.optimizer == "paged-adamw-8bit" and hardware.device() == "cpu"  # there it is the plain one
    return count * (own + GRADIENT + OPTIMIZER["adamw" if paged else config.optimizer])


def _activations(config: TrainConfig, shape: dict[str, Any], tensors: dict[str, Tensor], width: int) -> float:
    """Bytes kept of each token until the backward pass reaches them.

    What goes along the residual stream is float32 in either precision; in bfloat16 a norm's output, an input of
    attention or of an adapter is kept twice, before and after its conversion, which comes to the same.
    """
    hidden = weights.first(shape, "hidden_size", "d_model", "n_embd")
    inner = weights.first(shape, "intermediate_size", "d_ff", default=4 * hidden)
    heads = weights.first(shape, "num_attention_heads", "num_heads", "n_head", default=1)
    groups = weights.first(shape, "num_key_value_heads", default=heads)
    layers = weights.first(shape, "num_hidden_layers", "num_layers", "n_layer", default=1)
    layers += weights.first(shape, "num_decoder_layers") if config.task == "seq2seq" else 0
    # Both norms' inputs and outputs, the queries, what attention returns; keys and values; the four parts of a gated
    # feed-forward net, or the two of a plain one.
    gated = any("gate" in name for name in tensors)
    layer: float = 6 * hidden * 4 + (2 * groups * (hidden // heads) + (4 if gated else 2) * inner) * width
    if config.adapts and config.dropout:  # each adapter keeps an input, and what was dropped of it, of its own
        layer += 4 * 1.5 * sum(into for _, into in adapted(config, tensors)) / layers
    if config.method == "dora":  # the layer's output before its magnitude
        layer += width * sum(out for out, _ in adapted(config, tensors)) / layers
    if not config.adapts:  # the norms learn, too
        layer += 2 * hidden * 4
        layers = max(1, round(layers * _share(config, tensors)))
    return 4 * hidden * layers + layer if config.checkpointing else layer * layers


def _holes(config: TrainConfig, tensors: dict[str, Tensor], kind: str) -> float:
    """Numbers of each token that the allocator loses."""
    if not config.adapts:
        return 0.0
    lost = CHECKPOINTED_HOLES if config.checkpointing else HOLES
    return lost[kind] * sum(out for out, _ in adapted(config, tensors))


def propose(config: TrainConfig, free: int, longest: int = 0, answer: int = 0) -> dict[str, Any]:
    """The mildest change that makes a run fit into ``free`` bytes at the same effective batch; empty: none does.

    First smaller passes whose gradients are added up, which cost little; then activations made again in the backward
    pass (a third more time); then the base model in 4 bits, or an adapter instead of whole weights.

    Args:
        longest, answer: as of :func:`need`.
    """
    effective = config.batch_size * config.accumulation
    batches = [size for size in range(config.batch_size, 0, -1) if effective % size == 0]
    milder: list[dict[str, Any]] = [{}, {"checkpointing": True}]
    if config.method == "lora" and config.task != "classify":
        milder.append({"checkpointing": True, "method": "qlora-4bit"})
    elif not config.adapts and config.task != "classify":
        milder.append({"checkpointing": True, "method": "lora"})
    for changes in milder:
        for size in batches:
            tried = {"batch_size": size, "accumulation": effective // size, **changes}
            changed = {name: value for name, value in tried.items() if getattr(config, name) != value}
            if need(config.model_copy(update=changed), longest, answer).total <= free:
                return changed
    return {}
