"""The résumé data set: what is on disk is what make.py makes, and what its README promises holds."""

import importlib.util
import json
import re
from pathlib import Path
from random import Random
from types import ModuleType

import pytest

FOLDER = Path(__file__).parents[2] / "assets" / "datasets" / "resume-extraction"
KEYS = ["姓名", "国籍", "学历", "院校", "职位"]
INSTRUCTION = "提取简历信息：\n"
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
        assert 2 <= len(facts) <= 4, row
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


def test_no_education_and_no_nationality_of_a_sentence_is_left_out(make: ModuleType, rows: list[Row]) -> None:
    lands = " ".join(["中国", *(land["nationalities"] for land in make.WORDS["foreign"])]).split()
    nationality = re.compile("|".join(sorted(lands, key=len, reverse=True)))
    for row in rows:
        facts, rest = said(row), sentence(row)
        for key in ("姓名", "院校", "职位"):  # 中国农业大学 says nothing about a nationality
            for span in facts.get(key, []):
                rest = rest.replace(span, "＿", 1)
        assert EDUCATION.findall(rest) == facts.get("学历", []), row
        assert nationality.findall(rest) == facts.get("国籍", []), row


def test_a_pattern_names_nothing_outside_its_slots(make: ModuleType, rows: list[Row]) -> None:
    words = set().union(*(values(rows, key) for key in KEYS)) - values(rows, "姓名")
    for pattern in (make.WORDS["shared"] + make.WORDS["test_only"]).splitlines():
        plain = re.sub(r"{\w+}", "＿", pattern)
        assert not [word for word in words if word in plain], pattern


def test_no_distractor_can_pass_for_a_value(make: ModuleType, rows: list[Row]) -> None:
    words = set().union(*(values(rows, key) for key in KEYS))
    distractors = " ".join(make.WORDS[name] for name in ("cities", "hobbies")).split()
    assert not words.intersection(distractors)


@pytest.mark.parametrize("foreign", [False, True])
def test_a_person_is_consistent(make: ModuleType, foreign: bool) -> None:
    ladders = [sector["jobs"].replace("!", "").split() for sector in make.WORDS["sector"]]
    colleges = " ".join(v for k, v in make.WORDS["schools"].items() if k.startswith("专")).replace("!", "").split()
    for i in range(600):
        who = make.person(Random(i), {"n", "e", "u", "u2", "j", "j2"}, foreign, True)
        assert (who["nat"] != "中国") == foreign, who
        assert who["land"] == who["nat"], who
        assert who["u"] != who["u2"], who
        assert who["u2"] not in colleges, who
        assert not (foreign and who["u"] in colleges), who
        assert any(who["j2"] in jobs[: jobs.index(who["j"])] for jobs in ladders if who["j"] in jobs), who
        assert int(who["by"]) + int(who["age"]) == make.THIS_YEAR, who
        assert 2 <= int(who["exp"]) <= int(who["age"]) - 21, who


def test_no_name_and_no_input_is_shared(splits: dict[str, list[Row]], rows: list[Row]) -> None:
    assert not values(splits["train"], "姓名") & values(splits["test"], "姓名")
    names = [name for row in rows for name in said(row).get("姓名", [])]
    assert len(set(names)) == len(names)
    assert len({row["input"] for row in rows}) == len(rows)


def test_some_patterns_are_only_in_the_test(make: ModuleType, splits: dict[str, list[Row]]) -> None:
    shared, test_only = make.WORDS["shared"].splitlines(), make.WORDS["test_only"].splitlines()
    assert len(set(shared + test_only)) == len(shared) + len(test_only) >= 40
    assert 0.15 <= len(test_only) / len(shared + test_only) <= 0.2
    for pattern in test_only:
        shape = re.compile(re.sub(r"{\w+}", "[^，。；｜【】]+", pattern))
        sightings = {name: sum(bool(shape.fullmatch(sentence(row))) for row in rows) for name, rows in splits.items()}
        assert sightings["train"] == 0 < sightings["test"], pattern


@pytest.mark.parametrize(("key", "least"), [("职位", 10), ("院校", 3)])
def test_held_out_words_are_only_in_the_test(
    make: ModuleType, splits: dict[str, list[Row]], key: str, least: int
) -> None:
    texts = {"职位": [sector["jobs"] for sector in make.WORDS["sector"]], "院校": make.WORDS["schools"].values()}
    held = {word.rstrip("!") for text in texts[key] for word in text.split() if word.endswith("!")}
    assert not held & values(splits["train"], key)
    assert len(held & values(splits["test"], key)) >= least


@pytest.mark.parametrize("name", ["train", "test"])
def test_variety_and_lengths(splits: dict[str, list[Row]], name: str) -> None:
    rows = splits[name]
    facts = [said(row) for row in rows]
    repeated = sum(any(len(spans) > 1 for spans in f.values()) for f in facts) / len(rows)
    foreign = sum(f.get("国籍", ["中国"]) != ["中国"] for f in facts) / len(rows)
    lengths = [len(sentence(row)) for row in rows]
    assert 0.2 <= repeated <= 0.35
    assert 0.12 <= foreign <= 0.22
    assert len({tuple(f) for f in facts}) >= 10
    assert 12 <= min(lengths) <= max(lengths) <= 45
    assert 22 <= mean(lengths) <= 26
    assert mean([len(row["output"]) for row in rows]) <= 50
    assert 2.8 <= mean([len(f) for f in facts]) <= 3.5


def test_wide_vocabularies(make: ModuleType, rows: list[Row]) -> None:
    assert len(set(make.WORDS["surnames"].split())) >= 60
    assert len(set("".join("".join(pair) for pair in make.WORDS["given"].values()))) >= 150
    least = {"国籍": 20, "学历": 8, "院校": 60, "职位": 100}
    assert {key: len(values(rows, key)) for key in least if len(values(rows, key)) < least[key]} == {}
