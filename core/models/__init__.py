"""What can be loaded: the catalog of model cards, where each comes from, and loading."""

from collections.abc import Callable

Progress = Callable[[str, float], None]
"""Called with what is being done ("download", "convert", "load", …) and how far it is, 0 to 1."""


def silence() -> None:
    """Keep transformers' own progress bars and load reports out of terminals and logs: ours says what matters."""
    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()
