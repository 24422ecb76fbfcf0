"""The Models page in a real browser; and the whole app with a tiny random Yuan 2.0 in place of the real one."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Server, shoot, still
from tests.helpers.stub_hub import StubHub, serve
from tests.helpers.waiting import eventually
from tests.helpers.yuan import make_yuan

pytestmark = [pytest.mark.e2e, pytest.mark.embedded]
PICKLE = "pytorch_model.bin"


@pytest.fixture
def own_models(server: Server, embedded_models: Path) -> Path:
    """The server's models directory: the embedded models, and room for cards and downloads of this test alone."""
    models = server.data_dir / "models"
    models.unlink()
    models.mkdir()
    for folder in embedded_models.iterdir():
        if folder.is_dir() and not folder.name.startswith("."):
            (models / folder.name).symlink_to(folder, target_is_directory=True)
    return models


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[StubHub]:
    """A hub that has a tiny Yuan as it is published: a pickle, code of its own, a picture."""
    folder = make_yuan(tmp_path / "published", weights="bin")
    model = {path.name: path.read_bytes() for path in folder.iterdir()}
    model |= {"yuan_hf_model.py": b"raise SystemExit('run')", "logo.png": b"\x89PNG"}
    with serve(StubHub(models={"IEITYuan/tiny-yuan": model}, hold={PICKLE: 100_000})) as made:
        yield made


def add(page: Any, source: str) -> None:
    page.get_by_role("button", name="Add a model").click()
    field = page.get_by_label("Directory or model id")
    field.fill(source)
    field.press("Tab")
    page.get_by_role("button", name="Add", exact=True).click()


def test_a_model_is_added_fetched_paused_resumed_and_tried(
    server: Server, visit: Callable[..., Any], own_models: Path, hub: StubHub
) -> None:
    server.start(YUAN_MODELSCOPE_ENDPOINT=hub.address)
    page = visit("models")
    add(page, "IEITYuan/tiny-yuan")
    page.get_by_text("tiny-yuan is in the catalog.").wait_for()
    page.get_by_test_id("stMarkdown").get_by_text("tiny-yuan", exact=True).scroll_into_view_if_needed()
    page.locator('[class*="st-key-download-tiny-yuan"] button').click()
    page.get_by_text("Downloading ·").wait_for()
    eventually(lambda: hub.sent().get(PICKLE) == 100_000, 60)
    shoot(page, "models-download")

    page.reload()  # it goes on without the page
    page.get_by_text("Downloading ·").wait_for()
    page.locator('[class*="st-key-stop-tiny-yuan"] button').click()
    page.get_by_text("incomplete").wait_for()
    hub.release()
    page.locator('[class*="st-key-resume-tiny-yuan"] button').click()
    page.locator('[class*="st-key-test-tiny-yuan"] button').wait_for()
    size = len(hub.models["IEITYuan/tiny-yuan"][PICKLE])
    assert size <= hub.sent()[PICKLE] <= size + 64 * 1024, "what was here already was sent again"
    assert {"yuan_hf_model.py", "logo.png"}.isdisjoint(hub.sent())
    assert not list(own_models.glob("tiny-yuan/*.bin")), "the pickle is still there"

    page.locator('[class*="st-key-test-tiny-yuan"] button').click()
    page.get_by_text("tokens/s").wait_for()
    page.get_by_text("In memory: tiny-yuan").wait_for()
    page.get_by_role("button", name="Unload").click()
    page.get_by_text("No model is in memory yet").wait_for()

    (own_models / "tiny-yuan" / "model.safetensors").write_bytes(b"half")
    page.reload()
    page.get_by_text("The file model.safetensors in").wait_for()
    page.get_by_role("button", name="Download again").wait_for()


def test_the_whole_app_works_with_a_tiny_yuan(
    server: Server, visit: Callable[..., Any], own_models: Path, tmp_path: Path
) -> None:
    folder = make_yuan(tmp_path / "Yuan2-tiny")
    server.start()
    page = visit("models")
    add(page, str(folder))
    page.get_by_text("Yuan2-tiny is in the catalog.").wait_for()
    server.kill()
    server.start(YUAN_MODEL="Yuan2-tiny")  # it answers, as the real one does on a GPU

    page = visit("chat")
    box = page.get_by_placeholder("Ask something…")
    box.fill("介绍一下广州大学")
    box.press("Enter")
    for arm in ("base", "base_rag"):
        figures = page.locator(f'[class*="st-key-arm-{arm}-"] .figures')
        figures.get_by_text("tokens/s").wait_for(timeout=180_000)

    page = visit("train")
    steps = page.get_by_role("spinbutton", name="Steps", exact=True)
    steps.fill("3")
    steps.press("Tab")
    page.get_by_text("All settings").click()
    still(page.get_by_role("tab", name="Measuring")).click()
    rows = page.get_by_role("spinbutton", name="Test rows on the way")
    rows.fill("2")
    rows.press("Tab")
    page.get_by_role("button", name="Start training").click()
    page.get_by_role("button", name="Compare with base").first.click(timeout=240_000)
    page.wait_for_url("**/compare?*")
    count = page.get_by_role("spinbutton", name="Rows", exact=True)
    count.fill("3")
    count.press("Tab")
    page.get_by_role("button", name="Compare", exact=True).click()
    page.locator(".js-plotly-plot").first.wait_for(timeout=240_000)
    bars = page.evaluate("document.querySelector('.js-plotly-plot').data.map(bar => bar.y.length)")
    assert bars == [4, 4]
    assert "our side" not in page.locator("body").inner_text()
