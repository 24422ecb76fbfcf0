"""Dialogues with summaries: two speakers, a summary about them, scenes of the test never seen in training."""

import re
import tomllib

import pytest

from tests.helpers.written_sets import DATASETS, read

LANGUAGES = {"dialogue-summary": ": ", "dialogue-summary-zh": "："}  # and what stands after a speaker's name
each_language = pytest.mark.parametrize("name", LANGUAGES)


def all_rows(name: str) -> list[dict[str, str]]:
    return read(name, "train") + read(name, "test")


def speakers(name: str, row: dict[str, str]) -> list[str]:
    """Who speaks, line by line."""
    found = [re.match(rf"(#Person[12]#(?=: )|[^\s:：#]+(?={LANGUAGES[name]}))", s) for s in row["dialogue"].split("\n")]
    assert all(found), row["dialogue"]
    return [match[1] for match in found if match]


@each_language
def test_two_speakers_talk_and_the_summary_names_one_or_both(name: str) -> None:
    tagged = 0
    for row in all_rows(name):
        said_by = speakers(name, row)
        assert len(set(said_by)) == 2 and len(said_by) >= 5, row
        assert any(who in row["summary"] for who in said_by) or "both" in row["summary"], row
        assert set(re.findall(r"#Person\d#", row["summary"])) <= set(said_by), row
        tagged += said_by[0].startswith("#Person")
    assert 0.5 <= tagged / len(all_rows(name)) <= 0.7


@each_language
def test_a_summary_is_one_or_two_sentences_told_from_outside(name: str) -> None:
    for row in all_rows(name):
        summary = row["summary"]
        assert not re.search(r"\b(I|me|my|we|our|us|you|your)\b|[我你您咱]", summary), summary
        assert 1 <= len(re.findall(r"[。.](?=\s|$|[^\d\s])", summary)) <= 2, summary
        assert len(summary) < len(row["dialogue"]) * 0.75, row


@each_language
def test_numbers_days_and_names_of_a_summary_were_said(name: str) -> None:
    for row in all_rows(name):
        for fact in re.findall(r"\d+|[A-Z][a-z]+day|周[一二三四五六日]", row["summary"].replace("#Person", "#")):
            assert fact in row["dialogue"], (fact, row)


@each_language
def test_scenes_of_the_test_are_only_in_the_test(name: str) -> None:
    scenes = tomllib.loads((DATASETS / name / "scenes.toml").read_text(encoding="utf-8"))["scene"]
    texts = {split: "\n".join(row["dialogue"] for row in read(name, split)) for split in ("train", "test")}
    held = [scene for scene in scenes if scene.get("split") == "test"]
    assert len(held) >= len(scenes) / 6
    for scene in scenes:
        here, there = ("test", "train") if scene.get("split") == "test" else ("train", "test")
        text = "\n" + re.sub(r"^=.*$", "", scene["text"], flags=re.MULTILINE)
        while "{" in text:
            text = re.sub(r"\{[^{}]*\}", "\0", text)
        piece = max(re.split(r"\0|\n(?:\+ )?[AB]: |\n", text), key=len).strip()
        assert piece in texts[here], (scene["name"], piece)
        assert piece not in texts[there], (scene["name"], piece)


@each_language
def test_no_line_is_left_with_marks_of_the_scene(name: str) -> None:
    for row in all_rows(name):
        assert not re.search(r"[{}|=]|  |\.\.|。。|，，|^\+", "\n".join(row.values()), re.MULTILINE), row
