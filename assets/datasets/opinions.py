"""Reviews with a label, from clauses and patterns: the machinery of sentiment-en and sentiment-zh.

Reads opinions.toml of a data set. ``[domain.NAME]`` holds clauses, one a line: good, bad and neutral ones, and what the
thing is called. ``[patterns]`` holds how a review is put together, ``plain`` and ``hard`` (negation, contrast, irony),
one a line, "+" or "-" telling its label: {good} and {bad} are clauses of the domain, {Good} and {Bad} the same with a
capital letter, {neutral} one that judges nothing, {thing} the name. What is marked "!" is only seen in the test.
"""

import re
import tomllib
from pathlib import Path
from random import Random

from slots import SPLITS, Deck, held_out

LABELS = ("negative", "positive")
HARD = 0.15  # share of reviews whose words alone mislead
SLOT = re.compile(r"\{(\w+)\}")


class Reviewer:
    """Writes the reviews of one split, using every pattern and clause about equally often."""

    def __init__(self, rng: Random, opinions: dict, split: str):
        self.rng = rng
        self.domains = list(opinions["domain"])
        self.clauses = {
            (domain, kind): Deck(rng, held_out(clauses.splitlines())[split])
            for domain, kinds in opinions["domain"].items()
            for kind, clauses in kinds.items()
        }
        self.patterns = {}
        for kind, patterns in opinions["patterns"].items():
            known = held_out(patterns.splitlines())[split]
            for label, sign in zip(LABELS, "-+", strict=True):
                self.patterns[kind, label] = Deck(rng, [p[1:].strip() for p in known if p.startswith(sign)])

    def write(self, domain: str, label: str, hard: bool) -> str:
        """One review."""
        pattern = self.patterns["hard" if hard else "plain", label].deal()

        def clause(slot: re.Match[str]) -> str:
            text = self.clauses[domain, slot[1].lower()].deal()
            return text[0].upper() + text[1:] if slot[1][0].isupper() else text

        return SLOT.sub(clause, pattern)

    def rows(self, size: int) -> list[dict[str, str]]:
        """So many reviews, none twice: labels balanced in every domain, and among the hard ones."""
        rows: list[dict[str, str]] = []
        hard = set(range(round(size * HARD / 2)))
        for i in range(size):
            label, domain = LABELS[i % 2], self.domains[i // 2 % len(self.domains)]
            text = self.write(domain, label, i // 2 in hard)
            while any(text == row["text"] for row in rows):
                text = self.write(domain, label, i // 2 in hard)
            rows.append({"text": text, "label": label})
        self.rng.shuffle(rows)
        return rows


def build(folder: Path, seed: int, train: int, test: int) -> tuple[list[dict], list[dict]]:
    """The rows of train and of test; no pattern and no clause is in both."""
    opinions = tomllib.loads((folder / "opinions.toml").read_text(encoding="utf-8"))
    learnt, unseen = (Reviewer(Random(seed + i), opinions, split) for i, split in enumerate(SPLITS))
    return learnt.rows(train), unseen.rows(test)
