"""Words of the screen in Chinese and English, switched live."""

import tomllib
from functools import lru_cache
from typing import Any

import streamlit as st

from core.errors import UserError, fill, joined
from core.settings import ROOT, settings

LANGUAGES = {"zh": "中文", "en": "English"}
LOCALES = ROOT / "assets" / "locales"


@lru_cache(maxsize=4)
def table(language: str) -> dict[str, Any]:
    """All texts of a language: nested tables of ``assets/locales/<language>.toml``."""
    return tomllib.loads((LOCALES / f"{language}.toml").read_text("utf-8"))


def choose_language() -> str:
    """Settle the language: the address's ``?lang=``, else the choice made before, the setting's, the browser's."""
    asked = st.query_params.get("lang")
    if "language" not in st.session_state:
        chosen = asked if asked in LANGUAGES else settings().language
        if chosen == "auto":
            chosen = "zh" if (st.context.locale or "").lower().startswith("zh") else "en"
        st.session_state["language"] = chosen
    return st.session_state["language"]


def language() -> str:
    """The language of this visit."""
    return st.session_state.get("language", "en")


def t(key: str, **values: Any) -> str:
    """The text under a dotted key, its ``{placeholders}`` filled."""
    found: Any = table(language())
    for part in key.split("."):
        found = found[part]
    return fill(found, values)


def translate(error: dict[str, Any]) -> tuple[str, str]:
    """(message, hint) of an error kept as a dictionary, in the language of this visit."""
    words = table(language()).get("errors", {})
    parts = (fill(words.get(error[part], error[part]), error["values"]) for part in ("message", "hint"))
    message, hint = parts
    return message, hint


def in_words(error: dict[str, Any]) -> str:
    """What happened and what to do, of an error kept as a dictionary; another's words at its end are closed."""
    return joined(*translate(error), "。" if language() == "zh" else ".")


def show_error(error: BaseException) -> None:
    """A person's mistake in words with what to do; anything else as our fault, its traceback in the log alone."""
    show_kept_error(error.as_dict() if isinstance(error, UserError) else {})


def show_kept_error(error: dict[str, Any]) -> None:
    """The same for an error kept as a dictionary; an empty one is our fault."""
    if error:
        st.error(in_words(error), icon=":material/error:")
    else:
        st.error(t("common.our_fault"), icon=":material/bug_report:")


def size(amount: float) -> str:
    """Bytes as people say them."""
    if amount >= 1e9:
        return f"{amount / 1e9:.2f} GB" if amount < 1e10 else f"{amount / 1e9:.1f} GB"
    return f"{amount / 1e6:.0f} MB" if amount >= 1e6 else f"{amount / 1e3:.{0 if amount >= 1000 else 1}f} kB"


def seconds(value: float | None) -> str:
    """A duration as people say it: 0.8 s, 42 s, 2:05 min."""
    if value is None:
        return "–"
    if value < 10:
        return f"{value:.1f} s"
    return f"{value:.0f} s" if value < 90 else f"{int(value // 60)}:{int(value % 60):02d} min"
