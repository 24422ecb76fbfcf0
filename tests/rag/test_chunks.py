"""Chunks: each knows its headings, none is longer than the embedder reads, and nothing of a document is lost."""

import random
import re
from pathlib import Path

import pytest

from core.errors import UserError
from core.rag import chunks
from core.rag.chunks import MAX_CHARACTERS, Chunk, split
from core.settings import ROOT

DOCUMENT = """Before any heading.

# Title
Right under it,
on two lines.

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


def letters(text: str) -> str:
    return re.sub(r"\s", "", text)


def test_each_chunk_knows_the_headings_above_it() -> None:
    found = split(DOCUMENT, "a.md")
    assert [(c.heading, c.text) for c in found][:4] == [
        ("", "Before any heading."),
        ("Title", "Right under it, on two lines."),
        ("Title › Part one", "First."),
        ("Title › Part one › Detail #", "Deep."),
    ]
    assert [(c.heading, c.text) for c in found][-2:] == [
        ("Title › Part two ##", "#not a heading"),
        ("Other", "Last."),
    ]
    assert {c.source for c in found} == {"a.md"}


ENGLISH = " ".join(f"This is sentence number {i}, and it costs {i}.50 dollars." for i in range(80))
CHINESE = "".join(f"这是第{i}句话，讲的是第{i}件事。" for i in range(120))


@pytest.mark.parametrize(("text", "script", "end"), [(ENGLISH, "en", "."), (CHINESE, "zh", "。")])
def test_a_long_paragraph_is_cut_at_the_ends_of_its_sentences(text: str, script: str, end: str) -> None:
    found = [chunk.text for chunk in split(text, "a.txt")]
    limit = MAX_CHARACTERS[script]
    assert len(found) > 3
    assert all(chunk.endswith(end) for chunk in found)
    assert all(limit / 2 < len(chunk) <= limit for chunk in found[:-1])
    assert letters("".join(found)) == letters(text)


def test_sentences_that_just_fit_leave_no_crumb() -> None:
    """The space between two sentences counts towards the limit."""
    limit = MAX_CHARACTERS["en"]
    text = f"{'a' * (limit // 2 - 1)}. {'b' * (limit // 2 - 1)}."
    found = [chunk.text for chunk in split(text, "a.txt")]
    assert len(text) == limit + 1
    assert found == text.split()


def test_a_sentence_without_an_end_is_cut_at_the_limit() -> None:
    found = [chunk.text for chunk in split("字" * 1000, "a.txt")]
    assert [len(chunk) for chunk in found] == [320, 320, 320, 40]


def test_a_short_paragraph_stays_whole() -> None:
    text = "One sentence. Another one! A third? 第四句。"
    assert split(text, "a.txt") == [Chunk(text, "a.txt")]


def test_windows_line_ends_are_line_ends() -> None:
    assert split("# A\r\n\r\none\r\n\r\ntwo\r\n", "a.md") == [Chunk("one", "a.md", "A"), Chunk("two", "a.md", "A")]


@pytest.mark.parametrize("text", ["", "  \n\n \n", "# Only a heading\n"])
def test_nothing_to_read_is_no_chunk(text: str) -> None:
    assert split(text, "a.md") == []


def test_nothing_is_lost_of_random_text() -> None:
    chance = random.Random(3)
    pieces = [*"字词，。！？；…", "word ", "3.14 ", "U.S. ", "end.", "end. ", "\n", "\n\n", " - list item\n", "|a|b|\n"]
    for _ in range(60):
        text = "".join(chance.choices(pieces, k=chance.randint(0, 1500)))
        found = split(text, "a.txt")
        assert letters("".join(chunk.text for chunk in found)) == letters(text)
        assert all(0 < len(chunk.text) <= max(MAX_CHARACTERS.values()) for chunk in found)


@pytest.mark.parametrize("path", sorted((ROOT / "knowledge").glob("*/*.md")), ids=lambda path: path.name)
def test_nothing_is_lost_of_the_shipped_documents(path: Path) -> None:
    text = chunks.read(path)
    body = "".join(line for line in text.splitlines() if not re.match(r"#{1,6}\s", line))
    found = split(text, path.name)
    assert letters("".join(chunk.text for chunk in found)) == letters(body)
    assert all(len(chunk.text) <= MAX_CHARACTERS["en"] for chunk in found)


def test_a_document_is_read_as_utf8_with_or_without_a_mark(tmp_path: Path) -> None:
    (tmp_path / "a.MD").write_bytes(b"\xef\xbb\xbf" + "字".encode())
    assert chunks.read(tmp_path / "a.MD") == "字"
    (tmp_path / "b.txt").write_bytes("字".encode("gbk"))
    with pytest.raises(UserError, match=r"b\.txt is not UTF-8"):
        chunks.read(tmp_path / "b.txt")
    (tmp_path / "c.exe").write_bytes(b"x")
    with pytest.raises(UserError, match=r"c\.exe cannot be read.*\.md, \.txt"):
        chunks.read(tmp_path / "c.exe")
