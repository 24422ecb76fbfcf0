"""Files that are never half there: write aside, fsync, rename. And append-only JSON lines."""

import errno
import json
import os
import re
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from core.errors import UserError


def write_text(path: Path, text: str) -> None:
    """Replace ``path`` by ``text`` atomically; a reader sees the old file or the new one, never a part.

    Raises:
        UserError: the disk is full, or no file can be written there.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        aside = Path(name)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            aside.replace(path)
        finally:
            aside.unlink(missing_ok=True)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Whatever keeps ``path`` from being written is said as what a person can do something about."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise UserError(
            "Could not write {path}: {why}.",
            "Free some disk space and try again." if full else "Choose another place.",
            path=path,
            why=error.strerror,
        ) from error


def write_json(path: Path, value: Any) -> None:
    """Replace ``path`` by ``value`` as indented JSON, atomically."""
    write_text(path, json.dumps(value, ensure_ascii=False, indent=1) + "\n")


def read_json(path: Path, default: Any = None) -> Any:
    """The JSON value in ``path``, or ``default`` where there is no such file or it is not JSON."""
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return default


def append_jsonl(path: Path, row: dict[str, Any]) -> None:
    """Append one row; a single write of one line, so a reader never sees two rows mixed.

    Half a line that a killed writer left behind is dropped first.
    """
    with path.open("a+b") as file:
        _drop_half_line(file)
        file.write(json.dumps(row, ensure_ascii=False).encode() + b"\n")


def _drop_half_line(file: BinaryIO) -> None:
    end = file.seek(0, os.SEEK_END)
    file.seek(max(0, end - 1))
    if file.read() not in (b"", b"\n"):
        file.seek(0)
        file.truncate(file.read().rfind(b"\n") + 1)


def read_jsonl(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of an append-only file; a last line still being written is left out."""
    if not path.exists():
        return
    with path.open("rb") as file:  # bytes: the half line may end inside a character
        for line in file:
            if line.endswith(b"\n"):
                yield json.loads(line)


class Growing:
    """An append-only file of JSON lines, read on from where the last look ended.

    It only grows, but for two cases: it is replaced by another file, or half a line of a killed writer is dropped
    (which was never read as a row).
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file, self._read = 0, 0

    def look(self) -> tuple[bool, list[dict[str, Any]]]:
        """Whether all rows seen before are void, since the file is another one or gone; and the rows that are new."""
        try:
            about = self._path.stat()
        except OSError:
            self._file, self._read = 0, 0
            return True, []
        void = about.st_ino != self._file or about.st_size < self._read
        if void:
            self._file, self._read = about.st_ino, 0
        if about.st_size == self._read:
            return void, []
        with self._path.open("rb") as file:
            file.seek(self._read)
            new = file.read()
        whole = new[: new.rfind(b"\n") + 1]
        self._read += len(whole)
        # One call for all new lines: a first look at 100,000 points takes a third of the time of as many calls.
        return void, json.loads(b"[" + whole.rstrip().replace(b"\n", b",") + b"]")


def tail(path: Path, lines: int = 20, limit: int = 64_000) -> str:
    """The last ``lines`` lines of a log, reading at most ``limit`` bytes of it; empty when it is not there."""
    try:
        with path.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - limit))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return ""
    # A progress bar rewrites its line with carriage returns: only what was left standing counts.
    shown = [line.rsplit("\r", 1)[-1] for line in text.rstrip().split("\n")]
    return "\n".join(shown[-lines:])


def new_id(label: str = "") -> str:
    """A sortable identifier that is safe as a folder name: time, a few letters of ``label``, four random digits."""
    slug = re.sub(r"[^a-z0-9]+", "-", label.lower()).strip("-")[:32].strip("-")
    return "-".join(part for part in (time.strftime("%Y%m%d-%H%M%S"), slug, secrets.token_hex(2)) if part)


def inside(root: Path, name: str) -> Path:
    """``root / name`` when that is an existing folder directly inside ``root``.

    Raises:
        UserError: for any other name, so that no identifier from outside can point elsewhere.
    """
    path = root / name
    if name in ("", "..") or name != Path(name).name or not path.is_dir():
        raise UserError("There is no “{name}” here.", "Look at the list for the names that exist.", name=name)
    return path


def require_space(title: str, needed: float, folder: Path) -> None:
    """Whether a model or data set fits on the disk, told before anything is fetched.

    Args:
        needed: bytes it still takes, what is there only for a while included.

    Raises:
        UserError: less is free.
    """
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise UserError(
            "{title} needs {needed} GB more of disk, and {free} GB are free in {folder}.",
            "Free some space, or set YUAN_DATA_DIR to a larger disk.",
            title=title,
            needed=f"{needed / 1e9:.1f}",
            free=f"{free / 1e9:.1f}",
            folder=folder,
        )
