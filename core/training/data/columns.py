"""Layouts people have, recognised and mapped: columns of a file → rows that training and evaluation know.

Three kinds of rows come out:

- chat: {"input", "output"}, with "messages" (role, content) where there is more than one question and its answer.
  Rows about a passage keep "context", "question" and "answer" besides, rows about a dialogue "dialogue" and "summary".
  What only a comparison asks for is kept, too: all right answers ("references", of which "output" is the first, which
  is learned), the documents that hold them ("sources"), and whether there is an answer at all ("answerable"). What is
  to be learned where a passage holds none, as SQuAD 2 has it, is to say so.
- text: {"text"}.
- label: {"text", "label": name}.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from core.errors import UserError
from core.generation.prompts import Message, conversation, language, with_context
from core.training.data.formats import Table

Row = dict[str, Any]
Fields = dict[str, Any]
"""What a row holds, by the names of its layout instead of the file's."""

CHAT, TEXT, LABEL = "chat", "text", "label"
SUMMARY_PROMPTS = {
    "zh": "对话：\n{dialogue}\n请概括这段对话。",
    "en": "Conversation:\n{dialogue}\nPlease summarize this conversation.",
}
CLASS_PROMPTS = {
    "zh": "文字：{text}\n这段文字属于哪一类：{labels}？只回答类别的名称。",
    "en": "Text: {text}\nWhich class does this text belong to: {labels}? Answer with the name of the class only.",
}
UNANSWERED = {"zh": "文中没有提到。", "en": "The passage does not say."}
"""The right answer to a question that its passage does not answer, by the question's language."""
ROLES = {
    **dict.fromkeys(("user", "human", "用户"), "user"),
    **dict.fromkeys(("assistant", "gpt", "bot", "chatbot", "model", "ai", "助手"), "assistant"),
    "system": "system",
}


@dataclass(frozen=True)
class Layout:
    """A way to lay a row out: the kind it becomes, the fields it must have and those it may have."""

    kind: str
    required: tuple[str, ...]
    optional: tuple[str, ...] = ()


JUDGED = ("references", "sources", "answerable")
"""What a comparison asks for besides the answer that is learned."""
# In the order in which they are tried: the more particular ones first.
LAYOUTS = {
    "messages": Layout(CHAT, ("messages",), ("system",)),
    "context": Layout(CHAT, ("context", "question", "answer"), (*JUDGED, "impossible")),
    "dialogue": Layout(CHAT, ("dialogue", "summary"), ("references",)),
    "alpaca": Layout(CHAT, ("instruction", "output"), ("input", "system", "history", *JUDGED)),
    "pair": Layout(CHAT, ("input", "output"), ("system", *JUDGED)),
    "label": Layout(LABEL, ("text", "label")),
    "text": Layout(TEXT, ("text",)),
}
_YES, _NO = ("true", "1", "yes", "是"), ("false", "0", "no", "否")
_ANSWER = ("answer", "answers", "response", "completion", "target", "答案", "回答", "回复")
_ALIASES: dict[str, tuple[str, ...]] = {
    "messages": ("conversations", "conversation"),
    "context": ("passage", "background", "document", "背景", "上下文", "段落"),
    "question": ("query", "问题", "提问"),
    "answer": _ANSWER,
    "dialogue": ("dialog", "对话"),
    "summary": ("abstract", "摘要", "总结"),
    "instruction": ("指令",),
    "input": ("prompt", "question", "query", "source", "输入", "问题"),
    "output": ("输出", *_ANSWER),
    "text": ("sentence", "content", "review", "文本", "句子", "评论", "内容"),
    "label": ("labels", "sentiment", "category", "class", "标签", "类别", "情感"),
    "references": ("参考答案",),
    "sources": ("source", "出处", "来源"),
    "impossible": ("is_impossible",),
}


@dataclass(frozen=True)
class Mapping:
    """Which column is which field of a layout; kept with the set.

    Attributes:
        columns: field of the layout → column of the file.
        labels: names of the classes, in the order of their numbers; empty: as they stand in the rows.
    """

    layout: str
    columns: dict[str, str]
    labels: list[str] = field(default_factory=list)

    @property
    def kind(self) -> str:
        return LAYOUTS[self.layout].kind


def guess(table: Table) -> Mapping | None:
    """The mapping that the columns' names (and what is in them) suggest; None where nothing fits."""
    sample = [row for row in table.rows if isinstance(row, dict)][:50]
    names = {name.strip().lower(): name for name in reversed(table.columns)}
    for layout, parts in LAYOUTS.items():
        columns: dict[str, str] = {}
        for part in (*parts.required, *parts.optional):
            found = next((names[n] for n in (part, *_ALIASES.get(part, ())) if n in names), None)
            if found is not None and (part in parts.required or found not in columns.values()):
                columns[part] = found
        if set(parts.required) <= columns.keys() and len(set(columns.values())) == len(columns):
            turns = layout == "messages"
            if turns and not any(isinstance(row.get(columns["messages"]), list) for row in sample):
                continue
            return Mapping(layout, columns, table.names.get(columns.get("label", ""), []))
    texts = [name for name in table.columns if any(isinstance(row.get(name), str) for row in sample)]
    return Mapping("text", {"text": texts[0]}) if len(table.columns) == len(texts) == 1 else None


def make(table: Table, layout: str = "", columns: dict[str, str] | None = None, labels: Sequence[str] = ()) -> Mapping:
    """The guess with what a person says put over it.

    Args:
        layout: one of :data:`LAYOUTS`; empty: the guessed one.
        columns: field → column; those not named are looked for by their own name.

    Raises:
        UserError: an unknown layout, field or column; a field without a column; nothing recognised and nothing said.
    """
    guessed = guess(table)
    if not layout and guessed is None:
        raise UserError(
            "What the columns {columns} hold was not recognised.",
            "Say which layout it is: {known}.",
            columns=", ".join(table.columns) or "–",
            known=", ".join(LAYOUTS),
        )
    layout = layout or (guessed.layout if guessed else "")
    if layout not in LAYOUTS:
        raise UserError("There is no layout “{layout}”.", "Layouts: {known}.", layout=layout, known=", ".join(LAYOUTS))
    parts = LAYOUTS[layout]
    base = guessed.columns if guessed and guessed.layout == layout else {}
    found = {part: part for part in (*parts.required, *parts.optional) if part in table.columns} | base
    found |= columns or {}
    for part, column in found.items():
        if part not in (*parts.required, *parts.optional):
            raise UserError(
                "The layout {layout} has no field “{field}”.",
                "Its fields: {known}.",
                layout=layout,
                field=part,
                known=", ".join((*parts.required, *parts.optional)),
            )
        if column not in table.columns:
            raise UserError(
                "There is no column “{column}”.", "Columns: {known}.", column=column, known=", ".join(table.columns)
            )
    if missing := [part for part in parts.required if part not in found]:
        raise UserError(
            "The layout {layout} needs a column for “{field}”.",
            "Columns: {known}.",
            layout=layout,
            field=missing[0],
            known=", ".join(table.columns),
        )
    return Mapping(layout, found, list(labels) or table.names.get(found.get("label", ""), []))


def fields(mapping: Mapping, row: dict[str, Any]) -> Fields:
    """The row's cells by the layout's names; an optional cell that is not there is left out.

    An answer that comes as several is the first of them; all are among "references". One that comes as none, or is said
    to be impossible, becomes the sentence that says so.
    """
    required = LAYOUTS[mapping.layout].required
    found = {
        part: row.get(column)
        for part, column in mapping.columns.items()
        if part in required or row.get(column) not in (None, "", [])
    }
    for part in {"answer", "output", "summary"} & found.keys():
        given = _texts(found[part])
        if not isinstance(found[part], str) and given is not None:
            found[part] = given[0] if given else ""
        _judge(found, given or [])
    if mapping.layout == "context":
        _unanswerable(found, row.get(mapping.columns["answer"]))
    if mapping.layout == "label":
        found["label"] = label_name(found["label"], mapping.labels)
    return found


def _judge(found: Fields, given: Sequence[str]) -> None:
    """Bring what a comparison asks for into its form; what is not of it is left out."""
    references = list(dict.fromkeys([*given, *(_texts(found.pop("references", None)) or [])]))
    sources = list(dict.fromkeys(_texts(found.pop("sources", None)) or []))
    found |= {"references": references} if len(references) > 1 else {}
    found |= {"sources": sources} if sources else {}
    if not isinstance(found.get("answerable", True), bool):
        del found["answerable"]


def _unanswerable(found: Fields, given: Any) -> None:
    """SQuAD 2's own mark of a question without an answer, or its list of answers with none in it."""
    said = str(found.pop("impossible", "")).strip().casefold()  # in a table of text it is a word or a number
    none = not isinstance(given, str) and _texts(given) == []
    if said in _NO:
        found["answerable"] = True
    if said in _YES or (none and said not in _NO):
        found.pop("references", None)
        found |= {"answerable": False, "answer": UNANSWERED[language(str(found["question"]))]}


def _texts(value: Any) -> list[str] | None:
    """One text or several; None: anything else. SQuAD has [{"text": …}, …], as a table {"text": […], …}."""
    if isinstance(value, dict) and "text" in value:
        return _texts(value["text"])
    if isinstance(value, list):
        parts = [_texts(one) for one in value]
        return None if None in parts else [text for part in parts for text in part or []]
    return ([value.strip()] if value.strip() else []) if isinstance(value, str) else None


def label_name(value: Any, names: Sequence[str]) -> Any:
    """A class by its name; a number is its place among ``names``, or its own name where there are none."""
    if isinstance(value, str) and value.strip().isdecimal() and names and value not in names:
        value = int(value)
    if isinstance(value, int):
        return names[value] if 0 <= value < len(names) else str(value)
    return value.strip() if isinstance(value, str) else value


def turns(value: Any, system: str = "") -> list[Any]:
    """Messages by role and content, ShareGPT's from and value included; what is no message stays as it is."""
    found: list[Any] = [{"role": "system", "content": system}] if system else []
    for turn in value if isinstance(value, list) else []:
        if isinstance(turn, dict):
            role = turn.get("role", turn.get("from"))
            turn = {"role": ROLES.get(str(role), role), "content": turn.get("content", turn.get("value"))}
        found.append(turn)
    return found


def canonical(layout: str, cells: Fields) -> Row:
    """A row of the layout's kind, from cells that :mod:`core.training.data.checks` found right."""
    return _BUILDERS[layout](cells) | {part: cells[part] for part in JUDGED if cells.get(part) is not None}


def _from_messages(cells: Fields) -> Row:
    return _chat(turns(cells["messages"], cells.get("system", "")))


def _chat(messages: list[Message]) -> Row:
    asked = [message["content"] for message in messages if message["role"] == "user"]
    row = {"input": asked[-1], "output": messages[-1]["content"]}
    return row if len(messages) == 2 else {**row, "messages": messages}


def _from_context(cells: Fields) -> Row:
    kept: Row = {part: cells[part] for part in ("context", "question", "answer")}
    return {**kept, "input": with_context(cells["question"], [cells["context"]]), "output": cells["answer"]}


def _from_dialogue(cells: Fields) -> Row:
    kept = {part: cells[part] for part in ("dialogue", "summary")}
    prompt = SUMMARY_PROMPTS[language(cells["dialogue"])].format(dialogue=cells["dialogue"])
    return {**kept, "input": prompt, "output": cells["summary"]}


def _from_pair(cells: Fields) -> Row:
    system = [{"role": "system", "content": cells["system"]}] if cells.get("system") else []
    asked = "\n".join(cells[part] for part in ("instruction", "input") if cells.get(part))
    answer = {"role": "assistant", "content": cells["output"]}
    return _chat([*system, *conversation(asked, cells.get("history", ())), answer])


_BUILDERS: dict[str, Callable[[Fields], Row]] = {
    "messages": _from_messages,
    "context": _from_context,
    "dialogue": _from_dialogue,
    "alpaca": _from_pair,
    "pair": _from_pair,
    "label": lambda cells: {"text": cells["text"], "label": label_name(cells["label"], ())},
    "text": lambda cells: {"text": cells["text"]},
}


def class_question(text: str, labels: Sequence[str]) -> str:
    """A label row's text as a model that writes is asked about it, with the classes by name, in the text's language."""
    spoken = language(text)
    return CLASS_PROMPTS[spoken].format(text=text, labels=("、" if spoken == "zh" else ", ").join(labels))


def layout_of(row: Row) -> str:
    """The layout of a row that is kept by this app: which of them all its fields belong to."""
    return next((name for name, parts in LAYOUTS.items() if set(parts.required) <= row.keys()), "text")


def messages(row: Row) -> list[Message]:
    """A chat row's conversation, the answer at its end."""
    return row.get("messages") or [*conversation(row["input"]), {"role": "assistant", "content": row["output"]}]


def languages(rows: Iterable[Row]) -> list[str]:
    """Languages of at least a tenth of the rows, the most frequent first."""
    found = [language(" ".join(value for value in row.values() if isinstance(value, str))[:500]) for row in rows]
    shares = {name: found.count(name) for name in ("zh", "en")}
    return [name for name in sorted(shares, key=lambda n: -shares[n]) if shares[name] * 10 >= max(1, len(found))]
