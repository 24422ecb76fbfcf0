"""PDF: text with pages, headings and tables; scans and pictures beside text by OCR, and only there; many threads."""

import sys
import threading
from pathlib import Path

import pytest

from core.errors import UserError
from core.rag import chunks
from core.rag.cleaning import clean
from core.rag.documents import Document, read
from core.rag.readers import layout, ocr, pdf
from core.rag.readers.layout import Glyph
from tests.helpers import documents as make


def read_bytes(folder: Path, content: bytes) -> Document:
    (folder / "a.pdf").write_bytes(content)
    return clean(read(folder / "a.pdf"))


def test_text_headings_tables_and_pages_without_furniture(tmp_path: Path) -> None:
    found = read_bytes(tmp_path, make.pdf(3))
    table = "| 项目 | 数量 | 单价 |\n| --- | --- | --- |\n| 苹果 | 12 | 3.5 |\n| 香梨 | 7 | 4.25 |"
    expected = []
    for page in (1, 2, 3):
        expected += [(page, 1, "text", f"第{page}章 检索"), (page, 0, "text", make.zh(page) * 3)]
        expected += [(page, 0, "text", make.en(page) * 3), (page, 0, "table", table)]
        expected += [(page, 0, "text", f"表格之后是第{page}段。")]
    assert [(b.page, b.level, b.kind, b.text) for b in found.blocks] == expected
    assert found.notes == ()
    assert {(c.page, c.heading) for c in chunks.split(found)} == {(n, f"第{n}章 检索") for n in (1, 2, 3)}


def test_a_scan_is_read_in_its_order(tmp_path: Path) -> None:
    found = read_bytes(tmp_path, make.scan(["扫描件中的第一行文字", "第二行写着编号 4711", "Third line in English"]))
    said = found.text.replace(" ", "").replace("\n", "")
    assert said == "扫描件中的第一行文字第二行写着编号4711ThirdlineinEnglish"
    assert all(block.ocr and block.page == 1 for block in found.blocks)
    assert found.notes == ("ocr: 1",)


def test_a_picture_beside_text_is_read_where_it_stands(tmp_path: Path) -> None:
    text = ["This sentence stands above the picture as real text."]
    found = read_bytes(tmp_path, make.scan(["图片里的文字"], text))
    assert [(block.ocr, block.text) for block in found.blocks] == [(False, text[0]), (True, "图片里的文字")]


@pytest.mark.parametrize("turn", [90, 180, 270])
def test_a_page_shown_turned_reads_as_it_is_seen(turn: int) -> None:
    """Landscape pages of reports are portrait pages with a turn, their text set sideways."""
    import io

    from reportlab.pdfgen import canvas

    target = io.BytesIO()
    page = canvas.Canvas(target, pagesize=(600, 800))
    page.setPageRotation(turn)  # reportlab turns the sheet, too: what is seen stays 600 × 800
    page.translate(*{90: (800, 0), 180: (600, 800), 270: (0, 600)}[turn])
    page.rotate(turn)
    for y, line in ((780, "The header"), (400, "first line"), (386, "second line"), (340, "Other paragraph")):
        page.drawString(50, y, line)
    page.save()
    found, _ = pdf.read(target.getvalue())
    assert [(block.text, block.edge) for block in found] == [
        ("The header", True),
        ("first line\nsecond line", False),
        ("Other paragraph", False),
    ]


def test_ocr_is_not_asked_where_the_text_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(picture: object) -> list[ocr.Line]:
        raise AssertionError("a page with text was recognised")

    monkeypatch.setattr(ocr, "lines", never)
    assert read_bytes(tmp_path, make.pdf(2)).notes == ()


def test_without_ocr_a_scan_says_so_and_the_rest_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rapidocr_onnxruntime", None)  # as where it, or libGL, is not installed
    ocr._engine.cache_clear()
    with pytest.raises(UserError, match="is a scan"):
        read_bytes(tmp_path, make.scan(["图片"]))
    mixed = read_bytes(tmp_path, make.scan(["图片"], ["There is a sentence of real text."]))
    assert (mixed.text, mixed.notes) == ("There is a sentence of real text.", ("no ocr: 1",))
    ocr._engine.cache_clear()


def test_many_threads_read_at_once() -> None:
    """pdfium itself would crash the process."""
    data, results = make.pdf(4), []
    threads = [threading.Thread(target=lambda: results.append(pdf.read(data))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(results) == 6
    assert all(result == results[0] for result in results)


def page(*lines: tuple[str, float, float, float]) -> list[Glyph]:
    """Lines (text, left, baseline, size)."""
    return [Glyph(text, x, x + len(text) * size, y, size) for text, x, y, size in lines]


def test_a_gap_an_indent_a_size_or_a_new_column_begins_a_paragraph() -> None:
    found = page(
        ("one", 50, 700, 10),
        ("still one", 50, 686, 10),
        ("two after a gap", 50, 660, 10),
        ("still two", 50, 646, 10),
        ("three indented", 70, 632, 10),
        ("still three", 50, 618, 10),
        ("Four larger", 50, 600, 16),
        ("five in the next column", 300, 700, 10),
        ("footer", 50, 30, 10),
    )
    groups = [[line.text for line in group] for group in layout.paragraphs(found, 0, 842)]
    assert groups == [
        ["one", "still one"],
        ["two after a gap", "still two"],
        ["three indented", "still three"],
        ["Four larger"],
        ["five in the next column"],
        ["footer"],
    ]


def test_headings_are_the_larger_sizes_largest_first() -> None:
    body = page(*[("a long line of the body", 50, 700 - 14 * i, 10) for i in range(20)])
    heads = page(
        ("Chapter", 50, 400, 20),
        ("Section", 50, 380, 14),
        ("12", 50, 360, 20),
        ("No heading.。", 50, 340, 20),
        ("Names . . . . . 5", 50, 300, 20),
    )
    levels = layout.heading_levels([*body, *heads])
    assert [layout.level([line], levels) for line in [body[0], *heads]] == [0, 1, 2, 0, 0, 0]
    assert layout.heading_levels([]) == {}


def test_characters_outside_the_basic_plane_and_hyphens_of_line_ends() -> None:
    glyphs = [Glyph(c, 10.0 * i, 10.0 * i + 9, 700.0, 10.0) for i, c in enumerate("\ud842\udfb7x\x02yz\r\n  \r\nw")]
    assert [line.text for line in layout.lines(glyphs)] == ["𠮷x-", "yz", "w"]
