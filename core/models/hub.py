"""Models from a model hub, through the hub's own client."""

import logging
from pathlib import Path

from core.errors import UserError
from core.models import Progress
from core.models.cards import Source

# Code that came with a model is never run here, so it is not fetched either.
UNWANTED = ["*.py", "*.pyc", "*.md", "*.png", "*.jpg"]


def fetch(source: Source, folder: Path, progress: Progress) -> None:
    """Download a model from ModelScope into ``folder``.

    Raises:
        UserError: when the hub cannot be reached or has no such model.
    """
    from modelscope import snapshot_download

    progress("download", 0.0)
    try:
        snapshot_download(source.id, local_dir=str(folder), ignore_patterns=UNWANTED)
    except Exception as error:  # the client raises whatever its HTTP stack raises
        logging.getLogger("yuan").exception("Downloading %s failed", source.id)
        raise UserError(
            "{model} could not be downloaded from ModelScope: {why}",
            "Check the network (proxy, mirror) and try again.",
            model=source.id,
            why=f"{type(error).__name__}: {error}"[:200],
        ) from error
    progress("download", 1.0)
