"""The New run part of the Fine-tune page: the form of a run, generated from its typed config."""

import streamlit as st

from core.models import cards, store
from core.training import config as configs
from core.training import runs
from core.training.data import datasets
from core.ui import forms
from core.ui.i18n import show_error, t

EXAMPLE = "resume-extraction"


def page() -> None:
    """Everything under "New run"."""
    recipe = configs.load(EXAMPLE)
    labels = datasets.listing()
    dataset = st.selectbox(t("fields.dataset.label"), list(labels), format_func=labels.__getitem__, key="train_dataset")
    usable = [c for c in cards.catalog().values() if c.task == "generate" and (c.embedded or store.is_usable(c))]
    names = [card.name for card in usable]
    default = names.index(store.default_generator().name) if store.default_generator().name in names else 0
    with st.container(border=True):
        left, right = st.columns(2)
        name = left.text_input(t("fields.name.label"), recipe.name, help=t("fields.name.help"), key="train_name")
        model = right.selectbox(t("fields.model.label"), names, default, help=t("fields.model.help"), key="train_model")
        targets = cards.card(model).lora_targets
        values = forms.train_fields(forms.AT_HAND, recipe, targets, per_row=5)
        with st.expander(t("finetune.advanced"), icon=":material/settings:"):
            values |= forms.train_fields(forms.FOLDED, recipe, targets)
        if st.button(t("finetune.start"), type="primary", icon=":material/play_arrow:", key="train_start"):
            try:
                run_id = runs.start(configs.make({"name": name, "model": model, "dataset": dataset, **values}))
            except Exception as error:
                show_error(error)
            else:
                st.query_params.pop("view", None)
                st.query_params["run"] = run_id
                st.rerun()
