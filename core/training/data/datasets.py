"""The data sets there are, shipped and kept, and the rows of any of them by name, path or hub address."""

import json
import shutil
import time
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from core import files
from core.errors import UserError
from core.models import Progress
from core.settings import settings
from core.training.data import checks, columns, formats, remote, splitting
from core.training.data.checks import Inspection
from core.training.data.columns import CHAT, LABEL, TEXT, Mapping, Row
from core.training.data.formats import Table
from core.training.data.problems import FIXES, MUST
from core.training.data.splitting import Leak

LEAKS = "leaks.json"
_DAY = 24 * 3600  # seconds


@dataclass(frozen=True)
class Dataset:
    """A data set with its two splits.

    Attributes:
        labels: of a label set, in the order of their numbers.
    """

    name: str
    train: list[Row]
    test: list[Row]
    labels: list[str] = field(default_factory=list)

    @property
    def kind(self) -> str:
        return kind_of(self.train)

    def questions(self) -> list[Row]:
        """The test rows as questions and expected answers: each has "input" and "output".

        Raises:
            UserError: a set of running text asks nothing.
        """
        return self._asked(self.test)

    def examples(self) -> list[Row]:
        """The train rows, as :meth:`questions` gives those of the test."""
        return self._asked(self.train)

    def _asked(self, rows: list[Row]) -> list[Row]:
        if self.kind == TEXT:
            raise UserError("{name} holds texts, not questions.", "Choose a data set with answers.", name=self.name)
        if self.kind != LABEL:
            return rows
        labels = self.labels or label_names([*self.train, *self.test])
        return [{**row, "input": columns.class_question(row["text"], labels), "output": row["label"]} for row in rows]


def kind_of(rows: Sequence[Row]) -> str:
    """ "chat", "text" or "label"."""
    return columns.LAYOUTS[columns.layout_of(rows[0])].kind if rows else CHAT


def label_names(rows: Sequence[Row]) -> list[str]:
    """The labels in rows, sorted."""
    return sorted({row["label"] for row in rows}) if kind_of(rows) == LABEL else []


def inspect(
    source: str,
    layout: str = "",
    chosen: dict[str, str] | None = None,
    progress: Progress = lambda step, share: None,
    **how: Any,
) -> dict[str, Inspection]:
    """Read, map and check a file or folder by path or a set on a hub: split → inspection.

    Args:
        layout: see :func:`core.training.data.columns.make`, as ``chosen``; both empty: recognised.
        how: of :func:`core.training.data.checks.check`.

    Raises:
        UserError: no such file or set, out of reach; a layout, field or column that is not there.
    """
    return inspect_files(locate(source, progress), layout, chosen, progress, **how)


def locate(source: str, progress: Progress = lambda step, share: None) -> dict[str, list[Path]]:
    """The files behind an address or a path (of a file or a folder) by split, fetched where they are not here yet.

    Raises:
        UserError: see :func:`inspect`.
    """
    if remote.address(source):
        return remote.fetch(source, progress)
    return remote.in_folder(Path(source)) if source and Path(source).is_dir() else {"train": [_file(source)]}


def inspect_files(
    found: dict[str, list[Path]],
    layout: str = "",
    chosen: dict[str, str] | None = None,
    progress: Progress = lambda step, share: None,
    mapping: Mapping | None = None,
    **how: Any,
) -> dict[str, Inspection]:
    """The same for the files of each split, which are here; a ``mapping`` is taken as it is."""
    inspections = {}
    for split, paths in found.items():
        try:
            table = read_files(paths, progress)
        except UserError as error:
            inspections[split] = checks.unreadable(error)
            continue
        said = mapping or (columns.make(table, layout, chosen) if layout or chosen else None)
        inspections[split] = checks.inspect_table(table, said, progress=progress, **how)
    return inspections


def read_files(paths: Sequence[Path], progress: Progress = lambda step, share: None) -> Table:
    """The rows of a split's files, one after the other; ``progress`` is told ``read``.

    Raises:
        UserError: see :func:`core.training.data.formats.read_path`.
    """
    tables = []
    for place, path in enumerate(paths):
        progress("read", place / len(paths))
        tables.append(formats.read_path(path))
    return _joined(tables)


def _file(source: str) -> Path:
    if not Path(source).is_file():
        if source in listing():
            raise UserError(
                "“{name}” is a data set already: it was checked when it was kept.",
                "Look at it with: python -m core data preview {name}",
                name=source,
            )
        raise UserError(
            "There is no data set or file “{name}”.", "Data sets: {known}.", name=source, known=", ".join(listing())
        )
    return Path(source)


def _joined(tables: list[Table]) -> Table:
    return Table([row for table in tables for row in table.rows], tables[0].names, tables[0].encoding)


def keep(
    label: str,
    found: dict[str, Inspection],
    fixes: Collection[str] = FIXES,
    skip: Collection[str] = (MUST,),
    **about: Any,
) -> str:
    """Keep what was inspected (:meth:`Inspection.rows`), with the splits it came with; returns the set's name."""
    train, test = _sides(found, fixes, skip)
    return add(label, train, test, mapping=next(iter(found.values())).mapping, **about)


def _sides(found: dict[str, Inspection], fixes: Collection[str], skip: Collection[str]) -> tuple[list[Row], list[Row]]:
    """The rows to train on and those to test with; the latter are empty where no split was made for it."""
    rows = {split: _split_rows(split if len(found) > 1 else "", found[split], fixes, skip) for split in found}
    train = rows.pop("train", None) or rows.pop(next(iter(rows)))
    test = rows.get("test") or rows.get("validation") or []
    if test and kind_of(test) != kind_of(train):
        raise UserError(
            "The train rows are of the kind {train}, the test rows of the kind {test}.",
            "Both sides of a data set ask for the same: mend one, or add them one by one.",
            train=kind_of(train),
            test=kind_of(test),
        )
    return train, test


def _split_rows(split: str, inspection: Inspection, fixes: Collection[str], skip: Collection[str]) -> list[Row]:
    """The rows of one split; of several, a refusal names it."""
    try:
        return inspection.rows(fixes, skip)
    except UserError as error:
        if not split:
            raise
        raise UserError("In the split “{split}”: {why}", split=split, why=error) from error


def load(name: str) -> Dataset:
    """A shipped or kept data set by name, or a file or folder by path, nothing in it changed.

    What has no split for the test is split here.

    Raises:
        UserError: no such data set or file, or something that must be fixed in a row.
    """
    for root in (settings().datasets_dir, settings().uploads_dir):
        if name and name == Path(name).name and (root / name / "train.jsonl").is_file():
            return read(root / name)
    if remote.address(name):
        raise UserError("{name} is not here yet.", "Fetch and check it: python -m core data add {name}", name=name)
    found = inspect(name, near=False)
    train, test = _sides(found, fixes=(), skip=())
    if not test:
        train, test = splitting.split(train)
    mapping = next(iter(found.values())).mapping
    return Dataset(Path(name).resolve().stem, train, test, (mapping and mapping.labels) or label_names([*train, *test]))


def add(label: str, rows: Sequence[Row], test: Sequence[Row] = (), **about: Any) -> str:
    """Keep rows under ``var/uploads``; returns the set's name.

    Args:
        test: rows for the test that came with the set; empty: split off here.
        about: "mapping", "seed" and "share" (of the split), "source".

    Raises:
        UserError: fewer than two different rows.
    """
    seed, share = about.get("seed", 7), about.get("share", 0.0)
    train, tested = (list(rows), list(test)) if test else splitting.split(rows, seed, share)
    mapping: Mapping | None = about.pop("mapping", None)
    labels = (mapping.labels if mapping else []) or label_names([*train, *tested])
    name = files.new_id(label)
    aside, place = settings().uploads_dir / ".new" / name, settings().uploads_dir / name  # no list shows half a set
    _delete_left(aside.parent)
    write(aside, Dataset(name, train, tested, labels))
    files.write_json(aside / LEAKS, [asdict(leak) for leak in splitting.leaks(train, tested)])
    kept = {"label": label, "rows": len(train) + len(tested), "labels": labels, **about}
    if mapping:
        kept["mapping"] = asdict(mapping)
    files.write_json(aside / "about.json", kept)
    aside.rename(place)
    return name


def _delete_left(folder: Path) -> None:
    """Delete the half sets that a kill left a day ago or longer."""
    for left in folder.glob("*"):
        if time.time() - left.stat().st_mtime > _DAY:
            shutil.rmtree(left, ignore_errors=True)


def leaks(name: str) -> list[Leak]:
    """Test rows of a set that stand among its train rows: as found when it was kept, else looked for now.

    Raises:
        UserError: see :func:`load`.
    """
    kept = files.read_json(settings().uploads_dir / name / LEAKS)
    if kept is not None:
        return [Leak(**leak) for leak in kept]
    data = load(name)
    return splitting.leaks(data.train, data.test)


def remove(name: str) -> None:
    """Delete a kept data set; runs keep the rows they were trained on.

    Raises:
        UserError: no such set among the kept ones.
    """
    shutil.rmtree(files.inside(settings().uploads_dir, name))


def write(folder: Path, dataset: Dataset) -> None:
    """Write both splits as JSON lines, and the labels of a label set."""
    for part, rows in (("train", dataset.train), ("test", dataset.test)):
        lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        files.write_text(folder / f"{part}.jsonl", lines)
    if dataset.labels:
        files.write_json(folder / "about.json", {"labels": dataset.labels})


def read(folder: Path, name: str = "") -> Dataset:
    """The data set kept in a folder, its rows in the words of today's prompts."""
    train, test = (
        [columns.canonical(columns.layout_of(row), row) for row in files.read_jsonl(folder / f"{part}.jsonl")]
        for part in ("train", "test")
    )
    labels = files.read_json(folder / "about.json", {}).get("labels") or label_names([*train, *test])
    return Dataset(name or folder.name, train, test, labels)


def listing() -> dict[str, str]:
    """Data sets to choose from: name → label, the shipped ones first, then the newest."""
    return {about["name"]: about["label"] for about in catalog()}


def called(name: str) -> str:
    """What a run's data set is called: the label it was kept under, while it is there; of a path, the file's name."""
    place = settings().uploads_dir / name
    return _label(place) if name and name == Path(name).name and place.is_dir() else Path(name).name


@lru_cache(maxsize=1024)
def _label(place: Path) -> str:
    """Never changes under a name."""
    return str(files.read_json(place / "about.json", {}).get("label", place.name))


def catalog() -> list[dict[str, Any]]:
    """Data sets with {"name", "label", "kind", "layout", "train", "test": rows, "languages", "shipped"}."""
    shipped = sorted(settings().datasets_dir.glob("*/train.jsonl"))
    kept = sorted(settings().uploads_dir.glob("*/train.jsonl"), reverse=True)
    return [_about(path, path.stat().st_mtime_ns, path in shipped) for path in (*shipped, *kept)]


@lru_cache(maxsize=256)
def _about(path: Path, changed: int, shipped: bool) -> dict[str, Any]:
    data = read(path.parent)
    about = files.read_json(path.with_name("about.json"), {})
    rows = len(data.train) + len(data.test)
    return {
        "name": data.name,
        "label": data.name if shipped else f"{about.get('label', data.name)} ({rows})",
        "kind": data.kind,
        "layout": about.get("mapping", {}).get("layout") or columns.layout_of(data.train[0]),
        "train": len(data.train),
        "test": len(data.test),
        "languages": columns.languages(data.train[:200]),
        "shipped": shipped,
    }
