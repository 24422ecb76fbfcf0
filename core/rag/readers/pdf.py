"""PDF → blocks: pdfium reads text with its places and renders, pdfplumber finds ruled tables, RapidOCR reads pictures.

pdfium is not thread-safe: everything of it happens under one lock, a page at a time; OCR, which is slow, outside.
"""

import ctypes
import io
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import Any

from core.rag.readers import layout, ocr
from core.rag.readers.blocks import Block, Unreadable, table
from core.rag.readers.layout import Glyph

PICTURE = 0.05  # of the page's area: smaller pictures are logos, not scans
FEW = 10  # characters: a page or picture with fewer has no text of its own
PIXELS = 2000  # of the longer side when a page is rendered for OCR, as the recogniser itself scales down to it
_LOCK = Lock()
Box = tuple[float, float, float, float]  # left, bottom, right, top in points, y upwards


@dataclass(frozen=True)
class Page:
    """What a page holds: its ends, its characters in reading order, the pictures (pixels) that need OCR."""

    number: int
    bottom: float
    top: float
    glyphs: list[Glyph]
    pictures: list[tuple[Box, Any]] = field(default_factory=list)
    scanned: list[tuple[Box, list[Glyph]]] = field(default_factory=list)


def read(data: bytes) -> tuple[list[Block], list[str]]:
    """The blocks of a PDF and notes: "ocr: 1, 3" (pages read from pictures), "no ocr: 2" (pages that would need it).

    Raises:
        Unreadable: "encrypted", "damaged" or "scan" (nothing but pictures, and no OCR here).
    """
    if data.rfind(b"startxref") < data.rfind(b"endobj"):
        raise Unreadable("damaged")  # cut off; pdfium would mend it and silently leave pages out
    with _LOCK:
        document, count = _open(data)
    pages, blind = [], []
    with ExitStack() as stack:
        stack.callback(_close, document)
        plumber: Any = None
        for index in range(count):
            with _LOCK:
                page, ruled = _page(document, index)
            if ruled:
                plumber = plumber or stack.enter_context(_plumber(data))
                page = replace(page, glyphs=_with_tables(page.glyphs, plumber.pages[index]))
            if page.pictures and not ocr.available():
                blind.append(page.number)
            scanned = [(box, found) for box, picture in page.pictures if (found := _recognised(box, picture))]
            pages.append(replace(page, pictures=[], scanned=scanned, glyphs=layout.lines(page.glyphs)))
    if blind and not any(page.glyphs for page in pages):
        raise Unreadable("scan")
    levels = layout.heading_levels([line for page in pages for line in page.glyphs])
    notes = [("ocr", [page.number for page in pages if page.scanned]), ("no ocr", blind)]
    return (
        [block for page in pages for block in _blocks(page, levels)],
        [f"{word}: {', '.join(map(str, numbers))}" for word, numbers in notes if numbers],
    )


def _close(document: Any) -> None:
    with _LOCK:
        document.close()


def _plumber(data: bytes) -> Any:
    import pdfplumber

    return pdfplumber.open(io.BytesIO(data))


def _with_tables(glyphs: list[Glyph], page: Any) -> list[Glyph]:
    """The characters with each ruled table in place of its own; a table that would lose some of them is left alone."""
    top = page.mediabox[3]
    for found in page.find_tables():
        rows = [[cell or "" for cell in row] for row in found.extract()]
        left, up, right, down = found.bbox
        box = (left, top - down, right, top - up)
        inside = [i for i, glyph in enumerate(glyphs) if _within(glyph, box)]
        kept = sum(len("".join(cell.split())) for row in rows for cell in row)
        if len(rows) < 2 or max(map(len, rows)) < 2 or not inside or kept < 0.95 * len(inside):
            continue
        first, dropped = inside[0], set(inside)
        whole = Glyph(table(rows), left, right, box[3], layout.TABLE)
        glyphs = [whole if i == first else glyph for i, glyph in enumerate(glyphs) if i == first or i not in dropped]
    return glyphs


def _recognised(box: Box, picture: Any) -> list[Glyph]:
    scale = picture.shape[1] / max(box[2] - box[0], 1.0)
    left, top = box[0], box[3]
    return [
        Glyph(
            line.text,
            left + line.x0 / scale,
            left + line.x1 / scale,
            top - line.y1 / scale,
            (line.y1 - line.y0) / scale,
        )
        for line in ocr.lines(picture)
    ]


def _blocks(page: Page, levels: dict[float, int]) -> list[Block]:
    """The page's paragraphs; what was read in a picture stands before the first paragraph below its middle."""

    def block(group: list[Glyph], seen: bool) -> Block:
        edge = layout.is_edge(group[0], page.bottom, page.top)
        text = "\n".join(line.text for line in group)
        if group[0].size == layout.TABLE:
            return Block(text, page.number, kind="table")
        return Block(text, page.number, 0 if seen else layout.level(group, levels), ocr=seen, edge=edge)

    groups = layout.paragraphs(page.glyphs, page.bottom, page.top)
    found = [(group[0].y, block(group, False)) for group in groups]
    for box, lines in page.scanned:
        middle = (box[1] + box[3]) / 2
        at = next((i for i, (y, _) in enumerate(found) if y < middle), len(found))
        parts = layout.paragraphs(lines, page.bottom, page.top, tolerance=0.3)
        found[at:at] = [(middle, block(group, True)) for group in parts]
    return [part for _, part in found]


def _open(data: bytes) -> tuple[Any, int]:
    import pypdfium2 as pdfium
    from pypdfium2.raw import FPDF_ERR_PASSWORD

    try:
        document = pdfium.PdfDocument(data)
    except pdfium.PdfiumError as error:
        raise Unreadable("encrypted" if error.err_code == FPDF_ERR_PASSWORD else "damaged") from error
    return document, len(document)


def _page(document: Any, index: int) -> tuple[Page, bool]:
    """A page's text and pictures, and whether it is drawn on with lines as a table is."""
    import pypdfium2.raw as raw

    page = document[index]
    try:
        textpage = page.get_textpage()
        glyphs = _glyphs(textpage.raw)
        textpage.close()
        turn = page.get_rotation()
        left, bottom, right, top = page.get_bbox()
        objects = [(o.type, o.get_bounds()) for o in page.get_objects() if o.level == 0]
        drawn = sum(kind == raw.FPDF_PAGEOBJ_PATH for kind, _ in objects)
        images = [box for kind, box in objects if kind in (raw.FPDF_PAGEOBJ_IMAGE, raw.FPDF_PAGEOBJ_FORM)]
        area = max((right - left) * (top - bottom), 1.0)
        unread = [box for box in images if _area(box) > PICTURE * area and _count(glyphs, box) < FEW]
        if _count(glyphs) < FEW and objects:  # a scan, or letters drawn as outlines
            unread = [(left, bottom, right, top)]
        view = _turned_box((left, bottom, right, top), turn)
        result = Page(index + 1, view[1], view[3], [_turned(glyph, turn) for glyph in glyphs] if turn else glyphs)
        if unread:
            result = replace(result, pictures=_render(page, unread, view))
        return result, 4 <= drawn <= 3000 and not turn
    finally:
        page.close()


def _turned(glyph: Glyph, turn: int) -> Glyph:
    """A character where a person sees it on a page that is shown turned clockwise by ``turn`` degrees."""
    x0, y0 = _turned_point(glyph.x0, glyph.y, turn)
    x1 = _turned_point(glyph.x1, glyph.y, turn)[0]
    return glyph._replace(x0=x0, x1=max(x0, x1), y=y0)


def _turned_point(x: float, y: float, turn: int) -> tuple[float, float]:
    return {0: (x, y), 90: (y, -x), 180: (-x, -y), 270: (-y, x)}[turn]


def _turned_box(box: Box, turn: int) -> Box:
    (a, b), (c, d) = _turned_point(box[0], box[1], turn), _turned_point(box[2], box[3], turn)
    return min(a, c), min(b, d), max(a, c), max(b, d)


def _glyphs(textpage: Any) -> list[Glyph]:
    """Every character in reading order with its place; line ends are pdfium's own."""
    import pypdfium2.raw as raw

    found = []
    x, y = ctypes.c_double(), ctypes.c_double()
    edges = [ctypes.c_double() for _ in range(4)]
    for i in range(raw.FPDFText_CountChars(textpage)):
        character = chr(raw.FPDFText_GetUnicode(textpage, i))
        raw.FPDFText_GetCharOrigin(textpage, i, x, y)
        raw.FPDFText_GetCharBox(textpage, i, *edges)  # left, right, bottom, top
        found.append(Glyph(character, x.value, edges[1].value, y.value, raw.FPDFText_GetFontSize(textpage, i)))
    return found


def _render(page: Any, boxes: list[Box], view: Box) -> list[tuple[Box, Any]]:
    width, height = page.get_size()
    scale = PIXELS / max(width, height, 1)
    picture = page.render(scale=scale).to_numpy().copy()[:, :, :3]
    if page.get_rotation():
        return [(view, picture)]  # the boxes are those before the turn
    cut = []
    for left, bottom, right, top in boxes:
        rows = slice(max(0, int((view[3] - top) * scale)), max(0, int((view[3] - bottom) * scale)) + 1)
        columns = slice(max(0, int((left - view[0]) * scale)), max(0, int((right - view[0]) * scale)) + 1)
        if (part := picture[rows, columns]).size and min(part.shape[:2]) > 8:
            cut.append(((left, bottom, right, top), part))
    return cut


def _area(box: Box) -> float:
    return max(box[2] - box[0], 0.0) * max(box[3] - box[1], 0.0)


def _within(glyph: Glyph, box: Box) -> bool:
    return box[0] <= glyph.x0 <= box[2] and box[1] <= glyph.y <= box[3] and not glyph.text.isspace()


def _count(glyphs: list[Glyph], box: Box | None = None) -> int:
    return sum(not glyph.text.isspace() and (box is None or _within(glyph, box)) for glyph in glyphs)
