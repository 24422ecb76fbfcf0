"""What a model directory is: its task, size, languages and the layers LoRA adapts, from its files alone."""

import re
from pathlib import Path
from typing import Any

from core import files
from core.errors import UserError
from core.models import IMPORTING, cards, silence, weights
from core.models.cards import ModelCard, Task
from core.models.weights import Tensor

_TRAINED = ("generate", "seq2seq", "classify")
_UNNAMED = re.compile(r"LABEL_\d+")


def described(card: ModelCard, folder: Path) -> ModelCard:
    """The card with all that ``folder`` tells: a transformers or sentence-transformers directory.

    Raises:
        UserError: an architecture that is not known here, or files that are damaged.
    """
    body = folder / _modules(folder)[0].get("path", "") if _modules(folder) else folder
    config, found = weights.configuration(body), weights.tensors(body)
    family = str(config.get("model_type", ""))
    task = _task(folder, config)
    update: dict[str, Any] = {
        "task": task,
        "parameters": sum(tensor.elements for tensor in weights.loaded(config, found).values()),
        "size": sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()),
        **_readme(folder),
    }
    if task in _TRAINED and not card.lora_targets:
        update["lora_targets"] = _lora_targets(family, found)
    if task == "classify" and (names := config.get("id2label")):
        labels = [str(name) for _, name in sorted(names.items(), key=lambda item: int(item[0]))]
        update["labels"] = [] if all(_UNNAMED.fullmatch(label) for label in labels) else labels
    if task in ("classify", "embed", "rerank"):
        update["dtype"] = "float32"
    if family == "yuan":
        yuan = _yuan()
        update |= {"register_module": yuan.register_module, "chat_template": card.chat_template or yuan.chat_template}
    return card.model_copy(update=update)


def with_twin(card: ModelCard) -> ModelCard:
    """The card with what the app's own catalog knows of a model of this name, which no file of it tells.

    Such are the prompts of an embedder, or the template of a model without one. ModelScope's folders have ``___``
    for a dot.
    """
    names = {card.name.replace("___", "."), card.title.replace("___", ".")}
    names |= {source.id.rpartition("/")[2].replace("___", ".") for source in card.sources}
    for twin in cards.shipped():
        if names & {twin.name, *(source.id.rpartition("/")[2] for source in twin.sources)}:
            known = twin.model_dump(
                include={"task", "languages", "license", "chat_template", "generation", "labels", "pooling", "prompts"}
                | {"dtype", "lora_targets", "passages", "register_module"}
            )
            return ModelCard.model_validate({**card.model_dump(), **known})
    return card


def _modules(folder: Path) -> list[dict[str, Any]]:
    """The parts of a sentence-transformers model; empty for any other."""
    found = files.read_json(folder / "modules.json", [])
    return [part for part in found if isinstance(part, dict)] if isinstance(found, list) else []


def _task(folder: Path, config: dict[str, Any]) -> Task:
    if _modules(folder):
        kind = files.read_json(folder / "config_sentence_transformers.json", {}).get("model_type")
        return "rerank" if kind == "CrossEncoder" else "embed"
    family, architecture = config.get("model_type"), next(iter(config.get("architectures") or []), "")
    if family == "yuan":
        return "classify" if architecture == "YuanForSequenceClassification" else "generate"
    with IMPORTING:
        from transformers.models.auto import modeling_auto as auto

    reads_text = family in auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES
    if architecture in auto.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES.values():
        return "seq2seq"
    if architecture in auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.values():
        return "generate"
    if architecture in auto.MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES.values():
        return "rerank" if len(config.get("id2label") or (0, 1)) == 1 else "classify"
    if reads_text and architecture == auto.MODEL_MAPPING_NAMES.get(family):
        return "embed"
    if reads_text and (
        architecture in auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES.values()
        or architecture in auto.MODEL_FOR_PRETRAINING_MAPPING_NAMES.values()
    ):
        return "classify"  # the usual start of a classifier
    raise UserError(
        "The architecture {architecture} of {path} is not known here.",
        "Choose a model for text that transformers runs without code of the model's own.",
        architecture=architecture or family or "?",
        path=folder,
    )


def _lora_targets(family: str, found: dict[str, Tensor]) -> list[str]:
    """PEFT's own choice for the family; for one it does not know, every linear layer inside the blocks."""
    if family == "yuan":
        return _yuan().lora_targets
    silence()
    with IMPORTING:
        from peft.utils.constants import TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING as KNOWN

    if isinstance(KNOWN.get(family), list):
        return list(KNOWN[family])
    inside = [name for name, tensor in found.items() if re.search(r"\.\d+\.", name) and len(tensor.shape) == 2]
    return list(dict.fromkeys(name.split(".")[-2] for name in inside if name.endswith(".weight")))


def _yuan() -> ModelCard:
    return next(card for card in cards.shipped() if card.register_module == "core.yuan2")


def _readme(folder: Path) -> dict[str, Any]:
    """Licence and languages, where the directory's README says them as hubs want it."""
    from huggingface_hub import ModelCard as Readme
    from yaml import YAMLError

    if not (folder / "README.md").is_file():  # what is no file would be looked for on the hub
        return {}
    try:
        data = Readme.load(folder / "README.md").data
    except (OSError, ValueError, TypeError, YAMLError):  # not in the hubs' form
        return {}
    languages = [data.language] if isinstance(data.language, str) else list(data.language or [])
    told = {"license": str(data.license or ""), "languages": [str(language) for language in languages]}
    return {name: value for name, value in told.items() if value}
