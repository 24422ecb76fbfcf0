"""Ids are those of the slow tokenizer used in training, for any text; and what transformers does with a tokenizer."""

import json
import pickle
import random
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import sentencepiece
import torch
from transformers import AutoTokenizer, DataCollatorWithPadding, TextIteratorStreamer

from core.yuan2 import YuanTokenizer
from tests.helpers import naive_yuan, yuan
from tests.helpers.naive_yuan import KEPT, SWALLOWING

PLAIN = [
    "",
    " ",
    "     ",
    "a",
    " a",
    "a ",
    "What is Llama 2?",
    "Guangzhou  University,\n\n\tGuangdong   ",
    "介绍一下广州大学",
    "中英mixed文本with数字2024年7月18日。",
    "Ｆｕｌｌ－ｗｉｄｔｈ　ＡＢＣ１２３！",
    "😀🎉 👨\u200d👩\u200d👧 🇨🇳",
    "झ\u094dञ \u200c\u200d ｶﾞ é e\u0301 ﬁ ① ㈱",
    "魑魅魍魎饕餮龘靐",
    "\t\tx\t",
    "one\r\ntwo\rthree\n\n",
    "\x00 \x01\x7f\x85\xa0\u3000\u2028",
    "\ufeffbom",
    "</s>",
    "<n>",
    "你好<n>我是源<n>你是谁",
    "<0x41> <sep <eod <EOD> < sep >",
    "<sep",
    "def f(x):\n    return x ** 2  # 平方\n",
    '{"a": [1, 2.50, -3e8]}',
    "a" * 700,
    "中" * 700,
]
SPECIAL = [
    "<sep>",
    " <sep> ",
    "a<sep>b<eod>c <sep> d",
    "text <eod> text",
    "text<eod>\n text",
    "<sep><eod><sep>",
    "<sep> <eod> <sep>",
    "<eod> <sep> <eod>",
    "<sep>   \u3000\t\n<sep>",
    "<sep<sep>>",
    "<<sep>>",
    "<s>x</s>",
    " <s> x <unk> y ",
    "<s> <pad> <s>",
    "<FIM_PREFIX>a b<FIM_SUFFIX> c <FIM_MIDDLE>",
    "<jupyter_start> <jupyter_text>x\n<jupyter_code>\n",
    "  <mask>  <predict>  ",
    "你好<n>我是源<n>你是谁<sep>",
    "x\x85<sep>\x1cy\xa0<pad>\u3000z",
]


@pytest.fixture(scope="module")
def tokenizer(yuan_dir: Path) -> Any:
    return AutoTokenizer.from_pretrained(yuan_dir)


@pytest.fixture(scope="module")
def pieces(yuan_dir: Path) -> Any:
    """SentencePiece itself."""
    return sentencepiece.SentencePieceProcessor(model_file=str(yuan_dir / "tokenizer.model"))


def random_texts(fragments: list[str], count: int) -> list[str]:
    chance = random.Random(0)
    return ["".join(chance.choices(fragments, k=chance.randint(1, 8))) for _ in range(count)]


def test_the_published_settings_do_not_decide(tokenizer: Any, pieces: Any) -> None:
    assert type(tokenizer) is YuanTokenizer
    assert tokenizer.eos_token == tokenizer.pad_token == "<eod>"
    assert tokenizer.eos_token_id == tokenizer.pad_token_id == pieces.piece_to_id("<eod>") == 560
    assert tokenizer.sep_token_id == pieces.piece_to_id("<sep>") == 562
    assert tokenizer.convert_tokens_to_ids(["<mask>", "<empty_output>"]) == [564, 576]
    assert (len(tokenizer), tokenizer.vocab_size) == (577, 564)
    assert "</s>" not in tokenizer.all_special_tokens
    assert tokenizer.padding_side == "left"


@pytest.mark.parametrize("text", [*PLAIN, *SPECIAL])
def test_ids_are_those_of_training(tokenizer: Any, pieces: Any, text: str) -> None:
    assert tokenizer(text)["input_ids"] == naive_yuan.encode(pieces, text)


def test_ids_of_random_mixtures_are_those_of_training(tokenizer: Any, pieces: Any) -> None:
    for text in random_texts([*PLAIN[:-2], *SPECIAL, *KEPT, *SWALLOWING, " ", "\n"], 600):
        assert tokenizer(text)["input_ids"] == naive_yuan.encode(pieces, text), repr(text)


def test_a_very_long_text(tokenizer: Any, pieces: Any) -> None:
    text = "".join(random_texts([*PLAIN, "<sep>", " <eod> "], 400))
    assert len(text) > 30_000
    assert tokenizer(text)["input_ids"] == naive_yuan.encode(pieces, text)


def test_the_tiny_vocabulary_has_what_these_tests_need(pieces: Any) -> None:
    """Bytes for rare characters, runs of spaces, digits alone, several characters in one piece, nothing normalised."""
    assert any(pieces.is_byte(i) for i in pieces.encode("魑😀"))
    assert "▁▁▁▁" in pieces.encode("x     y", out_type=str)
    assert pieces.encode("2024", out_type=str)[1:] == list("2024")
    assert pieces.encode("介绍一下广州大学", out_type=str) == ["▁", "介绍一下广州大学"]
    assert pieces.encode("Ａ") != pieces.encode("A")


@pytest.mark.parametrize("text", PLAIN)
def test_text_survives_a_round_trip(tokenizer: Any, text: str) -> None:
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


def test_random_mixtures_survive_a_round_trip(tokenizer: Any) -> None:
    for text in random_texts([*PLAIN[:-2], *KEPT, " ", "\n"], 400):
        assert tokenizer.decode(tokenizer(text)["input_ids"]) == text
    for text in random_texts(["a", "你 好", "\n", "<sep>", "<mask>", "<eod>", "x y"], 200):
        kept = re.sub(r"\s*(<sep>|<mask>)\s*", r"\1", text)
        assert tokenizer.decode(tokenizer(text)["input_ids"]) == kept


def test_special_tokens_are_left_out_on_request(tokenizer: Any) -> None:
    ids = tokenizer("介绍<sep>广州大学<n></s><eod>")["input_ids"]
    assert tokenizer.decode(ids[3:], skip_special_tokens=True) == "广州大学<n></s>"
    assert tokenizer.decode(ids, skip_special_tokens=True).replace(" ", "") == "介绍广州大学<n></s>"
    assert tokenizer.batch_decode([ids[:-1], [560]], skip_special_tokens=False)[1] == "<eod>"


def test_rows_without_a_token_are_no_text(tokenizer: Any) -> None:
    """The embedding has more rows than the tokenizer has tokens, and a model may answer with one."""
    ids = tokenizer("介绍 一下")["input_ids"]
    assert tokenizer.decode([577, *ids[:2], 580, *ids[2:], 592]) == "介绍 一下"
    assert tokenizer.decode([577, 592]) == ""
    assert tokenizer.decode([]) == ""


def test_every_id_has_its_token(tokenizer: Any) -> None:
    vocabulary = tokenizer.get_vocab()
    assert sorted(vocabulary.values()) == list(range(len(tokenizer)))
    assert tokenizer.convert_tokens_to_ids(tokenizer.convert_ids_to_tokens(list(range(577)))) == list(range(577))


@pytest.mark.parametrize("text", ["你好，😀🎉 a", "魑魅<sep>魍魎 <eod> x", "  run  of   spaces ", "👨\u200d👩\u200d👧"])
def test_an_answer_is_decoded_while_it_grows(tokenizer: Any, text: str) -> None:
    ids = tokenizer(text)["input_ids"]
    whole = tokenizer.decode(ids)
    for length in range(len(ids) + 1):
        assert whole.startswith(tokenizer.decode(ids[:length]).rstrip("\ufffd")), length
    streamer = TextIteratorStreamer(tokenizer)
    for index in ids:
        streamer.put(torch.tensor([index]))
    streamer.end()
    assert "".join(streamer) == whole


def test_any_ids_can_be_decoded(tokenizer: Any) -> None:
    """Broken characters and any mixture of tokens: a model answers with what it likes."""
    chance = random.Random(1)
    for _ in range(300):
        ids = chance.choices(range(593), k=chance.randint(1, 12))
        text = tokenizer.decode(ids)
        text.encode("utf-8")
        assert "▁" not in text


def test_a_talk_as_the_published_template_writes_it(tokenizer: Any) -> None:
    user, answer = {"role": "user", "content": " 你好 "}, {"role": "assistant", "content": "我是源\n"}
    again, system = {"role": "user", "content": "你是谁"}, {"role": "system", "content": "简短回答。"}
    talks = {
        "你好<sep>": [user],
        "你好<n>我是源<n>你是谁<sep>": [user, answer, again],
        "简短回答。\n你好<sep>": [system, user],
        "简短回答。\n你好<n>我是源<n>你是谁<sep>": [system, user, answer, again],
    }
    for expected, messages in talks.items():
        assert tokenizer.apply_chat_template(messages, tokenize=False) == expected
        assert tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True) == expected
        ids = tokenizer.apply_chat_template(messages, add_generation_prompt=True)["input_ids"]
        assert ids == tokenizer(expected)["input_ids"]
        assert ids[-1] == 562


def test_a_template_of_ones_own_stands(yuan_dir: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(yuan_dir, tmp_path / "own")
    path = folder / "tokenizer_config.json"
    settings = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps({**settings, "chat_template": "{{ messages[0]['content'] }}!<sep>"}), "utf-8")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert tokenizer.apply_chat_template([{"role": "user", "content": "x"}], tokenize=False) == "x!<sep>"


def test_saved_and_loaded_again_it_is_the_same(tokenizer: Any, pieces: Any, yuan_dir: Path, tmp_path: Path) -> None:
    tokenizer.save_pretrained(tmp_path)
    alone = [YuanTokenizer.from_pretrained(tmp_path), AutoTokenizer.from_pretrained(tmp_path)]
    shutil.copy(yuan_dir / "config.json", tmp_path)
    beside = [AutoTokenizer.from_pretrained(tmp_path), pickle.loads(pickle.dumps(tokenizer))]
    for again in alone + beside:
        assert type(again) is YuanTokenizer
        assert len(again) == len(tokenizer)
        assert again.chat_template == tokenizer.chat_template
        for text in [*PLAIN, *SPECIAL]:
            assert again(text)["input_ids"] == naive_yuan.encode(pieces, text), repr(text)


def test_what_people_pass_does_not_change_the_ids(yuan_dir: Path, pieces: Any) -> None:
    """The published instructions: other flags, the same tokens added by hand."""
    tokenizer = AutoTokenizer.from_pretrained(
        yuan_dir, add_eos_token=False, add_bos_token=False, eos_token="<eod>", padding_side="right", use_fast=False
    )
    assert tokenizer.add_tokens(SWALLOWING, special_tokens=True) == 0
    assert len(tokenizer) == 577
    assert tokenizer.padding_side == "right"
    for text in SPECIAL:
        assert tokenizer(text)["input_ids"] == naive_yuan.encode(pieces, text), repr(text)


def test_a_token_of_ones_own(yuan_dir: Path, tmp_path: Path, pieces: Any) -> None:
    tokenizer = AutoTokenizer.from_pretrained(yuan_dir)
    assert tokenizer.add_tokens(["<new>"]) == 1
    tokenizer.save_pretrained(tmp_path)
    shutil.copy(yuan_dir / "config.json", tmp_path)
    for each in (tokenizer, AutoTokenizer.from_pretrained(tmp_path)):
        ids = each("a <new> b<sep>")["input_ids"]
        assert len(each) == 578
        assert ids == [*pieces.encode("a "), 577, *pieces.encode(" b"), 562]
        assert each.decode(ids) == "a <new> b<sep>"


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_batch_is_padded(yuan_dir: Path, side: str) -> None:
    tokenizer = AutoTokenizer.from_pretrained(yuan_dir, padding_side=side)
    rows = [tokenizer("介绍一下广州大学<sep>"), tokenizer("What is Llama 2?<eod>")]
    ids, mask = yuan.padded([torch.tensor(row["input_ids"]) for row in rows], 560, side)
    batch = DataCollatorWithPadding(tokenizer)(rows)
    assert set(batch) == {"input_ids", "attention_mask"}
    assert batch["input_ids"].tolist() == ids.tolist()
    assert batch["attention_mask"].tolist() == mask.tolist()
