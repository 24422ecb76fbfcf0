"""A finished run taken further: exported as a zip file, merged into a model of its own, asked for labels."""

import tempfile
from pathlib import Path
from typing import Any

import streamlit as st

from core import files
from core.settings import settings
from core.training import dependents, merge, portable, runs
from core.ui import components, resources, shell
from core.ui.i18n import seconds, show_error, t

DOWNLOADED = 10**9
"""Bytes of weights that go through the browser at most: the server holds the file in memory meanwhile."""


def take(run: runs.Run) -> None:
    """Export and merge: of what the run ended with, or of one of its checkpoints."""
    whole = (runs.folder(run["id"]) / "model").is_dir()
    options = {run["id"]: t("runs.take.end")} if run.get("adapter") or whole else {}
    if not whole:
        options |= {at["id"]: t("runs.take.at", step=at["step"]) for at in runs.checkpoints(run["id"])}
    if not options:
        st.caption(t("runs.take.nothing"))
        return
    adapter_id = next(iter(options))
    if len(options) > 1:
        adapter_id = st.selectbox(
            t("runs.take.which"), list(options), format_func=options.__getitem__, width=320, key=f"take_{run['id']}"
        )
    left, right = st.columns(2, gap="large")
    with left:
        _export(adapter_id, runs.folder(run["id"]) / "model" if whole else None)
    with right:
        _merge(run, adapter_id)


def _export(adapter_id: str, whole: Path | None) -> None:
    st.markdown(f"**{t('runs.export.title')}**")
    st.caption(t("runs.export.whole" if whole else "runs.export.help"))
    if whole and sum(path.stat().st_size for path in whole.glob("*.safetensors")) > DOWNLOADED:
        st.caption(t("runs.export.large"))
        st.code(f"python -m core runs export {adapter_id} .", language="shell")
        return
    st.download_button(
        t("runs.export.do"), lambda: zipped(adapter_id), f"{adapter_id}.zip", "application/zip",
        icon=":material/download:", on_click="ignore", key="export_do",
    )  # fmt: skip


def zipped(adapter_id: str) -> bytes:
    """The exported file, made when it is asked for."""
    with tempfile.TemporaryDirectory() as folder:
        return portable.export(adapter_id, Path(folder)).read_bytes()


def _merge(run: runs.Run, adapter_id: str) -> None:
    st.markdown(f"**{t('runs.merge.title')}**")
    if run["config"].get("task") == "classify":
        st.caption(t("runs.merge.classifier"))
        return
    st.caption(t("runs.merge.help"))
    for name in dependents.dependents(run["id"]).models:
        checked = files.read_json(settings().models_dir / name / dependents.ORIGIN, {})
        st.success(f"**{components.plain(name)}** · {_verified(checked)}", icon=":material/verified:")
    work = resources.works().get(run["id"])
    if work and not work.done:
        _wait(work)
        return
    if work and work.error:
        show_error(work.error)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = st.text_input(t("runs.merge.name"), placeholder="my-model", key=f"merge_name_{run['id']}", width=240)
        if st.button(t("runs.merge.do"), icon=":material/merge:", key="merge_do", disabled=not name.strip()):
            act = resources.Work("merge", lambda: merge.merge(adapter_id, name.strip()))
            resources.works()[run["id"]] = act
            st.rerun()
    if work and work.result:
        shell.page_link("models", t("runs.merge.to_models"))


@st.fragment(run_every=0.5)
def _wait(work: resources.Work) -> None:
    if work.done:
        st.rerun(scope="app")
    st.info(t("runs.merge.at_work", seconds=seconds(work.seconds)), icon=":material/hourglass_top:")


def _verified(checked: dict[str, Any]) -> str:
    return t(
        "runs.merge.verified",
        same=checked["same"],
        prompts=checked["prompts"],
        tokens=checked["tokens"],
        dtype=checked["dtype"],
        difference=f"{checked['difference']:.1e}",
        tolerance=f"{checked['tolerance']:g}",
    )
