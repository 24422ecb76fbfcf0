"""Office formats and web pages: order, sheets whose size is written wrong, and the encodings of old pages."""

import io
import zipfile
from pathlib import Path

import pytest

from core.rag.readers import office
from core.rag.readers.blocks import Block, Unreadable
from tests.helpers import documents as make


def repacked(data: bytes, name: str, change: tuple[bytes, bytes]) -> bytes:
    """The zip with one member's bytes changed."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {member: archive.read(member) for member in archive.namelist()}
    assert change[0] in members[name]
    members[name] = members[name].replace(*change)
    return make.zipped(members)


def test_a_sheet_whose_size_is_written_wrong_is_read_whole() -> None:
    data = repacked(make.xlsx(), "xl/worksheets/sheet1.xml", (b'<dimension ref="A1:C3"', b'<dimension ref="A1"'))
    assert "香梨" in office.xlsx(data)[1].text


def test_numbers_and_dates_as_a_person_reads_them() -> None:
    import datetime

    values = [3.0, 0.1 + 0.2, 12, True, datetime.datetime(2026, 11, 22), datetime.datetime(2026, 1, 2, 3, 4), None]
    said = [office._cell(value) for value in values]
    assert said == ["3", "0.3", "12", "True", "2026-11-22", "2026-01-02 03:04:00", ""]


def test_a_slides_title_comes_first_wherever_it_stands() -> None:
    import pptx

    deck = pptx.Presentation()
    slide = deck.slides.add_slide(deck.slide_layouts[5])
    table = slide.shapes.add_table(2, 1, 0, 0, 1_000_000, 1_000_000).table
    table.cell(0, 0).text, table.cell(1, 0).text = "列", "值"
    slide.shapes.title.text = "标题"
    slide.shapes.title.top = 5_000_000
    target = io.BytesIO()
    deck.save(target)
    assert office.pptx(target.getvalue()) == [
        Block("标题", 1, 1),
        Block("| 列 |\n| --- |\n| 值 |", 1, kind="table"),
    ]


@pytest.mark.parametrize(
    ("declared", "actual"),
    [("gb2312", "gb18030"), ("big5", "big5"), ("utf-8", "utf-8-sig"), ("utf-8", "gb18030"), ("nonsense", "gb18030")],
)
def test_a_page_says_its_encoding_and_may_be_wrong(declared: str, actual: str) -> None:
    text = make.TRADITIONAL if actual == "big5" else make.SIMPLIFIED
    page = f'<html><head><meta http-equiv="Content-Type" content="text/html; charset={declared}"></head><p>{text}</p>'
    found, encoding = office.html(page.encode(actual))
    assert [block.text for block in found] == [text]
    assert encoding == actual.removesuffix("-sig")


def test_a_page_without_a_heading_takes_its_title() -> None:
    found, _ = office.html(b"<html><head><title> The\n title </title></head><body><p>text</p></body></html>")
    assert found == [Block("The title", level=1), Block("text")]


def test_what_a_zip_is() -> None:
    assert office.kind_of_zip(["[Content_Types].xml", "word/document.xml"]) == "docx"
    assert office.kind_of_zip(["a.txt", "word/document.xml"]) == "zip"
    for names in (["mimetype", "content.xml"], ["[Content_Types].xml", "visio/document.xml"]):
        with pytest.raises(Unreadable, match="format"):
            office.kind_of_zip(names)


@pytest.mark.parametrize(
    ("name", "data", "member", "mark"),
    [
        ("docx", make.docx(), "word/document.xml", b"<w:t>"),
        ("pptx", make.pptx(), "ppt/slides/slide1.xml", b"<a:t>"),
        ("xlsx", make.xlsx(), "xl/workbook.xml", b'name="'),
    ],
)
def test_entities_reach_no_file_and_fill_no_memory(
    name: str, data: bytes, member: str, mark: bytes, tmp_path: Path
) -> None:
    (tmp_path / "secret.txt").write_text("SECRET")
    grown = "".join(f'<!ENTITY a{i} "{f"&a{i - 1};" * 10}">' for i in range(1, 10))
    outside = f'<!ENTITY x SYSTEM "{(tmp_path / "secret.txt").as_uri()}">'
    for entities, used in ((f'<!ENTITY a0 "lollol">{grown}', b"&a9;"), (outside, b"&x;")):
        hostile = repacked(data, member, (mark, mark + used))
        start = b"<w:document" if name == "docx" else b"<p:sld" if name == "pptx" else b"<workbook"
        hostile = repacked(hostile, member, (start, f"<!DOCTYPE l [{entities}]>".encode() + start))
        try:
            said = "".join(block.text for block in getattr(office, name)(hostile))
        except Exception:
            continue  # refusing it is as good; documents.py makes a sentence of it
        assert "SECRET" not in said
        assert len(said) < 10_000
