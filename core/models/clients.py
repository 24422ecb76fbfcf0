"""The two hubs' own clients behind one face: list the files of a model or data set, receive one of them.

Tokens and addresses come from our settings alone: a login kept by another program is neither read nor sent.
"""

import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from core.models.cards import Source
from core.settings import settings

# The clients read these when they are imported. ModelScope's would give up on a file after an hour however well it
# comes along; and retrying is ours, so that both hubs behave alike.
_LIMITS = {
    "TQDM_DISABLE": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "MODELSCOPE_LOG_LEVEL": "ERROR",  # it would write its attempts onto the terminal; what came of them, we say
    "MODELSCOPE_DOWNLOAD_TOTAL_TIMEOUT": str(7 * 24 * 3600),
    "MODELSCOPE_DOWNLOAD_MAX_RETRIES": "0",
    "MODELSCOPE_REPO_TREE_PAGE_MAX_ATTEMPTS": "2",
}
_CHUNK = 256 * 1024  # bytes that may be lost when the process is killed


@dataclass(frozen=True)
class RemoteFile:
    """A file on a hub: its path inside the model, bytes, and SHA-256 (empty where the hub does not say)."""

    path: str
    size: int
    sha256: str = ""


class Client(Protocol):
    """What :mod:`core.models.hub` needs of a hub."""

    title: str
    prefix: str
    """Its settings are called ``YUAN_<prefix>_ENDPOINT`` and ``YUAN_<prefix>_TOKEN``."""

    def __init__(self, source: Source, scratch: Path) -> None: ...

    def files(self) -> list[RemoteFile]:
        """Every file of the model, from one request or a few."""

    def receive(self, file: RemoteFile, folder: Path) -> None:
        """Bring ``folder / file.path`` about, going on from ``….incomplete`` beside it where that is there."""

    def status(self, error: Exception) -> int:
        """The HTTP status an error stands for; 0: none."""

    def passing(self, error: Exception) -> bool:
        """Whether the same request may well succeed a moment later."""

    def damaged(self, error: Exception) -> bool:
        """Whether the client itself found that what it received is wrong."""


def partial(folder: Path, file: RemoteFile) -> Path:
    """Where both clients keep what they have received so far."""
    return folder / f"{file.path}.incomplete"


class ModelScope:
    """ModelScope through ``modelscope_hub``, the client that the package ``modelscope`` hands its downloads to."""

    title, prefix = "ModelScope", "MODELSCOPE"

    def __init__(self, source: Source, scratch: Path) -> None:
        for name, value in _LIMITS.items():
            os.environ.setdefault(name, value)
        from modelscope_hub import HubApi, HubConfig, _download

        # It would fetch a file with a wrong checksum three times; how often is decided in one place, by us.
        _download.DOWNLOAD_HASH_RETRY_TIMES = 1
        config = HubConfig(
            endpoint=settings().modelscope_endpoint or None,
            token=settings().modelscope_token.get_secret_value(),
            cache_dir=scratch,
            config_dir=scratch,
        )
        self.id, self.type, self.revision = source.id, source.repository, source.revision or "master"
        self.api = HubApi(config)

    def files(self) -> list[RemoteFile]:
        listed = self.api.list_repo_files(self.id, self.type, revision=self.revision)
        return [RemoteFile(entry.path, entry.size, entry.sha256 or "") for entry in listed if not entry.is_dir]

    def receive(self, file: RemoteFile, folder: Path) -> None:
        self.api.download_file(
            self.id, self.type, file.path, revision=self.revision, local_dir=folder, file_size=file.size
        )

    def status(self, error: Exception) -> int:
        from modelscope_hub import AuthenticationError, NotExistError, PermissionDeniedError

        # By class first: the hub tells some of these by a code of its own under another HTTP status.
        for kind, status in ((NotExistError, 404), (AuthenticationError, 401), (PermissionDeniedError, 403)):
            if isinstance(error, kind):
                return status
        return getattr(error, "status_code", None) or 0

    def passing(self, error: Exception) -> bool:
        from modelscope_hub import HubError

        return isinstance(error, HubError) and error.retryable and not self.damaged(error)

    def damaged(self, error: Exception) -> bool:
        from modelscope_hub import FileIntegrityError

        return isinstance(error, FileIntegrityError)


class HuggingFace:
    """Hugging Face through ``huggingface_hub``.

    Its ``hf_hub_download`` starts a file anew after a kill (2.x names its partial file at random and deletes it), and
    its xet transfers know no ranges; ``http_get`` below both goes on where a file ends.
    """

    title, prefix = "Hugging Face", "HF"

    def __init__(self, source: Source, scratch: Path) -> None:
        for name, value in _LIMITS.items():
            os.environ.setdefault(name, value)
        from huggingface_hub import HfApi, constants

        # It would write every address into the log, and those of the files carry a signature.
        logging.getLogger("httpx2").setLevel(logging.WARNING)
        constants.DOWNLOAD_CHUNK_SIZE = _CHUNK  # 10 MB otherwise, which on a slow line is a long time without news
        self.id, self.type, self.revision = source.id, source.repository, source.revision or "main"
        self.endpoint = settings().hf_endpoint.rstrip("/") or None
        self.token: str | bool = settings().hf_token.get_secret_value() or False
        self.api = HfApi(endpoint=self.endpoint, token=self.token)

    def files(self) -> list[RemoteFile]:
        from huggingface_hub.hf_api import RepoFile

        # From here on the commit is meant, so that a branch that moves meanwhile gives no mixture.
        about = self.api.repo_info(self.id, repo_type=self.type, revision=self.revision, timeout=20)
        self.revision = about.sha or self.revision
        listed = self.api.list_repo_tree(self.id, repo_type=self.type, revision=self.revision, recursive=True)
        found = [entry for entry in listed if isinstance(entry, RepoFile)]
        return [RemoteFile(entry.path, entry.size, entry.lfs.sha256 if entry.lfs else "") for entry in found]

    def receive(self, file: RemoteFile, folder: Path) -> None:
        from huggingface_hub import hf_hub_url
        from huggingface_hub.file_download import http_get
        from huggingface_hub.utils import build_hf_headers

        url = hf_hub_url(self.id, file.path, repo_type=self.type, revision=self.revision, endpoint=self.endpoint)
        # Compressed on the way, a file could not be gone on with.
        headers = {**build_hf_headers(token=self.token), "Accept-Encoding": "identity"}
        with partial(folder, file).open("ab") as out:
            http_get(url, out, resume_size=out.tell(), headers=headers, expected_size=file.size)
        partial(folder, file).rename(folder / file.path)

    def status(self, error: Exception) -> int:
        response: Any = getattr(error, "response", None)
        return response.status_code if response is not None else 0

    def passing(self, error: Exception) -> bool:
        import httpx2

        # A bare OSError without a number is http_get's word for a body of the wrong length.
        short = type(error) is OSError and error.errno is None
        return short or isinstance(error, httpx2.TransportError) or self.status(error) in (408, 429, 500, 502, 503, 504)

    def damaged(self, error: Exception) -> bool:
        return False


CLIENTS: dict[str, type[Client]] = {"modelscope": ModelScope, "huggingface": HuggingFace}
