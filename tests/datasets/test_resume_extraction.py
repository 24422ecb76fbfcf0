"""The résumé data set: what is on disk is what make.py makes, and what its README promises holds."""

import importlib.util
import json
import re
from pathlib import Path
from random import Random
from types import ModuleType

import pytest

FOLDER = Path(__file__).parents[2] / "assets" / "datasets" / "resume-extraction"
KEYS = ["姓名", "国籍", "民族", "学历", "专业", "院校", "单位", "职位"]
INSTRUCTION = "从简历中提取信息，输出JSON。\n"
EDUCATION = re.compile("大学本科|本科|硕士研究生|博士研究生|研究生|硕士|博士|大专|专科|学士|中专|高中")
Row = dict[str, str]


def load_make() -> ModuleType:
    spec = importlib.util.spec_from_file_location("resume_extraction_make", FOLDER / "make.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def sentence(row: Row) -> str:
    return row["input"].removeprefix(INSTRUCTION)


def said(row: Row) -> dict[str, list[str]]:
    return json.loads(row["output"])


def values(rows: list[Row], key: str) -> set[str]:
    return {value for row in rows for value in said(row).get(key, [])}


def mean(numbers: list[int]) -> float:
    return sum(numbers) / len(numbers)


@pytest.fixture(scope="module")
def make() -> ModuleType:
    return load_make()


@pytest.fixture(scope="module")
def splits() -> dict[str, list[Row]]:
    texts = {name: (FOLDER / f"{name}.jsonl").read_text(encoding="utf-8") for name in ("train", "test")}
    return {name: [json.loads(line) for line in text.splitlines()] for name, text in texts.items()}


@pytest.fixture(scope="module")
def rows(splits: dict[str, list[Row]]) -> list[Row]:
    return splits["train"] + splits["test"]


def test_the_files_are_what_the_script_makes(make: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(make, "HERE", tmp_path)
    make.main()
    for name in ("train.jsonl", "test.jsonl"):
        assert (tmp_path / name).read_bytes() == (FOLDER / name).read_bytes()


def test_the_seed_is_the_only_source_of_chance(make: ModuleType) -> None:
    assert make.build(seed=7, train=40, test=10) == load_make().build(seed=7, train=40, test=10)
    assert make.build(seed=7, train=40, test=10) != make.build(seed=8, train=40, test=10)


def test_sizes_and_shape(splits: dict[str, list[Row]], rows: list[Row]) -> None:
    assert (len(splits["train"]), len(splits["test"])) == (480, 120)
    for row in rows:
        assert list(row) == ["input", "output"]
        assert row["input"].startswith(INSTRUCTION)
        assert "\n" not in sentence(row)


def test_every_output_is_compact_json_with_the_keys_in_order(rows: list[Row]) -> None:
    for row in rows:
        facts = said(row)
        assert list(facts) == [key for key in KEYS if key in facts], row
        assert 2 <= len(facts) <= 7, row
        assert row["output"] == json.dumps(facts, ensure_ascii=False, separators=(",", ":")), row


def test_every_value_is_a_span_of_the_sentence_in_order_of_appearance(rows: list[Row]) -> None:
    for row in rows:
        for key, spans in said(row).items():
            assert spans, row
            assert len(set(spans)) == len(spans), row
            end = 0
            for span in spans:
                assert span and span == span.strip(), row
                found = sentence(row).find(span, end)
                assert found >= 0, (key, span, row)
                end = found + len(span)


def test_no_education_and_no_ethnic_group_of_a_sentence_is_left_out(rows: list[Row]) -> None:
    for row in rows:
        facts, rest = said(row), sentence(row)
        for key in ("院校", "单位", "专业", "职位"):  # 山东医学高等专科学校 says nothing about a level
            for span in facts.get(key, []):
                rest = rest.replace(span, "＿", 1)
        assert EDUCATION.findall(rest) == facts.get("学历", []), row
        assert re.findall(r"(?!民)[一-鿿]族", rest) == [x[-2:] for x in facts.get("民族", [])], row


def test_a_pattern_names_nothing_outside_its_slots(make: ModuleType, rows: list[Row]) -> None:
    words = set().union(*(values(rows, key) for key in KEYS)) - values(rows, "姓名")
    for pattern in (make.WORDS["shared"] + make.WORDS["test_only"]).splitlines():
        plain = re.sub(r"{\w+}", "＿", pattern[2:])
        assert not [word for word in words if word in plain], pattern


def test_no_distractor_can_pass_for_a_value(make: ModuleType, rows: list[Row]) -> None:
    words = set().union(*(values(rows, key) for key in KEYS))
    distractors = " ".join(make.WORDS[name] for name in ("cities", "provinces", "hobbies")).split()
    assert not words.intersection(distractors)


def test_nobody_works_at_a_school_they_attended(make: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    universities = [sector for sector in make.WORDS["sector"] if "@" in sector["employers"]]
    monkeypatch.setitem(make.WORDS, "sector", universities)
    people = [make.person(Random(i), {"u", "u2", "o", "o2"}, i % 2 == 0, True) for i in range(600)]
    schools = " ".join(make.WORDS["schools"].values()).replace("!", "").split()
    assert any(who["o"] in schools for who in people)
    for who in people:
        assert len({who[slot] for slot in ("u", "u2", "o", "o2")}) == 4, who


def test_no_name_and_no_input_is_shared(splits: dict[str, list[Row]], rows: list[Row]) -> None:
    assert not values(splits["train"], "姓名") & values(splits["test"], "姓名")
    names = [name for row in rows for name in said(row).get("姓名", [])]
    assert len(set(names)) == len(names)
    assert len({row["input"] for row in rows}) == len(rows)


def test_some_patterns_are_only_in_the_test(make: ModuleType, splits: dict[str, list[Row]]) -> None:
    shared, test_only = make.WORDS["shared"].splitlines(), make.WORDS["test_only"].splitlines()
    assert len(set(shared + test_only)) == len(shared) + len(test_only) >= 40
    assert 0.1 <= len(test_only) / len(shared + test_only) <= 0.2
    for pattern in test_only:
        # the longest stretch between two slots is enough to know the pattern by
        shape = max(re.split(r"{\w+}|\[|\]|<[^>]*>", pattern[2:]), key=len)
        sightings = {name: sum(shape in sentence(row) for row in rows) for name, rows in splits.items()}
        assert sightings["train"] == 0 < sightings["test"], pattern


@pytest.mark.parametrize(("key", "least"), [("职位", 10), ("单位", 10), ("专业", 5), ("院校", 3)])
def test_held_out_words_are_only_in_the_test(
    make: ModuleType, splits: dict[str, list[Row]], key: str, least: int
) -> None:
    fields = {"职位": "jobs", "单位": "employers", "专业": "majors"}
    texts = [s[fields[key]] for s in make.WORDS["sector"]] if key in fields else list(make.WORDS["schools"].values())
    held = tuple({word.strip("*!") for text in texts for word in text.split() if word.endswith("!")})
    houses = tuple(word.strip("!") for word in make.WORDS["houses"].split() if word.endswith("!"))

    def is_held_out(value: str) -> bool:
        return value.endswith(held) or value.startswith(houses) if key == "单位" else value in held

    sighted = {name: {v for v in values(rows, key) if is_held_out(v)} for name, rows in splits.items()}
    assert not sighted["train"]
    assert len(sighted["test"]) >= least


@pytest.mark.parametrize("name", ["train", "test"])
def test_variety_and_lengths(splits: dict[str, list[Row]], name: str) -> None:
    rows = splits[name]
    facts = [said(row) for row in rows]
    repeated = sum(any(len(spans) > 1 for spans in f.values()) for f in facts) / len(rows)
    foreign = sum(f.get("国籍", ["中国"]) != ["中国"] for f in facts) / len(rows)
    hanzi = [len(re.findall(r"[一-鿿]", sentence(row))) for row in rows]
    assert 0.15 <= repeated <= 0.35
    assert 0.08 <= foreign <= 0.22
    assert len({tuple(f) for f in facts}) >= 20
    assert min(hanzi) >= 20
    assert max(len(sentence(row)) for row in rows) <= 60
    assert 34 <= mean([len(sentence(row)) for row in rows]) <= 42
    assert mean([len(row["output"]) for row in rows]) <= 60
    assert 3.5 <= mean([len(f) for f in facts]) <= 4.5


def test_wide_vocabularies(make: ModuleType, rows: list[Row]) -> None:
    assert len(set(make.WORDS["surnames"].split())) >= 60
    assert len(set("".join("".join(pair) for pair in make.WORDS["given"].values()))) >= 150
    least = {"国籍": 20, "民族": 20, "学历": 8, "专业": 50, "院校": 50, "单位": 60, "职位": 80}
    assert {key: len(values(rows, key)) for key in least if len(values(rows, key)) < least[key]} == {}
