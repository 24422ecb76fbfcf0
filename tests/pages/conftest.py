"""What every test of a page stands on."""

from typing import Any

import pytest
from streamlit.runtime.pages_manager import PagesManager

from core.ui import resources


@pytest.fixture(autouse=True)
def server_that_has_been_visited(monkeypatch: pytest.MonkeyPatch) -> None:
    """The harness plays a fresh server before every single run; a real one is fresh once (tests/e2e looks at that)."""
    create = PagesManager.__init__

    def visited(self: PagesManager, *args: Any, **kwargs: Any) -> None:
        PagesManager.uses_pages_directory = False
        create(self, *args, **kwargs)

    monkeypatch.setattr(PagesManager, "__init__", visited)


@pytest.fixture(autouse=True)
def no_warming(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first page that asks for it in a process would load models while the tests after it are running."""
    monkeypatch.setattr(resources, "warm", lambda: None)
