"""What can be loaded: the catalog of model cards, where each comes from, and loading."""

import logging
import os
import threading
import warnings
from collections.abc import Callable

# transformers fills its namespace as names are first asked for, which two threads at once break now and then: whoever
# may run beside another thread imports from it, or from what builds on it, while holding this.
IMPORTING = threading.RLock()

Progress = Callable[[str, float], None]
"""Called with what is being done ("download", "convert", "load", …) and how far it is, 0 to 1."""


def silence() -> None:
    """Keep transformers' own progress bars and load reports out of terminals and logs: ours says what matters."""
    # For bars that ask nobody; it is read when tqdm is first imported, which is now unless somebody was earlier.
    os.environ.setdefault("TQDM_DISABLE", "1")
    warnings.filterwarnings("ignore", category=FutureWarning, module="(transformers|peft)\\.")
    # bitsandbytes asks on import for an optional package that would fetch code from a hub.
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()
    transformers_logging.set_verbosity_error()
