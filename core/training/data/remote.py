"""Data sets of several files: on the hubs, ``hf:OWNER/NAME[:CONFIG][/SPLIT]`` and ``ms:…``, or in a folder.

Only data files, never a script.
"""

import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from core.errors import UserError
from core.models import Progress, hub
from core.models.cards import Source
from core.models.clients import RemoteFile
from core.settings import settings
from core.training.data.formats import SUFFIXES

_ADDRESS = re.compile(r"(hf|ms):(\w[\w.-]*/\w[\w.-]*)(?::([\w.-]+))?(?:/([\w.-]+))?")
_HUBS = {"hf": "huggingface", "ms": "modelscope"}
# What authors call their splits.
SPLITS = {
    "train": "train",
    "training": "train",
    "test": "test",
    "testing": "test",
    "eval": "test",
    "evaluation": "test",
}
SPLITS |= {"validation": "validation", "valid": "validation", "val": "validation", "dev": "validation"}


@dataclass(frozen=True)
class Address:
    """A data set on a hub; ``config`` and ``split`` may be empty."""

    hub: str
    id: str
    config: str
    split: str


def address(text: str) -> Address | None:
    """The parts of an address; None where the text is none."""
    found = _ADDRESS.fullmatch(text.strip())
    return Address(_HUBS[found[1]], found[2], found[3] or "", found[4] or "") if found else None


def _parts(text: str) -> Address:
    where = address(text)
    if where is None:
        raise UserError(
            "“{text}” is not the address of a data set.",
            "For example: hf:OWNER/NAME or ms:OWNER/NAME:CONFIG/train",
            text=text,
        )
    return where


def folder(text: str) -> Path:
    """Where the files behind an address are kept.

    Raises:
        UserError: no address.
    """
    where = _parts(text)
    name = re.sub(r"[^\w.]+", "-", f"{where.hub}-{where.id}-{where.config}-{where.split}")
    return settings().downloads_dir / "datasets" / name


def fetch(text: str, progress: Progress = lambda step, share: None) -> dict[str, list[Path]]:
    """Download the data files behind an address; what is here already is not fetched again.

    Returns:
        Split ("train", "test", …) → files in order; the one split asked for, or all the repository has.

    Raises:
        UserError: no address, offline, out of reach, no such set, no data files, several configs and none named.
    """
    where = _parts(text)
    chosen: dict[str, list[RemoteFile]] = {}

    def choose(listed: list[RemoteFile]) -> list[RemoteFile]:
        chosen.update(pick(listed, where))
        return [file for files in chosen.values() for file in files]

    if settings().offline:
        raise UserError(
            "The app is offline (YUAN_OFFLINE), so {name} cannot be fetched.",
            "Unset YUAN_OFFLINE, or use a file on this machine.",
            name=text,
        )
    here = hub.fetch(Source(kind=where.hub, id=where.id, repository="dataset"), folder(text), progress, choose)
    return {split: [here / file.path for file in files] for split, files in chosen.items()}


def pick(listed: list[RemoteFile], where: Address) -> dict[str, list[RemoteFile]]:
    """The data files of a config, by split.

    A config is a folder, or what a file's name says besides its split and part number; a split is a word of the path.
    Where the same split lies there in several formats, one is taken, Parquet first.

    Raises:
        UserError: see :func:`fetch`.
    """
    splits = _by_split(_of_config(_data(listed, where.id), where))
    wanted = SPLITS.get(where.split, where.split)
    if wanted and wanted not in splits:
        raise UserError(
            "{name} has no split “{split}”.",
            "Splits: {known}.",
            name=where.id,
            split=where.split,
            known=", ".join(splits),
        )
    return {split: files for split, files in splits.items() if wanted in ("", split)}


def in_folder(folder: Path) -> dict[str, list[Path]]:
    """The data files that lie in a folder of this machine, by split, told apart by their names as a hub's are.

    Raises:
        UserError: there are none.
    """
    listed = [RemoteFile(path.name, path.stat().st_size) for path in folder.iterdir() if path.is_file()]
    splits = _by_split(_data(listed, str(folder)))
    return {split: [folder / file.path for file in files] for split, files in splits.items()}


def _data(listed: list[RemoteFile], name: str) -> list[RemoteFile]:
    if data := [file for file in listed if _is_data(PurePosixPath(file.path))]:
        return data
    raise UserError(
        "{name} holds no data files of the formats read here.",
        "Formats: {known}. Scripts are not run.",
        name=name,
        known=", ".join(SUFFIXES),
    )


def _by_split(data: list[RemoteFile]) -> dict[str, list[RemoteFile]]:
    splits: defaultdict[str, list[RemoteFile]] = defaultdict(list)
    for file in sorted(data, key=lambda file: file.path):
        splits[_split(PurePosixPath(file.path))].append(file)
    return {split: _one_format(files) for split, files in splits.items()}


def _of_config(data: list[RemoteFile], where: Address) -> list[RemoteFile]:
    configs: defaultdict[str, list[RemoteFile]] = defaultdict(list)
    for file in data:
        configs[_config(PurePosixPath(file.path))].append(file)
    if not where.config and len(configs) == 1:
        return data
    if where.config not in configs:  # without a name, the files that belong to no config
        raise UserError(
            "{name} has several configs, and “{config}” is none of them.",
            "Name one after a colon: {known}.",
            name=where.id,
            config=where.config,
            known=", ".join(sorted(configs)),
        )
    return configs[where.config]


def _is_data(path: PurePosixPath) -> bool:
    notes = {"dataset_info.json", "dataset_infos.json", "config.json", "state.json", "configuration.json"}
    return hub.is_inside(path) and path.suffix.lower() in SUFFIXES and path.name.lower() not in notes


def _words(path: PurePosixPath) -> list[str]:
    return re.split(r"[\W_]+", path.name.removesuffix(path.suffix).lower())


def _split(path: PurePosixPath) -> str:
    """The last word of a path that names a split; a set without splits is all there to train on."""
    words = [*(part.lower() for part in path.parts[:-1]), *_words(path)]
    return next((SPLITS[word] for word in reversed(words) if word in SPLITS), "train")


def _config(path: PurePosixPath) -> str:
    if folders := [part for part in path.parts[:-1] if part.lower() not in {"data", *SPLITS}]:
        return folders[0]
    # train-00000-of-00002-a09b74b3ef9c3b56: part numbers and checksums are no names
    words = [word for word in _words(path) if not re.fullmatch(r"\d*|of|[0-9a-f]{16}", word)]
    return "-".join(word for word in words if word not in {"data", *SPLITS})


def _one_format(files: list[RemoteFile]) -> list[RemoteFile]:
    order = [".parquet", ".jsonl", ".json", ".csv"]
    best = min((PurePosixPath(file.path).suffix.lower() for file in files), key=order.index)
    return [file for file in files if PurePosixPath(file.path).suffix.lower() == best]
