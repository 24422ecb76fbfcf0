"""A data set that a worker takes in: the page stays alive meanwhile, and a refresh finds it again."""

from collections.abc import Callable
from contextlib import suppress

import streamlit as st

from core import jobs
from core.errors import UserError
from core.training.data import intake
from core.training.data.intake import Intake
from core.ui import components
from core.ui.i18n import seconds, size, t

_KEY = "data_job"


def begin(name: str) -> None:
    """Follow an intake from now on, in place of another: by the page's address, and in this session from any page."""
    end()
    st.query_params["intake"] = st.session_state[_KEY] = name


def end() -> None:
    """Follow none any more, and forget the one that was followed."""
    if (name := followed()) and (now := intake.progress(name)) and not now.live:
        with suppress(UserError):  # another session was quicker
            intake.leave(name)
    st.query_params.pop("intake", None)
    st.session_state.pop(_KEY, None)


def followed() -> str:
    """The name of the one that is followed; empty: none."""
    asked = str(st.query_params.get("intake") or st.session_state.get(_KEY, ""))
    if not asked or intake.progress(asked) is None:
        return ""
    st.query_params["intake"] = st.session_state[_KEY] = asked
    return asked


def follow(name: str) -> Intake | None:
    """Show how far it is; returns it once its rows are checked and nothing is being done with them."""
    now = intake.progress(name)
    if now is None or now.status == jobs.FINISHED:
        return now
    live = now.live

    @st.fragment(run_every=1.0 if live else None)
    def look() -> None:
        current = intake.progress(name)
        if current and current.live == live:
            _show(name, current)
        else:
            st.rerun(scope="app")

    look()
    return now if now.keeping and not live else None


def _show(name: str, now: Intake) -> None:
    parts = [components.plain(now.source), t(f"data.stage.{now.stage}") if now.stage else t(f"status.{now.status}")]
    if now.live:
        if now.total:
            parts.append(f"{size(now.done)} / {size(now.total)}")
        parts.append(f"{t('common.elapsed')} {seconds(now.elapsed)}")
        st.progress(now.done / now.total if now.total else min(1.0, now.share), text=" · ".join(parts))
    else:
        st.caption(" · ".join([parts[0], t(f"status.{now.status}")]))
        components.job_error({"error": now.error})
    with st.container(horizontal=True):
        if now.live:
            _button("stop", "stop_circle", lambda: intake.stop(name), disabled=now.status == jobs.STOPPING)
        else:
            _button("again", "refresh", lambda: intake.again(name))
            _button("leave", "close", end)


def _button(name: str, icon: str, act: Callable[[], None], disabled: bool = False) -> None:
    if st.button(t(f"data.job.{name}"), icon=f":material/{icon}:", key=f"data_job_{name}", disabled=disabled):
        components.act(act)
