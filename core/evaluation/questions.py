"""Questions made from a knowledge base's own documents, each with the sentence that answers it.

A model writes them where there is one that can; otherwise, and wherever what it wrote is of no use, the rarest words of
the sentence are put as a question. Such a question repeats the document's words, so that lexical recall finds it more
easily than what people ask: figures from it compare chunk sizes and stages of one base, not bases.
"""

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from core.errors import UserError
from core.rag import calibration, chunks, knowledge
from core.rag.lexical import FUNCTION, is_wide, terms
from core.rag.queries import Write

if TYPE_CHECKING:
    from core.rag.bases import Row
    from core.rag.lexical import Lexical

COUNT = 20
MODEL, WORDS = "model", "words"
LONGEST = {"en": 160, "zh": 60}  # characters of a question
SENTENCE = {"en": (40, 400), "zh": (12, 160)}  # characters of a sentence worth asking about
FEWEST, MOST, PIECE = 3, 3, 8  # pieces a sentence needs, pieces asked with, characters of one without spaces
_PROMPT = {
    "en": "Text:\n{text}\n\nSentence from it: {sentence}\n\nWrite one question that this sentence answers, in the"
    " language of the text. Name what it is about. Write only the question.",
    "zh": "资料：\n{text}\n\n其中一句：{sentence}\n\n请用中文提一个以这句话为答案的问题，写明问的是什么。只写出问题。",
}
_WORDED = {"en": "What is said about {words}?", "zh": "关于{words}，是怎么说的？"}
_ASKING = re.compile(
    r"[?？]|什么|怎|如何|多少|哪|谁|几|吗|何|^\W*(?:what|when|where|which|who|whom|whose|why|how|is|are|was|were|do"
    r"|does|did|can|could|has|have|had|will|would|in which|at which|on which)\b",
    re.IGNORECASE,
)
_REFERRING = re.compile(
    r"\b(?:this|the|that|given|above)\s+(?:passage|text|sentence|article|paragraph|document|excerpt|statement)\b"
    r"|\b(?:mentioned|described|stated) (?:above|here)\b|according to the (?:passage|text)"
    r"|[这该此本上][段句篇个]?(?:话|文本|文章|文|段落|句子|资料|材料)|文中|资料中|材料中|上述|根据[资材]料",
    re.IGNORECASE,
)
_QUOTED = re.compile(r"[\"“「]([^\"“”「」\n]+[?？])[\"”」]")
_LABEL = re.compile(
    r"^\s*(?:\d+\s*[.)、：:）]|[-*•]|(?:the )?(?:question|q|问题|问)(?: is)?\s*\d*\s*[:：])\s*", re.IGNORECASE
)


@dataclass(frozen=True)
class Pick:
    """A sentence to ask about: its document, its place and text there, and the chunk around it."""

    source: str
    start: int
    end: int
    sentence: str
    chunk: str

    @property
    def language(self) -> str:
        """ "zh" for a chunk in Chinese, Japanese or Korean, else "en"."""
        return "zh" if is_wide(self.chunk) else "en"


def generate(
    name: str,
    count: int = COUNT,
    seed: int = 0,
    write: Write | None = None,
    languages: Collection[str] = ("en", "zh"),
    tick: Callable[[int], None] | None = None,
) -> Iterator[dict[str, Any]]:
    """Questions about a base's chunks, spread over its documents; one a chunk, so fewer where there are fewer.

    Args:
        seed: the same base, seed and model give the same questions.
        write: the model; None: all are made of words.
        languages: that the model is good at; chunks in another one are not given to it.
        tick: told the number of questions there are; may raise to stop.

    Yields:
        {"question", "source", "start", "end" (characters of the sentence in the document's text), "made": "model" or
        "words", "refused": why the model's question was not taken, where it was asked}.

    Raises:
        UserError: no such knowledge base, or no sentence in it that a question can be made of.
    """
    seen = knowledge.view(name)
    index = calibration.prepared(seen).lexical
    made: set[str] = set()
    for pick in picks(name, seen.rows, index, seed):
        if len(made) == count:
            break
        refused = ""
        if write and pick.language in languages:
            question = _cleaned(write(_PROMPT[pick.language].format(text=pick.chunk, sentence=pick.sentence)))
            refused = flaw(question, pick, made)
        if not write or pick.language not in languages or refused:
            question = worded(pick, index)
        if question in made:
            continue
        how = WORDS if refused or not write or pick.language not in languages else MODEL
        made.add(question)
        place = {"source": pick.source, "start": pick.start, "end": pick.end}
        yield {"question": question, **place, "made": how, **({"refused": refused} if refused else {})}
        if tick:
            tick(len(made))
    if not made:
        raise UserError("No question can be made of “{name}”.", "Its documents hold no longer sentences.", name=name)


def summary(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """{"n", "model": questions by the model, "words": those made of words, "refused": {why: how many}}."""
    made = Counter(row["made"] for row in rows)
    refused = Counter(row["refused"] for row in rows if "refused" in row)
    return {"n": len(rows), MODEL: made[MODEL], WORDS: made[WORDS], "refused": dict(refused)}


def picks(name: str, rows: Sequence["Row"], index: "Lexical", seed: int) -> Iterator[Pick]:
    """The most telling sentence of each chunk, the documents taking turns, both in an order drawn from the seed."""
    import numpy as np

    chance = np.random.default_rng(seed)
    by_document: dict[str, list[Row]] = {}
    for row in rows:
        by_document.setdefault(row.source, []).append(row)
    turns = [by_document[source] for source in sorted(by_document)]
    turns = [
        [mine[i] for i in chance.permutation(len(mine))] for mine in (turns[i] for i in chance.permutation(len(turns)))
    ]
    for number in range(max(map(len, turns), default=0)):
        for mine in turns:
            if number < len(mine) and (pick := _pick(name, mine[number], index)):
                yield pick


def _pick(name: str, row: "Row", index: "Lexical") -> Pick | None:
    # The document's own text: a part of a long table begins with a header that stands elsewhere.
    text = knowledge.document_text(name, row.source)[row.start : row.end]
    shortest, longest = SENTENCE["zh" if is_wide(text) else "en"]
    found: list[tuple[float, int, Pick]] = []
    for start, end in chunks.sentences(text):
        sentence = text[start:end].strip()
        start += text[start:end].index(sentence)
        pieces = _pieces(sentence, index)
        if shortest <= len(sentence) <= longest and len(pieces) >= FEWEST:
            weight = sum(sorted((weight for _, weight in pieces), reverse=True)[:MOST])
            place = row.start + start
            found.append((weight, -start, Pick(row.source, place, place + len(sentence), sentence, row.text)))
    return max(found, key=lambda one: one[:2])[2] if found else None


def _pieces(sentence: str, index: "Lexical") -> list[tuple[str, float]]:
    """Content words in their order (of text without spaces: what stands between function words) with their mean idf."""
    words = dict.fromkeys(re.findall(r"[^\W_]+(?:[-.,'’][^\W_]+)*", FUNCTION.sub(" ", sentence)))
    pieces = [word[:PIECE] if is_wide(word) else word for word in words if len(word) > 1]
    weights = [[index.weight(term) for term in terms(piece)] for piece in pieces]
    return [(piece, sum(w) / len(w)) for piece, w in zip(pieces, weights, strict=True) if w]


def worded(pick: Pick, index: "Lexical") -> str:
    """A question of the sentence's rarest words, about half of them: the rest is what it asks for."""
    pieces = _pieces(pick.sentence, index)
    few = sorted(pieces, key=lambda piece: -piece[1])[: min(MOST, max(2, len(pieces) // 2))]
    words = [piece for piece in (piece for piece, _ in pieces) if piece in {word for word, _ in few}]
    if pick.language == "zh":
        return _WORDED["zh"].format(words="、".join(f"“{word}”" for word in words))
    return _WORDED["en"].format(words=", ".join(words[:-1]) + f" and {words[-1]}")


def _cleaned(said: str) -> str:
    """The first question within quotes, else the first line that asks something, without number, label and quotes."""
    if quoted := _QUOTED.search(said):
        return quoted[1].strip()
    lines = [_LABEL.sub("", line).strip().strip("\"'“”「」`*").strip() for line in said.splitlines()]
    whole = [line for line in lines if line]
    return next((line for line in whole if _ASKING.search(line)), whole[0] if whole else "")


def flaw(question: str, pick: Pick, made: Collection[str]) -> str:
    """Why a model's question is not to be used; empty: it is.

    Returns:
        "empty", "statement" (asks nothing), "long", "language" (another than the chunk's), "refers" (to "this passage",
        which nobody who asks has before them), "copied" (the sentence itself), "unrelated" (less than half
        of its content words are in the chunk), "repeated", or "".
    """
    bare = re.sub(r"\W+", "", question).lower()
    asked = set(terms(FUNCTION.sub(" ", question)))
    reasons = {
        "empty": not bare,
        "statement": not _ASKING.search(question),
        "long": len(question) > LONGEST[pick.language],
        "language": is_wide(question) != (pick.language == "zh"),
        "refers": bool(_REFERRING.search(question)),
        "copied": bare in (text := re.sub(r"\W+", "", pick.chunk).lower())
        or re.sub(r"\W+", "", pick.sentence).lower() in bare
        or (len(bare) > 20 and bare[:-3] in text),
        "unrelated": 2 * len(asked & set(terms(pick.chunk))) < max(1, len(asked)),
        "repeated": question in made,
    }
    return next((reason for reason, is_so in reasons.items() if is_so), "")
