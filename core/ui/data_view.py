"""The Data part of the Fine-tune page: the data sets there are, and one's own added to them."""

import pandas as pd
import streamlit as st

from core.training.data import checks, datasets
from core.ui.i18n import show_error, t


def page() -> None:
    """Everything under "Data"."""
    left, right = st.columns([2, 1], vertical_alignment="bottom")
    labels = datasets.listing()
    fresh = st.session_state.pop("fresh_dataset", None)
    if fresh in labels:
        st.session_state["train_dataset"] = fresh
    with left:
        name = st.selectbox(
            t("finetune.dataset"), list(labels), format_func=lambda key: labels.get(key, key), key="train_dataset"
        )
    with right, st.popover(t("finetune.upload"), icon=":material/upload:", width="stretch"):
        _upload()
    data = datasets.load(name)
    st.caption(t("finetune.rows", train=len(data.train), test=len(data.test)))
    with st.expander(t("finetune.preview"), icon=":material/table_rows:"):
        st.dataframe(pd.DataFrame(data.train[:20]), hide_index=True, height=260)


def _upload() -> None:
    st.markdown(t("finetune.upload_help"))
    file = st.file_uploader(
        t("finetune.upload"), ["json", "jsonl", "csv", "parquet"], label_visibility="collapsed", key="train_file"
    )
    if file is None:
        return
    try:
        rows = checks.inspect(file.name, file.getvalue(), near=False).rows(fixes=(), skip=())
    except Exception as error:
        show_error(error)
        return
    st.dataframe(pd.DataFrame(rows[:5]), hide_index=True)
    if st.button(t("finetune.use_rows", count=len(rows)), type="primary", key="use_rows"):
        try:
            st.session_state["fresh_dataset"] = datasets.add(file.name.rsplit(".", 1)[0], rows)
        except Exception as error:
            show_error(error)
        else:
            st.rerun()
