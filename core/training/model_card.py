"""The README of an exported run: what it is, what it was made from, and how to load it without this app."""

import json
from typing import Any

LOADING = """```python
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

base = "{base}"  # the base model's id on its hub, or its directory
model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), "adapter")
tokenizer = AutoTokenizer.from_pretrained(base)
```"""
LOADING_WHOLE = """```python
from transformers import AutoTokenizer, {auto}

model = {auto}.from_pretrained("model")
tokenizer = AutoTokenizer.from_pretrained("model")
```"""
AUTO = {"classify": "AutoModelForSequenceClassification", "seq2seq": "AutoModelForSeq2SeqLM"}


def markdown(about: dict[str, Any]) -> str:
    """The model card of what :func:`core.training.portable.describe` tells, with the header that hubs read."""
    base, data, figures = about["base"], about["data"], about["figures"]
    hub = [label.partition(":")[2] for label in base["sources"] if not label.startswith("wheel:")]
    identifier = hub[0] if hub else base["name"]
    whole = about["whole"]
    header = {
        "library_name": "transformers" if whole else "peft",
        "base_model": identifier,
        "tags": [*([] if whole else ["lora"]), *about["tags"]],
    }
    header |= {"license": base["license"]} if base["license"] else {}
    measured = [f"| {name} | {value:g} |" for name, value in figures.items() if name not in ("started", "finished")]
    settings = [f"| {name} | {json.dumps(value, ensure_ascii=False)} |" for name, value in about["config"].items()]
    return "\n".join(
        [
            # JSON is YAML, and needs no care for what a person typed.
            *("---", *(f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in header.items()), "---"),
            f"# {' '.join(about['name'].split())}",
            *(["", about["notes"]] if about["notes"] else []),
            "",
            f"{'A whole model made from' if whole else 'An adapter of'} **{base['title']}** (`{identifier}`), trained "
            f"with Yuan Lab: run `{about['adapter']}`.",
            "",
            f"- Base model's source: {', '.join(base['sources']) or 'not public'}",
            f"- Base model's licence: {base['license'] or 'not known'}; it holds for what is made from it, too.",
            f"- Data: {data['name']}, {data['train']} rows to train on, {data['test']} to test with; "
            f"SHA-256 of both files one after the other: `{data['sha256']}`",
            f"- Made with: {', '.join(f'{name} {version}' for name, version in about['versions'].items())}",
            *("", "## Loading", "", _loading(about, identifier)),
            *("", "## Figures", "", "| figure | value |", "|---|---|", *measured),
            *("", "## Settings", "", "| setting | value |", "|---|---|", *settings, ""),
        ]
    )


def _loading(about: dict[str, Any], identifier: str) -> str:
    if not about["whole"]:
        return LOADING.format(base=identifier)
    return LOADING_WHOLE.format(auto=AUTO.get(about["config"]["task"], "AutoModelForCausalLM"))
