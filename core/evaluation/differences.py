"""An answer held against its reference, word by word."""

import html
import re
import unicodedata
from collections.abc import Sequence
from difflib import SequenceMatcher

from core.evaluation.metrics.tokens import JIEBA, WIDE, words

SAME, MISSING, ADDED = "same", "missing", "added"
Part = tuple[str, str]
"""(SAME, MISSING or ADDED, text): missing parts stand in the reference alone, added ones in the answer alone."""
Block = tuple[bool, str, str]  # whether both have it, as the reference has it, as the answer has it
# A word takes the blanks after it along, so that other line breaks alone make no difference.
_PIECE = re.compile(rf"[{WIDE}]+\s*|[^\W{WIDE}]+\s*|[^\w\s]\s*|\s+")
_TAGS = {MISSING: "del", ADDED: "ins"}
_SIGNS = {MISSING: "−", ADDED: "+"}


def pieces(text: str) -> list[str]:
    """The words, numbers and signs of a text, which joined are the text; Chinese by words of jieba's dictionary."""
    found: list[str] = []
    for piece in _PIECE.findall(text):
        if re.match(f"[{WIDE}]", piece):
            run = piece.rstrip()
            cut = words(run, JIEBA)
            cut[-1] += piece[len(run) :]
            found += cut
        else:
            found.append(piece)
    return found


def compare(reference: str, answer: str) -> list[Part]:
    """What is to be read in both and in one alone, in reading order; width, case and blanks do not count.

    A sign alone is no anchor: what lies left and right of a common comma is not taken apart by it. Nor is what two long
    changes have between them by chance (:func:`_readable`).
    """
    left, right = pieces(reference), pieces(answer)
    matcher = SequenceMatcher(_is_sign, [_plain(one) for one in left], [_plain(one) for one in right], autojunk=False)
    blocks = [(kind == "equal", "".join(left[a:b]), "".join(right[c:d])) for kind, a, b, c, d in matcher.get_opcodes()]
    found: list[Part] = []
    for same, gone, come in _readable(blocks):
        found += [(SAME, come)] if same else [part for part in ((MISSING, gone), (ADDED, come)) if part[1]]
    return found


def _readable(blocks: list[Block]) -> list[Block]:
    """The blocks without those in common that are no longer than the changes on either side: a "the" that two quite
    different sentences share is no news."""
    made, place = list(blocks), 1
    while place < len(made) - 1:
        before, (same, gone, come), after = made[place - 1 : place + 2]
        if same and not before[0] and not after[0] and _size(come) <= min(_longer(before), _longer(after)):
            made[place - 1 : place + 2] = [(False, before[1] + gone + after[1], before[2] + come + after[2])]
            place = max(1, place - 1)
        else:
            place += 1
    return made


def _longer(block: Block) -> int:
    return max(_size(block[1]), _size(block[2]))


def _size(text: str) -> int:
    return sum(character.isalnum() for character in text)


def nearest(references: Sequence[str], answer: str) -> str:
    """The reference that shares most with an answer; of equals the first."""
    if len(references) == 1:
        return references[0]
    plain = [_plain(one) for one in pieces(answer)]

    def likeness(reference: str) -> float:
        return SequenceMatcher(None, [_plain(one) for one in pieces(reference)], plain, autojunk=False).ratio()

    return max(references, key=likeness)


def marked(parts: Sequence[Part]) -> str:
    """:func:`compare` as HTML, all text escaped: del for what is missing, ins for what was added, with a sign each."""
    return "".join(_marked(kind, text) for kind, text in parts)


def _marked(kind: str, text: str) -> str:
    if kind == SAME:
        return html.escape(text)
    said = text.rstrip()
    blank = text[len(said) :]
    tag = _TAGS[kind]
    return f"<{tag}><b>{_SIGNS[kind]}</b>{html.escape(said)}</{tag}>{blank}" if said else blank


def _plain(piece: str) -> str:
    return unicodedata.normalize("NFKC", piece).casefold().strip()


def _is_sign(plain: str) -> bool:
    return not any(character.isalnum() for character in plain)
