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
TAGS = {"zh": "【{number}】", "en": "[{number}] "}
_HAN = re.compile(r"[㐀-鿿豈-﫿]")
_FORGED = re.compile(r"[\[【［]\s*(\d+)\s*[\]】］]")


def language(text: str) -> str:
    """ "zh" when a fifth or more of the letters are Chinese characters, else "en"."""
    letters = sum(character.isalpha() for character in text)
    return "zh" if letters and len(_HAN.findall(text)) >= letters / 5 else "en"


def with_context(question: str, passages: Sequence[str]) -> str:
    """The question with retrieved passages before it; without passages, the question alone."""
    if not passages:
        return question
    return CONTEXT_PROMPTS[language(question)].format(context="\n".join(passages), question=question)


def tagged(question: str, passages: Sequence[dict[str, Any]]) -> list[str]:
    """Each passage's text under its number and its source, such as ``[1] guide.pdf › Prices``.

    What looks like a number of ours in a document's text or name is put in round brackets, so that no document can
    pass off its own words as another's.

    Whether a model gets them is its card's choice. SmolLM2 is better without: on ten of the English questions 64 % of
    its sentences were found in the passages, with tags 56 % (three passages: 83 % and 76 %), and it takes the numbers
    for a list to go on with.

    Args:
        passages: with the keys text, source and perhaps heading.
    """
    tag = TAGS[language(question)]
    texts = []
    for number, passage in enumerate(passages, 1):
        place = " › ".join(part for part in (passage["source"], passage.get("heading", "")) if part)
        untagged = _FORGED.sub(r"(\1)", " ".join(place.split()) + "\n" + passage["text"])
        texts.append(tag.format(number=number) + untagged)
    return texts


def reading(question: str, passages: Sequence[dict[str, Any]], tags: bool) -> list[str]:
    """What a model reads of passages: their texts, under numbered sources where its card wants that."""
    return tagged(question, passages) if tags else [passage["text"] for passage in passages]


def conversation(question: str, history: Sequence[tuple[str, str]] = ()) -> list[Message]:
    """The messages of a conversation: earlier (question, answer) pairs, then the question."""
    messages = []
    for asked, answered in history:
        messages += [{"role": "user", "content": asked}, {"role": "assistant", "content": answered}]
    return [*messages, {"role": "user", "content": question}]


def encode(tokenizer: Any, messages: list[Message]) -> list[int]:
    """Token ids of a conversation in the model's own chat format, ready for the answer to begin.

    Training and generation both come here, so that a fine-tuned model is asked the way it was taught. What a message
    says stays text: a ``<|im_end|>`` or ``<eod>`` in a document or a question must not end the turn it stands in.
    """
    plain = [{**message, "content": _plain(tokenizer, message["content"])} for message in messages]
    text = tokenizer.apply_chat_template(plain, tokenize=False, add_generation_prompt=True)
    return tokenizer(text, add_special_tokens=False)["input_ids"]


def count(tokenizer: Any, text: str) -> int:
    """The tokens of a text within a message."""
    return len(tokenizer(_plain(tokenizer, text), add_special_tokens=False, verbose=False)["input_ids"])


def _plain(tokenizer: Any, text: str) -> str:
    """The text with nothing in it that the tokenizer would take for a control token."""
    return _control(tokenizer).sub(_broken, text)


def _control(tokenizer: Any) -> re.Pattern[str]:
    """Matches the texts that the tokenizer would take for control tokens."""
    added = (token.content for token in tokenizer.added_tokens_decoder.values() if token.special)
    signs = {sign for sign in (*added, *tokenizer.all_special_tokens) if len(sign) > 1}
    return re.compile("|".join(map(re.escape, sorted(signs, key=len, reverse=True))) or r"(?!)")


def _broken(sign: re.Match[str]) -> str:
    """A space within: every tokenizer then reads letters, and so does a person."""
    return f"{sign[0][0]} {sign[0][1:]}"


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


def longest_prompt(config: Any, max_new_tokens: int) -> int:
    """Tokens that a prompt may have, the answer's own left aside; ``config`` is the model's."""
    limit = getattr(config, "max_position_embeddings", None) or getattr(config, "n_positions", None) or 4096
    return limit if config.is_encoder_decoder else limit - max_new_tokens  # else the answer has positions of its own


def room_for_passages(tokenizer: Any, messages: list[Message], limit: int) -> int:
    """Tokens left for passages beside a conversation that does not have them yet.

    At least half of what the last question alone leaves: an old turn is dropped before what the answer rests on.

    Args:
        limit: see :func:`longest_prompt`.
    """
    alone = limit - len(encode(tokenizer, messages[-1:]))
    return max(limit - len(encode(tokenizer, messages)), alone // 2, 0)
