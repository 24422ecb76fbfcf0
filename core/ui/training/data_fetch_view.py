"""A hub's data set on its way: the page stays alive meanwhile, and a refresh finds it again."""

from collections.abc import Callable
from pathlib import Path

import streamlit as st

from core import jobs
from core.training.data import fetching
from core.training.data.fetching import Fetch
from core.ui import components
from core.ui.i18n import seconds, t
from core.ui.models_view import size

_KEY = "data_fetch"


def begin(address: str) -> None:
    """Fetch it, and follow it from now on: by the page's address, and in this session from any page back."""
    fetching.start(address)
    st.query_params["fetch"] = st.session_state[_KEY] = address


def end() -> None:
    """Follow none any more."""
    st.query_params.pop("fetch", None)
    st.session_state.pop(_KEY, None)


def address() -> str:
    """The one that is followed; empty: none."""
    asked = str(st.query_params.get("fetch") or st.session_state.get(_KEY, ""))
    return asked if asked and fetching.progress(asked) else ""


def follow(address: str) -> dict[str, list[Path]] | None:
    """Show how far it is; its files by split once they are all here."""
    now = fetching.progress(address)
    if now is None or now.status == jobs.FINISHED:
        return now.found if now else None
    live = now.live

    @st.fragment(run_every=1.0 if live else None)
    def look() -> None:
        found = fetching.progress(address)
        if found and found.live == live:
            _show(address, found)
        else:
            st.rerun(scope="app")

    look()
    return None


def _show(address: str, now: Fetch) -> None:
    parts = [components.plain(address), t(f"models.stage.{now.stage}") if now.stage else t(f"status.{now.status}")]
    if now.total:
        parts.append(f"{size(now.done)} / {size(now.total)}")
    if now.live:
        parts.append(f"{t('common.elapsed')} {seconds(now.elapsed)}")
        st.progress(now.done / now.total if now.total else 0.0, text=" · ".join(parts))
    else:
        st.caption(" · ".join([parts[0], t(f"status.{now.status}"), *parts[2:]]))
        components.job_error({"error": now.error})
    with st.container(horizontal=True):
        if now.live:
            _button("stop", "stop_circle", lambda: fetching.stop(address), disabled=now.status == jobs.STOPPING)
        else:
            _button("again", "refresh", lambda: fetching.start(address))
            _button("leave", "close", end)


def _button(name: str, icon: str, act: Callable[[], None], disabled: bool = False) -> None:
    if st.button(t(f"data.fetch.{name}"), icon=f":material/{icon}:", key=f"data_fetch_{name}", disabled=disabled):
        components.act(act)
