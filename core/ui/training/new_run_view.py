"""The New run part of the Fine-tune page: a recipe fills the form, the form starts a run, what it takes is said."""

from typing import Any

import streamlit as st

from core.errors import UserError
from core.models import cards, store
from core.training import config as configs
from core.training import provenance, runs
from core.training.config import TrainConfig
from core.training.data import datasets
from core.ui import components, forms, shell
from core.ui.i18n import show_error, t
from core.ui.training import estimate_view

EXAMPLE = "resume-extraction"
SMALL = {
    **{"task": "", "target_modules": [], "max_steps": 40, "accumulation": 1, "eval_steps": 10},
    **{"optimizer": "adamw", "precision": "auto", "beams": 1, "merge_at_end": ""},
}
"""What a recipe is given to be tried on the embedded model."""


def page() -> None:
    """Everything under "New run"."""
    ready()
    first_visit = None if runs.listing() else st.container()
    _recipe()
    with st.container(border=True):
        here = _form()
    told = st.container()
    config = _config()
    with st.container(horizontal=True, vertical_alignment="center"):
        if st.button(
            t("finetune.start"), type="primary" if first_visit is None else "secondary", icon=":material/play_arrow:",
            key="train_start", disabled=not here or config is None,
        ) and config:  # fmt: skip
            _start(config)
    if config:
        _reproduce(config)
    # Last, since it reads and counts the rows: all else is on screen by then.
    if first_visit:
        with first_visit:
            _example()
    if config:
        with told:
            estimate_view.show(config)


def ready() -> None:
    """Fill the form with the example, unless it says something already."""
    if forms.key("model") not in st.session_state:
        forms.fill(filling(configs.load(EXAMPLE)))


def filling(config: TrainConfig) -> dict[str, Any]:
    """A config's values, its base model named where it leaves that open.

    Raises:
        UserError: the catalog has no model of its name.
    """
    labels = _kind(config.dataset) == "label"
    default = store.default_embedder() if labels else store.default_generator()
    model = cards.card(config.model) if config.model else default
    return config.model_copy(update={"model": model.name}).model_dump()


def small(config: TrainConfig) -> dict[str, Any]:
    """What makes a recipe for a large model one for the embedded model, that ends in minutes without a GPU."""
    changes = {
        "model": filling(config.model_copy(update={"model": ""}))["model"],
        "batch_size": min(config.batch_size, 8),
        "max_length": min(config.max_length, 384),
        "eval_rows": min(config.eval_rows, 12),
        "learning_rate": 1e-3 if config.adapts else 5e-4,
    }
    return {**SMALL, **changes, **({"method": "lora"} if config.method.startswith("qlora") else {})}


def _kind(dataset: str) -> str:
    found = {about["name"]: about["kind"] for about in datasets.catalog()}
    return str(found.get(dataset, "chat"))


def models_for(config: TrainConfig, kind: str) -> list[str]:
    """Names of the models, here or not, that can learn such a task from such rows."""
    found = []
    for card in cards.catalog().values():
        try:
            config.model_copy(update={"model": card.name, "target_modules": []}).resolved(kind)
        except UserError:
            continue
        found.append(card.name)
    return found


def _recipe() -> None:
    def fill() -> None:
        forms.fill(filling(configs.load(st.session_state["train_recipe"])))

    left, right = st.columns([3, 1], vertical_alignment="bottom")
    recipe = left.selectbox(
        t("form.recipe"), _recipes(), format_func=lambda name: t(f"recipes.{name}.title"), key="train_recipe",
        on_change=fill, persist_state="session",
    )  # fmt: skip
    with right.popover(t("form.open"), icon=":material/upload:", width="stretch"):
        _open()
    st.caption(t(f"recipes.{recipe}.about"))


def _recipes() -> list[str]:
    """The recipes by the number of their exercise, the one that is tried first at the top."""
    return sorted(configs.recipes(), key=lambda name: (name != EXAMPLE, t(f"recipes.{name}.title")))


def _open() -> None:
    """A run's TOML file into the form."""
    st.markdown(t("form.open_help"))
    file = st.file_uploader(t("form.open"), ["toml"], label_visibility="collapsed", key="train_toml")

    def fill() -> None:
        try:
            forms.fill(filling(configs.parse(st.session_state["train_toml"].getvalue(), file.name if file else "")))
        except Exception as error:
            st.session_state["train_toml_error"] = error

    st.button(t("form.open_do"), type="primary", disabled=file is None, key="train_toml_do", on_click=fill)
    if error := st.session_state.pop("train_toml_error", None):
        show_error(error)


def _form() -> bool:
    """Draw the form; returns whether the model it names is on this machine."""
    labels = datasets.listing()
    left, middle, right = st.columns(3)
    left.text_input(
        t("fields.name.label"), help=t("fields.name.help"), key=forms.key("name"), persist_state="session",
        max_chars=forms.most_characters("name"),
    )  # fmt: skip
    chosen = st.session_state[forms.key("dataset")]
    dataset = middle.selectbox(
        t("fields.dataset.label"), list(dict.fromkeys([*labels, chosen])), help=t("fields.dataset.help"),
        format_func=lambda name: labels.get(name, name), key=forms.key("dataset"), persist_state="session",
    )  # fmt: skip
    with right:
        here = _model(dataset)
    options = {
        "target_modules": cards.card(st.session_state[forms.key("model")]).lora_targets,
        "mixture": [name for name in labels if name != dataset],
    }
    method = st.session_state[forms.key("method")]
    shown = [name for name in forms.AT_HAND if forms.applies(name, method)]
    forms.fields(shown, options, per_row=len(shown))
    with st.expander(t("form.prompts"), icon=":material/question_answer:"):
        forms.fields(forms.PROMPTS, options, per_row=1)
    with st.expander(t("finetune.advanced"), icon=":material/settings:"):
        groups = {
            group: [name for name in names if forms.applies(name, method)] for group, names in forms.GROUPS.items()
        }
        groups = {group: names for group, names in groups.items() if names}
        for tab, names in zip(st.tabs([t(f"form.groups.{group}") for group in groups]), groups.values(), strict=True):
            with tab:
                forms.fields(names, options)
    return here


def _model(dataset: str) -> bool:
    """The choice among the models here that can learn the task; returns whether the chosen one is here."""
    kind, name = _kind(dataset), forms.key("model")
    asked = configs.make({"dataset": dataset, "task": st.session_state[forms.key("task")] if kind != "label" else ""})
    able = models_for(asked, kind)
    here = [model for model in able if cards.card(model).embedded or store.is_usable(cards.card(model))]
    wanted = st.session_state[name]
    if wanted not in able:
        default = (store.default_embedder() if kind == "label" else store.default_generator()).name
        wanted = st.session_state[name] = default if default in here else next(iter([*here, *able]), default)
    options = list(dict.fromkeys([*here, wanted]))
    st.selectbox(
        t("fields.model.label"), options, help=t("fields.model.help"), key=name, persist_state="session",
        format_func=lambda model: cards.card(model).title if model in here else t("form.not_here", name=model),
    )  # fmt: skip
    if wanted in here:
        return True
    _missing(wanted)
    return False


def _missing(model: str) -> None:
    st.warning(t("form.missing", name=components.plain(cards.card(model).title)), icon=":material/cloud_download:")
    shell.page_link("models", t("form.to_models"))
    try:
        changes = small(configs.make(forms.values()))
    except UserError:  # something else in the form cannot be a run, which is said below it
        return

    def shrink() -> None:
        forms.fill(changes)

    st.button(
        t("form.small", name=cards.card(changes["model"]).title), icon=":material/compress:", key="train_small",
        on_click=shrink,
    )  # fmt: skip


def _config() -> TrainConfig | None:
    """What the form says; None with the reason on screen where it cannot be a run."""
    try:
        return configs.make(forms.values())
    except Exception as error:
        show_error(error)
        return None


def _start(config: TrainConfig) -> None:
    try:
        run_id = runs.start(config)
    except Exception as error:
        show_error(error)
        return
    st.query_params.pop("view", None)
    st.query_params["run"] = run_id
    st.rerun()


def _example() -> None:
    """What a first visitor presses."""
    example = configs.make(filling(configs.load(EXAMPLE)))
    with st.spinner(t("form.counting")):
        minutes = estimate_view.minutes(example)
    label = t("form.example", minutes=minutes) if minutes else t("form.example_unknown")
    if st.button(label, type="primary", icon=":material/play_arrow:", key="train_example"):
        _start(example)


def _reproduce(config: TrainConfig) -> None:
    """The same run without this form."""
    with st.expander(t("runs.parts.reproduce"), icon=":material/terminal:"):
        if command := provenance.command(config):
            st.code(command, language="shell", wrap_lines=True)
        text = configs.spell(config)
        st.code(text, language="toml")
        st.download_button(
            "config.toml", text, f"{config.name}.toml", "application/toml", icon=":material/download:",
            on_click="ignore", key="train_download",
        )  # fmt: skip
