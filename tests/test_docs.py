"""The documentation keeps up with the code: every setting and every command of the tool stands in both READMEs."""

import re

import pytest

from core.cli import app
from core.settings import ROOT, Settings

READMES = ("README.md", "README.zh.md")


@pytest.mark.parametrize("name", READMES)
def test_every_setting_is_documented(name: str) -> None:
    text = (ROOT / name).read_text("utf-8")
    documented = set(re.findall(r"^\| `(YUAN_\w+)`", text, re.MULTILINE))
    assert documented == {f"YUAN_{field.upper()}" for field in Settings.model_fields}


@pytest.mark.parametrize("name", READMES)
def test_every_command_is_documented(name: str) -> None:
    text = (ROOT / name).read_text("utf-8")
    commands = {command.name or command.callback.__name__ for command in app.registered_commands}
    commands |= {group.name for group in app.registered_groups}
    missing = {command for command in commands if f"python -m core {command}" not in text}
    assert not missing


@pytest.mark.parametrize("name", READMES)
def test_every_picture_and_file_named_is_there(name: str) -> None:
    text = (ROOT / name).read_text("utf-8")
    for target in re.findall(r"\]\(([^):]+)\)", text):
        assert (ROOT / target).exists(), target
