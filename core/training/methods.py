"""What of a model is trained: an adapter beside it (LoRA and its kin), all of its weights, or its upper layers.

It knows neither tasks nor data: a loaded model comes in, the same model ready for an optimizer goes out.
"""

from typing import Any

from core.errors import UserError
from core.models import IMPORTING
from core.training.config import TrainConfig

PEFT_TASKS = {"causal": "CAUSAL_LM", "seq2seq": "SEQ_2_SEQ_LM", "classify": "SEQ_CLS"}
BITS = {"qlora-4bit": 4, "qlora-8bit": 8}


def bits(config: TrainConfig) -> int:
    """Bits a weight of the base model is loaded in; 0: as its card says."""
    return BITS.get(config.method, 0)


def apply(model: Any, config: TrainConfig) -> Any:
    """Make the model ready: what is not trained needs no gradient any more, an adapter is put in.

    Under ``gradual`` everything needs one at first, so that the optimizer knows all of it; :func:`unfreezing` then
    holds the lower layers back.

    Returns:
        The model to train: a PeftModel where the method adapts, else the same one.

    Raises:
        UserError: layers to adapt or to freeze that the model has not.
    """
    if config.adapts:
        return _adapted(model, config)
    parts = layers(model)
    inner = len(parts) - 2
    if config.frozen_layers >= inner:
        raise UserError(
            "{model} has {layers} layers, so {frozen} of them cannot stay frozen.",
            "Freeze fewer.",
            model=config.model,
            layers=inner,
            frozen=config.frozen_layers,
        )
    frozen = {"freeze": 1 + (config.frozen_layers or inner // 2), "top": inner}.get(config.method, 0)
    for number, part in enumerate(parts):
        for weight in part:
            weight.requires_grad_(number >= frozen)
    return model


def layers(model: Any) -> list[list[Any]]:
    """A model's weights from the bottom to the top: the embeddings, each layer, and what stands above the layers.

    The layers are the longest ModuleList of the model, of an encoder-decoder those of both halves; a weight between
    two halves belongs to the layer below it, and a head that shares its weight with the embeddings to these.
    """
    stacks = _stacks(model)
    names = {id(weight): (name, weight) for name, weight in model.named_parameters()}
    place = {id(weight): at for at, layer in enumerate(stacks, 1) for weight in layer.parameters()}
    parts: list[list[Any]] = [[] for _ in range(len(stacks) + 2)]
    reached = 0
    for key, (_, weight) in names.items():
        reached = place.get(key, reached if reached < len(stacks) else len(stacks) + 1)
        parts[reached].append(weight)
    return parts


def _stacks(model: Any) -> list[Any]:
    import torch

    found = [module for module in model.modules() if isinstance(module, torch.nn.ModuleList)]
    nested = {id(inner) for outer in found for inner in outer.modules() if inner is not outer}
    outermost = [stack for stack in found if id(stack) not in nested]
    if model.config.is_encoder_decoder:
        halves = [model.get_encoder(), model.get_decoder()]
        return [layer for half in halves for layer in _longest([s for s in outermost if _within(s, half)])]
    return _longest(outermost)


def _longest(stacks: list[Any]) -> list[Any]:
    return max((list(stack) for stack in stacks), key=len)


def _within(stack: Any, half: Any) -> bool:
    return any(module is stack for module in half.modules())


def unfreezing(model: Any, config: TrainConfig) -> Any:
    """A Trainer callback for ``gradual``: one layer more from the top per equal share of the steps.

    What stands above the layers is trained from the first step, the embeddings together with the bottom layer. It
    depends on the step alone, so that a resumed run goes on in the same share.
    """
    with IMPORTING:
        from transformers import TrainerCallback

    below, *inner, above = layers(model)
    groups = [[*above, *inner[-1]], *reversed(inner[:-1])] if len(inner) > 1 else [[*above, *inner[0]]]
    groups[-1] = [*groups[-1], *below]

    class Unfreezing(TrainerCallback):
        def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            share = state.global_step * len(groups) // max(1, state.max_steps)
            for number, group in enumerate(groups):
                for weight in group:
                    weight.requires_grad_(number <= share)

    return Unfreezing()


def _adapted(model: Any, config: TrainConfig) -> Any:
    with IMPORTING:
        from peft import LoraConfig, get_peft_model, prepare_model_for_kbit_training

    targets = _targets(model, config)
    model.requires_grad_(False)
    if bits(config):
        model = prepare_model_for_kbit_training(model, use_gradient_checkpointing=False)  # the Trainer turns it on
        _keep_trainable(model)
    lora = LoraConfig(
        r=config.rank,
        lora_alpha=config.alpha,
        lora_dropout=config.dropout,
        target_modules=targets,
        use_rslora=config.method == "rslora",
        use_dora=config.method == "dora",
        task_type=PEFT_TASKS[config.task],
    )
    return get_peft_model(model, lora)


def _keep_trainable(model: Any) -> None:
    """On a CPU with AVX-512's bfloat16 the first forward in eval mode would repack a 4-bit layer for good, and from
    then on no gradient passes through it: a measurement on the way would end the learning without a word."""
    from bitsandbytes.nn import Linear4bit

    for module in model.modules():
        if isinstance(module, Linear4bit):
            module.support_avx512bf16_for_cpu = False


def _targets(model: Any, config: TrainConfig) -> list[str] | str:
    import torch

    if not config.target_modules:
        return "all-linear"
    names = [name for name, module in model.named_modules() if isinstance(module, torch.nn.Linear)]
    unknown = [t for t in config.target_modules if not any(f".{name}".endswith(f".{t}") for name in names)]
    if unknown:
        raise UserError(
            "{model} has no layers named {unknown}.",
            "Choose among: {known}.",
            model=config.model,
            unknown=", ".join(unknown),
            known=", ".join(dict.fromkeys(name.rpartition(".")[2] for name in names)),
        )
    return config.target_modules
