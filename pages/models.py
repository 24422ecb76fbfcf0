"""Models: what is here, what can be fetched, and what memory holds."""

import streamlit as st

from core.models import cards
from core.ui import models_view as view
from core.ui import shell
from core.ui.i18n import t

shell.enter("models")
view.meter()
with st.container(horizontal=True, horizontal_alignment="right"):
    view.add_form()
kind = st.segmented_control(  # not beside the button: here it wraps on a phone
    t("models.show"),
    ["all", "here", *view.GROUPS],
    default="all",
    required=True,
    format_func=lambda name: t(f"models.filter.{name}"),
    key="models_filter",
    label_visibility="collapsed",
)
view.catalog(list(cards.catalog().values()), kind)
