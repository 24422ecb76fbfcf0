"""Write train.jsonl and test.jsonl: an English dialogue -> a summary of one or two sentences.

Run ``python make.py``. Seeded, standard library only: the same files, byte for byte, every time. Who says what is in
scenes.toml, the words are in lexicon.toml; dialogues.py and slots.py, beside the data sets, tell how they are read.
"""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

import dialogues  # noqa: E402 (lies beside the data sets, found wherever the script is started from)
from slots import write  # noqa: E402


def build(seed: int = 2024, train: int = 400, test: int = 80) -> tuple[list[dict], list[dict]]:
    """The rows of train and of test."""
    return dialogues.build(HERE, seed, (train, test), colon=": ")


if __name__ == "__main__":
    write(HERE, build())
