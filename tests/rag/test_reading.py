"""Documents: every format is read by its content, with pages and headings; a bad file costs one line and no more."""

import hashlib
import time
from pathlib import Path

import pytest

from core.errors import UserError, sentence
from core.rag import chunks, documents
from core.rag.cleaning import clean
from core.rag.documents import Document, collect, from_text, read, read_all
from core.settings import settings
from tests.helpers import documents as make


def texts(document: Document) -> list[tuple[int, int, str]]:
    return [(block.page, block.level, block.text) for block in document.blocks]


def written(folder: Path, name: str, content: bytes) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(content)
    return folder / name


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Document]:
    found, rejected = read_all([make.make_folder(tmp_path_factory.mktemp("documents"))])
    assert rejected == []
    return {document.name: document for document in found}


def test_one_of_each_format_is_read(everything: dict[str, Document]) -> None:
    assert {name: document.kind for name, document in everything.items()} == {
        "report.pdf": "pdf",
        "scan.pdf": "pdf",
        "manual.docx": "docx",
        "slides.pptx": "pptx",
        "table.xlsx": "xlsx",
        "page.html": "html",
        "notes.md": "md",
        "plain.txt": "txt",
        "utf16.txt": "txt",
        "gb18030.txt": "txt",
        "big5.txt": "txt",
        "rows.csv": "csv",
        "more.zip/inner/一.md": "md",
        "more.zip/two.txt": "txt",
    }
    assert everything["gb18030.txt"].text == make.SIMPLIFIED
    assert everything["big5.txt"].text == make.TRADITIONAL
    assert everything["utf16.txt"].text.endswith(make.SIMPLIFIED)
    assert everything["big5.txt"].notes == ("encoding: big5",)


def test_a_word_document_has_its_headings_and_tables(everything: dict[str, Document]) -> None:
    assert texts(everything["manual.docx"]) == [
        (0, 1, "部署手册"),
        (0, 0, make.zh(11)),
        (0, 2, "Second part"),
        (0, 0, make.en(11)),
        (0, 0, "| 项目 | 数量 | 单价 |\n| --- | --- | --- |\n| 苹果 | 12 | 3.5 |\n| 香梨 | 7 | 4.25 |"),
    ]
    assert everything["manual.docx"].blocks[-1].kind == "table"


def test_a_presentation_has_slides(everything: dict[str, Document]) -> None:
    assert texts(everything["slides.pptx"]) == [
        (1, 1, "第一张"),
        (1, 0, "要点一\n要点二"),
        (2, 1, "Second slide"),
        (2, 0, make.en(12)),
        (3, 0, "没有标题的一张"),
    ]


def test_a_workbook_has_sheets_and_cells_as_typed(everything: dict[str, Document]) -> None:
    assert texts(everything["table.xlsx"])[:2] == [
        (0, 1, "销售"),
        (0, 0, "| 项目 | | 数量 |\n| --- | --- | --- |\n| 苹果 | | 12 |\n| 香梨 | 大 | 7.5 |".replace("| |", "|  |")),
    ]
    assert everything["table.xlsx"].blocks[2].text == "Notes"


def test_a_page_of_the_web_leaves_its_scripts_behind(everything: dict[str, Document]) -> None:
    page = everything["page.html"]
    assert texts(page)[0] == (0, 1, "网页")
    assert make.zh(14) in page.text
    assert "链接" in page.text
    for active in ("script", "steal", "javascript", "onerror", "color: red", "<"):
        assert active not in page.text


def test_markdown_and_comma_separated_values(everything: dict[str, Document]) -> None:
    assert texts(everything["notes.md"]) == [
        (0, 1, "笔记"),
        (0, 0, make.zh(15)),
        (0, 2, "English"),
        (0, 0, make.en(15)),
    ]
    assert everything["rows.csv"].text.startswith("| 项目 | 数量 | 单价 |\n| --- |")
    assert everything["rows.csv"].notes == ("encoding: gb18030",)


def test_broken_files_cost_a_line_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YUAN_MAX_DOCUMENT_MB", "1")
    settings.cache_clear()
    folder = make.make_broken_folder(tmp_path / "broken")
    before = sorted(path.name for path in tmp_path.rglob("*"))
    found, rejected = read_all([folder])
    assert [document.name for document in found] == ["good.md", "nested.zip/ok.txt", "traversal.zip/fine.txt"]
    said = {one.name: sentence(one.error) for one in rejected}
    for name, words in {
        "encrypted.pdf": "password",
        "locked.docx": "password",
        "truncated.pdf": "damaged",
        "truncated.docx": "damaged",
        "random.docx": "damaged",
        "empty.txt": "empty",
        "blank.docx": "no text",
        "huge.txt": "larger than 1 MB",
        "picture.png": "Formats",
        "binary.txt": "Formats",
        "old.doc": "old format",
        "bomb.zip": "far more than its size",
        "bomb.docx": "far more than its size",
        "nested.zip/inner.zip": "archive within",
        "traversal.zip/../../escape.txt": "outside",
        "traversal.zip//etc/absolute.txt": "outside",
    }.items():
        assert words in said.pop(name), name
    assert said == {}
    assert sorted(path.name for path in tmp_path.rglob("*")) == before, "nothing was written beside them"


@pytest.mark.parametrize("make_one", [make.pdf, make.docx, make.pptx, make.xlsx])
def test_a_file_cut_anywhere_is_refused_or_read_but_never_a_crash(make_one, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    whole = make_one()
    for share in (0.01, 0.3, 0.6, 0.9, 0.99):
        with pytest.raises(UserError, match=r"damaged|cannot be read|empty"):
            read(written(tmp_path, "cut", whole[: int(len(whole) * share)]), "cut.bin")


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("really.docx.pdf", make.docx(), "docx"),
        ("really-a-pdf.txt", make.pdf(1), "pdf"),
        ("text.pdf", b"Only text.", "txt"),
        ("page.txt", make.html(), "html"),
        ("sheet.docx", make.xlsx(), "xlsx"),
        ("no-suffix", b"Plain words.", "txt"),
    ],
)
def test_what_a_file_is_stands_in_it_not_in_its_name(tmp_path: Path, name: str, content: bytes, kind: str) -> None:
    document = read(written(tmp_path, name, content))
    assert document.kind == kind
    assert (f"content: {kind}" in document.notes) == ("." in name)


def test_a_zip_named_pdf_is_opened(tmp_path: Path) -> None:
    found, rejected = read_all([written(tmp_path, "a.pdf", make.zipped({"x.md": b"inside"}))])
    assert ([d.name for d in found], rejected) == (["x.md"], [])


def test_the_hash_is_that_of_the_bytes(tmp_path: Path) -> None:
    content = make.SIMPLIFIED.encode("gb18030")
    assert read(written(tmp_path, "a.txt", content)).sha256 == hashlib.sha256(content).hexdigest()


def test_names_are_unique_relative_and_in_the_same_order(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    for folder in (one, two):
        folder.mkdir()
        written(folder, "same.txt", folder.name.encode())
        written(folder / "deep", "inner.md", b"x")
        written(folder / ".git", "config.txt", b"hidden")
        written(folder, "~$lock.docx", b"lock")
    archive = written(tmp_path, "z.zip", make.zipped({"same.txt": b"zipped", "__MACOSX/._a": b"", ".DS_Store": b"x"}))
    workspace = tmp_path / "work"
    workspace.mkdir()
    runs = [collect([one, two, archive, one / "same.txt"], workspace)[0] for _ in range(2)]
    assert [found.name for found in runs[0]] == [
        "deep/inner.md",
        "same.txt",
        "two/deep/inner.md",
        "two/same.txt",
        "z.zip/same.txt",
        "one/same.txt",
    ]
    assert runs[0] == runs[1]
    assert [found.path.read_text() for found in runs[0]][1::2] == ["one", "two", "one"]
    assert runs[0][4].path.read_text() == "zipped"


def test_members_of_a_zip_named_in_chinese_windows(tmp_path: Path) -> None:
    data = bytearray(make.zipped({"xxxx.txt": b"text"}))
    name = "资料".encode("gb18030")
    path = written(tmp_path, "a.zip", bytes(data.replace(b"xxxx.txt", name + b".txt")))
    assert [d.name for d in read_all([path])[0]] == ["资料.txt"]


def test_a_missing_path_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no file or folder"):
        read_all([tmp_path / "gone"])
    with pytest.raises(UserError, match="cannot be opened"):
        read(tmp_path / "gone")


def test_pasted_text_is_a_document() -> None:
    document = from_text("粘贴", "# 标题\n\n正文 <script>alert(1)</script>\n\n<script>\nalert(2)\n</script>\n")
    assert texts(document)[:2] == [(0, 1, "标题"), (0, 0, "正文 <script>alert(1)</script>")]
    assert "alert(2)" not in document.text
    with pytest.raises(UserError, match="no text"):
        from_text("粘贴", " \n ")


def test_a_megabyte_of_text_takes_well_under_a_second(tmp_path: Path) -> None:
    text = "".join(f"## 第{i}节\n\n{make.ZH * 3}\n\n{make.EN}\n\n" for i in range(3000))
    path = written(tmp_path, "large.txt", text.encode("gb18030"))
    assert path.stat().st_size > 1_000_000
    read(path)
    start = time.process_time()
    clean(read(path))
    assert time.process_time() - start < 1.5


def test_every_suffix_that_is_offered_can_be_read(everything: dict[str, Document]) -> None:
    read_ones = {Path(name).suffix for name in everything} | {".zip"}
    assert documents.SUFFIXES - read_ones == {".htm", ".markdown"}


@pytest.mark.parametrize(
    "piece",
    [
        "<!--",
        "<script\n",
        "[",
        "\n",
        " ",
        "- ",
        "|",
        "|-",
        "A",
        "!x.",
        ".",
        "# ",
        "a-\n",
        "字\n",
        "```\n",
        "(",
        "\\",
        "。",
        "1.",
    ],
)
def test_no_text_takes_more_than_linear_time(piece: str) -> None:
    """Such files exist by accident (dumps, embedded pictures) and on purpose."""

    def seconds(size: int) -> float:
        text = "<b> " + piece * (size // len(piece)) + " end"
        start = time.process_time()
        chunks.split(clean(from_text("a.md", text)))
        chunks.sentences(text)
        return time.process_time() - start

    assert seconds(200_000) < 3
