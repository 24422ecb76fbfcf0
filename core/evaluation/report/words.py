"""What a report says in both languages, and the colours of its arms."""

import html
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from core.errors import fill
from core.evaluation import grid
from core.palette import ARMS
from core.settings import ROOT

LANGUAGES = ("zh", "en")
Said = Mapping[str, str]
"""The same in every language."""


@lru_cache(maxsize=2)
def _locale(language: str) -> dict[str, Any]:
    return tomllib.loads((ROOT / "assets" / "locales" / f"{language}.toml").read_text("utf-8"))


def text(language: str, key: str, **values: Any) -> str:
    """The words under a dotted key of a locale file, not escaped."""
    found: Any = _locale(language)
    for part in key.split("."):
        found = found[part]
    return fill(found, values)


def label(language: str, metric: str) -> str:
    """What a metric is called."""
    return text(language, f"metrics.{metric}.label")


def said(key: str) -> Said:
    """:func:`text` by language."""
    return {language: text(language, key) for language in LANGUAGES}


def names(arms: Sequence[Mapping[str, Any]]) -> dict[str, Said]:
    """What each arm is called, by its name (:func:`core.evaluation.grid.labels`)."""
    called = {language: labels(language, arms) for language in LANGUAGES}
    return {name: {language: called[language][name] for language in LANGUAGES} for name in called[LANGUAGES[0]]}


def labels(language: str, arms: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """The same in one language."""
    return grid.labels(arms, lambda cell: text(language, f"arms.{cell}"))


def bilingual(words: Callable[[str], str]) -> str:
    """Words by language as escaped HTML, of which the page shows one."""
    return "".join(f'<span class="{one}">{html.escape(words(one))}</span>' for one in LANGUAGES)


def both(key: str, **values: Any) -> str:
    """:func:`text` in both languages; a value may be :data:`Said` by language itself."""

    def words(language: str) -> str:
        chosen = {name: value[language] if isinstance(value, Mapping) else value for name, value in values.items()}
        return text(language, key, **chosen)

    return bilingual(words)


def section(heading: str, *parts: str) -> str:
    """A heading and what stands under it; nothing where nothing does."""
    return f"<section><h2>{heading}</h2>{''.join(parts)}</section>" if any(parts) else ""


def figure(found: Mapping[str, Any] | None, name: str, shape: str) -> str:
    """A figure with its interval and n."""
    if not found:
        return "–"
    return f"{found[name]:{shape}} <small>[{found['low']:{shape}}, {found['high']:{shape}}] n = {found['n']}</small>"


def table(head: str, lines: Iterable[str]) -> str:
    """A table that scrolls by itself on a narrow screen, of a head's cells and rows' cells."""
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return f'<div class="wide"><table><tr>{head}</tr>{body}</table></div>'


def color(arm: Mapping[str, Any]) -> str:
    """The fixed colour of an arm, as charts are kept: the light one."""
    return _pair(arm)[0]


def shade(arm: Mapping[str, Any]) -> str:
    """The same for style sheets, light or dark as the reader's screen is."""
    return f"light-dark({', '.join(_pair(arm))})"


def chip(arm: Mapping[str, Any], called: Mapping[str, Said]) -> str:
    """What an arm is called (:func:`names`) in its colour; the name that figures and files know it by stands behind."""
    title = html.escape(arm["name"])
    words = bilingual(called[arm["name"]].__getitem__)
    return f'<span class="arm" title="{title}" style="--arm: {shade(arm)}">{words}</span>'


def _pair(arm: Mapping[str, Any]) -> tuple[str, str]:
    return ARMS[grid.cell(arm)]
