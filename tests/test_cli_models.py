"""``python -m core models add, check, forget``: a model of one's own, from a directory or from a hub."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from core import cli
from core.errors import UserError
from core.models import cards, store
from core.settings import settings
from tests.helpers import checkpoints
from tests.helpers.stub_hub import StubHub
from tests.test_cli import here, quick


def test_a_directory_is_added_tried_and_forgotten(tmp_path: Path) -> None:
    folder = checkpoints.bert_classifier(tmp_path / "feelings")
    added = quick("models", "add", str(folder), "--name", "mine")["card"]
    assert (added["name"], added["task"], added["labels"]) == ("mine", "classify", ["negative", "positive"])
    assert quick("models", "check", "mine")["output"].split()[0] in added["labels"]
    text = CliRunner().invoke(cli.app, ["models", "check", "mine"], catch_exceptions=False).stdout
    assert "float32 on cpu" in text
    CliRunner().invoke(cli.app, ["models", "forget", "mine"], catch_exceptions=False)
    assert "mine" not in cards.catalog()
    assert folder.is_dir()


def test_a_hubs_model_is_added_downloaded_and_then_known(stub_hub: StubHub, tmp_path: Path) -> None:
    folder = checkpoints.reranker(tmp_path / "reranker")
    stub_hub.models["o/reranker"] = {path.name: path.read_bytes() for path in folder.iterdir()}
    here("models", "add", "o/reranker", "--hub", "huggingface")
    assert cards.card("reranker").parameters == 0
    here("models", "download", "reranker")
    card = cards.card("reranker")
    assert (card.task, card.dtype) == ("rerank", "float32")
    assert card.parameters > 0 < card.size
    assert store.is_ready(card)
    here("models", "forget", "reranker")
    assert not (settings().models_dir / "reranker").exists()


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"has no config\.json"):
        CliRunner().invoke(cli.app, ["models", "add", str(tmp_path)], catch_exceptions=False)
    for words in ([""], [str(tmp_path), "--name", " "]):  # as a script's empty variable: not the folder one stands in
        with pytest.raises(UserError, match="its name a character"):
            CliRunner().invoke(cli.app, ["models", "add", *words], catch_exceptions=False)
