"""Documents made on the spot: one of each format, and one of each way to be broken."""

import io
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ZH = "检索增强生成先从知识库中找出与问题相关的段落，再让语言模型依据这些段落作答，因此答案可以核对。"
EN = "Retrieval-augmented generation looks passages up before it answers, so that each statement can be checked."


def zh(number: int) -> str:
    """A Chinese sentence that is nobody's duplicate: texts with different numbers never are."""
    return f"第{number}条：{ZH}"


def en(number: int) -> str:
    return f"Rule {number}: {EN}"


ROWS = [["项目", "数量", "单价"], ["苹果", "12", "3.5"], ["香梨", "7", "4.25"]]
TRADITIONAL = "廣州位於珠江三角洲的北端，是華南最重要的交通樞紐。這座城市的歷史超過兩千年，對外貿易從來沒有中斷過。"
SIMPLIFIED = "广州位于珠江三角洲的北端，是华南最重要的交通枢纽。这座城市的历史超过两千年，对外贸易从来没有中断过。"


def pdf(pages: int = 3, password: str = "") -> bytes:
    """Pages with a running header, a page number, a heading, paragraphs in both scripts and a ruled table."""
    from reportlab.lib.pdfencrypt import StandardEncryption
    from reportlab.lib.styles import getSampleStyleSheet
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.cidfonts import UnicodeCIDFont
    from reportlab.platypus import PageBreak, Paragraph, SimpleDocTemplate, Table

    font = "STSong-Light"
    pdfmetrics.registerFont(UnicodeCIDFont(font))
    styles = getSampleStyleSheet()
    heading = styles["Heading1"].clone("heading", fontName=font)
    chinese = styles["BodyText"].clone("chinese", fontName=font, fontSize=11, leading=16, wordWrap="CJK")
    story: list[Any] = []
    for number in range(1, pages + 1):
        table = Table(ROWS, style=[("GRID", (0, 0), (-1, -1), 1, "black"), ("FONTNAME", (0, 0), (-1, -1), font)])
        story += [Paragraph(f"第{number}章 检索", heading), Paragraph(zh(number) * 3, chinese)]
        story += [
            Paragraph(en(number) * 3, styles["BodyText"]),
            table,
            Paragraph(f"表格之后是第{number}段。", chinese),
            PageBreak(),
        ]

    def furniture(canvas: Any, document: Any) -> None:
        canvas.setFont(font, 9)
        canvas.drawString(60, 810, "源实验室年度报告")
        canvas.drawCentredString(300, 30, f"第 {document.page} 页")

    target = io.BytesIO()
    encrypt = StandardEncryption(password) if password else None
    template = SimpleDocTemplate(target, encrypt=encrypt)
    template.build(story, onFirstPage=furniture, onLaterPages=furniture)
    return target.getvalue()


def picture(lines: Sequence[str], size: tuple[int, int] = (1240, 600)) -> Any:
    """Lines of text as pixels: a text PDF rendered, so that no font file is needed."""
    import pypdfium2 as pdfium

    width, height = size
    page = pdfium.PdfDocument(text_pdf(lines, (width / 2, height / 2)))[0]
    return page.render(scale=2).to_pil().convert("L")


def text_pdf(
    lines: Sequence[str], size: tuple[float, float] = (595, 842), font_size: float = 16, top: float = 60
) -> bytes:
    """One page of lines, the first ``top`` points below the page's upper end."""
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.cidfonts import UnicodeCIDFont
    from reportlab.pdfgen import canvas

    pdfmetrics.registerFont(UnicodeCIDFont("STSong-Light"))
    target = io.BytesIO()
    page = canvas.Canvas(target, pagesize=size)
    page.setFont("STSong-Light", font_size)
    for number, line in enumerate(lines):
        page.drawString(50, size[1] - top - number * font_size * 1.6, line)
    page.save()
    return target.getvalue()


def scan(lines: Sequence[str], text: Sequence[str] = ()) -> bytes:
    """A PDF whose lines are a picture; with ``text`` a mixed page: real text above the picture."""
    from reportlab.lib.utils import ImageReader
    from reportlab.pdfgen import canvas

    target = io.BytesIO()
    page = canvas.Canvas(target, pagesize=(595, 842))
    for number, line in enumerate(text):
        page.setFont("Helvetica", 11)
        page.drawString(60, 740 - 16 * number, line)
    page.drawImage(ImageReader(picture(lines)), 0, 250, 595, 288)
    page.save()
    return target.getvalue()


def docx() -> bytes:
    import docx as word

    document = word.Document()
    document.add_heading("部署手册", 1)
    document.add_paragraph(zh(11))
    document.add_heading("Second part", 2)
    document.add_paragraph(en(11))
    table = document.add_table(len(ROWS), len(ROWS[0]))
    for y, row in enumerate(ROWS):
        for x, cell in enumerate(row):
            table.cell(y, x).text = cell
    return _saved(document)


def pptx() -> bytes:
    import pptx as powerpoint

    deck = powerpoint.Presentation()
    for title, body in (("第一张", "要点一\n要点二"), ("Second slide", en(12))):
        slide = deck.slides.add_slide(deck.slide_layouts[1])
        slide.shapes.title.text, slide.placeholders[1].text = title, body
    slide = deck.slides.add_slide(deck.slide_layouts[6])
    slide.shapes.add_textbox(0, 0, 3_000_000, 1_000_000).text_frame.text = "没有标题的一张"
    return _saved(deck)


def xlsx() -> bytes:
    import openpyxl

    book = openpyxl.Workbook()
    book.active.title = "销售"
    for row in (["项目", None, "数量"], ["苹果", None, 12], ["香梨", "大", 7.5]):
        book.active.append(row)
    book.create_sheet("空")
    book.create_sheet("Notes").append([en(13)])
    return _saved(book)


def html() -> bytes:
    return f"""<html><head><title>源实验室</title><style>p {{color: red}}</style><script>steal("cookie")</script></head>
<body><h1>网页</h1><p>{zh(14)} <a href="javascript:steal()">链接</a><img src=x onerror="steal()"></p>
<table><tr><th>项目</th><th>数量</th></tr><tr><td>苹果</td><td>12</td></tr></table></body></html>""".encode()


def zipped(members: dict[str, bytes]) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return target.getvalue()


def _saved(document: Any) -> bytes:
    target = io.BytesIO()
    document.save(target)
    return target.getvalue()


def make_folder(folder: Path) -> Path:
    """One document of each format and encoding in ``folder``, a scan among them."""
    csv = "\n".join(",".join(row) for row in ROWS)
    files = {
        "report.pdf": pdf(),
        "scan.pdf": scan(["扫描件中的第一行文字", "第二行写着编号 4711"]),
        "manual.docx": docx(),
        "slides.pptx": pptx(),
        "table.xlsx": xlsx(),
        "page.html": html(),
        "notes.md": f"# 笔记\n\n{zh(15)}\n\n## English\n\n{en(15)}\n".encode(),
        "plain.txt": f"{en(16)}\n\n{zh(16)}\n".encode(),
        "utf16.txt": ("编码为 UTF-16。" + SIMPLIFIED).encode("utf-16"),
        "gb18030.txt": SIMPLIFIED.encode("gb18030"),
        "big5.txt": TRADITIONAL.encode("big5"),
        "rows.csv": csv.encode("gb18030"),
        "more.zip": zipped({"inner/一.md": "# 压缩包\n\n压缩包里的文字。".encode(), "two.txt": b"Text inside a zip."}),
    }
    return _written(folder, files)


def make_broken_folder(folder: Path) -> Path:
    """Files that cannot be read, each in its own way, and one good one, "good.md"."""
    whole = pdf()
    files = {
        "good.md": "# 好的\n\n这个文件没有问题。".encode(),
        "encrypted.pdf": pdf(1, password="secret"),
        "truncated.pdf": whole[: len(whole) // 2],
        "truncated.docx": docx()[:4000],
        "empty.txt": b"",
        "blank.docx": _blank_docx(),
        "huge.txt": b"x" * 1_100_000,  # with YUAN_MAX_DOCUMENT_MB=1
        "picture.png": b"\x89PNG\r\n\x1a\n" + bytes(range(256)),
        "binary.txt": bytes(range(256)) * 8,
        "old.doc": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600),
        "locked.docx": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600) + "EncryptedPackage".encode("utf-16-le"),
        "bomb.zip": zipped({"bomb.txt": b"0" * 5_000_000}),
        "bomb.docx": zipped({"[Content_Types].xml": b"<x/>", "word/document.xml": b" " * 9_000_000}),
        "nested.zip": zipped({"inner.zip": zipped({"a.txt": b"deep"}), "ok.txt": b"The rest goes on."}),
        "traversal.zip": zipped({"../../escape.txt": b"out", "/etc/absolute.txt": b"out", "fine.txt": b"Inside."}),
        "random.docx": zipped({"[Content_Types].xml": b"<x/>", "word/document.xml": b"<not-xml"}),
    }
    return _written(folder, files)


def _blank_docx() -> bytes:
    import docx as word

    return _saved(word.Document())


def _written(folder: Path, files: dict[str, bytes]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder
