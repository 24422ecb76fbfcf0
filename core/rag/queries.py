"""A question → the queries it is searched for with, and what they brought → one ranking.

A follow-up question gets its subject; on wish a model rewrites the question, or it is asked in several ways at once.
The model is a callable that comes in from outside (``write``), this module knows no engine. Whatever such a model makes
of a question is held against it first: a rewriting that shares no word with what was asked is an invention.
"""

import re
from collections.abc import Callable, Sequence

from core.rag.fusion import Recalled
from core.rag.lexical import FUNCTION, is_wide
from core.rag.lexical import asked as content

Write = Callable[[str], str]
"""Given an instruction, returns what a model writes."""
LONGEST = 200  # characters of a query: what is longer is no query but an answer
MOST = 5  # queries in all

_REWRITE = {
    "en": "Earlier questions:\n{history}\nLast question: {question}\n"
    "Write the last question so that it can be understood without the earlier ones. Write only the question.",
    "zh": "之前的问题：\n{history}\n最后的问题：{question}\n请改写最后的问题，使它不看之前的问题也能理解。只写出问题。",
}
_QUERY = {
    "en": "Question: {question}\nWrite a short search query that finds the answer in a library. Write only the query.",
    "zh": "问题：{question}\n请写出一条能在资料库中找到答案的简短检索语句。只写出检索语句。",
}
_VARIANTS = {
    "en": "Question: {question}\nAsk the same in {count} other ways, in other words, one question per line.",
    "zh": "问题：{question}\n请用{count}种不同的说法问同一个问题，每行一个。",
}
_PRONOUN = re.compile(
    r"[它他她其该此]|这[个些里座所家种位]?|那[个些里座所家种位时]"
    r"|\b(?:it|its|they|them|their|this|that|these|those|he|she|his|her|him|there)\b",
    re.IGNORECASE,
)
_LISTED = re.compile(r"^\s*(?:\d+\s*[.)、：:）]|[-*•])\s*|^[^：:]{0,20}[：:]\s*(?=\S)")


def condense(history: Sequence[str], question: str) -> str:
    """A follow-up question as one that stands alone, for retrieval only: the last question's content words before it.

    Only where it needs them: it has a pronoun, or hardly a content word of its own. No model is asked.

    Args:
        history: the questions before, oldest first.
    """
    if not history:
        return question
    words = re.findall(r"\w+", FUNCTION.sub(" ", _PRONOUN.sub(" ", question)))
    size = sum(len(word) if ord(word[0]) > 0x2E80 else 2 for word in words)
    if not _PRONOUN.search(question) and size > 3:
        return question
    return f"{_words(history[-1])} {question}".strip()


def _words(question: str) -> str:
    return " ".join(re.findall(r"[\w.+-]+", FUNCTION.sub(" ", question)))


def plan(
    question: str, history: Sequence[str] = (), write: Write | None = None, rewrite: bool = False, count: int = 1
) -> list[str]:
    """The queries to search with, the leading one first.

    Args:
        history: the questions before, oldest first.
        write: the model that rewrites; None: what can be done without one.
        rewrite: the model puts the question as one that stands alone, or as a search query.
        count: queries in all; beyond the first they are other ways to ask.

    Returns:
        One to ``count`` queries (one more with ``rewrite``: a small model's rewriting stands beside the question, it
        does not take its place), no two alike.
    """
    found = [condense(history, question)]
    if rewrite and write:
        found.append(rewritten(question, history, write))
    if count > 1:
        found += variants(found[0], count - 1, write)
    return list({query.casefold(): query for query in reversed(found) if query}.values())[::-1]


def rewritten(question: str, history: Sequence[str], write: Write) -> str:
    """The question as one that stands alone (after others) or as a search query; "" where nothing usable came."""
    prompt = (_REWRITE if history else _QUERY)[_language(question)]
    said = write(prompt.format(question=question, history="\n".join(history[-3:])))
    return next(iter(_usable(said, " ".join([*history[-3:], question]))), "")


def variants(question: str, count: int, write: Write | None = None) -> list[str]:
    """At most ``count`` other ways to ask: the model's, and without one the words alone that say what it is about."""
    if write:
        said = write(_VARIANTS[_language(question)].format(question=question, count=count))
        return [query for query in _usable(said, question) if query.casefold() != question.casefold()][:count]
    words = _words(question)
    return [words] if words and words != question else []


def _usable(said: str, asked: str) -> list[str]:
    """The lines of a model's text that can be queries, without list signs.

    Not one that is too long, goes round in circles, or hardly speaks of what was asked: a small model writes those too.
    """
    known = set(content(asked))
    lines = [_LISTED.sub("", line).strip(" \t\"'“”「」`*") for line in said.splitlines()]

    def fits(line: str) -> bool:
        words = content(line)
        shared = known & set(words)
        return len(line) <= LONGEST and 2 * len(set(words)) > len(words) and len(shared) >= min(2, len(known))

    return [line for line in lines if fits(line)]


def _language(text: str) -> str:
    return "zh" if is_wide(text) else "en"


def unite(founds: Sequence[Recalled]) -> Recalled:
    """What several queries brought, as if one had: each row with its best scores.

    Ranks are those of the united scores, among the rows that the stage itself brought for any of the queries.
    """
    if len(founds) == 1:
        return founds[0]
    whole = Recalled()
    for name in ("cosine", "share", "bm25", "fused"):
        best = getattr(whole, name)
        for found in founds:
            for row, score in getattr(found, name).items():
                best[row] = max(score, best.get(row, score))
    whole.dense_rank = _ranked(whole.cosine, [found.dense_rank for found in founds])
    whole.lexical_rank = _ranked(whole.bm25, [found.lexical_rank for found in founds])
    whole.by_chance = {row for row in whole.fused if all(row in f.by_chance or row not in f.fused for f in founds)}
    for found in founds:
        for stage, spent in found.seconds.items():
            whole.seconds[stage] = whole.seconds.get(stage, 0.0) + spent
    return whole


def _ranked(scores: dict[int, float], brought: Sequence[dict[int, int]]) -> dict[int, int]:
    rows = set().union(*brought)
    return {row: rank for rank, row in enumerate(sorted(rows, key=lambda row: (-scores[row], row)), 1)}
