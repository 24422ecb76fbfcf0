"""Prompt strategies as data: prompts from templates, examples that give nothing away, the answer after the reasoning.

Knows no engine and no data set: it is given questions, examples, passages and a counter of tokens.
"""

import random
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from core.duplicates import duplicates
from core.generation.prompts import language, with_context
from core.generation.templates import COT, SIMILAR, ZERO_SHOT, Template, builtin

_PLACE = re.compile(r"\{(question|context|examples|answer)\}")

Similarity = Callable[[str, Sequence[str]], Sequence[float]]
"""(question, other questions) → how like each is, the higher the liker."""


@dataclass(frozen=True)
class Example:
    """A question and its answer, from the train split."""

    question: str
    answer: str

    @property
    def text(self) -> str:
        return self.question


@dataclass(frozen=True)
class Strategy:
    """A template together with the examples it shows for one question, from a train split (:func:`choose`).

    ``left_out`` counts those that had no room (:meth:`within`).
    """

    template: Template
    examples: tuple[Example, ...] = ()
    left_out: int = 0

    def prompt(self, question: str, passages: Sequence[str] = ()) -> str:
        """What is asked, see :func:`prompt`."""
        return prompt(self.template, question, passages, self.examples)

    def bare(self, question: str) -> str:
        """What is asked but for its examples, which give way to passages."""
        return prompt(self.template, question)

    def within(self, fits: Callable[["Strategy"], bool]) -> "Strategy":
        """With as many of its examples as fit: the least similar give way first, of fixed ones the last.

        Args:
            fits: whether what a strategy asks has room; where it never has, no example is left.
        """
        how = self
        while how.examples and not fits(how):  # the most similar ones stand last
            kept = how.examples[1:] if how.template.pick == SIMILAR else how.examples[:-1]
            how = replace(how, examples=kept, left_out=how.left_out + 1)
        return how


def zero_shot() -> Strategy:
    """The question as it is: how everything is asked unless somebody chooses."""
    return Strategy(builtin()[ZERO_SHOT])


@dataclass(frozen=True)
class Extracted:
    """An answer apart from the reasoning before it; ``marked``: it stood behind a marker, else it is the last line."""

    answer: str
    reasoning: str = ""
    marked: bool = True


@dataclass(frozen=True)
class Preview:
    """A prompt with its tokens: all of it, and how many its parts account for by themselves."""

    text: str
    tokens: int
    parts: dict[str, int]


def prompt(template: Template, question: str, passages: Sequence[str] = (), examples: Sequence[Example] = ()) -> str:
    """What is asked: the template in the question's language with everything in its place.

    Nothing that stands in a question, passage or example is taken for a place.
    """
    text, values = _filled(template, question, passages, examples)
    return _fill(text, values)


def preview(
    template: Template,
    question: str,
    count: Callable[[str], int],
    passages: Sequence[str] = (),
    examples: Sequence[Example] = (),
) -> Preview:
    """The prompt and its tokens, for a person who writes a template.

    Args:
        count: gives the tokens of a text.
    """
    text, values = _filled(template, question, passages, examples)
    whole = _fill(text, values)
    parts = {
        "question": count(question),
        "context": count("\n".join(passages)) if passages else 0,
        "examples": count(values["examples"]) if "{examples}" in text and values["examples"] else 0,
    }
    tokens = count(whole)
    return Preview(whole, tokens, {**parts, "template": max(0, tokens - sum(parts.values()))})


def _filled(
    template: Template, question: str, passages: Sequence[str], examples: Sequence[Example]
) -> tuple[str, dict[str, str]]:
    spoken = language(question)
    text, shape = _in(template.text, spoken), _in(template.example, spoken)
    shown = [_fill(shape, {"question": example.question, "answer": example.answer}) for example in examples]
    asked = question if "{context}" in text else with_context(question, passages)
    return text, {"question": asked, "context": "\n".join(passages), "examples": "\n\n".join(shown)}


def _in(texts: dict[str, str], spoken: str) -> str:
    """The text in a language, or in the other one where a person wrote only that."""
    return texts.get(spoken) or next(iter(texts.values()), "")


def _fill(text: str, values: dict[str, str]) -> str:
    paragraphs = [part for part in re.split(r"\n{2,}", text) if _says(part, values)]
    kept = ("\n".join(line for line in part.split("\n") if _says(line, values)) for part in paragraphs)
    return _PLACE.sub(lambda place: values.get(place[1], place[0]), "\n\n".join(kept)).strip()


def _says(part: str, values: dict[str, str]) -> bool:
    places = _PLACE.findall(part)
    return not places or any(values.get(place, place) for place in places)


def choose(
    template: Template,
    question: str,
    pool: Sequence[Example],
    seed: int = 0,
    similarity: Similarity | None = None,
) -> list[Example]:
    """The template's examples for a question: never the question itself nor one that says nearly the same.

    Fixed ones are the first of the pool in an order drawn by the seed, taking turns between answers that come up again
    and again (classes), so that all questions have the same ones but for those left out. The most similar ones stand
    last, next to the question.

    Args:
        similarity: for a template that picks similar ones.

    Raises:
        ValueError: it picks similar ones and no similarity was given.
    """
    if template.pick == SIMILAR:
        if similarity is None:
            raise ValueError("a template that picks similar examples needs a similarity")
        scores = similarity(question, [example.question for example in pool])
        order: Iterable[int] = sorted(range(len(pool)), key=lambda place: (-scores[place], place))
    else:
        order = _in_turns(pool, seed)
    fitting = (pool[place] for place in order if not _near(question, pool[place].question))
    found: list[Example] = []
    for example in fitting:
        if len(found) >= template.shots:
            break
        if not any(_near(example.question, other.question) for other in found):
            found.append(example)
    return found[::-1] if template.pick == SIMILAR else found


def _in_turns(pool: Sequence[Example], seed: int) -> Iterator[int]:
    order = list(range(len(pool)))
    random.Random(seed).shuffle(order)
    groups: defaultdict[str, list[int]] = defaultdict(list)
    for place in order:
        groups[pool[place].answer].append(place)
    rounds = max(map(len, groups.values()), default=0)
    return (group[turn] for turn in range(rounds) for group in groups.values() if turn < len(group))


def _near(a: str, b: str) -> bool:
    return a.strip() == b.strip() or bool(duplicates([Example(a, ""), Example(b, "")]))


_MARKER = re.compile(
    r"(?:答案|结论|最终回答)\s*(?:是|为)?\s*[：:]|(?:所以|因此|综上)[，,]?\s*(?:答案|结论)(?:是|为)"
    r"|\banswer\s*(?:is)?\s*:|\bthe\s+(?:final\s+|correct\s+)?answer\s+is\b|^\s*####|</think>|<answer>",
    re.IGNORECASE | re.MULTILINE,
)
_BOXED = re.compile(r"\\boxed\{((?:[^{}]|\{[^{}]*\})*)\}")
_BEFORE = re.compile(r"^[\s*_>：:]+")


def extract(template: Template, text: str) -> Extracted:
    """The answer of what a model wrote; after a cot template, what stands behind the reasoning.

    Markers: 答案：, 所以答案是, Answer:, The answer is, ####, \\boxed{…}, </think>, <answer>; the last one counts that
    has anything behind it. Without any, the last line that says something is the answer.
    """
    if template.kind != COT:
        return Extracted(text.strip())
    for marker in reversed(list(_MARKER.finditer(text))):
        if answer := _first(text[marker.end() :]):
            return Extracted(answer, text[: marker.start()].strip(" *_#\n\t"))
    if boxed := list(_BOXED.finditer(text)):
        return Extracted(boxed[-1][1].strip(), text[: boxed[-1].start()].strip())
    lines = [line for line in text.split("\n") if line.strip()]
    return Extracted(lines[-1].strip() if lines else "", "\n".join(lines[:-1]), marked=False)


def _first(text: str) -> str:
    """The paragraph behind a marker; what is JSON or code is not cut."""
    text = _BEFORE.sub("", text.partition("</answer>")[0])
    if boxed := _BOXED.match(text.lstrip("$ ")):
        return boxed[1].strip()
    whole = text.startswith(("{", "[", "`"))
    return (text if whole else re.split(r"\n\s*\n", text)[0]).replace("**", "").strip()
