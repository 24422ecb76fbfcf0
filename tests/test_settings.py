"""Settings come from the environment, and every one of them says what it is for."""

from pathlib import Path

import pytest

from core.errors import UserError
from core.settings import ROOT, Settings, settings


def test_the_environment_sets_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in {"DATA_DIR": f"{tmp_path}/a/../b", "MODEL": "tiny", "LANGUAGE": "zh", "PASSWORD": "x"}.items():
        monkeypatch.setenv(f"YUAN_{name}", value)
    settings.cache_clear()
    assert settings().data_dir == tmp_path / "b"
    assert (settings().model, settings().language) == ("tiny", "zh")
    assert settings().runs_dir == tmp_path / "b" / "runs"
    assert "x" not in repr(settings().password)
    assert settings().password.get_secret_value() == "x"


def test_without_an_environment_the_defaults_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("YUAN_DATA_DIR")
    monkeypatch.delenv("YUAN_DEVICE")
    settings.cache_clear()
    assert settings().data_dir == (ROOT / "var").resolve()
    assert (settings().device, settings().language, settings().model) == ("auto", "auto", "")


def test_a_home_directory_is_understood(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("YUAN_DATA_DIR", "~/yuan")
    settings.cache_clear()
    assert settings().data_dir == tmp_path / "yuan"


def test_a_file_at_the_root_is_read_and_the_environment_wins(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("YUAN_MODEL=from-file\nYUAN_LANGUAGE=en\nOTHER=1\n", "utf-8")
    monkeypatch.setitem(Settings.model_config, "env_file", tmp_path / ".env")
    monkeypatch.setenv("YUAN_LANGUAGE", "zh")
    loaded = Settings()
    assert (loaded.model, loaded.language) == ("from-file", "zh")


@pytest.mark.parametrize(("name", "value"), [("LANGUAGE", "fr"), ("MAX_UPLOAD_ROWS", "0"), ("DEVICE", "gpu7")])
def test_a_value_that_cannot_be_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"YUAN_{name}", value)
    settings.cache_clear()
    with pytest.raises(UserError, match=f"YUAN_{name} = {value} cannot be: .*in the environment"):
        settings()


def test_a_file_is_no_data_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "var").write_text("", "utf-8")
    monkeypatch.setenv("YUAN_DATA_DIR", str(tmp_path / "var"))
    settings.cache_clear()
    with pytest.raises(UserError, match="Name a folder"):
        settings()


def test_every_setting_says_what_it_is_for() -> None:
    assert all(field.description for field in Settings.model_fields.values())
