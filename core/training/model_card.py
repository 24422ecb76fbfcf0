"""The README of an exported adapter: what it is, what it was made from, and how to load it without this app."""

import json
from typing import Any

LOADING = """```python
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

base = "{base}"  # the base model's id on its hub, or its directory
model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), "adapter")
tokenizer = AutoTokenizer.from_pretrained(base)
```"""


def markdown(about: dict[str, Any]) -> str:
    """The model card of what :func:`core.training.portable.describe` tells, with the header that hubs read."""
    base, data, figures = about["base"], about["data"], about["figures"]
    hub = [label.partition(":")[2] for label in base["sources"] if not label.startswith("wheel:")]
    identifier = hub[0] if hub else base["name"]
    header = {"library_name": "peft", "base_model": identifier, "tags": ["lora", *about["tags"]]}
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
            f"An adapter of **{base['title']}** (`{identifier}`), trained with Yuan Lab: run `{about['adapter']}`.",
            "",
            f"- Base model's source: {', '.join(base['sources']) or 'not public'}",
            f"- Base model's licence: {base['license'] or 'not known'}; it holds for what is made from it, too.",
            f"- Data: {data['name']}, {data['train']} rows to train on, {data['test']} to test with; "
            f"SHA-256 of both files one after the other: `{data['sha256']}`",
            f"- Made with: {', '.join(f'{name} {version}' for name, version in about['versions'].items())}",
            *("", "## Loading", "", LOADING.format(base=identifier)),
            *("", "## Figures", "", "| figure | value |", "|---|---|", *measured),
            *("", "## Settings", "", "| setting | value |", "|---|---|", *settings, ""),
        ]
    )
