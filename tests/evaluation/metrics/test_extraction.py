"""Fields of extracted JSON, each case counted by hand."""

import json
from itertools import permutations
from typing import Any

import pytest

from core.evaluation.metrics.extraction import Fields, compare, found_json, valid_json

REFERENCE = {"姓名": ["张三"], "学历": ["本科"], "职位": ["会计", "经理"]}


def against(given: Any, wanted: Any = REFERENCE) -> Fields:
    return compare(given if isinstance(given, str) else json.dumps(given, ensure_ascii=False), [json.dumps(wanted)])


@pytest.mark.parametrize(
    ("given", "fields"),
    [
        (REFERENCE, Fields(right=4)),
        ({**REFERENCE, "职位": ["经理", "会计"]}, Fields(right=4)),
        ({**REFERENCE, "姓名": "张三。"}, Fields(right=4)),
        ({**REFERENCE, "学历": ["硕士"]}, Fields(right=3, wrong=1)),
        ({"姓名": ["张三"], "职位": ["会计"]}, Fields(right=2, missing=2)),
        ({**REFERENCE, "住址": ["北京"], "电话": None, "邮箱": []}, Fields(right=4, extra=1)),
        ({**REFERENCE, "职位": ["会计", "出纳", "司机"]}, Fields(right=3, wrong=1, extra=1)),
        ("我不知道", Fields(missing=4)),
        ('{"姓名": ["张三"', Fields(missing=4)),
        ("[" * 5000, Fields(missing=4)),
        ('{"a":' * 30 + "1" + "}" * 30, Fields(missing=4, extra=1)),
    ],
)
def test_each_field_is_right_wrong_missing_or_too_many(given: Any, fields: Fields) -> None:
    assert against(given) == fields


def test_brackets_without_end_are_no_error() -> None:
    assert against('{"a":' * 900 + "1" + "}" * 900).missing == 4


def test_figures_of_fields() -> None:
    fields = Fields(right=3, wrong=1, missing=2, extra=1)
    assert (fields.expected, fields.given) == (6, 5)
    precision, recall = 3 / 5, 3 / 6
    assert fields.f1 == pytest.approx(2 * precision * recall / (precision + recall))
    assert against({}, {}).f1 == 1.0


def test_objects_in_a_list_are_paired_so_that_most_is_right() -> None:
    jobs = [{"title": "cook", "year": 1990}, {"title": "baker", "year": 1995}, {"title": "mayor", "year": 2001}]
    for order in permutations(jobs):
        assert against({"jobs": list(order)}, {"jobs": jobs}) == Fields(right=6)
    swapped = [{"title": "cook", "year": 1995}, {"title": "baker", "year": 1990}, jobs[2]]
    assert against({"jobs": swapped}, {"jobs": jobs}) == Fields(right=4, wrong=2)
    assert against({"jobs": jobs[:1]}, {"jobs": jobs}) == Fields(right=2, missing=4)
    assert against({"jobs": jobs}, {"jobs": jobs[1:]}) == Fields(right=4, extra=2)
    assert against({"jobs": "cook"}, {"jobs": jobs[:1]}) == Fields(missing=2, extra=1)


def test_the_best_reference_counts() -> None:
    assert compare('{"a": "x"}', ['{"a": "y"}', '{"a": "X"}']) == Fields(right=1)


@pytest.mark.parametrize(
    ("text", "valid", "found"),
    [
        ('{"a": 1}', True, {"a": 1}),
        ('```json\n{"a": 1}\n```', True, {"a": 1}),
        ('Here it is: {"a": {"b": [1]}} as asked', False, {"a": {"b": [1]}}),
        ("{a: 1}", False, None),
        ('{"a": NaN}', False, None),
        ('"a"', False, None),
        ("12", False, None),
        ("", False, None),
        ('{"a": 1} {"b": 2}', False, {"a": 1}),
    ],
)
def test_what_is_json_and_what_json_is_found(text: str, valid: bool, found: Any) -> None:
    assert valid_json(text) is valid
    assert found_json(text) == found
