"""A data set taken in while its page comes and goes: by ``python -m core.training.data.intake DIR``.

At first it is fetched (from a hub), read and checked; then, once somebody has said what to do about its problems, kept.
Everything here may be killed at any moment and gone on with, so a stop is simply the end of the process. A folder of a
file that was uploaded holds that, too.
"""

import json
import shutil
import sys
import time
from collections.abc import Collection
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from filelock import FileLock

from core import files, jobs
from core.errors import UserError
from core.models import Progress, cards, hub, loading, store
from core.models.downloads import INTERRUPTED
from core.settings import settings
from core.training.data import datasets, remote
from core.training.data.checks import Inspection
from core.training.data.columns import Mapping
from core.training.data.problems import Problem, Report
from core.watch import watching

WORKER = "core.training.data.intake"
FOUND = "found.json"
_OLD = 7 * 24 * 3600  # seconds after which what nobody went on with is deleted


@dataclass(frozen=True)
class Intake:
    """How far one is.

    Attributes:
        source: path, address, or name of an uploaded file; ``label``: what to call it.
        began: when, as told by ``time.time()``: tells one work of an intake from the next.
        keeping: whether rows are kept; else they are fetched, read and checked.
        status: one of ``jobs``' words.
        stage: list, download, verify; read, check, alike (near duplicates), lengths; split. Empty before the first.
        share: of the stage, 0 to 1.
        done, total: bytes of a download here and in all; total 0: none of this, or not known yet.
        elapsed: seconds since the start, or in all.
        kept: the data set's name once it is kept.
        error: why it ended, as kept in state files; None while it goes well.
    """

    source: str
    label: str
    began: float
    keeping: bool
    status: str
    stage: str
    share: float
    done: int
    total: int
    elapsed: float
    kept: str = ""
    error: dict[str, Any] | None = None

    @property
    def live(self) -> bool:
        """Whether its worker is at it."""
        return self.status in jobs.LIVE


def start(source: str, data: bytes | None = None, **how: Any) -> str:
    """Begin to take in a path, an address, or a file of that name with ``data`` in it; returns the intake's name.

    Args:
        how: "model" (catalog name) whose tokenizer counts, "max_length" (tokens), "mapping" (as a dict; none: guessed).
    """
    _tidy()
    label, where = Path(source).stem or source, source
    job = _root() / files.new_id(label)
    job.mkdir(parents=True)
    if data is not None:
        given = job / "given" / Path(source).name
        given.parent.mkdir()
        given.write_bytes(data)
        where = str(given)
    _begin(job, source=source, where=where, label=label, how=how, keep=None)
    return job.name


def again(name: str, **how: Any) -> None:
    """Do the last thing once more, with what is given of :func:`start`'s ``how`` put in place of what was said.

    Raises:
        UserError: there is no such intake.
    """
    job = files.inside(_root(), name)
    asked = files.read_json(job / "state.json")
    _begin(job, **{**_asked(asked), "how": {**asked["how"], **how}, "keep": None if how else asked["keep"]})


def keep(name: str, label: str, fixes: Collection[str], skip: Collection[str], seed: int, share: float) -> None:
    """Begin to keep what was checked; see :func:`core.training.data.datasets.keep`.

    Raises:
        UserError: there is no such intake.
    """
    job = files.inside(_root(), name)
    asked = _asked(files.read_json(job / "state.json"))
    told = {"label": label, "fixes": [*fixes], "skip": [*skip], "seed": seed, "share": share}
    _begin(job, **{**asked, "keep": told})


def progress(name: str) -> Intake | None:
    """How far the running or last work is; None: there is no such intake."""
    try:
        job = files.inside(_root(), name)
    except UserError:
        return None
    state = jobs.state(job)
    if "source" not in state:
        return None
    address = remote.address(state["source"])
    arriving = hub.report(remote.folder(state["source"])) if address and state.get("stage") == "download" else []
    return Intake(
        state["source"],
        state["label"],
        state["created"],
        bool(state["keep"]),
        state["status"],
        state.get("stage", ""),
        state.get("share", 0.0),
        sum(file.done for file in arriving),
        sum(file.size for file in arriving),
        state.get("finished", time.time()) - state["created"],
        state.get("kept", ""),
        INTERRUPTED.as_dict() if state["status"] == jobs.INTERRUPTED else state.get("error"),
    )


def found(name: str) -> dict[str, Inspection]:
    """What was found, by split, without the rows; empty until they are checked.

    Raises:
        UserError: there is no such intake.
    """
    kept = files.read_json(files.inside(_root(), name) / FOUND, {"splits": {}})
    return {split: _inspection(told) for split, told in kept["splits"].items()}


def stop(name: str) -> None:
    """End its work; what has arrived is kept and gone on with at the next start.

    Raises:
        UserError: there is no such intake, or it is not running any more.
    """
    jobs.stop(files.inside(_root(), name))


def leave(name: str) -> None:
    """Forget it, and the file that was uploaded for it; what came from a hub stays.

    Raises:
        UserError: there is no such intake.
    """
    shutil.rmtree(files.inside(_root(), name))


def _root() -> Path:
    return settings().downloads_dir / "intake"


def _asked(state: dict[str, Any]) -> dict[str, Any]:
    return {name: state[name] for name in ("source", "where", "label", "how", "keep")}


def _begin(job: Path, **asked: Any) -> None:
    """Launch its worker, unless one is at it already."""
    with FileLock(_root() / f".{job.name}.lock"):
        if (job / "state.json").exists() and jobs.state(job)["status"] in jobs.LIVE:
            return
        jobs.create(job, **asked, stage="", share=0.0)
        jobs.launch(WORKER, job)


def _tidy() -> None:
    for state in _root().glob("*/state.json"):
        if time.time() - state.stat().st_mtime > _OLD and jobs.state(state.parent)["status"] not in jobs.LIVE:
            shutil.rmtree(state.parent, ignore_errors=True)


def _told(inspection: Inspection) -> dict[str, Any]:
    parts = asdict(replace(inspection, table=None))
    return {name: value for name, value in parts.items() if name != "table"}


def _inspection(told: dict[str, Any]) -> Inspection:
    report, mapping = told["report"], told["mapping"]
    problems = [Problem(**problem) for problem in report["problems"]]
    mapped = Mapping(**mapping) if mapping else None
    return Inspection(None, mapped, Report(report["rows"], problems), told["columns"], told["names"])


def main(job: Path) -> None:
    """Do what the job's state asks for, into :data:`FOUND` or the kept sets."""
    at: dict[str, Any] = {"stage": "", "share": 0.0}

    def told(stage: str, share: float) -> None:
        at.update(stage=stage, share=round(share or 0.0, 3))

    with jobs.reporting(job):
        asked = files.read_json(job / "state.json")
        with watching(job, lambda: at):
            result = _keep(job, asked, told) if asked["keep"] else _inspect(job, asked, told)
        jobs.update(job, status=jobs.FINISHED, finished=time.time(), **result)


def _inspect(job: Path, asked: dict[str, Any], progress: Progress) -> dict[str, Any]:
    (job / FOUND).unlink(missing_ok=True)
    how = dict(asked["how"])
    how["mapping"] = Mapping(**how["mapping"]) if how.get("mapping") else None
    if model := how.pop("model", ""):
        card = cards.card(model)
        how["tokenizer"] = loading.load_tokenizer(store.directory(card), card)
    paths = _files(asked["where"], progress)
    versions = _versions(paths)
    inspections = datasets.inspect_files(paths, progress=progress, **how)
    # Escaped: what is wrong with a row may be half a character.
    splits = {split: _told(inspection) for split, inspection in inspections.items()}
    files.write_text(job / FOUND, json.dumps({"versions": versions, "splits": splits}))
    return {}


def _keep(job: Path, asked: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Read the rows once more, which takes a thirtieth of the checking, and keep them."""
    told, paths = asked["keep"], _files(asked["where"], progress)
    if files.read_json(job / FOUND)["versions"] != _versions(paths):
        raise UserError("{name} has changed since it was checked.", "Read it again.", name=asked["source"])
    inspections = {
        split: replace(inspection, table=datasets.read_files(paths[split], progress))
        for split, inspection in found(job.name).items()
    }
    progress("split", 0.0)
    name = datasets.keep(
        told["label"], inspections, told["fixes"], told["skip"],
        seed=told["seed"], share=told["share"], source=asked["source"],
    )  # fmt: skip
    return {"kept": name}


def _files(source: str, progress: Progress) -> dict[str, list[Path]]:
    """The files of each split; of two intakes of one address, one fetches and the other waits."""
    if remote.address(source) is None:
        return datasets.locate(source)
    folder = remote.folder(source)
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_name(f".{folder.name}.lock")):
        return datasets.locate(source, progress)


def _versions(paths: dict[str, list[Path]]) -> dict[str, list[int]]:
    """Size and time of change of each file."""
    about = {str(path): path.stat() for found in paths.values() for path in found}
    return {path: [stat.st_size, stat.st_mtime_ns] for path, stat in about.items()}


if __name__ == "__main__":
    main(Path(sys.argv[1]))
