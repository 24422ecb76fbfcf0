"""The hub's client, against a hub that is not there (a stub hub comes with the models page)."""

from pathlib import Path

import pytest

from core.errors import UserError
from core.models import cards, hub


def test_a_hub_out_of_reach_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELSCOPE_DOMAIN", "127.0.0.1:9")
    source = cards.card("Yuan2-2B-Mars").sources[0]
    with pytest.raises(UserError, match="IEITYuan/Yuan2-2B-Mars-hf could not be downloaded from ModelScope"):
        hub.fetch(source, tmp_path, lambda step, share: None)
