"""A model from a hub into a folder: list, choose, receive and go on where it stopped, verify.

The folder holds ``plan.json`` (what is wanted), ``incoming/`` (on its way, in the hub client's hands) and ``files/``
(whole and verified; a file is moved there last). How far a download is can so be read from the disk at any time, and
is true after a kill, too.
"""

import errno
import hashlib
import logging
import re
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath

from core import files
from core.errors import UserError
from core.models import Progress
from core.models.cards import Source
from core.models.clients import CLIENTS, Client, RemoteFile, partial
from core.settings import settings

PATIENCE = 4  # attempts in a row that bring not one byte
FETCHES = 2  # of one file that arrives wrong
Choice = Callable[[list[RemoteFile]], list[RemoteFile]]
_ROOM = 100_000_000  # bytes of disk to leave free

# Code that came with a model is never run here, so it is not fetched; nor are the other frameworks' weights, pictures,
# and training's leftovers.
_UNWANTED_FOLDERS = {"onnx", "openvino", "coreml", "tensorrt", "runs", "original", "assets", "images", "figures"}
_UNWANTED = [
    *("*.py", "*.pyc", "*.ipynb", "*.sh", "*.md", "*.pdf"),
    *("*.png", "*.jpg", "*.jpeg", "*.gif", "*.svg", "*.webp", "*.bmp", "*.ico", "*.mp3", "*.mp4", "*.wav"),
    *("*.onnx", "*.onnx_data", "*.h5", "*.ot", "*.msgpack", "*.tflite", "*.mlmodel", "*.gguf", "*.ggml", "*.npz"),
    *("*.pt", "*.pth", "*.ckpt", "*.zip", "*.tar.gz", "consolidated*", "flax_model*", "tf_model*"),
    *("*.fp16.*", "*.fp32.*", "*.bf16.*", "optimizer*", "scheduler.*", "training_args.*", "rng_state*"),
]
_WANTED = ("readme.md",)


@dataclass(frozen=True)
class FileProgress:
    """One file of a download: bytes it has, bytes that are here."""

    name: str
    size: int
    done: int


def fetch(source: Source, folder: Path, progress: Progress, choose: Choice | None = None) -> Path:
    """Download a model or data set, going on where an earlier try stopped.

    Args:
        folder: this source's own; kept between tries.
        progress: told ``list``, ``download`` and ``verify``.
        choose: which of the listed files to fetch; None: those a model is loaded from.

    Returns:
        The folder with the files, each of the size (and checksum, where the hub gives one) it should have.

    Raises:
        UserError: offline, out of reach, no such model, no access, disk full, or a file that arrives wrong twice.
    """
    progress("list", 0.0)
    incoming, here = folder / "incoming", folder / "files"
    here.mkdir(parents=True, exist_ok=True)
    client = CLIENTS[source.kind](source, folder / "client")
    try:
        listed = client.files()
    except Exception as error:
        raise _explain(client, source, error) from error
    plan = choose(listed) if choose else wanted(listed)
    if not choose and not any(_is_weights(file.path) for file in plan):
        raise UserError(
            "{model} on {hub} has no weights in a format this app reads.",
            "Choose a model that has .safetensors or pytorch_model.bin files.",
            model=source.id,
            hub=client.title,
        )
    files.write_json(folder / "plan.json", {"files": [asdict(file) for file in plan]})
    files.require_space(source.id, _needed(folder, plan), folder)
    total = sum(file.size for file in plan) or 1
    progress("download", sum(entry.done for entry in report(folder)) / total)
    for file in plan:
        if _size(here / file.path) != file.size:
            _fetch_file(client, source, file, incoming, progress)
            (here / file.path).parent.mkdir(parents=True, exist_ok=True)
            (incoming / file.path).replace(here / file.path)
        progress("download", sum(entry.done for entry in report(folder)) / total)
    return here


def wanted(listed: list[RemoteFile]) -> list[RemoteFile]:
    """The files worth fetching, small ones first: no code, pictures or other frameworks' weights, no weights twice."""
    kept = [file for file in listed if _is_wanted(PurePosixPath(file.path))]
    safe = {PurePosixPath(file.path).parent for file in kept if file.path.endswith(".safetensors")}
    kept = [file for file in kept if PurePosixPath(file.path).parent not in safe or ".bin" not in file.path]
    return sorted(kept, key=lambda file: (file.size, file.path))


def is_inside(path: PurePosixPath) -> bool:
    """Whether a path that a hub names stays inside the folder it is to lie in, and is not hidden there."""
    outside = path.is_absolute() or ".." in path.parts or "\\" in str(path)
    return not outside and not any(part.startswith(".") for part in path.parts)


def _is_wanted(path: PurePosixPath) -> bool:
    if not is_inside(path):
        return False
    name = path.name.lower()
    if name in _WANTED:
        return len(path.parts) == 1
    if any(part.lower() in _UNWANTED_FOLDERS for part in path.parts[:-1]):
        return False
    if name.endswith(".bin") and not name.startswith("pytorch_model"):
        return False
    return not any(fnmatch(name, pattern) for pattern in _UNWANTED)


def _is_weights(path: str) -> bool:
    return path.endswith((".safetensors", ".bin"))


def report(folder: Path) -> list[FileProgress]:
    """How far each wanted file is, read from the disk; empty before the hub's list is here."""
    plan = files.read_json(folder / "plan.json", {"files": []})
    found = []
    for entry in plan["files"]:
        file = RemoteFile(**entry)
        places = (folder / "files" / file.path, folder / "incoming" / file.path, partial(folder / "incoming", file))
        found.append(FileProgress(file.path, file.size, min(file.size, max(0, *map(_size, places)))))
    return found


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1


def _needed(folder: Path, plan: list[RemoteFile]) -> int:
    """Bytes of disk: what is not here yet, pickles a second time while they are converted, and some air."""
    missing = sum(entry.size - entry.done for entry in report(folder))
    return missing + sum(file.size for file in plan if file.path.endswith(".bin")) + _ROOM


def _fetch_file(client: Client, source: Source, file: RemoteFile, incoming: Path, progress: Progress) -> None:
    """Receive a file and verify it; a wrong one is fetched once more."""
    target = incoming / file.path
    for _ in range(FETCHES):
        whole = _receive(client, source, file, incoming)
        progress("verify", 0.0)
        if whole and _size(target) == file.size and (not file.sha256 or _sha256(target) == file.sha256):
            return
        logging.getLogger("yuan").warning("%s arrived wrong", file.path)
        target.unlink(missing_ok=True)
        partial(incoming, file).unlink(missing_ok=True)
        progress("download", 0.0)
    raise UserError(
        "The file {file} of {model} does not have the size or checksum that {hub} names, twice in a row.",
        "Try again later, or from another source or mirror.",
        file=file.path,
        model=source.id,
        hub=client.title,
    )


def _receive(client: Client, source: Source, file: RemoteFile, incoming: Path) -> bool:
    """Ask for a file until all of it is here; each broken connection goes on where it ended.

    Returns:
        Whether the client found nothing wrong with it.
    """
    target, part = incoming / file.path, partial(incoming, file)
    target.parent.mkdir(parents=True, exist_ok=True)
    in_vain = 0
    while _size(target) != file.size:
        if _size(part) > file.size:
            part.unlink()
        before = _size(part)
        try:
            client.receive(file, incoming)
        except Exception as error:
            if client.damaged(error):
                return False
            in_vain = 0 if _size(part) > before else in_vain + 1
            if not client.passing(error) or in_vain >= PATIENCE:
                raise _explain(client, source, error) from error
            logging.getLogger("yuan").warning("%s: %s; going on", file.path, type(error).__name__)
            time.sleep(2**in_vain - 1)
    return True


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _explain(client: Client, source: Source, error: Exception) -> UserError:
    """What a client raised, in words; nothing secret is in them."""
    if isinstance(error, UserError):
        return error
    about = {"model": source.id, "hub": client.title}
    status = client.status(error)
    if status == 404 and source.repository == "dataset":
        return UserError(
            "There is no data set {model} on {hub}, or not in the revision {revision}.",
            "Check its name: OWNER/NAME, as on its page there.",
            revision=source.revision or "–",
            **about,
        )
    if status == 404:
        return UserError(
            "There is no model {model} on {hub}, or not in the revision {revision}.",
            "Check the name and revision in the card.",
            revision=source.revision or "–",
            **about,
        )
    if status in (401, 403):
        return UserError(
            "{hub} does not let us have {model}: it does not exist, or it is open only to those with access.",
            "Check its name; ask for access on its page there, and set YUAN_{prefix}_TOKEN to your token.",
            prefix=client.prefix,
            **about,
        )
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return UserError("The disk is full.", "Free some space and start again.")
    why = _without_secrets(f"{type(error).__name__}: {error}".splitlines()[0])[:200]
    if client.passing(error):
        return UserError(
            "{hub} cannot be reached, or broke off while {model} was fetched: {why}",
            "Check the network (proxy), or name a mirror in YUAN_{prefix}_ENDPOINT, and start again: "
            "what is here already is not fetched again.",
            prefix=client.prefix,
            why=why,
            **about,
        )
    logging.getLogger("yuan").error("%s", _without_secrets("".join(traceback.format_exception(error))))
    return UserError("{model} could not be downloaded from {hub}: {why}", "The log has the details.", why=why, **about)


def _without_secrets(text: str) -> str:
    text = re.sub(r"\?\S+", "?…", text)  # an address may end in a signature that opens the file to anyone
    for secret in (settings().hf_token, settings().modelscope_token):
        if secret.get_secret_value():
            text = text.replace(secret.get_secret_value(), "***")
    return text
