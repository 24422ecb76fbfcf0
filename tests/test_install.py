"""What the first `make run` says when something is in its way: one sentence, what to do, exit 2."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from core.settings import ROOT


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with nothing but the installer and one requirement that no index has."""
    (tmp_path / "core").mkdir()
    shutil.copy(ROOT / "core" / "install.py", tmp_path / "core")
    (tmp_path / "core" / "__init__.py").touch()
    (tmp_path / "requirements.txt").write_text("yuan-lab-does-not-exist==1.0\n", "utf-8")
    return tmp_path


def install(project: Path, before: str = "", **settings: str) -> subprocess.CompletedProcess:
    code = f"import sys; sys.argv = ['install']; {before}\nfrom core import install; install.main()"
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PIP_")} | {"PIP_RETRIES": "1"} | settings
    command = [sys.executable, "-c", code]
    return subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, timeout=120)


def test_an_old_python_is_named(project: Path) -> None:
    done = install(project, "sys.version_info = (3, 9, 2)")
    assert done.returncode == 2
    assert "error: Python 3.9 is too old: 3.11 or newer is needed." in done.stderr and "hint:" in done.stderr
    assert not (project / ".venv").exists()


def test_an_unreachable_index_is_named(project: Path) -> None:
    done = install(project, PIP_INDEX_URL="http://127.0.0.1:9/simple", PIP_CONFIG_FILE=os.devnull)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "error: The package index cannot be reached." in done.stderr and "hint:" in done.stderr


def test_a_full_disk_is_named_before_anything_is_written(project: Path) -> None:
    shrink = "import shutil; shutil.disk_usage = lambda path: shutil._ntuple_diskusage(10, 9, 10**9)"
    done = install(project, shrink)
    assert done.returncode == 2
    assert "error: Only 1.0 GB are free here" in done.stderr
    assert not (project / ".venv").exists()


def test_what_is_installed_is_not_installed_again_until_it_changes(project: Path) -> None:
    (project / "requirements.txt").write_text("", "utf-8")
    first, second = install(project), install(project)
    assert (first.returncode, second.returncode) == (0, 0)
    assert "Installing" in first.stdout and second.stdout == ""
    (project / "requirements.txt").write_text("# changed\n", "utf-8")
    assert "Installing" in install(project).stdout
