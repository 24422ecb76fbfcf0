"""Templates of strategies as drafts: edited, kept as versions, taken back. A draft is lost by nothing but a reset."""

from dataclasses import replace
from typing import Any

import streamlit as st

from core.errors import UserError
from core.generation import templates
from core.generation.templates import FEW_SHOT, FIXED, SIMILAR, Template
from core.ui import components
from core.ui.i18n import LANGUAGES, show_error, t

EDITED = "*"
"""Follows the name of a strategy whose draft is no kept version."""
_SAID = "prompts_said"
"""Where the session keeps what came of the last action: an error, or a key of a sentence with its values."""


def draft(name: str) -> Template:
    """What the fields of a strategy say, :data:`EDITED` behind its name where that is not kept.

    Raises:
        UserError: a template that cannot be asked with, or no such strategy.
    """
    kept = templates.versions(name)
    if _key(name, "text-en") not in st.session_state:
        return kept[0]
    texts, shapes = ({one: _said(name, f"{part}-{one}") for one in LANGUAGES} for part in ("text", "example"))
    rest: dict[str, Any] = {}
    if kept[0].kind == FEW_SHOT:
        shapes = {one: shape for one, shape in shapes.items() if shape.strip()}
        rest = {"example": shapes, "shots": _said(name, "shots"), "pick": _said(name, "pick")}
    made = templates.make(name, kept[0].kind, texts, **rest)
    return made if made.version in {one.version for one in kept} else replace(made, name=name + EDITED)


def fault(name: str) -> UserError | None:
    """What keeps a strategy's draft from being asked with."""
    try:
        draft(name)
    except UserError as error:
        return error
    return None


def show(name: str) -> None:
    """The fields of a strategy and what can be done with them."""
    kept = templates.versions(name)
    if _key(name, "text-en") not in st.session_state:
        _fill(name, kept[0])
    own = name not in templates.builtin()
    st.caption(t("prompts.own" if own else "prompts.builtin", kind=t(f"prompts.kinds.{kept[0].kind}")))
    if own:
        _versions(name, kept)
    _in_both(name, "text", 136)
    if kept[0].kind == FEW_SHOT:
        _examples(name)
    st.caption(t("prompts.places"))
    if broken := fault(name):
        show_error(broken)
    _acts(name, own, bool(broken) or draft(name).name != name)
    _outcome()


def _in_both(name: str, field: str, height: int) -> None:
    for language, column in zip(LANGUAGES, st.columns(2), strict=True):
        label = t(f"prompts.{field}", language=t(f"common.languages.{language}"))
        column.text_area(label, height=height, **_how(name, f"{field}-{language}"))


def _examples(name: str) -> None:
    _in_both(name, "example", 80)
    left, right = st.columns(2)
    left.number_input(t("prompts.shots"), 1, 32, **_how(name, "shots"))
    picks = {pick: t(f"prompts.picks.{pick}") for pick in (FIXED, SIMILAR)}
    right.selectbox(t("prompts.pick"), list(picks), format_func=picks.__getitem__, **_how(name, "pick"))


def _versions(name: str, kept: list[Template]) -> None:
    labels = {one.version: f"{len(kept) - place} · {one.version}" for place, one in enumerate(kept)}
    chosen = f"version-{kept[0].version}"  # a list of its own after each saving: the browser keeps what it had chosen
    st.selectbox(
        t("prompts.version"), list(labels), format_func=labels.__getitem__, key=_key(name, chosen),
        help=t("prompts.version_help"), on_change=_go_back, args=(name, chosen),
    )  # fmt: skip


def _acts(name: str, own: bool, changed: bool) -> None:
    """Save, reset, delete."""
    st.text_input(t("prompts.save_as"), placeholder=t("prompts.save_as_example"), **_how(name, "name"))
    with st.container(horizontal=True):
        st.button(
            t("prompts.save"), icon=":material/save:", key=f"save-{name}", on_click=_save, args=(name,), type="primary"
        )
        st.button(
            t("prompts.reset"), icon=":material/undo:", key=f"reset-{name}", on_click=_reset, args=(name,),
            disabled=not changed,
        )  # fmt: skip
        if own:
            with st.popover(t("prompts.delete"), icon=":material/delete:"):
                st.markdown(t("prompts.delete_sure", name=components.plain(name), count=len(templates.versions(name))))
                st.button(t("prompts.delete"), key=f"delete-{name}", on_click=_delete, args=(name,))


def _outcome() -> None:
    said = st.session_state.pop(_SAID, None)
    if isinstance(said, UserError):
        show_error(said)
    elif said:
        st.success(t(said[0], **said[1]), icon=":material/check:")


def _save(name: str) -> None:
    if fault(name):  # said under the fields
        return
    try:
        made = replace(draft(name), name=_said(name, "name").strip())
        templates.save(made)
    except UserError as error:
        st.session_state[_SAID] = error
        return
    _forget(made.name)
    if made.name != name:
        _fill(name, templates.load(name))
        st.session_state["prompts_edited"] = made.name
        chosen = st.session_state.get("prompts_strategies", [])
        st.session_state["prompts_strategies"] = [*dict.fromkeys([*chosen, made.name])]
    st.session_state[_SAID] = ("prompts.saved", {"name": components.plain(made.name), "version": made.version})


def _go_back(name: str, chosen: str) -> None:
    _fill(name, templates.load(name, _said(name, chosen)))


def _reset(name: str) -> None:
    _forget(name)
    _fill(name, templates.load(name))


def _delete(name: str) -> None:
    templates.remove(name)
    _forget(name)
    st.session_state[_SAID] = ("prompts.deleted", {"name": components.plain(name)})


def _fill(name: str, template: Template) -> None:
    """Put a template into the fields, in place of what they say."""
    values: dict[str, Any] = {"shots": template.shots or 3, "pick": template.pick}
    for language in LANGUAGES:
        values[f"text-{language}"] = template.text.get(language, "")
        values[f"example-{language}"] = template.example.get(language, "")
    values["name"] = "" if name in templates.builtin() else name
    for field, value in values.items():
        st.session_state[_key(name, field)] = value


def _forget(name: str) -> None:
    """Let the fields be filled anew from the newest version."""
    for key in [key for key in st.session_state if str(key).startswith(_key(name, ""))]:
        del st.session_state[key]


def _said(name: str, field: str) -> Any:
    return st.session_state.get(_key(name, field), "")


def _key(name: str, field: str) -> str:
    return f"prompt/{name}/{field}"


def _how(name: str, field: str) -> dict[str, Any]:
    return {"key": _key(name, field), "persist_state": "session"}
