"""Galleries of a comparison: the rows that retrieval, fine-tuning or a prompt strategy hurt or helped most."""

from typing import Any

import streamlit as st

from core.evaluation import grid, rows
from core.ui import bench, components
from core.ui.compare import case_view
from core.ui.compare.rows_view import choose_measure, open_row
from core.ui.i18n import t

PAGE = 3  # cases at once


@st.fragment
def show(experiment: dict[str, Any], report: dict[str, Any]) -> None:
    """The rows on which switching on one thing alone made the greatest difference, before and after next to each other.

    Args:
        experiment: of :func:`core.evaluation.experiments.show`; shared by all visits, to be read only.
        report: of :func:`core.evaluation.results.results`; read only too.
    """
    factors = [factor for factor in grid.FACTORS if rows.switched_on(experiment["arms"], factor)]
    if not factors:
        st.info(t("galleries.none"), icon=":material/compare:")
        return
    key = experiment["id"]
    left, right = st.columns([3, 1], vertical_alignment="bottom")
    metric = choose_measure(right, report, f"gallery_metric_{key}")
    kinds = [(factor, effect) for effect in (rows.HURT, rows.HELPED) for factor in factors]
    found = {f"{factor}_{effect}": rows.gallery(experiment, metric, factor, effect) for factor, effect in kinds}
    kind = left.segmented_control(
        t("galleries.kind"),
        list(found),
        default=next((name for name, cases in found.items() if cases), next(iter(found))),
        required=True,
        wrap=True,
        format_func=lambda name: f"{t(f'galleries.{name}')} ({len(found[name])})",
        key=f"gallery_kind_{key}",
        persist_state="page",
    )
    _cases(experiment, metric, str(kind), found[str(kind)])


def _cases(experiment: dict[str, Any], metric: str, kind: str, cases: list[rows.Case]) -> None:
    if not cases:
        st.info(t("galleries.empty", kind=t(f"galleries.{kind}")), icon=":material/check:")
        return
    shown = cases[: rows.MOST]
    if len(cases) > len(shown):
        st.caption(t("galleries.most", shown=len(shown), n=len(cases)))
    page = 1
    if len(shown) > PAGE:
        page = st.pagination(-(-len(shown) // PAGE), key=f"gallery_page_{experiment['id']}_{kind}_{metric}")
    for case in shown[(page - 1) * PAGE : page * PAGE]:
        with st.container(border=True):
            _case(experiment, metric, case)


def _case(experiment: dict[str, Any], metric: str, case: rows.Case) -> None:
    called = bench.labels(experiment["arms"])
    change = components.plain(f"{called[case.a]} → {called[case.b]}")
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        gained = t("galleries.gain", metric=t(f"metrics.{metric}.label"), gain=f"{case.gain:+.3f}".replace("-", "−"))
        st.caption(f"{t('rows.number', row=case.row + 1)} · {gained} · {change}")
        opened = st.button(
            t("galleries.open"),
            type="tertiary",
            icon=":material/table_rows:",
            key=f"gallery_open_{case.row}_{case.a}_{case.b}",
        )
    if opened:
        open_row(experiment["id"], case.row + 1)
    case_view.show(experiment, case.row, metric, (case.a, case.b))
