"""An adapter melted into its base model."""

from pathlib import Path

from core.errors import UserError
from core.models import cards, loading
from core.settings import settings
from core.training import runs


def merge(run_id: str, name: str) -> Path:
    """Write base model + adapter as one standard transformers directory ``var/models/NAME``.

    Raises:
        UserError: the run has no adapter, or the name is taken or not usable as a folder's.
    """
    weights = runs.adapter(run_id)
    target = settings().models_dir / name
    if name != Path(name).name or name.startswith(".") or name in cards.catalog() or target.exists():
        raise UserError("The name {name} is taken or not usable.", "Choose another one.", name=name)
    from peft import PeftModel

    model, tokenizer = loading.load_generator(cards.card(runs.show(run_id)["config"]["model"]))
    merged = PeftModel.from_pretrained(model, str(weights)).merge_and_unload(safe_merge=True)
    aside = target.with_name(f".{name}.partial")
    merged.save_pretrained(aside)
    tokenizer.save_pretrained(aside)
    aside.rename(target)
    return target
