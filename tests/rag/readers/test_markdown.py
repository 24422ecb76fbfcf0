"""Markdown and CSV as blocks: structure is seen, code is left alone, active parts fall away, nothing else is lost."""

import pytest

from core.rag.readers.blocks import Block, table
from core.rag.readers.markdown import blocks, csv_table, unlink


def test_headings_of_both_kinds() -> None:
    text = "Title\n=====\n\ntext\n\nPart\n----\nmore\n\n### Deep ###\n#no heading\n"
    assert [(b.level, b.text) for b in blocks(text)] == [
        (1, "Title"),
        (0, "text"),
        (2, "Part"),
        (0, "more"),
        (3, "Deep ###"),
        (0, "#no heading"),
    ]


def test_a_rule_between_paragraphs_is_no_heading() -> None:
    assert [(b.level, b.text) for b in blocks("one\ntwo\n---\n\nthree")] == [(0, "one\ntwo\n---"), (0, "three")]


def test_code_is_one_block_whatever_stands_in_it() -> None:
    code = "```python\n# no heading\n\n<script>\nx = 1 | 2\n</script>\n```"
    assert blocks(f"before\n{code}\nafter") == [Block("before"), Block(code), Block("after")]
    assert blocks("```\nnever closed") == [Block("```\nnever closed")]


def test_tables_with_and_without_outer_pipes() -> None:
    for text in ("| a | b |\n|---|:-:|\n| 1 | 2 |", "a | b\n--- | ---\n1 | 2"):
        (found,) = blocks(text)
        assert (found.kind, found.text) == ("table", "| a | b |\n| --- | --- |\n| 1 | 2 |")


def test_a_table_without_header_takes_its_first_row() -> None:
    """So Word's tables come from markitdown."""
    (found,) = blocks("|  |  |\n| --- | --- |\n| 项目 | 数量 |\n| 苹果 | 12 |")
    assert found.text == "| 项目 | 数量 |\n| --- | --- |\n| 苹果 | 12 |"


def test_pipes_without_a_rule_are_text() -> None:
    assert blocks("a | b\nc | d") == [Block("a | b\nc | d")]


def test_cells_keep_their_pipes_and_places() -> None:
    (found,) = blocks("| a | b | c |\n|---|---|---|\n| x\\|y |  | z |")
    assert found.text.endswith("| x\\|y |  | z |")


def test_active_parts_and_comments_fall_away_and_mentions_stay() -> None:
    text = "one <!-- hidden --> two\n\n<script src=x>\nsteal()\n</script>\n\n"
    text += "Use the `<script>` tag, closed by `</script>`."
    said = "\n".join(b.text for b in blocks(text))
    assert "hidden" not in said
    assert "steal" not in said
    assert "Use the `<script>` tag, closed by `</script>`." in said


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("see [the page](https://a.b/c_(d)) now", "see the page now"),
        ('![logo](data:image/png;base64,AAAA "title")', "logo"),
        ("snake\\_case \\* 2 \\# x", "snake_case * 2 # x"),
        ("a [note] (in brackets)", "a [note] (in brackets)"),
    ],
)
def test_links_leave_their_words(raw: str, expected: str) -> None:
    assert unlink(raw) == expected


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_comma_separated_values(delimiter: str) -> None:
    text = delimiter.join(["名称", "说明"]) + "\r\n" + delimiter.join(["甲", '"两行\n""文字"""']) + "\r\n"
    assert [b.text for b in csv_table(text)] == ['| 名称 | 说明 |\n| --- | --- |\n| 甲 | 两行 "文字" |']
    assert csv_table("\n\n") == []


def test_a_table_drops_only_what_is_empty() -> None:
    assert table([["", ""], ["a", ""], ["b", "c", ""]]) == "| a |  |\n| --- | --- |\n| b | c |"
    assert table([["", " "]]) == ""
