"""The Data part of the Fine-tune page: the sets there are, and one of them as a model would see it."""

import html
import zlib
from collections.abc import Sequence
from typing import Any

import pandas as pd
import streamlit as st

from core.charts import data_charts
from core.models import cards, store
from core.training import config as configs
from core.training.data import datasets, preview
from core.training.data.preview import Piece
from core.training.data.splitting import Leak, question
from core.ui import components, forms, resources, shell, theme
from core.ui.i18n import show_error, t
from core.ui.training import data_intake_view, new_run_view

ROWS = 10
"""Rows of the table on screen; more are scrolled to."""
SHOWN = 3
"""Rows shown token by token at once."""
COUNTED = 5000
"""Rows whose tokens are counted for the chart: some seconds of work."""


def page() -> None:
    """Everything under "Data"."""
    new_run_view.ready()
    data_intake_view.add()
    about = _chosen()
    name = about["name"]
    with st.container(horizontal=True, vertical_alignment="center"):
        st.subheader(components.plain(about["label"]), width="content")
        if st.button(t("data.use"), type="primary", icon=":material/tune:", key="data_use"):
            forms.fill({"dataset": name})
            st.query_params["view"] = "new"
            st.rerun()
        if not about["shipped"]:
            _delete(name)
    data = _rows(name)
    _as_the_model_sees(data)
    _leaks(name)


def _chosen() -> dict[str, Any]:
    """The list; returns what is known of the set that is chosen in it."""
    found = sorted(datasets.catalog(), key=lambda about: about["shipped"])  # a person's own ones are in sight
    names = [about["name"] for about in found]
    current = st.query_params.get("data", "")
    current = current if current in names else new_run_view.EXAMPLE
    rows = [
        {
            t("data.columns.name"): about["label"],
            t("data.columns.kind"): t(f"data.kinds.{about['kind']}"),
            t("data.columns.layout"): t(f"data.layouts.{about['layout']}"),
            t("data.columns.train"): about["train"],
            t("data.columns.test"): about["test"],
            t("data.columns.languages"): " ".join(about["languages"]),
            t("data.columns.origin"): t("data.shipped" if about["shipped"] else "data.own"),
        }
        for about in found
    ]
    key = f"data_table_{zlib.crc32(','.join(names).encode())}"  # rows are chosen by number: others need another table
    picked = st.dataframe(
        pd.DataFrame(rows),
        hide_index=True,
        height=38 + 35 * min(ROWS, len(rows)),
        key=key,
        on_select="rerun",
        selection_mode="single-row-required",
        selection_default={"selection": {"rows": [names.index(current)]}},
    )
    place = picked.selection.rows[0] if picked.selection.rows else names.index(current)
    if names[place] != current:
        st.query_params["data"] = names[place]
    return found[place]


def _delete(name: str) -> None:
    with st.popover(t("finetune.delete"), icon=":material/delete:"):
        st.caption(t("data.delete_help"))
        if st.button(t("finetune.delete_run"), icon=":material/delete:", key="data_delete"):
            try:
                datasets.remove(name)
            except Exception as error:
                show_error(error)
            else:
                st.rerun()


@st.cache_resource(max_entries=2, show_spinner=False)
def _rows(name: str) -> datasets.Dataset:
    """A set's rows, which never change under its name."""
    return datasets.load(name)


@st.cache_data(max_entries=32, show_spinner=False)
def _lengths(name: str, model: str, task: str, learn: str) -> list[int]:
    data, how = _rows(name), {"task": task, "learn": learn}
    return preview.lengths(resources.tokenizer(model), data.train, COUNTED, labels=data.labels, **how)


@st.cache_data(max_entries=32, show_spinner=False)
def _leaked(name: str) -> list[Leak]:
    return datasets.leaks(name)


def _as_the_model_sees(data: datasets.Dataset) -> None:
    """Tokens and lengths, by the tokenizer and the settings that are chosen here."""
    asked = configs.make({"dataset": data.name})
    able = new_run_view.models_for(asked, data.kind)
    here = [model for model in able if store.is_ready(cards.card(model))]
    if not here:
        st.info(t("data.no_tokenizer"), icon=":material/cloud_download:")
        shell.page_link("models", t("form.to_models"))
        st.dataframe(pd.DataFrame(data.train[:20]), hide_index=True)
        return
    left, middle, right = st.columns(3)
    wanted = st.session_state[forms.key("model")]
    model = left.selectbox(
        t("data.model"), here, here.index(wanted) if wanted in here else 0, key=f"data_model_{data.kind}",
        format_func=lambda name: cards.card(name).title,
    )  # fmt: skip
    learn = middle.selectbox(
        t("fields.learn.label"), ["answers", "last", "all"], format_func=lambda word: t(f"choices.learn.{word}"),
        help=t("fields.learn.help"), key="data_learn", disabled=data.kind != "chat",
    )  # fmt: skip
    limit = right.number_input(
        t("fields.max_length.label"), 16, 32768, st.session_state[forms.key("max_length")], key="data_max_length"
    )
    task = asked.model_copy(update={"model": model}).resolved(data.kind).task
    _tokens(data, model, limit, task=task, learn=learn, labels=data.labels)
    with st.spinner(t("form.counting")):
        _histogram(_lengths(data.name, model, task, learn), limit)
    if len(data.train) > COUNTED:
        st.caption(t("data.sampled", count=f"{COUNTED:,}"))


def _tokens(data: datasets.Dataset, model: str, limit: int, **how: Any) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.html(
            f'<div class="tokens"><i>{html.escape(t("data.masked"))}</i> '
            f'<i class="learned">{html.escape(t("data.learned"))}</i></div>'
        )
        first = st.number_input(t("data.from_row"), 1, len(data.train), key=f"data_row_{data.name}", width=160)
    for number, pieces in enumerate(
        preview.shown(resources.tokenizer(model), data.train[first - 1 : first - 1 + SHOWN], limit, **how), first
    ):
        st.html(f'<div class="tokens"><b>{number}</b>{marked(pieces)}</div>')


def marked(pieces: Sequence[Piece]) -> str:
    """The tokens of an example as HTML, what they say escaped; the learned ones marked."""
    return "".join(f"<i{' class=learned' if learned else ''}>{html.escape(text)}</i>" for text, learned in pieces)


def _histogram(tokens: list[int], limit: int) -> None:
    found = preview.histogram(tokens, limit)
    form = {name: st.session_state[forms.key(name)] for name in ("batch_size", "accumulation", "epochs", "max_steps")}
    plan = preview.plan(tokens, limit, **form)
    cells = {
        "examples": f"{len(tokens):,}",
        "median": f"{found['median']:,}",
        "longest": f"{found['longest']:,}",
        "beyond": f"{found['beyond']:,} ({found['share']:.1%})",
        "epoch_tokens": f"{plan['epoch_tokens']:,}",
        "epoch_steps": f"{plan['epoch_steps']:,}",
        "steps": f"{plan['steps']:,}",
    }
    words = [f"<span>{html.escape(t(f'data.cells.{name}'))}<b>{value}</b></span>" for name, value in cells.items()]
    st.html(f'<div class="cells">{"".join(words)}</div>')
    st.caption(t("data.plan_help", **form))
    labels = {
        "title": t("data.chart.title"),
        "subtitle": t("data.chart.subtitle", count=f"{len(tokens):,}", beyond=f"{found['beyond']:,}", limit=limit),
        **{key: t(f"data.chart.{key}") for key in ("x", "y", "kept", "cut")},
        "limit": t("data.chart.limit", limit=limit),
    }
    colors = theme.arm_colors()
    edges = found["edges"]
    table = pd.DataFrame({"from": edges[:-1], "before": edges[1:], "examples": found["counts"]})
    figure = data_charts.lengths(found, limit, labels, {"kept": colors["base"], "cut": colors["tuned"]}, theme.ink())
    components.chart(figure, table, "token-lengths")


def _leaks(name: str) -> None:
    with st.spinner(t("data.leaks.looking")):
        found = _leaked(name)
    if not found:
        st.caption(f":material/check_circle: {t('data.leaks.none')}")
        return
    data = _rows(name)
    st.warning(t("data.leaks.some", count=len(found), all=len(data.test)), icon=":material/water_drop:")
    rows = [
        {
            t("data.leaks.test"): leak.test + 1,
            t("data.leaks.train"): leak.train + 1,
            t("data.leaks.share"): leak.share,
            t("data.leaks.text"): question(data.test[leak.test]),
        }
        for leak in found
    ]
    columns = {t("data.leaks.share"): st.column_config.NumberColumn(format="percent")}
    with st.expander(t("data.leaks.list"), icon=":material/list:"):
        st.dataframe(pd.DataFrame(rows), hide_index=True, column_config=columns)
