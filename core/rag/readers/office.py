"""Word, PowerPoint, Excel and HTML → blocks: markitdown's converters (and openpyxl, whose cells are kept as typed)."""

import datetime
import io
import logging
import re
from dataclasses import replace
from itertools import groupby
from typing import Any

from core import encodings
from core.rag.readers import markdown
from core.rag.readers.blocks import Block, Unreadable, table

logging.getLogger("bs4.dammit").setLevel(logging.ERROR)  # it would tell a terminal of every odd byte
_CHARSET = re.compile(rb"<meta[^>]+charset\s*=\s*[\"']?\s*([\w-]+)", re.I)


def docx(data: bytes) -> list[Block]:
    """A Word document; headings are those of Word's heading styles."""
    from markitdown.converters import DocxConverter

    return _blocks(_convert(DocxConverter(), data, ".docx"))


def pptx(data: bytes) -> list[Block]:
    """A presentation; the page is the slide, and a slide's title comes first wherever its box stands."""
    from markitdown.converters import PptxConverter

    found = []
    for _, slide in groupby(_blocks(_convert(PptxConverter(), data, ".pptx")), key=lambda block: block.page):
        found += sorted(slide, key=lambda block: block.level != 1)
    return found


def html(data: bytes) -> tuple[list[Block], str]:
    """A web page and its encoding: the text without scripts and styles, links without their targets."""
    from markitdown.converters import HtmlConverter

    text, encoding = _decode_html(data)
    page = _convert(HtmlConverter(), text.encode("utf-8", "replace"), ".html")
    found = _blocks(page)
    if page.title and not any(block.level == 1 for block in found):
        found.insert(0, Block(" ".join(page.title.split()), level=1))
    return found, encoding


def xlsx(data: bytes) -> list[Block]:
    """A workbook: each sheet a heading and a table of its shown values."""
    import openpyxl

    book = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True)
    found = []
    for sheet in book.worksheets:
        sheet.reset_dimensions()  # some programs write a wrong size, and the rest would be lost
        rows = [[_cell(value) for value in row] for row in sheet.iter_rows(values_only=True)]
        if text := table(rows):
            found += [Block(sheet.title, level=1), Block(text, kind="table")]
    return found


def _convert(converter: Any, data: bytes, extension: str) -> Any:
    from markitdown import StreamInfo

    return converter.convert(io.BytesIO(data), StreamInfo(extension=extension, charset="utf-8"))


def _blocks(converted: Any) -> list[Block]:
    fenced = ("```", "~~~")
    found = markdown.blocks(converted.markdown)
    return [b if b.text.startswith(fenced) else replace(b, text=markdown.unlink(b.text)) for b in found]


def _decode_html(data: bytes) -> tuple[str, str]:
    """The page's own word on its encoding counts when it holds; gb2312 there means all of GB18030."""
    if match := _CHARSET.search(data[:4096]):
        named = match[1].decode().lower()
        try:
            encoding = {"gb2312": "gb18030", "gbk": "gb18030", "utf-8": "utf-8-sig"}.get(named, named)
            return data.decode(encoding), encoding.removesuffix("-sig")
        except (UnicodeDecodeError, LookupError):
            pass
    return encodings.decode(data)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.10g}"
    if isinstance(value, datetime.datetime) and value.time() == datetime.time():
        return value.date().isoformat()
    return str(value)


def kind_of_zip(names: list[str]) -> str:
    """What a zip with these members is: docx, pptx, xlsx or zip.

    Raises:
        Unreadable: "format" for an office format that is not read here.
    """
    if "[Content_Types].xml" in names:
        for kind, folder in (("docx", "word/"), ("pptx", "ppt/"), ("xlsx", "xl/")):
            if any(name.startswith(folder) for name in names):
                return kind
        raise Unreadable("format")
    if "mimetype" in names:  # OpenDocument, EPUB
        raise Unreadable("format")
    return "zip"
