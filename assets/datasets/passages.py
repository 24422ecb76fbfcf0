"""Passages with questions on them, from frames: the machinery of the rag-qa sets.

What is said and asked is in frames/*.toml of a data set, one file per domain. A frame's text is read like this, slots
as in slots.py:

    a line              one sentence of the passage; the first one introduces the subject, named {a}
    ? Q1|Q2 => answer   phrasings of one question on the sentence above, and its answer: a span of it, or * for all

Frames with ``split = "test"`` are seen in the test only, so its figure is about sentences never trained on.
"""

import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

UNANSWERABLE = 0.11  # share of rows whose passage does not say
OTHER_SUBJECT = 0.2  # share of those that ask about somebody else, rather than about a sentence left out
DISTRACTED = 0.3  # share of passages that also speak of another subject
PER_PASSAGE = (1, 1, 2, 2, 3)  # how many questions a passage gets, 1.8 on average


@dataclass(frozen=True)
class Question:
    """One thing that is asked: its phrasings and its answer, still with slots."""

    phrasings: tuple[str, ...]
    answer: str


@dataclass(frozen=True)
class Frame:
    """Sentences on one subject, still with slots, each with its questions."""

    domain: str
    name: str
    test: bool
    shuffle: bool
    sentences: tuple[tuple[str, tuple[Question, ...]], ...]


@dataclass(frozen=True)
class Filled:
    """A frame about one invented subject: its sentences and what is asked on each."""

    frame: Frame
    subject: str
    sentences: tuple[str, ...]
    asked: tuple[tuple[int, tuple[str, ...], str], ...]  # sentence, phrasings, answer


def read_frames(folder: Path) -> list[Frame]:
    """Every frame of a folder's TOML files, in order of file and place."""
    frames = []
    for path in sorted(folder.glob("*.toml")):
        for entry in tomllib.loads(path.read_text(encoding="utf-8"))["frame"]:
            sentences: list[tuple[str, list[Question]]] = []
            for line in entry["text"].strip().splitlines():
                if line.startswith("?"):
                    phrasings, answer = line[1:].split("=>")
                    question = Question(tuple(p.strip() for p in phrasings.split("|")), answer.strip())
                    sentences[-1][1].append(question)
                else:
                    sentences.append((line.strip(), []))
            frames.append(
                Frame(
                    domain=path.stem,
                    name=entry["name"],
                    test=entry.get("split") == "test",
                    shuffle=entry.get("shuffle", False),
                    sentences=tuple((text, tuple(questions)) for text, questions in sentences),
                )
            )
    return frames


@dataclass(frozen=True)
class Writer:
    """Makes rows of frames in one language."""

    words: Callable[[Random], Any]
    """Words to fill slots with: ``fill(text)`` and ``values``, as slots.Words."""
    refusal: str
    """The answer when the passage does not say."""
    between: str
    """What stands between two sentences."""
    lengths: tuple[int, int, int]
    """Characters of a passage before a distractor: least, most, mode."""

    def fill(self, rng: Random, frame: Frame) -> Filled:
        """The frame with words in its slots."""
        words = self.words(rng)
        sentences = tuple(words.fill(text) for text, _ in frame.sentences)
        asked = []
        for i, (_, questions) in enumerate(frame.sentences):
            for question in questions:
                answer = sentences[i] if question.answer == "*" else words.fill(question.answer)
                if answer not in sentences[i]:
                    raise ValueError(f"{frame.name}: {answer!r} is not in {sentences[i]!r}")
                asked.append((i, tuple(words.fill(p) for p in question.phrasings), answer))
        return Filled(frame, words.values["a"], sentences, tuple(asked))

    def choose(self, rng: Random, filled: Filled) -> list[int]:
        """The sentences a passage keeps, in its order: the first, then others until it is long enough."""
        least, most, mode = self.lengths
        target = rng.triangular(least, most, mode)
        kept, length = [0], len(filled.sentences[0])
        for i in rng.sample(range(1, len(filled.sentences)), len(filled.sentences) - 1):
            if length + len(filled.sentences[i]) / 2 > target:
                break
            kept.append(i)
            length += len(filled.sentences[i])
        return kept if filled.frame.shuffle else sorted(kept)

    def beside(self, rng: Random, filled: Filled, frames: list[Frame]) -> tuple[Filled, str]:
        """Another subject, mostly of the same frame or domain, and one or two sentences on it."""
        same = [f for f in frames if f.domain == filled.frame.domain]
        other = self.fill(rng, rng.choice(rng.choices(([filled.frame], same, frames), (50, 35, 15))[0]))
        chosen = [0, *rng.sample(range(1, len(other.sentences)), rng.randrange(min(2, len(other.sentences))))]
        return other, self.between.join(other.sentences[i] for i in chosen)

    def rows_of(self, rng: Random, frame: Frame, frames: list[Frame]) -> list[dict]:
        """One passage of the frame with one to three questions; fewer, even none, where an answer were ambiguous."""
        filled = self.fill(rng, frame)
        kept = self.choose(rng, filled)
        own = self.between.join(filled.sentences[i] for i in kept)
        blocks, beside = [own], ""
        if rng.random() < DISTRACTED:
            other, beside = self.beside(rng, filled, frames)
            blocks.insert(rng.randrange(2), beside)
            if other.subject in own or filled.subject in beside:
                return []
        context = self.between.join(blocks)

        def row(phrasings: tuple[str, ...], answer: str, answerable: bool = True) -> dict:
            return {"context": context, "question": rng.choice(phrasings), "answer": answer, "answerable": answerable}

        rows: list[dict] = []
        count = rng.choice(PER_PASSAGE)
        for i, phrasings, answer in rng.sample(filled.asked, len(filled.asked)):
            named = tuple(p for p in phrasings if filled.subject in p) if beside else phrasings
            if len(rows) < count and named and i in kept and answer not in beside:
                rows.append(row(named, answer))
        if rows and rng.random() < UNANSWERABLE * sum(PER_PASSAGE) / len(PER_PASSAGE):
            asked = self.unanswered(rng, filled, kept, context, bool(beside))
            rows[-1:] = [row(rng.choice(asked), self.refusal, False)] if asked else rows[-1:]
        return rows

    def unanswered(
        self, rng: Random, filled: Filled, kept: list[int], context: str, crowded: bool
    ) -> list[tuple[str, ...]]:
        """Questions the passage does not answer: on sentences left out, or on somebody it does not speak of."""
        about, left_out = filled, [i for i in range(len(filled.sentences)) if i not in kept]
        if not left_out or (not crowded and rng.random() < OTHER_SUBJECT):
            about, left_out = self.fill(rng, filled.frame), list(range(len(filled.sentences)))
            if about.subject in context:
                return []
        asked = [
            tuple(p for p in phrasings if about.subject in p)
            for i, phrasings, answer in about.asked
            if i in left_out and answer not in context
        ]
        return [phrasings for phrasings in asked if phrasings]

    def rows(self, rng: Random, frames: list[Frame], size: int) -> list[dict]:
        """So many rows, the frames taking turns, none twice."""
        rows: list[dict] = []
        seen = set()
        while len(rows) < size:
            for frame in frames:
                for row in self.rows_of(rng, frame, frames):
                    key = row["context"], row["question"]
                    if key not in seen:
                        seen.add(key)
                        rows.append(row)
        rows = rows[:size]
        rng.shuffle(rows)
        return rows
