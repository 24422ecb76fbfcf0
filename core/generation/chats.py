"""Conversations on disk: one JSON file each, so that a refresh, a crash or a restart loses nothing."""

import json
import time
from pathlib import Path
from typing import Any

from core import files
from core.errors import UserError
from core.generation.templates import ZERO_SHOT
from core.settings import settings

Chat = dict[str, Any]
"""{"id", "title", "created", "updated", "turns": [{"question", "asked", "kb", "dataset" of the examples, "answers":
[records of ask.record]}]}"""


def _path(chat_id: str) -> Path:
    path = settings().chats_dir / f"{chat_id}.json"
    if not chat_id or path.parent != settings().chats_dir or chat_id != Path(chat_id).name:
        raise UserError("There is no such conversation.", "Choose one from the list.")
    return path


def new() -> Chat:
    """An empty conversation; it is written to disk with its first turn."""
    now = time.time()
    return {"id": files.new_id(), "title": "", "created": now, "updated": now, "turns": []}


def save(chat: Chat) -> None:
    """Write the conversation; its title is the first question until somebody renames it."""
    chat["updated"] = time.time()
    if not chat["title"] and chat["turns"]:
        chat["title"] = " ".join(chat["turns"][0]["question"].split())[:60]
    files.write_json(_path(chat["id"]), chat)


def load(chat_id: str) -> Chat:
    """One conversation.

    Raises:
        UserError: when there is none of that id.
    """
    chat = files.read_json(_path(chat_id))
    if chat is None:
        raise UserError("There is no such conversation.", "Choose one from the list.")
    return chat


def listing(limit: int = 0) -> list[Chat]:
    """Conversations, the one used last first; at most ``limit`` (0: all)."""
    paths = sorted(settings().chats_dir.glob("*.json"), key=lambda path: path.stat().st_mtime_ns, reverse=True)
    return [chat for path in paths[: limit or None] if (chat := files.read_json(path))]


def rename(chat_id: str, title: str) -> None:
    """Give a conversation another title.

    Raises:
        UserError: when the title is empty.
    """
    if not title.strip():
        raise UserError("A conversation needs a title.", "Type at least one character.")
    save({**load(chat_id), "title": title.strip()[:120]})


def delete(chat_id: str) -> None:
    """Remove a conversation from disk."""
    _path(chat_id).unlink(missing_ok=True)


def history(chat: Chat, rag: bool, adapter: str = "", strategy: str = ZERO_SHOT) -> list[tuple[str, str]]:
    """The earlier (question, answer) pairs as one arm's column saw them.

    A turn in which this arm was not asked lends the answer of the arm most like it, so that a follow-up keeps its
    thread.
    """

    def unlike(answer: dict[str, Any]) -> tuple[bool, ...]:
        other = answer.get("strategy", ZERO_SHOT) != strategy
        return answer["rag"] != rag, (answer.get("adapter") or "") != adapter, other

    pairs = []
    for turn in chat["turns"]:
        answers = sorted((a for a in turn["answers"] if a["text"]), key=unlike)
        if answers:
            pairs.append((turn["question"], answers[0]["text"]))
    return pairs


def as_markdown(chat: Chat) -> str:
    """The conversation as a Markdown document, with figures and passages under each answer."""
    parts = [f"# {chat['title']}"]
    for turn in chat["turns"]:
        parts.append(f"## {turn['question']}")
        for answer in turn["answers"]:
            name = answer["model"] + (f" + {answer['adapter']}" if answer["adapter"] else "")
            how = answer.get("strategy", ZERO_SHOT)
            asked = "" if how == ZERO_SHOT else f", {how}"
            parts.append(f"### {name}, {'with' if answer['rag'] else 'without'} knowledge base{asked}")
            if answer.get("reasoning"):
                parts.append(f"*{' '.join(answer['reasoning'].split())}*")
            parts.append(answer["text"])
            parts.append(f"*{answer['tokens']} tokens in {answer['seconds']:.1f} s*")
            parts += [
                f"> **{p['source']}** ({p['score']:.3f}): {' '.join(p['text'].split())}" for p in answer["passages"]
            ]
    return "\n\n".join(parts) + "\n"


def as_json(chat: Chat) -> str:
    """The conversation as JSON, everything that is kept of it."""
    return json.dumps(chat, ensure_ascii=False, indent=1)
