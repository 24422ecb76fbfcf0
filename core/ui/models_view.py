"""The Models page's parts: what memory holds, the catalog with the state of each model, and a person's own cards.

Nothing here may load torch before somebody loads a model: the page is opened to see what is there.
"""

import html
from typing import Any

import streamlit as st

from core import hardware, jobs
from core.generation.check import Check
from core.models import downloads, memory, own, store
from core.models.cards import ModelCard
from core.models.downloads import ABSENT, BROKEN, DOWNLOADING, PARTIAL, READY, Download, State
from core.ui import components, resources
from core.ui.i18n import in_words, language, seconds, show_error, size, t

BADGES: dict[str, tuple[str, Any]] = {
    ABSENT: ("cloud", "gray"),
    DOWNLOADING: ("downloading", "blue"),
    PARTIAL: ("pause_circle", "orange"),
    READY: ("check_circle", "green"),
    BROKEN: ("error", "red"),
}
GROUPS = {"chat": ("generate", "seq2seq"), "retrieval": ("embed", "rerank"), "classify": ("classify",)}


@st.fragment(run_every=2.0)
def meter() -> None:
    """Memory of the machine and of each GPU, and the app's models that are in it."""
    now, loaded = memory.usage(), resources.loaded()
    bars = [(t("models.machine"), now.used, now.total), *now.gpus]
    for column, (name, used, total) in zip(st.columns(max(2, len(bars))), bars, strict=False):
        with column:
            text = t("models.used", name=name, used=size(used), total=size(total))
            st.progress(min(1.0, used / max(1, total)), text=components.plain(text))
    if not loaded:
        st.caption(t("models.nothing_loaded"))
    with st.container(gap=None):
        for one in loaded:
            place = "GPU" if one.device.startswith("cuda") else one.device.upper()
            name, amount = components.plain(one.name), size(one.memory)
            with st.container(horizontal=True, vertical_alignment="center", gap="small"):
                words = t("models.loaded", name=name, size=amount, dtype=one.dtype, place=place)
                st.markdown(words, width="content")
                _unload(t("models.unload"), one.name)
        if len(loaded) > 1:
            _unload(t("models.unload_all", size=size(sum(one.memory for one in loaded))))


def _unload(label: str, name: str = "") -> None:
    if st.button(label, icon=":material/eject:", type="tertiary", key=f"unload-{name}" if name else "unload"):
        components.act(lambda: resources.unload(name))


def add_form() -> None:
    """The button that adds a model of one's own: a directory of this machine, or a hub's id."""
    with st.popover(t("models.add"), icon=":material/add:"):
        st.markdown(t("models.add_help"))
        source = st.text_input(t("models.add_source"), placeholder=t("models.add_example"), key="add_source")
        hubs = {"": t("models.hub_auto"), "modelscope": "ModelScope", "huggingface": "Hugging Face"}
        hub = st.segmented_control(
            t("models.add_hub"), list(hubs), default="", format_func=hubs.__getitem__, key="add_hub"
        )
        name = st.text_input(t("models.add_name"), placeholder=t("models.add_name_help"), key="add_name")
        if st.button(t("models.add_do"), type="primary", disabled=not source, key="add_do"):
            try:
                card = own.add(own.describe(source.strip(), hub or "", name.strip()))
            except Exception as error:
                show_error(error)
            else:
                st.session_state["models_added"] = card.name
                st.rerun()


def catalog(cards: list[ModelCard], kind: str) -> None:
    """The cards, those for chatting first, each with its state and what can be done with it.

    Args:
        kind: "all", "here" (anything of it on this machine), or one of the groups.
    """
    added = st.session_state.pop("models_added", "")
    if added:
        st.toast(t("models.added", name=added), icon=":material/check:")
    mine = own.own()
    for group, tasks in GROUPS.items():
        found = [card for card in cards if card.task in tasks and kind in ("all", "here", group)]
        if kind == "here":
            found = [card for card in found if downloads.state(card).kind != ABSENT]
        if found:
            st.subheader(t(f"models.groups.{group}"))
        for card in sorted(found, key=lambda card: card.name not in mine):  # one's own first
            _row(card, card.name in mine)


def _row(card: ModelCard, mine: bool) -> None:
    work = resources.works().get(card.name)
    busy = downloads.is_live(card) or bool(work and not work.done)

    @st.fragment(run_every=1.0 if busy else None)
    def look() -> None:
        state = downloads.state(card)
        with st.container(border=True, gap="small"):
            left, right = st.columns([5, 3], gap="small")
            with left:
                _head(card, state)
            with right:
                _actions(card, state, mine)
            if state.kind == DOWNLOADING and state.download:
                _progress(state.download)
            _trouble(state)
            _work(card)
        work = resources.works().get(card.name)
        if busy != (state.kind == DOWNLOADING or bool(work and not work.done)):
            st.rerun(scope="app")

    look()


def _head(card: ModelCard, state: State) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(f"**{components.plain(card.title)}**", width="content")
        icon, color = BADGES[state.kind]
        st.badge(t(f"models.state.{state.kind}"), icon=f":material/{icon}:", color=color)
        if card.name in {one.name for one in resources.loaded()}:
            st.badge(t("models.in_memory"), icon=":material/memory:", color="violet")
        if store.default_generator().name == card.name:
            st.badge(t("models.answers"), icon=":material/star:", color="blue")
    facts = [
        t("models.parameters", count=_count(card.parameters)) if card.parameters else "",
        size(card.size) if card.size else "",
        "/".join(t(f"models.languages.{code}") if code in ("zh", "en") else code for code in card.languages),
        card.license,
    ]
    note = card.note.get(language()) or card.note.get("en", "")
    st.html(
        f'<div class="figures">{html.escape(" · ".join(fact for fact in facts if fact))}</div>'
        f'<div class="passage">{html.escape(note)}</div>'
    )


def _count(parameters: int) -> str:
    if parameters >= 1e9:
        return f"{parameters / 1e9:.2f} B"
    return f"{parameters / 1e6:.0f} M" if parameters >= 1e6 else f"{parameters / 1e3:.0f} k"


def _progress(download: Download) -> None:
    stage = t(f"models.stage.{download.stage}") if download.stage else t(f"status.{download.status}")
    parts = [stage]
    if download.total:
        parts.append(f"{size(download.done)} / {size(download.total)}")
    if download.speed:
        parts.append(f"{size(download.speed)}/s")
    if download.eta is not None:
        parts.append(f"{t('common.remaining')} {seconds(download.eta)}")
    parts.append(f"{t('common.elapsed')} {seconds(download.elapsed)}")
    in_bytes = download.stage == downloads.DOWNLOAD and download.total
    share = download.done / download.total if in_bytes else download.share
    st.progress(min(1.0, max(0.0, share)), text=components.plain(" · ".join(parts)))
    st.caption(t("models.from", source=components.plain(download.source)) if download.source else "…")
    if download.files:
        with st.expander(t("models.files", count=len(download.files)), icon=":material/folder:"):
            rows = [
                {"file": f.name, "%": round(100 * f.done / max(1, f.size), 1), "MB": round(f.size / 1e6, 2)}
                for f in download.files
            ]
            st.dataframe(rows, hide_index=True, height=min(300, 38 + 36 * len(rows)))


def _trouble(state: State) -> None:
    if state.error:
        (st.error if state.kind == BROKEN else st.warning)(in_words(state.error), icon=":material/error:")
    for failure in state.download.failures if state.download else []:
        st.caption(f"{components.plain(failure.source)}: {components.plain(in_words(failure.error))}")


def _work(card: ModelCard) -> None:
    """Loading or a test of this model: under way, what came of it, or what went wrong."""
    work = resources.works().get(card.name)
    if work is None:
        return
    if not work.done:
        st.progress(0.0, text=f"{t('models.working.' + work.kind)} {seconds(work.seconds)}")
    elif work.error:
        show_error(work.error)
    elif isinstance(work.result, Check):
        _result(work.result)


def _result(found: Check) -> None:
    figures = t(
        "models.tested",
        load=seconds(found.load_seconds),
        speed=f"{found.tokens_per_second:.1f}",
        memory=size(found.memory),
        dtype=found.dtype,
        device=found.device,
    )
    st.html(
        f'<div class="passage">{html.escape(t("models.output"))}: <i>{html.escape(found.output)}</i></div>'
        f'<div class="figures">{html.escape(figures)}</div>'
    )


def _actions(card: ModelCard, state: State, mine: bool) -> None:
    work = resources.works().get(card.name)
    idle = work is None or work.done
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="right", gap="small"):
        if state.kind == DOWNLOADING:
            stopping = state.download is not None and state.download.status == jobs.STOPPING
            _button(card, "stop", "pause", lambda: downloads.stop(card), disabled=stopping)
        elif state.kind == READY:
            loaded = resources.engine().loaded()
            if card.generates and idle and not (loaded and loaded.name == card.name):
                _button(card, "load", "memory", lambda: resources.load(card))
            if idle:
                _button(card, "test", "play_arrow", lambda: resources.test(card))
        elif not (state.kind == BROKEN and store.is_own(card)):
            first = "prepare" if card.sources[0].kind == "path" else "download"
            word = {ABSENT: first, PARTIAL: "resume", BROKEN: "again"}[state.kind]
            _button(card, word, "download", lambda: downloads.start(card))
        with st.popover(t("models.details"), type="tertiary"):
            _details(card, state)
            if mine or (state.size and not store.is_own(card)):
                st.divider()
                kind = "own" if store.is_own(card) else "card" if mine else "files"
                st.caption(t(f"models.remove_help.{kind}", size=size(state.size)))
                _button(card, "remove", "delete", lambda: _remove(card, mine))


def _remove(card: ModelCard, mine: bool) -> None:
    resources.unload(card.name)
    resources.works().pop(card.name, None)
    if downloads.state(card).kind != ABSENT and not store.is_own(card):
        downloads.remove(card)
    if mine:
        own.remove_own(card.name)


def _button(card: ModelCard, name: str, icon: str, act: Any, disabled: bool = False) -> None:
    if st.button(t(f"models.{name}"), icon=f":material/{icon}:", key=f"{name}-{card.name}", disabled=disabled):
        components.act(act)


def _details(card: ModelCard, state: State) -> None:
    lines = [(t("models.sources"), "  \n".join(f"`{source.label}`" for source in card.sources))]
    if state.size:
        lines.append((t("models.on_disk"), f"{size(state.size)} · `{store.directory(card)}`"))
    if state.kind == READY:
        where = "cuda" if hardware.has_gpu() else "cpu"
        need = memory.estimate(card, where=where)
        lines.append(
            (t("models.needs"), t("models.needs_of", weights=size(need.weights), total=size(need.total), where=where))
        )
    if card.lora_targets:
        lines.append((t("models.lora_targets"), " ".join(f"`{name}`" for name in card.lora_targets)))
    if card.generates:
        defaults = card.generation
        lines.append(
            (
                t("models.defaults"),
                t("models.defaults_of", tokens=defaults.max_new_tokens, temperature=defaults.temperature),
            )
        )
    st.markdown("\n\n".join(f"**{label}**  \n{text}" for label, text in lines))
    if card.chat_template:
        st.markdown(f"**{t('models.template')}**")
        st.code(card.chat_template, language=None, wrap_lines=True)
