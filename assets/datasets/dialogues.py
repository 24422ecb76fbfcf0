"""Dialogues with summaries, from scenes: the machinery of dialogue-summary and dialogue-summary-zh.

A scene of scenes.toml is a text of lines, with slots as in slots.py:

    A: …    what the first speaker says; B: … the second
    + A: …  the same, now and then left out, together with the other "+" lines next to it
    = …     a wording of the summary, in which {A} and {B} are the speakers

Speakers are called #Person1# and #Person2#, or by names of the lexicon. Scenes with ``split = "test"`` are seen in the
test only.
"""

import re
import tomllib
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from random import Random
from typing import Any

from slots import SPLITS, Words, lexicon

NAMED = 0.4  # share of dialogues whose speakers have names
OPTIONAL = 0.5  # how often lines that may be left out are kept
TAGS = ("#Person1#", "#Person2#")
LINE = re.compile(r"(\+ )?([AB]): (.+)")


def tell(rng: Random, scene: Mapping[str, Any], lists: Mapping[str, Sequence[str]], colon: str) -> dict[str, str]:
    """One dialogue of the scene, and its summary; ``colon`` stands after a speaker's name."""
    words = Words(rng, lists)
    if rng.random() < NAMED:
        speakers = [words.fill(f"{{given:{who}}}") + colon for who in "AB"]
    else:
        words.values.update(zip("AB", TAGS, strict=True))
        speakers = [f"{tag}: " for tag in TAGS]
    lines = scene["text"].strip().splitlines()
    said = []
    for optional, block in groupby((line for line in lines if not line.startswith("=")), lambda x: x[0] == "+"):
        filled = [words.fill(line) for line in block]  # also when left out, for what is said later may name it
        if not optional or rng.random() < OPTIONAL:
            said += filled
    spoken = []
    for line in said:
        _, who, text = LINE.fullmatch(line).groups()  # type: ignore[union-attr]
        spoken.append(speakers["AB".index(who)] + text)
    summary = rng.choice([line[1:].strip() for line in lines if line.startswith("=")])
    return {"dialogue": "\n".join(spoken), "summary": words.fill(summary)}


def build(folder: Path, seed: int, sizes: tuple[int, int], colon: str) -> tuple[list[dict], list[dict]]:
    """The rows of train and of test, the scenes taking turns; no scene is in both, and no row comes twice."""
    lists = lexicon(tomllib.loads((folder / "lexicon.toml").read_text(encoding="utf-8")))
    scenes = tomllib.loads((folder / "scenes.toml").read_text(encoding="utf-8"))["scene"]
    splits: list[list[dict]] = []
    for i, (split, size) in enumerate(zip(SPLITS, sizes, strict=True)):
        rng = Random(seed + i)
        mine = [scene for scene in scenes if scene.get("split", "train") == split]
        rows: list[dict] = []
        while len(rows) < size:
            row = tell(rng, mine[len(rows) % len(mine)], lists, colon)
            if row not in rows:
                rows.append(row)
        rng.shuffle(rows)
        splits.append(rows)
    return splits[0], splits[1]
