"""Cleaning: page furniture goes, broken lines are joined, characters are put in order, and nothing else changes."""

import random
import re

import pytest

from core.rag.cleaning import clean, normalise
from core.rag.documents import Block, Document, from_text


def pdf(*blocks: Block) -> list[str]:
    return [block.text for block in clean(Document("a.pdf", blocks, "", "pdf")).blocks]


def text(raw: str) -> str:
    return clean(from_text("a.txt", raw)).text


def edge(page: int, line: str) -> Block:
    return Block(line, page, edge=True)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("ＹＵＡＮ２．０　模型", "YUAN2．0 模型"),
        ("价格：１２３，（Ａ）。“好”！", "价格：123，（A）。“好”！"),
        ("a\u00a0b\u2003c\td", "a b c d"),
        ("a\x00b\x07c\x1b", "abc"),
        ("soft\u00adhyphen zero\u200bwidth \ufeffmark", "softhyphen zerowidth mark"),
        ("one\r\ntwo\rthree\u2028four", "one\ntwo\nthree\nfour"),
        ("⼀个⽅法 eﬃcient", "一个方法 efficient"),
        ("👨\u200d👩\u200d👧 ½ ™ ①", "👨\u200d👩\u200d👧 ½ ™ ①"),
    ],
)
def test_characters_are_put_in_order(raw: str, expected: str) -> None:
    assert normalise(raw) == expected


def test_chinese_lines_are_joined_without_a_space() -> None:
    lines = [
        "检索增强生成先从知识库中找出与问题相关的段落，再让语",
        "言模型依据这些段落作答，因此答案可以逐句核对来源，也能",
        "看出哪里没有依据。",
    ]
    assert text("\n".join(lines)) == "".join(lines)


def test_latin_lines_are_joined_with_a_space_and_without_the_hyphen() -> None:
    raw = (
        "Low-rank adaptation freezes the weights that were pre-\n"
        "trained and injects matrices whose rank is small, so an inter-\n"
        "nationalisation of methods that are well-known by now, the well-\n"
        "known ones included, costs little."
    )
    assert text(raw) == (
        "Low-rank adaptation freezes the weights that were pretrained and injects matrices whose rank is small, so an "
        "internationalisation of methods that are well-known by now, the well-known ones included, costs little."
    )


def test_mixed_lines_take_a_space_only_between_latin_words() -> None:
    lines = [
        "这一段介绍基于 Transformer 的大语言模型，它们在",
        "OpenAI 发布 ChatGPT 之后受到广泛关注，其中 GPT",
        "series 的影响最大。",
    ]
    assert text("\n".join(lines)) == (
        "这一段介绍基于 Transformer 的大语言模型，它们在"
        "OpenAI 发布 ChatGPT 之后受到广泛关注，其中 GPT series 的影响最大。"
    )


@pytest.mark.parametrize(
    "raw",
    [
        "- one\n- two\n- three",
        "1. 第一步先安装依赖并且检查版本号\n2. 第二步启动应用并打开浏览器页面\n3. 第三步上传文档然后建立知识库",
        "一、总则\n二、分则",
        "床前明月光，\n疑是地上霜。\n举头望明月，\n低头思故乡。",
        "第一段到这里就结束了，它说的是一件事情，所以自成一段，不必连在一起。\n第二段很短。\n第三段也一样短。",
        "```\nif a:\nreturn b\n```",
        "| a | b |\n| --- | --- |\n| 1 | 2 |",
    ],
)
def test_lines_that_end_on_purpose_keep_their_ends(raw: str) -> None:
    assert text(raw) == raw


def test_headers_footers_and_page_numbers_go() -> None:
    pages = []
    for page in range(1, 6):
        pages += [
            edge(page, "年度报告"),
            Block(f"这是第{page}页的正文内容。", page),
            edge(page, f"第 {page} 页 共 5 页"),
        ]
        pages += [edge(page, f"2024 Report — {page + 10}")]
    assert pdf(*pages) == [f"这是第{page}页的正文内容。" for page in range(1, 6)]


def test_printed_numbers_may_count_from_another_page() -> None:
    pages = []
    for page in range(4, 10):
        chapter = f"Chapter {page // 2}: Names {page - 3}" if page % 2 else f"{page - 3} The whole book"
        pages += [edge(page, chapter), Block(f"Text of page {page}.", page)]
    assert pdf(edge(1, "iii"), *pages) == [f"Text of page {page}." for page in range(4, 10)]


def test_a_line_of_the_margin_that_does_not_repeat_stays() -> None:
    kept = [edge(1, "报告的标题"), edge(2, "第二页开头的一句话。"), edge(3, "2024"), edge(3, "表 7")]
    assert pdf(*kept) == [block.text for block in kept]


def test_what_repeats_in_the_body_stays() -> None:
    body = [Block("小结", page, 2) for page in range(1, 6)]
    assert pdf(*body) == ["小结"] * 5


@pytest.mark.parametrize("line", ["3", "- 3 -", "第3页", "Page 3 of 9", "3 / 9", "第 3 页，共 9 页", "p. 3"])
def test_page_numbers_of_every_dress(line: str) -> None:
    assert pdf(Block("正文。", 3), edge(3, line)) == ["正文。"]


def test_chapters_numbered_like_their_pages_stay_in_the_body() -> None:
    blocks = [Block(f"第{page}章 检索", page, 1) for page in range(1, 5)]
    assert len(pdf(*blocks)) == 4


def test_a_paragraph_cut_by_the_end_of_a_page_is_one_again() -> None:
    found = clean(
        Document(
            "a.pdf",
            (
                Block("检索增强生成先从知识库中找出与问题相关的段落，再让语言模型依据这些", 1),
                edge(1, "第 1 页"),
                Block("段落作答。", 2),
                Block("Each statement can be checked, because the", 2),
                Block("passages are shown.", 3),
                Block("New one.", 4),
            ),
            "",
            "pdf",
        )
    ).blocks
    assert [(b.page, b.text) for b in found] == [
        (1, "检索增强生成先从知识库中找出与问题相关的段落，再让语言模型依据这些段落作答。"),
        (2, "Each statement can be checked, because the passages are shown."),
        (4, "New one."),
    ]


def test_a_header_that_does_not_repeat_is_not_drawn_into_the_sentence() -> None:
    half = "检索增强生成先从知识库中找出与问题相关的段落，再让语言模型依据这些"
    assert pdf(Block(half, 1), edge(2, "源实验室"), Block("段落作答。", 2)) == [half, "源实验室", "段落作答。"]


def test_headings_tables_and_lists_are_not_drawn_into_a_paragraph() -> None:
    blocks = [Block("这一段很长很长，没有句号结尾，一直写到了这一页的最后一行为止", 1), Block("第二章", 2, 1)]
    blocks += [
        Block("又一段很长很长，没有句号结尾，一直写到了这一页的最后一行为止", 2),
        Block("| a |\n| --- |", 3, kind="table"),
    ]
    blocks += [Block("再一段很长很长，没有句号结尾，一直写到了这一页的最后一行为止", 3), Block("1. 条目", 4)]
    assert pdf(*blocks) == [block.text for block in blocks]


def test_no_letter_is_lost_and_cleaning_twice_is_cleaning_once() -> None:
    chance = random.Random(7)
    pieces = [
        *"字词，。！",
        "word ",
        "hyphen-\n",
        "end.\n",
        "\n",
        "\n\n",
        "- item\n",
        "第 3 页\n",
        "　",
        "Ａ",
        "３",
        "# head\n",
    ]
    for _ in range(150):
        raw = "".join(chance.choices(pieces, k=chance.randint(1, 300))) + "x"
        document = from_text("a.md", raw)
        once = clean(document)
        assert clean(once) == once

        def letters(what: str) -> str:
            return re.sub(r"[\s-]", "", normalise(what))

        assert letters(once.text) == letters(document.text)
