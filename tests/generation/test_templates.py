"""A person's templates are kept in versions, and what cannot work is refused with words."""

from pathlib import Path
from typing import Any

import pytest

from core.errors import UserError
from core.generation import templates
from core.settings import settings


@pytest.fixture(autouse=True)
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings(), "data_dir", tmp_path)


def test_the_apps_strategies_have_the_names_of_the_command_line() -> None:
    assert list(templates.builtin()) == ["zero-shot", "few-shot", "cot"]
    assert all(name == template.kind for name, template in templates.builtin().items())
    assert all(set(template.text) == {"zh", "en"} for template in templates.builtin().values())


def test_a_version_is_what_a_template_says() -> None:
    one = templates.make("one", "zero-shot", {"en": "{question}!"})
    same = templates.make("same", "zero-shot", {"en": "{question}!"})
    other = templates.make("one", "zero-shot", {"en": "{question}?"})
    assert one.version == same.version != other.version
    assert len(one.version) == 12


def test_versions_stay_and_the_one_saved_last_is_in_use() -> None:
    first = templates.save(templates.make("短答", "zero-shot", {"zh": "{question}只用一个词回答。"}))
    second = templates.save(templates.make("短答", "zero-shot", {"zh": "{question}简短回答。"}))
    assert templates.load("短答") == second
    assert templates.load("短答", first.version) == first
    assert templates.versions("短答") == [second, first]
    assert templates.save(first) == first
    assert templates.versions("短答") == [first, second]
    assert list(templates.listing()) == ["zero-shot", "few-shot", "cot", "短答"]
    templates.remove("短答")
    assert list(templates.listing()) == ["zero-shot", "few-shot", "cot"]


def test_a_few_shot_template_comes_back_as_it_was() -> None:
    few = templates.builtin()["few-shot"]
    made = templates.make("mine", few.kind, few.text, example=few.example, shots=5, pick="similar")
    assert templates.save(made) == made == templates.load("mine")


@pytest.mark.parametrize(
    ("made", "message"),
    [
        ({"kind": "x", "text": {"en": "{question}"}}, "no kind of strategy “x”"),
        ({"kind": "cot", "text": {"en": " "}}, "is empty"),
        ({"kind": "cot", "text": {"en": "Think."}}, r"no \{question\}"),
        ({"kind": "cot", "text": {"en": "{examples} {question}"}}, r"\{examples\}, and no other"),
        ({"kind": "few-shot", "text": {"en": "{question}"}}, r"has \{examples\}"),
        ({"kind": "few-shot", "text": {"en": "{examples}{question}"}, "shots": 2}, r"needs \{question\}, \{answer\}"),
        (
            {"kind": "few-shot", "text": {"en": "{examples}{question}"}, "example": {"en": "{question}{answer}"}},
            "1 to 32 examples",
        ),
    ],
)
def test_what_cannot_work_is_refused(made: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        templates.make("mine", **made)


@pytest.mark.parametrize("name", ["a/b", "..", ".hidden", "x" * 61])
def test_a_name_is_that_of_a_folder(name: str) -> None:
    with pytest.raises(UserError, match="cannot be the name"):
        templates.save(templates.make(name, "zero-shot", {"en": "{question}"}))
    with pytest.raises(UserError, match="has no name"):
        templates.save(templates.make(" ", "zero-shot", {"en": "{question}"}))


def test_the_apps_own_are_not_replaced_and_unknown_ones_told() -> None:
    with pytest.raises(UserError, match="comes with the app"):
        templates.save(templates.builtin()["cot"])
    with pytest.raises(UserError, match="There is no “nobody”"):
        templates.load("nobody")
    with pytest.raises(UserError, match="no version 0"):
        templates.load("cot", "0")
    with pytest.raises(UserError):
        templates.remove("cot")
