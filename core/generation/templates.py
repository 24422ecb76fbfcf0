"""The templates of prompt strategies: those that come with the app, and a person's own under ``var/prompts``."""

import hashlib
import json
import shutil
import time
import tomllib
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import tomli_w

from core import files
from core.errors import UserError
from core.settings import settings

ZERO_SHOT, FEW_SHOT, COT = "zero-shot", "few-shot", "cot"
KINDS = (ZERO_SHOT, FEW_SHOT, COT)
FIXED, SIMILAR = "fixed", "similar"
BUILTIN = Path(__file__).with_name("strategies.toml")


@dataclass(frozen=True)
class Template:
    """A prompt strategy.

    Attributes:
        name: of the strategy, as the command line calls it.
        kind: zero-shot, few-shot, or cot, after which the answer is looked for behind the reasoning.
        text: language → template with {question}, {context}, {examples}. Where {context} does not stand, passages come
            with the question in the app's usual words, those that adapters were trained on. Paragraphs and lines with
            nothing to put in their places are left out.
        example: language → one example, with {question} and {answer}.
        shots: examples shown.
        pick: "fixed": the same ones for every question, by a seed; "similar": those most like the question.
    """

    name: str
    kind: str
    text: dict[str, str]
    example: dict[str, str] = field(default_factory=dict)
    shots: int = 0
    pick: str = FIXED

    @property
    def version(self) -> str:
        """Twelve hex digits of what the template says, whatever its name: the same words are the same version."""
        said = {name: value for name, value in asdict(self).items() if name != "name"}
        return hashlib.sha256(json.dumps(said, sort_keys=True, ensure_ascii=False).encode()).hexdigest()[:12]


def make(name: str, kind: str, text: dict[str, str], **rest: Any) -> Template:
    """A template that a person wrote.

    Args:
        rest: "example", "shots" and "pick" of a few-shot template.

    Raises:
        UserError: no text, a text without its {question}, or examples without a place, a shape or a count.
    """
    template = Template(name, kind, {spoken: said for spoken, said in text.items() if said.strip()}, **rest)
    if kind not in KINDS:
        raise UserError("There is no kind of strategy “{kind}”.", "Kinds: {known}.", kind=kind, known=", ".join(KINDS))
    if not template.text:
        raise UserError("The template is empty.", "Write what is asked.")
    for said in template.text.values():
        if "{question}" not in said:
            raise UserError("The template has no {place}.", "Put it where the question goes.", place="{question}")
        if (kind == FEW_SHOT) != ("{examples}" in said):
            raise UserError(
                "A few-shot template has {place}, and no other one has.",
                "Put it where the examples go, or choose another kind.",
                place="{examples}",
            )
    shapes = template.example.values()
    if kind == FEW_SHOT and not (shapes and all("{question}" in shape and "{answer}" in shape for shape in shapes)):
        raise UserError("An example needs {places}.", "Write how one example looks.", places="{question}, {answer}")
    if kind == FEW_SHOT and not (1 <= template.shots <= 32 and template.pick in (FIXED, SIMILAR)):
        raise UserError("A few-shot template shows 1 to 32 examples.", "Choose how many.")
    return template


@lru_cache(maxsize=1)
def builtin() -> dict[str, Template]:
    """The strategies that come with the app, by name."""
    found = tomllib.loads(BUILTIN.read_text("utf-8"))
    return {name: make(name, **about) for name, about in found.items()}


def listing() -> dict[str, Template]:
    """All strategies by name in their newest version, those of the app first."""
    own = sorted({path.parent.name for path in settings().prompts_dir.glob("*/*.toml")})
    return builtin() | {name: load(name) for name in own}


def versions(name: str) -> list[Template]:
    """All kept versions of a person's strategy, the newest first; one of the app's has a single one.

    Raises:
        UserError: no such strategy.
    """
    if name in builtin():
        return [builtin()[name]]
    kept = [tomllib.loads(path.read_text("utf-8")) for path in _folder(name).glob("*.toml")]
    kept.sort(key=lambda about: about["saved"], reverse=True)
    return [make(name, **{part: value for part, value in about.items() if part != "saved"}) for about in kept]


def load(name: str, version: str = "") -> Template:
    """A strategy by name.

    Args:
        version: empty: the newest.

    Raises:
        UserError: no such strategy or version.
    """
    for template in versions(name):
        if version in ("", template.version):
            return template
    raise UserError("{name} has no version {version}.", "Choose another one.", name=name, version=version)


def save(template: Template) -> Template:
    """Keep a person's strategy under ``var/prompts``; earlier versions stay.

    Raises:
        UserError: the name is empty, no name of a folder, or one of the app's.
    """
    name = template.name.strip()
    if not name:
        raise UserError("The strategy has no name.", "Give it one, such as my-strategy.")
    if name != Path(name).name or name.startswith(".") or len(name) > 60:
        raise UserError("“{name}” cannot be the name of a strategy.", "Use letters, digits and hyphens.", name=name)
    if name in builtin():
        raise UserError("{name} comes with the app and stays as it is.", "Save yours under another name.", name=name)
    about = {part: value for part, value in asdict(template).items() if part != "name"}
    path = settings().prompts_dir / name / f"{template.version}.toml"
    files.write_text(path, tomli_w.dumps({"saved": time.time(), **about}))
    return load(name, template.version)


def remove(name: str) -> None:
    """Delete a person's strategy with all its versions; experiments keep the prompts they were asked with.

    Raises:
        UserError: no such strategy of a person.
    """
    shutil.rmtree(_folder(name))


def _folder(name: str) -> Path:
    return files.inside(settings().prompts_dir, name)
