"""Duplicates: exact and near ones are found, what only looks alike is kept, and ten thousand chunks take seconds."""

import random
import time

from core.duplicates import Duplicate, duplicates
from core.rag.chunks import Chunk

PASSAGE = (
    "广州位于珠江三角洲的北端，是华南最重要的交通枢纽。这座城市的历史超过两千年，对外贸易从来没有中断过，"
    "老城区里保存着许多骑楼和祠堂，珠江穿城而过，两岸夜景很有名，每年都有大量游客前来参观。"
)
ENGLISH = (
    "Low-rank adaptation freezes the pretrained weights and injects trainable rank decomposition matrices into each "
    "layer of the architecture, which greatly reduces the number of trainable parameters for downstream tasks."
)


def chunks(*texts: str) -> list[Chunk]:
    return [Chunk(text, f"{i}.md") for i, text in enumerate(texts)]


def test_the_same_text_counts_once_whatever_its_case_width_and_punctuation() -> None:
    found = duplicates(chunks("Yuan 2.0，模型", "别的", "ＹＵＡＮ  2.0 模型。", "Yuan 2.0，模型"))
    assert found == [Duplicate(2, 0, 1.0), Duplicate(3, 0, 1.0)]


def test_a_word_more_is_a_near_duplicate() -> None:
    other = PASSAGE.replace("很有名", "十分有名")
    found = duplicates(chunks(ENGLISH, PASSAGE, "完全不同的一段话。", other, ENGLISH.replace("greatly ", "")))
    assert [(d.index, d.of) for d in found] == [(3, 1), (4, 0)]
    assert all(0.85 <= d.similarity < 1 for d in found)


def test_other_numbers_are_other_facts() -> None:
    first = PASSAGE + "2019 年接待游客 1200 万人次。"
    assert duplicates(chunks(first, first.replace("2019", "2020"))) == []


def test_alike_is_not_the_same() -> None:
    half = PASSAGE[: len(PASSAGE) // 2] + "这里写的是另外一件事情，与前文没有什么关系，只是开头一样罢了。"
    assert duplicates(chunks(PASSAGE, half)) == []


def test_a_chain_of_small_changes_points_at_what_is_kept() -> None:
    texts = [PASSAGE]
    for old, new in (
        ("很有名", "十分有名"),
        ("许多", "不少"),
        ("参观", "游览"),
        ("大量", "众多"),
        ("老城区", "旧城区"),
    ):
        texts.append(texts[-1].replace(old, new))
    found = duplicates(chunks(*texts))
    left_out = {d.index for d in found}
    assert left_out
    assert all(d.of not in left_out for d in found), "nothing is left out in favour of what is itself left out"


def test_short_and_strange_texts_are_no_trouble() -> None:
    assert duplicates(chunks("字", "词", "…", "…", "？", "\ud800")) == [Duplicate(3, 2, 1.0)]
    assert duplicates([]) == []


def test_ten_thousand_chunks_with_shared_boilerplate_take_seconds() -> None:
    chance = random.Random(1)
    words = "的一是不了在人有我他这中大来上国个到说们为子和你地出道也时年得就那要下以生会自着去之过家学对可"
    texts = ["本页内容仅供内部参考，请勿外传。" + "".join(chance.choices(words, k=250)) for _ in range(10_000)]
    planted = {}
    for copy in range(9_000, 9_200):
        at = chance.randrange(20, 240)
        texts[copy] = texts[copy - 9_000][:at] + "新" + texts[copy - 9_000][at:]
        planted[copy] = copy - 9_000
    start = time.process_time()
    found = duplicates(chunks(*texts))
    assert time.process_time() - start < 15
    assert {d.index: d.of for d in found} == planted


def test_a_point_makes_another_number() -> None:
    assert duplicates(chunks("这台机器重 1.5 吨。", "这台机器重 15 吨。", "这台机器重 １.５ 吨")) == [
        Duplicate(2, 0, 1.0)
    ]


def test_a_copy_of_what_was_left_out_points_at_what_is_kept() -> None:
    other = PASSAGE.replace("很有名", "十分有名")
    found = duplicates(chunks(PASSAGE, other, ENGLISH, other))
    assert [(d.index, d.of) for d in found] == [(1, 0), (3, 0)]
    assert found[0].similarity == found[1].similarity < 1


def test_it_is_what_comparing_all_with_all_finds() -> None:
    """Against exact Jaccard similarities of sets of five characters, over texts of every degree of likeness."""
    chance = random.Random(7)
    words = "的一是不了在人有我他这中大来上国个到说们为子和你地出道也时年得就那要下以生会自着去之过家学对可"
    texts: list[str] = []
    for _ in range(40):
        text = "".join(chance.choices(words, k=200))
        for changes in (0, 1, 3, 6, 12):
            letters = list(text)
            for at in chance.sample(range(200), changes):
                letters[at] = "新"
            texts.append("".join(letters))
    chance.shuffle(texts)
    sets = [{text[i : i + 5] for i in range(len(text) - 4)} for text in texts]
    kept: list[int] = []
    expected = {}
    for i, one in enumerate(sets):
        likeness = [(len(one & sets[j]) / len(one | sets[j]), -j) for j in kept]
        best = max(likeness, default=(0.0, 0))
        if best[0] >= 0.85:
            expected[i] = -best[1]
        else:
            kept.append(i)
    assert len(expected) > 50
    assert {d.index: d.of for d in duplicates(chunks(*texts))} == expected
