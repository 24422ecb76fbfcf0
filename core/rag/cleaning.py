"""A document as read → the same without what is not its text: page furniture, broken lines, stray characters."""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import pairwise

from core.rag.documents import Block, Document

_END = tuple("。！？；…：.!?:;”’」』")  # a line that ends so may end its paragraph
_ITEM = re.compile(r"^\s*([-*+•·▪●○◦]|\(?\d{1,3}[.)、）]|[（(]?[一二三四五六七八九十]{1,3}[、）)]|[a-zA-Z][.)])\s*\S")
_PAGE_NUMBER = re.compile(
    r"^\W*(第\s*)?(page\s*|p\.\s*)?(\d{1,4})(\s*(/|of|共|，共)\s*\d{1,4})?(\s*页)?(\s*[,，]?\s*共\s*\d+\s*页)?\W*$",
    re.I,
)
_HYPHENATED = re.compile(r"(?<![^\W\d_])[^\W\d_]++-[^\W\d_]++")
_LAST_WORD = re.compile(r"(?<![^\W\d_])([^\W\d_]++)[-\u2010]$")
_FIRST_WORD = re.compile(r"[^\W\d_]++")
_ROMAN = re.compile(r"^\W*[ivxlc]{1,6}\W*$")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u200b\u2060\ufeff\ufff9-\ufffb]")
_SPACES = re.compile(r"[^\S\n]+")
_NARROW = {code: code - 0xFEE0 for first, last in ("０９", "ＡＺ", "ａｚ") for code in range(ord(first), ord(last) + 1)}
# Stand-ins that PDF fonts put in a character's place: Kangxi radicals, compatibility ideographs, ligatures.
_COMPATIBLE = re.compile(r"[\u2e80-\u2fdf\uf900-\ufaff\ufb00-\ufb06]")


def clean(document: Document) -> Document:
    """The document without page furniture, its lines joined to paragraphs and its characters put in order.

    Full-width letters and digits become ASCII; punctuation stays as it is. A cleaned document comes back as it is.
    """
    if document.cleaned:
        return document
    blocks = [_with(block, normalise(block.text)) for block in document.blocks]
    blocks = _without_furniture(blocks)
    known = _hyphenated(block.text for block in blocks)
    blocks = [block if _verbatim(block) else _with(block, _join(block, known)) for block in blocks]
    if document.kind == "pdf":
        blocks = _rejoined(blocks, known)
    return replace(document, blocks=tuple(block for block in blocks if block.text), cleaned=True)


def normalise(text: str) -> str:
    """Characters put in order: no controls or zero-width signs, one kind of space and line end, half-width letters."""
    text = (
        text.replace("\r\n", "\n").replace("\r", "\n").replace("\f", "\n").replace("\u2028", "\n").replace("\x85", "\n")
    )
    text = _COMPATIBLE.sub(lambda match: unicodedata.normalize("NFKC", match[0]), _CONTROL.sub("", text))
    text = _SPACES.sub(" ", text.translate(_NARROW))
    return "\n".join(line.strip() for line in text.split("\n")).strip()


def _with(block: Block, text: str) -> Block:
    return block if text == block.text else replace(block, text=text)


def _verbatim(block: Block) -> bool:
    return block.kind == "table" or block.text.startswith(("```", "~~~"))


def _wide(character: str) -> bool:
    return ord(character) > 0x2E7F


def _width(line: str) -> int:
    return sum(2 if _wide(character) else 1 for character in line)


# Lines


def _join(block: Block, known: Counter[str]) -> str:
    """A wrapped paragraph as one line; lists, verses and other lines that end early on purpose keep their ends."""
    lines = block.text.split("\n")
    if block.level or len(lines) == 1:
        return _glue(lines, known)
    full = max(map(_width, lines))
    margin = sum(_width(line) > 0.9 * full for line in lines) > 1  # two lines that end alike: there is a right margin
    groups = [[lines[0]]]
    for last, line in pairwise(lines):
        # A line was wrapped when the next one's first word would not have fitted on it.
        first = 2 if line and _wide(line[0]) else len(line.split(" ", 1)[0]) + 1
        ended = last.endswith(_END)
        short = _width(last) + first < full - (4 if ended else 0.25 * full)
        if not line or _ITEM.match(line) or short or full < 24 or (ended and not margin):
            groups.append([line])
        else:
            groups[-1].append(line)
    return "\n".join(_glue(group, known) for group in groups)


def _glue(parts: list[str], known: Counter[str]) -> str:
    """Parts of a paragraph joined: no space beside a Chinese character, no hyphen that the line's end put there."""
    joined = [parts[0]]
    for right in parts[1:]:
        left = joined[-1]
        if left and right and not (_wide(left[-1]) or _wide(right[0])):
            head, tail = _LAST_WORD.search(left[-60:]), _FIRST_WORD.match(right)
            if not head or not tail:
                joined.append(" ")
            elif right[0].islower() and not known[f"{head[1]}-{tail[0]}".lower()]:
                joined[-1] = left[:-1]
        joined.append(right)
    return "".join(joined)


def _hyphenated(texts: Iterable[str]) -> Counter[str]:
    """Words that the document writes with a hyphen inside a line: those keep it at a line's end, too."""
    return Counter(word.lower() for text in texts for word in _HYPHENATED.findall(text))


def _rejoined(blocks: list[Block], known: Counter[str]) -> list[Block]:
    """A paragraph that a page's end has cut in two is one again, and stands on the page where it begins."""
    joined: list[Block] = []
    for block in blocks:
        last = joined[-1] if joined else None
        if last and (last.page != block.page or last.edge or block.edge) and _goes_on(last, block):
            joined[-1] = replace(last, text=_glue([last.text, block.text], known), edge=block.edge)
        else:
            joined.append(block)
    return joined


def _goes_on(last: Block, block: Block) -> bool:
    if (
        "table" in (last.kind, block.kind)
        or last.level
        or block.level
        or _ITEM.match(block.text)
        or last.ocr != block.ocr
    ):
        return False
    if block.edge and _width(block.text) < 40 and not block.text.endswith(_END):
        return False  # a header that does not repeat
    tail = last.text.rsplit("\n", 1)[-1]
    if last.text.endswith(_END) or block.page - last.page > 1:
        return False
    return (_wide(tail[-1]) and _width(tail) >= 40) or (
        (tail[-1] in "-\u2010," or tail[-1].islower()) and block.text[0].islower()
    )


# Page furniture


def _without_furniture(blocks: list[Block]) -> list[Block]:
    """Without the lines in the margins that repeat on pages, and without page numbers."""
    edges = [(line, block.page) for block in blocks if block.edge for line in block.text.split("\n")]
    pages = {block.page for block in blocks if block.page}
    seen: defaultdict[str, set[int]] = defaultdict(set)
    for line, page in edges:
        seen[line].add(page)
    # Printed numbers may count from another page than the first; that offset is the same all through a document.
    offsets = Counter(number - page for line, page in edges for number in set(_outer_numbers(line)))
    offset, times = max(offsets.items(), key=lambda item: (item[1], item[0] == 0), default=(0, 0))
    counted = times >= 3 and 3 * times >= len(pages)

    def furniture(line: str, page: int) -> bool:
        if len(seen[line]) >= 3 and 3 * len(seen[line]) >= len(pages):
            return True
        if counted and page + offset in _outer_numbers(line):
            return True
        numbered = _PAGE_NUMBER.match(line)
        plain = numbered and (numbered[1] or numbered[2] or numbered[4] or int(numbered[3]) == page)
        return bool(plain or _ROMAN.match(line))

    return _filtered(blocks, furniture)


def _outer_numbers(line: str) -> list[int]:
    """The numbers with which a line begins and ends."""
    return [int(number) for pair in re.findall(r"^\W*(\d{1,4})\b|\b(\d{1,4})\W*$", line) for number in pair if number]


def _filtered(blocks: list[Block], furniture: Callable[[str, int], bool]) -> list[Block]:
    kept = []
    for block in blocks:
        if block.edge:
            block = _with(block, "\n".join(x for x in block.text.split("\n") if not furniture(x, block.page)))
        if block.text:
            kept.append(block)
    return kept
