"""What the scripts of several data sets share: slots filled with words, words dealt evenly, rows written.

A text with slots is read like this (the notation of rag-qa-zh's frames):

    {kind:x}        a new word of that kind (a list of the lexicon, or a generator below), called x from here on; words
                    of a list may hold slots themselves: person = "{given} {family}"
    {x}             the word called x; {kind} a word without a name
    {x=one|two}     one of these wordings, called x; {=one|two} without a name; slots may stand inside slots
    {num 5-90/5:n}  a number of that range, here in steps of 5; {year 1950-2000:y}, {year>y} some years after it
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

SLOT = re.compile(r"\{([^{}]*)\}")
KIND = re.compile(r"(\w+?)(?:([ >])(.*))?")
AN = re.compile(r"(?!uni|use|eu|one)[aeiou]|8|11\b|18\b", re.IGNORECASE)
SPLITS = ("train", "test")


def lexicon(words: Mapping[str, str]) -> dict[str, list[str]]:
    """Lists of words from texts in which a comma and a space, or a new line, stand between them."""
    return {kind: [word.strip() for word in re.split(r", |\n", text) if word.strip()] for kind, text in words.items()}


class Words:
    """The words drawn for one row; no two named ones are equal, so that an answer has one place."""

    def __init__(self, rng: Random, lists: Mapping[str, Sequence[str]]):
        self.rng = rng
        self.lists = lists
        self.values: dict[str, str] = {}
        self.generators: dict[str, Callable[[str], str]] = {"num": self.number, "year": self.year}

    def fill(self, text: str) -> str:
        """The text with every slot filled, the inner ones first, from left to right."""
        while slot := SLOT.search(text):
            before, value = text[: slot.start()], self.expand(slot[1])
            if re.search(r"\b[Aa] $", before) and AN.match(value):
                before = before[:-1] + "n "
            text = before + value + text[slot.end() :]
        return text

    def expand(self, slot: str) -> str:
        """The words for what stands between the braces."""
        if slot in self.values:
            return self.values[slot]
        if "=" in slot:
            name, options = slot.split("=", 1)
            value = self.rng.choice(options.split("|"))
        else:
            kind, _, name = slot.partition(":")
            value = self.draw(kind, name)
            for _ in range(50):
                if not any(self.alike(value, used) for used in self.values.values()):
                    break
                value = self.draw(kind, name)
        if name in self.values:
            raise ValueError(f"two words are called {name}")
        if name:
            self.values[name] = value
        return value

    @staticmethod
    def alike(one: str, other: str) -> bool:
        """Whether one word is part of the other."""
        return one in other or other in one

    def draw(self, kind: str, name: str = "") -> str:
        """A word of the kind, which will be called ``name``."""
        found = KIND.fullmatch(kind)
        if found is None or (found[1] not in self.generators and found[1] not in self.lists):
            raise ValueError(f"there is no kind of word “{kind}”")
        if found[1] in self.generators:
            return self.generators[found[1]]((found[2] or "").strip() + (found[3] or ""))
        return self.fill(self.rng.choice(self.lists[found[1]]))

    def number(self, argument: str) -> str:
        """A number of the range, in digits."""
        bounds, _, step = argument.partition("/")
        low, high = (int(x) for x in bounds.split("-"))
        return str(self.rng.randrange(low, high + 1, int(step or 1)))

    def year(self, argument: str) -> str:
        """A year of the range, or one to twelve years after a year drawn before."""
        if argument.startswith(">"):
            return str(int(self.values[argument[1:]]) + self.rng.randint(1, 12))
        return self.number(argument or "1890-2015")


class Deck:
    """Deals its items in random order, all of them before any comes again."""

    def __init__(self, rng: Random, items: Sequence[Any]):
        self.rng = rng
        self.items = list(items)
        self.left: list[Any] = []

    def deal(self) -> Any:
        """The next item."""
        if not self.left:
            self.left = self.rng.sample(self.items, len(self.items))
        return self.left.pop()


def held_out(items: Iterable[str]) -> dict[str, list[str]]:
    """Items by split: those marked "!" are for the test, the others for training."""
    by_split: dict[str, list[str]] = {split: [] for split in SPLITS}
    for item in items:
        by_split["test" if item.startswith("!") else "train"].append(item.removeprefix("!").strip())
    return by_split


def write(folder: Path, splits: Iterable[Sequence[Mapping[str, Any]]]) -> None:
    """train.jsonl and test.jsonl of a folder."""
    for name, rows in zip(SPLITS, splits, strict=True):
        lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (folder / f"{name}.jsonl").write_text("".join(lines), encoding="utf-8")
