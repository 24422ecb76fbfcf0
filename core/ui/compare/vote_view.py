"""A blind vote between two arms of a comparison, and whether a metric agrees with it."""

from collections.abc import Callable, Mapping
from typing import Any

import streamlit as st

from core.evaluation import experiments, export, statistics, votes
from core.evaluation.votes import BAD, SAME, A, B, Ballot, Poll
from core.ui import bench, components
from core.ui.compare import case_view
from core.ui.compare.rows_view import measures
from core.ui.i18n import show_error, t

# What a vote is for → the key that casts it. The screen calls the sides A and B: on a phone they stand in a stack.
KEYS = {"left": "A", "same": "S", "bad": "X", "right": "B"}
BACK_KEY = "Z"


@st.fragment
def show(experiment: dict[str, Any], report: dict[str, Any]) -> None:
    """Two answers to a row without the arms' names, and a choice; then what the votes say.

    Args:
        experiment: of :func:`core.evaluation.experiments.show`; shared by all visits, to be read only.
        report: of :func:`core.evaluation.results.results`; read only too.
    """
    labels = bench.labels(experiment["arms"])
    if len(labels) < 2:
        st.info(t("vote.one_arm"), icon=":material/how_to_vote:")
        return
    poll = _poll(labels)
    if poll.a == poll.b:
        st.info(t("vote.same_arm"), icon=":material/how_to_vote:")
        return
    ballots = votes.ballots(experiment, poll)
    cast = votes.votes(experiments.folder(experiment["id"]), poll)
    left = [ballot for ballot in ballots if ballot.row not in cast]
    _progress(experiment, poll, len(ballots), len(ballots) - len(left))
    if left:
        _ballot(experiment, poll, left[0])
    if cast and (_after(experiment, poll, bool(left)) or not left):
        _outcome(experiment, report, poll, cast, labels)


def _poll(labels: Mapping[str, str]) -> Poll:
    """The two arms and the voter, kept in the address, so that a vote goes on after a refresh."""
    names = list(labels)
    left, middle, right = st.columns([2, 2, 1])
    a = _kept_choice(left, "vote_a", names, names[0], labels)
    b = _kept_choice(middle, "vote_b", names, names[-1], labels)
    voter = right.text_input(t("vote.voter"), help=t("vote.voter_help"), key="voter", bind="query-params", max_chars=40)
    return Poll(a, b, (voter or "").strip())


def _kept_choice(place: Any, key: str, names: list[str], default: str, labels: Mapping[str, str]) -> str:
    asked = st.query_params.get(key, "")
    st.session_state[key] = asked if asked in names else default

    def choose() -> None:
        st.query_params[key] = st.session_state[key]

    return str(place.selectbox(t(f"vote.{key[-1]}"), names, format_func=labels.__getitem__, key=key, on_change=choose))


def _progress(experiment: dict[str, Any], poll: Poll, total: int, done: int) -> None:
    same = votes.alike(experiment, poll)
    told = t("vote.progress", done=done, n=total) + (f" · {t('vote.alike', n=same)}" if same else "")
    if not total:
        st.info(t("vote.nothing"), icon=":material/how_to_vote:")
        return
    st.progress(done / total, text=told)


def _ballot(experiment: dict[str, Any], poll: Poll, ballot: Ballot) -> None:
    """The question and both answers, in the order drawn; whose they are stands nowhere on the page."""
    row = experiment["answers"][ballot.row]
    case_view.asked(row)
    for side, column in zip((ballot.left, ballot.right), st.columns(2), strict=True):
        name = "left" if side == ballot.left else "right"
        with column, st.container(border=True, key=f"vote_{name}"):
            st.markdown(f"**{t(f'vote.answer_{name}')}**")
            case_view.said(row["answers"][poll.a if side == A else poll.b]["text"])
    meant = {"left": ballot.left, "same": SAME, "bad": BAD, "right": ballot.right}
    with st.container(horizontal=True, key="vote_choices"):
        for name, key in KEYS.items():
            st.button(
                t(f"vote.{name}"),
                shortcut=key,
                width="stretch",
                key=f"vote_cast_{name}",
                on_click=_keep,
                args=(votes.cast, experiments.folder(experiment["id"]), poll, ballot, meant[name]),
            )
    with st.expander(t("vote.hints"), icon=":material/menu_book:"):
        case_view.references(row)
        for passage in [*row.get("passages", []), *([{"text": row["context"]}] if row.get("context") else [])]:
            case_view.said(passage["text"])


def _keep(act: Callable[..., None], *about: Any) -> None:
    """Cast or take back; where that cannot be written, in words."""
    try:
        act(*about)
    except Exception as error:
        show_error(error)


def _after(experiment: dict[str, Any], poll: Poll, blind: bool) -> bool:
    """The way back, and whether the result is asked for while it is still a blind vote."""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(
            t("vote.undo"),
            type="tertiary",
            icon=":material/undo:",
            shortcut=BACK_KEY,
            key="vote_undo",
            on_click=_keep,
            args=(votes.undo, experiments.folder(experiment["id"]), poll),
        )
        key = f"vote_result_{poll.a}_{poll.b}_{poll.voter}"  # of another vote it is not shown without being asked for
        return blind and st.toggle(t("vote.result"), help=t("vote.result_help"), key=key)


def _outcome(
    experiment: dict[str, Any], report: dict[str, Any], poll: Poll, cast: dict[int, str], labels: Mapping[str, str]
) -> None:
    """What the votes say, whether the metric says the same, and the file."""
    metric = st.selectbox(
        t("vote.metric"), measures(report), format_func=lambda name: t(f"metrics.{name}.label"), key="vote_metric"
    )
    found = votes.outcome(experiment, metric, poll, cast)
    a, b = components.plain(labels[poll.a]), components.plain(labels[poll.b])
    left, middle, right = st.columns(3)
    with left.container(border=True):
        st.metric(t("vote.wins"), _share(found["wins"]), help=t("vote.wins_help"))
        st.caption(_interval(found["wins"]))
        st.caption(t("vote.counts", a=a, b=b, **{f"n_{kind}": found[kind] for kind in (A, B, SAME, BAD)}))
    with middle.container(border=True):
        p = "–" if found["p"] is None else f"{found['p']:.3f}" if found["p"] >= 0.001 else "< 0.001"
        st.metric(t("vote.p"), p, help=t("vote.p_help"))
        st.caption(_verdict(found, a, b))
    with right.container(border=True):
        name = t(f"metrics.{metric}.label")
        kappa = "–" if found["kappa"] is None else f"{found['kappa']:.2f}"
        st.metric(t("vote.agreement", metric=name), _share(found["agreement"]), help=t("vote.agreement_help"))
        st.caption(_interval(found["agreement"]))
        st.caption(t("vote.kappa", kappa=kappa))
    st.download_button(
        t("vote.csv"),
        lambda: export.votes_csv(experiment, votes.standing(experiments.folder(experiment["id"])), metric),
        f"votes-{experiment['id']}.csv",
        "text/csv",
        icon=":material/download:",
        key="vote_csv",
        on_click="ignore",
    )


def _share(found: Mapping[str, float] | None) -> str:
    return f"{found['mean']:.0%}" if found else "–"


def _interval(found: Mapping[str, float] | None) -> str:
    return t("vote.interval", low=f"{found['low']:.0%}", high=f"{found['high']:.0%}", n=found["n"]) if found else ""


def _verdict(found: Mapping[str, Any], a: str, b: str) -> str:
    decided = found[A] + found[B]
    if decided < statistics.FEWEST:
        return t("vote.too_few", least=statistics.FEWEST, n=decided)
    if found["p"] >= 0.05:
        return t("vote.unclear", n=decided)
    return t("vote.prefers", arm=b if found[B] > found[A] else a)
