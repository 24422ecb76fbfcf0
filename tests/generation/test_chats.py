"""Conversations on disk: saved, found again, renamed, deleted, and read back as each column saw them."""

import json
from typing import Any

import pytest

from core.errors import UserError
from core.generation import chats
from core.settings import settings


def answer(text: str, rag: bool = False, **more: Any) -> dict[str, Any]:
    passages = [{"source": "a.md", "score": 0.91234, "text": "one\n\ntwo"}] if rag else []
    record = {"rag": rag, "model": "tiny", "adapter": None, "text": text, "tokens": 3, "seconds": 1.25}
    return {**record, "passages": passages, **more}


def chat_with(*turns: tuple[str, list[dict[str, Any]]]) -> chats.Chat:
    chat = chats.new()
    chat["turns"] = [{"question": question, "asked": 0, "answers": answers} for question, answers in turns]
    return chat


def test_a_new_one_is_on_disk_with_its_first_turn_only() -> None:
    chat = chats.new()
    assert chats.listing() == []
    chat["turns"].append({"question": "What  is\na llama? " + "x" * 100, "asked": 0, "answers": []})
    chats.save(chat)
    assert chats.load(chat["id"]) == chat
    assert chat["title"].startswith("What is a llama? xxx")
    assert len(chat["title"]) == 60


def test_the_one_used_last_is_listed_first() -> None:
    first, second = chat_with(("a", [])), chat_with(("b", []))
    chats.save(first)
    chats.save(second)
    assert [chat["title"] for chat in chats.listing()] == ["b", "a"]
    chats.save(first)
    assert [chat["title"] for chat in chats.listing()] == ["a", "b"]


def test_a_damaged_file_does_not_hide_the_others() -> None:
    chat = chat_with(("a", []))
    chats.save(chat)
    (settings().chats_dir / "broken.json").write_text("{", "utf-8")
    assert [c["id"] for c in chats.listing()] == [chat["id"]]
    with pytest.raises(UserError, match="no such conversation"):
        chats.load("broken")


def test_renaming_keeps_everything_else() -> None:
    chat = chat_with(("a", [answer("A")]))
    chats.save(chat)
    chats.rename(chat["id"], "  新标题 " + "y" * 200)
    renamed = chats.load(chat["id"])
    assert renamed["title"] == ("新标题 " + "y" * 200)[:120]
    assert renamed["turns"] == chat["turns"]
    with pytest.raises(UserError, match="needs a title"):
        chats.rename(chat["id"], "  ")


def test_a_deleted_one_is_gone() -> None:
    chat = chat_with(("a", []))
    chats.save(chat)
    chats.delete(chat["id"])
    assert chats.listing() == []
    with pytest.raises(UserError, match="no such conversation"):
        chats.load(chat["id"])
    chats.delete(chat["id"])  # twice is no mistake


@pytest.mark.parametrize("name", ["", "..", "../secret", "a/b", "/etc/passwd", "nowhere"])
def test_no_name_leads_outside(name: str) -> None:
    settings().chats_dir.mkdir(parents=True)
    secret = settings().data_dir / "secret.json"
    secret.write_text('{"title": "x", "turns": []}', "utf-8")
    with pytest.raises(UserError, match="no such conversation"):
        chats.load(name)
    with pytest.raises(UserError, match="no such conversation"):
        chats.rename(name, "mine")
    if "/" in name or not name:
        with pytest.raises(UserError, match="no such conversation"):
            chats.delete(name)
    assert secret.exists()


def test_each_column_has_its_own_history() -> None:
    chat = chat_with(
        ("q1", [answer("base 1"), answer("kb 1", rag=True)]),
        ("q2", [answer("base 2")]),
        ("q3", [answer("kb 3", rag=True)]),
        ("q4", [answer(""), answer("", rag=True)]),
        ("q5", []),
    )
    assert chats.history(chat, False) == [("q1", "base 1"), ("q2", "base 2"), ("q3", "kb 3")]
    assert chats.history(chat, True) == [("q1", "kb 1"), ("q2", "base 2"), ("q3", "kb 3")]


def test_a_column_stopped_before_its_first_word_borrows_the_others_answer() -> None:
    chat = chat_with(("q1", [answer(""), answer("kb 1", rag=True)]))
    assert chats.history(chat, False) == [("q1", "kb 1")]


def test_as_markdown_it_has_questions_answers_figures_and_passages() -> None:
    chat = chat_with(("What?", [answer("This."), answer("That.", rag=True, adapter="run-1")]))
    chats.save(chat)
    assert chats.as_markdown(chat) == (
        "# What?\n\n## What?\n\n### tiny, without knowledge base\n\nThis.\n\n*3 tokens in 1.2 s*\n\n"
        "### tiny + run-1, with knowledge base\n\nThat.\n\n*3 tokens in 1.2 s*\n\n> **a.md** (0.912): one two\n"
    )


def test_as_json_it_is_what_is_kept() -> None:
    chat = chat_with(("问", [answer("答")]))
    chats.save(chat)
    assert json.loads(chats.as_json(chat)) == chats.load(chat["id"])
    assert "问" in chats.as_json(chat)


def test_each_column_of_a_grid_goes_on_with_what_it_said_itself() -> None:
    chat = chats.new()
    arms = [(rag, adapter, how) for rag in (False, True) for adapter in (None, "run") for how in ("zero-shot", "cot")]
    told = [{"rag": r, "adapter": a, "strategy": how, "text": f"{r} {a} {how}"} for r, a, how in arms]
    chat["turns"] = [{"question": "q", "asked": 0.0, "answers": told}]
    for rag, adapter, how in arms:
        assert chats.history(chat, rag, adapter or "", how) == [("q", f"{rag} {adapter} {how}")]
    assert chats.history(chat, True, "other", "cot") == [("q", "True None cot")]
