"""Chunks: each knows its headings and its place, none is longer than the embedder reads, and nothing is lost."""

import random
import re
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest

from core.rag import chunks, documents
from core.rag.chunks import Chunk, estimate, sentences
from core.rag.cleaning import clean
from core.rag.documents import Block, Document, from_text
from core.settings import ROOT

DOCUMENT = """Before any heading.

# Title
Right under it.

## Part one

First.

### Detail #

Deep.

## Part two ##
Second.

#not a heading

# Other
Last.
"""
ENGLISH = " ".join(f"This is sentence number {i}, and it costs {i}.50 dollars." for i in range(80))
CHINESE = "".join(f"这是第{i}句话，讲的是第{i}件事。" for i in range(120))


def letters(text: str) -> str:
    return re.sub(r"\s", "", text)


def cut(text: str, **options: int) -> list[Chunk]:
    return chunks.split(clean(from_text("a.md", text)), **options)


def made(*blocks: Block, kind: str = "pdf") -> Document:
    return Document("a", blocks, "", kind)


def test_each_chunk_knows_the_headings_above_it() -> None:
    found = cut(DOCUMENT)
    assert [(c.heading, c.text) for c in found] == [
        ("", "Before any heading."),
        ("Title", "Right under it."),
        ("Title › Part one", "First."),
        ("Title › Part one › Detail #", "Deep."),
        ("Title › Part two ##", "Second.\n\n#not a heading"),
        ("Other", "Last."),
    ]
    assert {c.source for c in found} == {"a.md"}


@pytest.mark.parametrize(("text", "end"), [(ENGLISH, "."), (CHINESE, "。")])
def test_a_long_paragraph_is_cut_at_the_ends_of_its_sentences_into_parts_alike(text: str, end: str) -> None:
    found = [chunk.text for chunk in cut(text, size=200)]
    assert len(found) > 3
    assert all(chunk.endswith(end) for chunk in found)
    assert all(estimate(chunk) <= 200 for chunk in found)
    assert min(map(len, found)) > 0.7 * max(map(len, found))
    assert letters("".join(found)) == letters(text)


def test_the_given_tokenizer_is_asked_once_per_sentence() -> None:
    asked: Counter[str] = Counter()

    def count(text: str) -> int:
        asked[text] += 1
        return len(text.split())

    document = clean(from_text("a.md", ENGLISH))
    found = chunks.split(document, size=50, count=count)
    assert len(asked) == 80
    assert set(asked.values()) == {1}
    assert all(len(chunk.text.split()) <= 50 for chunk in found)


@pytest.mark.parametrize("text", ["字" * 1000, "x" * 5000, "word " * 900, "一，" * 700])
def test_a_sentence_without_an_end_is_cut_until_it_fits(text: str) -> None:
    found = [chunk.text for chunk in cut(text, size=100)]
    assert all(estimate(chunk) <= 100 for chunk in found)
    assert letters("".join(found)) == letters(text)
    assert "".join(found).count("word") == text.count("word"), "cut between words"


def test_small_paragraphs_share_a_chunk_and_large_ones_do_not() -> None:
    small = "\n\n".join(f"条目{i}。" for i in range(10))
    assert len(cut(small)) == 1
    large = "\n\n".join(f"{CHINESE[i * 200 : i * 200 + 180]}。" for i in range(3))
    assert len(cut(large, size=300)) == 3


def test_overlap_repeats_whole_sentences_of_the_chunk_before() -> None:
    plain, over = cut(CHINESE, size=100), cut(CHINESE, size=100, overlap=30)
    assert len(over) > len(plain)
    for before, after in pairwise(over):
        assert after.start < before.end, "the next one begins inside"
        shared = clean(from_text("a.md", CHINESE)).text[after.start : before.end].strip()
        assert 0 < estimate(shared) <= 30
        assert shared.endswith("。")
        assert after.text.startswith(shared)
    assert all(estimate(chunk.text) <= 100 for chunk in over)


def test_a_chunk_ends_with_its_page_and_names_it() -> None:
    document = made(Block("Title", 1, 1), Block("one", 1), Block("two", 2), Block("three", 2), Block("four", 4))
    found = chunks.split(document)
    assert [(c.page, c.text, c.heading) for c in found] == [
        (1, "one", "Title"),
        (2, "two\n\nthree", "Title"),
        (4, "four", "Title"),
    ]


def test_a_slide_without_a_title_has_no_heading() -> None:
    slides = made(Block("Title", 1, 1), Block("one", 1), Block("two", 2), kind="pptx")
    assert [(c.page, c.heading) for c in chunks.split(slides)] == [(1, "Title"), (2, "")]


def test_a_heading_with_nothing_under_it_is_a_chunk_itself() -> None:
    found = cut("# A\n\n## B\n\n## C\n\ntext\n\n# D\n")
    assert [(c.text, c.heading) for c in found] == [("B", "A"), ("text", "A › C"), ("D", "")]


def rows(count: int) -> str:
    return "\n".join(["| 名称 | 数量 |", "| --- | --- |", *(f"| 货物{i} | {i} |" for i in range(count))])


def test_a_table_is_kept_whole_while_the_embedder_reads_it() -> None:
    (found,) = cut(f"# 表\n\n{rows(30)}", size=50)
    assert (found.kind, found.heading, found.text) == ("table", "表", rows(30))


def test_a_long_table_is_cut_between_rows_under_its_header() -> None:
    found = cut(f"前文。\n\n{rows(200)}\n\n后文。", size=100, limit=100)
    tables = [chunk for chunk in found if chunk.kind == "table"]
    assert len(tables) > 5
    assert all(chunk.text.startswith("| 名称 | 数量 |\n| --- | --- |\n| 货物") for chunk in tables)
    assert all(sum(map(estimate, chunk.text.split("\n"))) <= 100 for chunk in tables)
    assert re.findall(r"货物\d+", "".join(chunk.text for chunk in tables)) == [f"货物{i}" for i in range(200)]
    assert [chunk.text for chunk in found if chunk.kind == "text"] == ["前文。", "后文。"]


def test_a_row_longer_than_everything_is_cut_too() -> None:
    table = f"| a | b |\n| --- | --- |\n| {CHINESE} | 末 |\n| 短 | 行 |"
    found = cut(table, limit=100, size=100)
    assert all(estimate(chunk.text) <= 110 for chunk in found)
    assert letters(CHINESE) in letters("".join(chunk.text for chunk in found))


def holds(document: Document, found: list[Chunk]) -> None:
    """Each span holds its chunk's text, and together they hold all text that is not a heading."""
    covered = bytearray(len(document.text))
    for chunk in found:
        said = document.text[chunk.start : chunk.end]
        assert said == chunk.text or (chunk.kind == "table" and chunk.text.endswith(said))
        covered[chunk.start : chunk.end] = b"\1" * len(said)
    at = 0
    for block in document.blocks:
        missed = [c for c, seen in zip(block.text, covered[at:], strict=False) if not seen and not c.isspace()]
        assert block.level or not missed, (block.text, missed)
        at += len(block.text) + 2


def test_nothing_is_lost_of_random_text_and_every_span_holds_its_chunk() -> None:
    chance = random.Random(3)
    pieces = [*"字词，。！？；…”", "word ", "3.14 ", "U.S. ", "end.", "end. ", "\n", "\n\n", " - item\n", "|a|b|\n"]
    pieces += ["\n\n# Heading\n\n", "\n\n|a|b|\n|--|--|\n", "　", "😀", "\ufeff"]
    for _ in range(80):
        text = "".join(chance.choices(pieces, k=chance.randint(1, 900))) + "字"
        document = clean(from_text("a.txt", text))
        found = chunks.split(document, size=chance.randint(8, 120), overlap=chance.choice([0, 20]), limit=60)
        holds(document, found)
        assert all(chunk.text for chunk in found)


@pytest.mark.parametrize("path", sorted((ROOT / "knowledge").glob("*/*.md")), ids=lambda path: path.name)
def test_nothing_is_lost_of_the_shipped_documents(path: Path) -> None:
    document = clean(documents.read(path))
    found = chunks.split(document)
    holds(document, found)
    assert all(estimate(chunk.text) <= chunks.SIZE for chunk in found)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("他说：“来吧！”然后走了。", ["他说：“来吧！”", "然后走了。"]),
        ("真的吗？！……好的。", ["真的吗？！……", "好的。"]),
        ("It costs 3.50 dollars. Really? “Yes.” Good.", ["It costs 3.50 dollars. ", "Really? ", "“Yes.” ", "Good."]),
        ("J. R. Smith came. He left", ["J. R. Smith came. ", "He left"]),
        ("line one\nline two\n", ["line one\n", "line two\n"]),
        ("", []),
        ("no end", ["no end"]),
    ],
)
def test_sentences_cover_the_text(text: str, expected: list[str]) -> None:
    assert [text[start:end] for start, end in sentences(text)] == expected


def test_sentences_of_random_text_are_in_order_and_leave_nothing_out() -> None:
    chance = random.Random(5)
    for _ in range(200):
        text = "".join(chance.choices([*"字。！”’ \n.!?A;", "word"], k=chance.randint(0, 60)))
        spans = sentences(text)
        assert "".join(text[start:end] for start, end in spans) == text
        assert all(start < end for start, end in spans)
