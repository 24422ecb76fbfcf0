"""What a model is given to read: prompts with and without context, in the language of the question."""

import re
from collections.abc import Sequence
from typing import Any

Message = dict[str, str]
"""One turn of a conversation: {"role": "user" | "assistant" | "system", "content": text}."""

CONTEXT_PROMPTS = {
    "zh": "背景：{context}\n问题：{question}\n请基于背景，回答问题。",
    "en": "Background: {context}\nQuestion: {question}\nPlease answer the question based on the background.",
}
_HAN = re.compile(r"[㐀-鿿豈-﫿]")


def language(text: str) -> str:
    """ "zh" when a fifth or more of the letters are Chinese characters, else "en"."""
    letters = sum(character.isalpha() for character in text)
    return "zh" if letters and len(_HAN.findall(text)) >= letters / 5 else "en"


def with_context(question: str, passages: Sequence[str]) -> str:
    """The question with retrieved passages before it; without passages, the question alone."""
    if not passages:
        return question
    return CONTEXT_PROMPTS[language(question)].format(context="\n".join(passages), question=question)


def conversation(question: str, history: Sequence[tuple[str, str]] = ()) -> list[Message]:
    """The messages of a conversation: earlier (question, answer) pairs, then the question."""
    messages = []
    for asked, answered in history:
        messages += [{"role": "user", "content": asked}, {"role": "assistant", "content": answered}]
    return [*messages, {"role": "user", "content": question}]


def encode(tokenizer: Any, messages: list[Message]) -> list[int]:
    """Token ids of a conversation in the model's own chat format, ready for the answer to begin.

    Training and generation both come here, so that a fine-tuned model is asked the way it was taught.
    """
    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    return tokenizer(text, add_special_tokens=False)["input_ids"]


def encode_within(tokenizer: Any, messages: list[Message], limit: int) -> list[int]:
    """Like :func:`encode`, dropping the oldest turns until at most ``limit`` tokens are left.

    Raises:
        ValueError: when the last question alone is longer.
    """
    while len(ids := encode(tokenizer, messages)) > limit:
        if len(messages) <= 2:
            raise ValueError(f"{len(ids)} tokens, {limit} fit")
        messages = messages[2:]
    return ids
