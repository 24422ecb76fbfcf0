"""What the whole server shares: one engine, warmed up once somebody opens the chat."""

import logging
import threading

import streamlit as st

from core.generation.engine import Engine
from core.models import store
from core.rag import embedding


@st.cache_resource(show_spinner=False)
def engine() -> Engine:
    """The server's engine; loading a model is left to whoever needs it first."""
    return Engine()


@st.cache_resource(show_spinner=False)
def warm() -> None:
    """Load the answering model and the embedder in the background, where they are on disk already."""

    def load() -> None:
        try:
            if store.is_ready(store.default_generator()):
                engine().load(store.default_generator().name)
            if store.is_ready(store.default_embedder()):
                embedding.embed(["warm"], "query")
        except Exception:
            logging.getLogger("yuan").exception("Warming up failed")

    threading.Thread(target=load, daemon=True, name="warm-up").start()
