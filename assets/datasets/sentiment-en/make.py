"""Write train.jsonl and test.jsonl: a review -> negative or positive.

Run ``python make.py``. Seeded, standard library only: the same files, byte for byte, every time. Clauses and patterns
are in opinions.toml; opinions.py, beside the data sets, tells how they are put together.
"""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

import opinions  # noqa: E402 (lies beside the data sets, found wherever the script is started from)
from slots import write  # noqa: E402


def build(seed: int = 2024, train: int = 600, test: int = 150) -> tuple[list[dict], list[dict]]:
    """The rows of train and of test."""
    return opinions.build(HERE, seed, train, test)


if __name__ == "__main__":
    write(HERE, build())
