"""The tokenizer that Yuan 2.0 was trained with: SentencePiece with its own normaliser, and the added tokens.

transformers 5 would read the published directory as a BPE without that normaliser, which gives other ids. Here the
SentencePiece model itself encodes; the added tokens and how they swallow the spaces around them are as in training.
"""

from itertools import groupby
from typing import Any

from transformers import AddedToken
from transformers.tokenization_utils_sentencepiece import SentencePieceBackend

END_OF_DOCUMENT = "<eod>"
SEPARATOR = "<sep>"
# In this order: those that the SentencePiece model does not have get the ids after its last piece.
ADDED_TOKENS = [
    SEPARATOR,
    "<pad>",
    "<mask>",
    "<predict>",
    "<FIM_SUFFIX>",
    "<FIM_PREFIX>",
    "<FIM_MIDDLE>",
    "<commit_before>",
    "<commit_msg>",
    "<commit_after>",
    "<jupyter_start>",
    "<jupyter_text>",
    "<jupyter_code>",
    "<jupyter_output>",
    "<empty_output>",
]
# Turns are joined by "<n>", which is ordinary text to this tokenizer, and the last one is closed by "<sep>".
CHAT_TEMPLATE = (
    "{%- for message in messages -%}"
    "{{- message['content'] | trim -}}"
    "{{- '\n' if message['role'] == 'system' else '<sep>' if loop.last else '<n>' -}}"
    "{%- endfor -%}"
)


class YuanTokenizer(SentencePieceBackend):
    """Yuan 2.0's tokenizer: ids equal to those of the slow tokenizer used in training, for any text.

    Args:
        vocab_file: the published ``tokenizer.model``.
        padding_side: left, for generation; a collator for training may set it to right.

    The end and the padding token is ``<eod>``. Spaces before and after the other added tokens are dropped.
    """

    model_input_names = ["input_ids", "attention_mask"]
    padding_side = "left"

    def __init__(self, vocab_file: str, **kwargs: Any) -> None:
        kwargs |= {
            "bos_token": _kept("<s>"),
            "unk_token": _kept("<unk>"),
            "eos_token": _kept(END_OF_DOCUMENT),
            "pad_token": _kept(END_OF_DOCUMENT),
            "sep_token": _swallowing(SEPARATOR),
            "legacy": True,  # a dummy space goes before every run of text, also after an added token
            "special_tokens_pattern": "none",
        }
        kwargs["chat_template"] = kwargs.get("chat_template") or CHAT_TEMPLATE
        super().__init__(vocab_file=vocab_file, **kwargs)
        self.add_tokens([_swallowing(token) for token in ADDED_TOKENS], special_tokens=True)

    def _convert_id_to_token(self, index: int) -> str:
        # The embedding has rows that no token belongs to; a model may pick one all the same.
        return self.sp_model.IdToPiece(index) if index < self.sp_model.get_piece_size() else ""

    def convert_tokens_to_string(self, tokens: list[str]) -> str:
        """Text of the tokens: byte pieces joined to characters, the dummy space before each run of text dropped."""
        runs = groupby(tokens, key=self._added_tokens_encoder.__contains__)
        return "".join("".join(run) if added else self.sp_model.decode([*filter(None, run)]) for added, run in runs)


def _kept(content: str) -> AddedToken:
    return AddedToken(content, lstrip=False, rstrip=False, normalized=False, special=True)


def _swallowing(content: str) -> AddedToken:
    return AddedToken(content, lstrip=True, rstrip=True, normalized=False, special=True)
