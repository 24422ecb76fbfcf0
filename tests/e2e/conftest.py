"""A real server and a real browser. Without a browser these tests are skipped, or fail where one is required."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from core.settings import ROOT
from tests.helpers.waiting import eventually

REQUIRED = bool(os.environ.get("YUAN_REQUIRE_BROWSER"))
SCREENSHOTS = Path(os.environ.get("YUAN_SCREENSHOTS", ROOT / "test-results"))
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
# Nothing but the page: no update checks, no sync, no first-run tour.
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


class Server:
    """The app as `streamlit run` starts it, on a port of its own, with a data directory that outlives restarts."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir, self.process = data_dir, None
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def start(self, **settings: str) -> None:
        """Start it and wait until health answers; ``settings`` are YUAN_* variables."""
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("YUAN_", "OMP_"))}
        environment |= {"YUAN_DATA_DIR": str(self.data_dir), **settings}
        command = [sys.executable, "-m", "streamlit", "run", "streamlit_app.py", "--server.port", str(self.port)]
        log = (self.data_dir / "server.log").open("ab")
        self.process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
        eventually(self.healthy, 60)

    def healthy(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/_stcore/health", timeout=2) as answer:
                return answer.status == 200
        except OSError:
            return False

    def kill(self) -> None:
        """kill -9, as a crash would."""
        if self.process:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
            self.process = None

    def log(self) -> str:
        return (self.data_dir / "server.log").read_text("utf-8", "replace")


@pytest.fixture
def server(tmp_path: Path, embedded_models: Path, shipped_bases: Path) -> Iterator[Server]:
    """A fresh server that is not started yet, with the embedded models and shipped bases in its data directory."""
    data_dir = tmp_path / "app"
    data_dir.mkdir()
    (data_dir / "models").symlink_to(embedded_models, target_is_directory=True)
    shutil.copytree(shipped_bases, data_dir / "kb")
    made = Server(data_dir)
    yield made
    made.kill()


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Debian's chromium, driven by Playwright."""
    if not CHROMIUM:
        (pytest.fail if REQUIRED else pytest.skip)("no chromium on this machine")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield made
        made.close()


@pytest.fixture
def visit(browser: Any, server: Server) -> Iterator[Callable[..., Any]]:
    """Opens a page of the app in a tab of its own: ``visit("chat", phone=True, theme="dark", locale="zh-CN")``.

    Tabs of one kind share a window for the length of a test, and with it what the browser keeps of the app's files.
    """
    windows: dict[tuple[Any, ...], Any] = {}

    def opened(path: str = "", phone: bool = False, theme: str = "light", locale: str = "en-US") -> Any:
        kind = (phone, theme, locale)
        if kind not in windows:
            size = {"width": 390, "height": 844} if phone else {"width": 1280, "height": 800}
            look = {"viewport": size, "color_scheme": theme, "locale": locale, "reduced_motion": "reduce"}
            windows[kind] = browser.new_context(**look)
        page = windows[kind].new_page()
        page.set_default_timeout(60_000)
        page.goto(f"{server.url}/{path}")
        page.wait_for_selector("h1")
        return page

    yield opened
    for window in windows.values():
        window.close()


def still(target: Any) -> Any:
    """``target`` once it has stopped moving: a fold that opens pushes on for half a second.

    Playwright alone waits for two like frames, which a busy machine draws in the middle of it; then the button goes
    down on a link and up beside it.
    """
    place = "JSON.stringify(element.getBoundingClientRect())"
    same = f"element => {{ const at = {place}; const still = at === element.at; element.at = at; return still }}"
    target.page.wait_for_function(same, arg=target.element_handle(), polling=250)
    return target


def shoot(page: Any, name: str) -> None:
    """A screenshot for people: into test-results/, or where YUAN_SCREENSHOTS says."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{re.sub(r'[^a-z0-9-]', '-', name)}.png")
