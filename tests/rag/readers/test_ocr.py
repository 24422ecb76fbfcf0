"""The order of recognised lines: rows of a form stay together, columns stay apart."""

import random

from core.rag.readers.ocr import Line, in_order


def shuffled(lines: list[Line]) -> list[Line]:
    return random.Random(4).sample(lines, len(lines))


def said(lines: list[Line]) -> list[str]:
    return [line.text for line in in_order(shuffled(lines))]


def test_boxes_side_by_side_are_one_row() -> None:
    form = [Line("姓名", 10, 10, 60, 30), Line("王小明", 100, 12, 180, 31), Line("电话", 10, 50, 60, 70)]
    form += [Line("12345678", 100, 49, 200, 69), Line("备注", 10, 90, 60, 110)]
    assert said(form) == ["姓名 王小明", "电话 12345678", "备注"]


def test_two_columns_are_read_one_after_the_other_between_what_spans_them() -> None:
    lines = [Line("Title across", 100, 0, 900, 20)]
    for part, top in (("a", 40), ("b", 340)):
        for i in range(5):
            lines.append(Line(f"{part} left {i}", 10, top + 30 * i, 470, top + 30 * i + 20))
            lines.append(Line(f"{part} right {i}", 520, top + 30 * i + 3, 990, top + 30 * i + 23))
    lines.append(Line("Caption across", 50, 300, 950, 320))
    expected = ["Title across", *(f"a left {i}" for i in range(5)), *(f"a right {i}" for i in range(5))]
    expected += ["Caption across", *(f"b left {i}" for i in range(5)), *(f"b right {i}" for i in range(5))]
    assert said(lines) == expected


def test_a_table_of_short_cells_is_not_two_columns() -> None:
    cells = [Line(f"{c}{r}", 10 + 500 * c, 40 * r, 120 + 500 * c, 40 * r + 20) for r in range(6) for c in range(2)]
    assert said([*cells, Line("a long line of text below", 0, 400, 700, 420)]) == [
        *(f"0{r} 1{r}" for r in range(6)),
        "a long line of text below",
    ]


def test_no_line_is_no_line() -> None:
    assert in_order([]) == []
