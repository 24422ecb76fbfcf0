"""Write train.jsonl and test.jsonl: an English passage, a question on it -> a span or sentence of it, or a refusal.

Run ``python make.py``. Seeded, standard library only: the same files, byte for byte, every time. What is said and
asked is in frames/*.toml, the words are in lexicon.toml; passages.py and slots.py, beside the data sets, tell how they
are read.
"""

import sys
import tomllib
from pathlib import Path
from random import Random

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from passages import Writer, read_frames  # noqa: E402 (lies beside the data sets, found wherever this is started from)
from slots import Words, lexicon, write  # noqa: E402

REFUSAL = "The passage does not say."


def build(seed: int = 2024, train: int = 800, test: int = 120) -> tuple[list[dict], list[dict]]:
    """The rows of train and of test; no frame is in both."""
    lists = lexicon(tomllib.loads((HERE / "lexicon.toml").read_text(encoding="utf-8")))
    writer = Writer(lambda rng: Words(rng, lists), REFUSAL, between=" ", lengths=(110, 460, 240))
    frames = read_frames(HERE / "frames")
    learnt, unseen = ([f for f in frames if f.test == test_only] for test_only in (False, True))
    return writer.rows(Random(seed), learnt, train), writer.rows(Random(seed + 1), unseen, test)


if __name__ == "__main__":
    write(HERE, build())
