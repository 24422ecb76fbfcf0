"""What a run would take, under its form: memory against what is free, time, steps, and what makes it fit."""

import math
from pathlib import Path

import streamlit as st

from core.models import cards, store
from core.training import config as configs
from core.training import estimate as estimates
from core.training import throughput
from core.training.config import TrainConfig
from core.training.estimate import Estimate
from core.training.throughput import Rows
from core.ui import components, forms, resources
from core.ui.i18n import seconds, show_error, t

_COUNTED = {"dataset", "mixture", "seed", "model", "task", "learn", "max_length", "target_modules"}
"""Fields that decide which rows there are and how long."""


@st.cache_data(max_entries=64, show_spinner=False)
def _rows(fields: str, version: tuple[float, bool]) -> tuple[TrainConfig, Rows]:
    return throughput.read(configs.parse(fields.encode(), "config"))


def _estimate(config: TrainConfig) -> Estimate:
    """Rows are read and counted once for the fields that decide about them; memory is looked at anew each time."""
    path = Path(config.dataset)
    version = (path.stat().st_mtime if path.is_file() else 0.0, store.is_ready(cards.card(config.model)))
    counted = configs.make(config.model_dump(include=_COUNTED))
    resolved, rows = _rows(configs.spell(counted), version)
    found = {name: getattr(resolved, name) for name in ("model", "task", "target_modules")}
    config = config.model_copy(update=found)
    if not throughput.known(config):
        throughput.calibrate()
    return estimates.estimate(config, rows, resources.held())


def minutes(config: TrainConfig) -> int:
    """Minutes a run would take, rounded up; 0 where nothing can be said."""
    return math.ceil(_estimate(config).seconds / 60)


def show(config: TrainConfig) -> None:
    """The estimate of a config, and what can be done where it does not fit."""
    try:
        with st.spinner(t("form.counting")):
            told = _estimate(config)
    except Exception as error:
        show_error(error)
        return
    cells = {
        "needed": f"{told.memory.total / 1e9:.1f} GB",
        "free": f"{told.free / 1e9:.1f} GB",
        "time": t("form.about", time=seconds(told.seconds)) if told.seconds else "–",
        "steps": f"{told.steps:,}",
    }
    with st.container(horizontal=True, gap="large"):
        for name, value in cells.items():
            st.metric(t(f"form.cells.{name}", device=told.device.upper()), value, width="content")
    _verdict(told)


def _verdict(told: Estimate) -> None:
    if told.fits:
        st.caption(f":material/check_circle: {t('form.fits')}")
    elif told.fits_unloaded:
        st.warning(t("form.fits_unloaded", held=f"{told.held / 1e9:.1f}"), icon=":material/memory:")
    elif told.proposal:
        st.warning(t("form.proposal", changes=_words(told)), icon=":material/memory:")
        st.button(
            t("form.use_proposal"), icon=":material/check:", key="train_proposal", on_click=forms.fill,
            args=(told.proposal,),
        )  # fmt: skip
    else:
        st.error(t("form.too_large"), icon=":material/error:")
    if told.held and not told.fits and st.button(t("models.unload"), icon=":material/eject:", key="train_unload"):
        resources.unload()
        st.rerun()


def _words(told: Estimate) -> str:
    """The proposed settings by the names they have in the form."""
    parts = []
    for name, value in told.proposal.items():
        said = t(f"choices.{name}.{value}") if isinstance(value, str) else "✓" if value is True else value
        parts.append(f"{t(f'fields.{name}.label')}: {said}")
    return components.plain(", ".join(parts))
