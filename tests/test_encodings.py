"""Encodings: Chinese texts short and long in every usual one, and honest refusal of what is none."""

import json

import pytest

from core.encodings import Undecodable, decode
from core.settings import ROOT
from tests.helpers.documents import SIMPLIFIED, TRADITIONAL

SHORT_SIMPLIFIED = [
    "你好",
    "检索增强",
    "第一章 总则",
    "今天天气很好",
    "产品说明书",
    "项目,数量,单价",
    "会议纪要：请各部门尽快提交",
    "错误：文件不存在",
    "深圳市南山区科技园",
    "用户名和密码不能为空。",
]
SHORT_TRADITIONAL = [
    "你好",
    "檢索增強",
    "第一章 總則",
    "今天天氣很好",
    "產品說明書",
    "項目,數量,單價",
    "會議紀要：請各部門盡快提交",
    "錯誤：檔案不存在",
    "臺北市信義區市府路",
    "使用者名稱和密碼不能為空白。",
]


@pytest.mark.parametrize("text", [*SHORT_SIMPLIFIED, SIMPLIFIED, SIMPLIFIED * 500])
@pytest.mark.parametrize("encoding", ["gb18030", "gbk", "utf-8", "utf-8-sig", "utf-16"])
def test_simplified_chinese(text: str, encoding: str) -> None:
    assert decode(text.encode(encoding))[0] == text


@pytest.mark.parametrize("text", [*SHORT_TRADITIONAL, TRADITIONAL, TRADITIONAL * 500])
@pytest.mark.parametrize("encoding", ["big5", "utf-8", "utf-16-le", "utf-16-be"])
def test_traditional_chinese(text: str, encoding: str) -> None:
    data = text.encode(encoding)
    if encoding.startswith("utf-16"):
        data = ("\ufeff" + text).encode(encoding)
    assert decode(data)[0] == text


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf16_without_a_mark(encoding: str) -> None:
    text = "第一行 one\n第二行 two\n"
    assert decode(text.encode(encoding))[0] == text


def test_chinese_among_much_ascii() -> None:
    for text, encoding in ((SIMPLIFIED, "gb18030"), (TRADITIONAL, "big5")):
        lines = "".join(f"def function_{i}(): return {i}  # {text[i]}\n" for i in range(0, 40))
        assert decode(lines.encode(encoding))[0] == lines


def test_every_shipped_chinese_document_and_its_pieces() -> None:
    """Real texts: whole, and in lines as short as they come."""
    wrong = total = 0
    for path in sorted((ROOT / "knowledge").glob("guangzhou/*.md")):
        text = path.read_text("utf-8")
        assert decode(text.encode("gb18030")) == (text, "gb18030")
        for line in filter(None, text.splitlines()):
            total += 1
            wrong += decode(line.encode("gb18030"))[0] != line
    assert total > 50
    assert wrong == 0


def test_characters_beyond_the_basic_sets() -> None:
    for text in ("𠮷野家的菜单和价格，欢迎光临本店。", "镕、喆、堃，这些字在名字里常见。"):
        assert decode(text.encode("gb18030"))[0] == text


def test_western_text_is_not_taken_for_chinese() -> None:
    text = "Les élèves étudient à l’école, où ils ont préparé un résumé très détaillé; naïve cafés."
    assert decode(text.encode("cp1252")) == (text, "cp1252")


def test_a_text_cut_inside_its_last_character_loses_only_that() -> None:
    for encoding in ("utf-8", "gb18030", "big5", "utf-16"):
        text = TRADITIONAL[:30] if encoding == "big5" else SIMPLIFIED[:30]
        assert decode(text.encode(encoding)[:-1])[0] == text[:-1], encoding


def test_noise_is_refused() -> None:
    noise = bytes((i * 37 + 129) % 127 + 128 for i in range(400))
    with pytest.raises(Undecodable, match="encoding"):
        decode(noise)
    with pytest.raises(Undecodable, match="encoding"):
        decode(
            json.dumps("한국어 문서입니다. 이 문서는 여기에서 읽을 수 없습니다.", ensure_ascii=False).encode("euc-kr")
        )
