"""A run's model asked directly: a classifier for labels, an encoder-decoder for answers to a person's own texts."""

from typing import Any

import pandas as pd
import streamlit as st

from core.training import predict, runs
from core.ui.i18n import show_error, t


@st.cache_resource(max_entries=1, show_spinner=False)
def _model(run_id: str, ended: float) -> Any:
    """The last one asked stays in memory; ``ended`` tells a run that was resumed from what it was before."""
    return predict.load(run_id)


def ask(run: runs.Run) -> None:
    """A box for one text or a text a line, and what the model says to them: labels with probabilities, or answers."""
    given = st.text_area(t("runs.predict.texts"), key=f"predict_{run['id']}", height=120, help=t("runs.predict.help"))
    texts = [line.strip() for line in given.splitlines() if line.strip()]
    if not st.button(t("runs.predict.do"), type="primary", disabled=not texts, key="predict_do"):
        return
    try:
        with st.spinner(t("runs.predict.at_work")):
            found = predict.predict(_model(run["id"], run.get("finished") or 0.0), texts)
    except Exception as error:
        show_error(error)
        return
    said = t("runs.predict.label" if "scores" in found[0] else "runs.predict.answer")
    rows = [
        {t("runs.predict.text"): text, said: answer["text"], **answer.get("scores", {})}
        for text, answer in zip(texts, found, strict=True)
    ]
    shares = {
        label: st.column_config.ProgressColumn(label, min_value=0.0, max_value=1.0, format="percent")
        for label in found[0].get("scores", {})
    }
    st.dataframe(pd.DataFrame(rows), hide_index=True, column_config=shares)
