"""The catalog: valid, extended by a person's own cards, and clear about what is wrong with them."""

from pathlib import Path

import pytest

from core.errors import UserError
from core.models import cards
from core.settings import settings
from tests.helpers import tiny


def write_own(text: str) -> Path:
    path = settings().models_dir / "cards.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    return path


def test_the_shipped_catalog_is_complete() -> None:
    catalog = cards.catalog()
    assert {card.task for card in catalog.values()} == {"generate", "seq2seq", "classify", "embed", "rerank"}
    assert [card.name for card in catalog.values() if card.register_module == "core.yuan2"] == [
        "Yuan2-2B-Mars",
        "Yuan2-2B-Februa",
        "Yuan2-2B-Janus",
    ]
    assert {card.task for card in catalog.values() if card.embedded} == {"generate", "embed"}
    for name, card in catalog.items():
        assert name == card.name == Path(name).name
        assert set(card.note) == {"zh", "en"}
        assert card.sources
        assert card.license
        assert bool(card.lora_targets) == (card.task in ("generate", "seq2seq", "classify"))
        assert bool(card.labels) == (card.task == "classify")
        assert card.parameters > 0 < card.size


def test_a_wheel_is_pinned_and_checked() -> None:
    wheels = [source for card in cards.catalog().values() for source in card.sources if source.kind == "wheel"]
    assert wheels
    for source in wheels:
        assert "==" in source.id
        assert len(source.sha256) == 64
        assert source.size > 0
        assert source.member
        assert source.format


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(UserError, match=r"no model “gpt-9”.*SmolLM2-135M-Instruct, "):
        cards.card("gpt-9")


def test_a_persons_own_cards_are_merged_and_win() -> None:
    write_own(
        tiny.card_toml("mine", "generate", Path("/nowhere"))
        + tiny.card_toml("SmolLM2-135M-Instruct", "generate", Path("/nowhere"))
    )
    assert cards.card("mine").sources[0].kind == "path"
    assert cards.card("SmolLM2-135M-Instruct").title == "Tiny SmolLM2-135M-Instruct"
    assert "multilingual-e5-small" in cards.catalog()


@pytest.mark.parametrize(
    "text",
    [
        "[[model]\n",
        '[[model]]\nname = "x"\n',
        tiny.card_toml("x", "sing", Path("/nowhere")),
        tiny.card_toml("x", "embed", Path("/nowhere"), "colour = 1\n"),
        "model = 3\n",
        'model = ["x"]\n',
    ],
)
def test_a_file_that_is_not_a_catalog_is_named(text: str) -> None:
    path = write_own(text)
    with pytest.raises(UserError, match="is not a catalog of model cards") as caught:
        cards.catalog()
    assert str(path) in caught.value.message


def test_a_file_that_is_not_utf8_is_named() -> None:
    write_own("").write_bytes("标题".encode("gbk"))
    with pytest.raises(UserError, match="is not a catalog of model cards"):
        cards.catalog()


@pytest.mark.parametrize("name", ["../elsewhere", "..", "a/b", "", ".hidden"])
def test_a_name_that_is_no_folders_name_is_refused(name: str) -> None:
    """The name is the model's folder, which may be deleted."""
    write_own(tiny.card_toml(name, "generate", Path("/nowhere")))
    with pytest.raises(UserError, match="is not a catalog of model cards"):
        cards.catalog()


def test_yuans_turns_are_written_as_it_was_trained() -> None:
    from core.generation.prompts import conversation

    template = cards.card("Yuan2-2B-Mars").chat_template
    tokenizer = tiny.make_tokenizer()
    tokenizer.chat_template = template

    def rendered(question: str, *history: tuple[str, str]) -> str:
        messages = conversation(question, history)
        return tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)

    assert rendered("你好") == "你好<sep>"
    assert rendered("c", ("a", "A"), ("b", "B")) == "a<n>A<n>b<n>B<n>c<sep>"
