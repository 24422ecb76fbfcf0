"""What the whole server shares: one engine, and lists that are cheap to ask twice."""

import streamlit as st

from core.generation.engine import Engine


@st.cache_resource(show_spinner=False)
def engine() -> Engine:
    """The server's engine; models are loaded by the first question, not here."""
    return Engine()
