"""A real fine-tuning run on the embedded model, watched, reloaded, restarted under, compared."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Server, shoot, still
from tests.helpers.waiting import eventually

pytestmark = [pytest.mark.e2e, pytest.mark.embedded]

STEPS = 6


def points(page: Any) -> int:
    """Points of the training loss on the chart."""
    return page.evaluate("document.querySelector('.js-plotly-plot')?._fullData?.[0]?.x?.length ?? 0")


def state(server: Server) -> dict[str, Any]:
    [path] = (server.data_dir / "runs").glob("*/state.json")
    return json.loads(path.read_text("utf-8"))


def test_a_run_outlives_reload_and_crash_and_is_compared(server: Server, visit: Callable[..., Any]) -> None:
    server.start()
    page = visit("train")
    steps = page.get_by_role("spinbutton", name="Steps", exact=True)
    steps.fill(str(STEPS))
    steps.press("Tab")
    page.get_by_text("All settings").click()
    still(page.get_by_role("tab", name="Measuring")).click()
    rows = page.get_by_role("spinbutton", name="Test rows on the way")
    rows.fill("0")  # answers on the way are watched with a tiny model, in test_models.py
    rows.press("Tab")
    page.get_by_role("button", name="Start training").click()
    page.wait_for_url("**/train?*run=*")

    eventually(lambda: points(page) >= 1, 240)
    first = points(page)
    page.reload()  # mid-run
    page.wait_for_selector("h1")
    eventually(lambda: points(page) > first, 240)
    assert state(server)["status"] == "running", "the run ended before the server could be killed under it"

    server.kill()  # mid-run, and not gently
    server.start()
    page = visit("train")  # no run in the address: the page finds it
    eventually(lambda: state(server)["status"] == "finished", 240)
    page.get_by_role("button", name="Compare with base").first.wait_for()
    eventually(lambda: points(page) == STEPS, 30)
    shoot(page, "train")
    assert state(server)["step"] == STEPS

    page.get_by_role("button", name="Compare with base").first.click()
    page.wait_for_url("**/compare?*")
    count = page.get_by_role("spinbutton", name="Rows", exact=True)
    count.fill("2")
    count.press("Tab")
    page.get_by_role("button", name="Compare", exact=True).click()
    page.wait_for_url("**experiment=*")
    page.locator(".js-plotly-plot").first.wait_for(timeout=240_000)
    bars = page.evaluate("document.querySelector('.js-plotly-plot').data.map(bar => [bar.x.length, bar.y.length])")
    assert bars == [[4, 4], [4, 4]]  # four metrics for each of base and fine-tuned
    assert page.evaluate("document.querySelector('.js-plotly-plot').data[0].error_x.array.length") == 4
    shoot(page, "compare")
    page.get_by_role("radio", name="Rows").click()
    page.get_by_text("Mark differences from the reference").wait_for()

    page.get_by_role("radio", name="中文").click()
    page.get_by_text("标出与参考答案的不同").wait_for()

    page.goto(f"{server.url}/train?lang=en")
    page.get_by_role("button", name="Try it in Chat").first.click()
    page.get_by_text("Without", exact=True).click()
    box = page.get_by_placeholder("Ask something…")
    box.fill("提取简历信息：\n王小明，硕士学历，现任工程师。")
    box.press("Enter")
    page.locator('[class*="st-key-arm-tuned-"] .figures', has_text="SmolLM2 135M Instruct + ").wait_for()


def test_ones_own_data_is_checked_and_used(server: Server, visit: Callable[..., Any], tmp_path: Path) -> None:
    server.start()
    page = visit("train?view=data")
    bad, good = tmp_path / "bad.csv", tmp_path / "good.jsonl"
    bad.write_text("input,output\nhello,hi\nbye,\n", "utf-8")
    good.write_text("".join(json.dumps({"input": f"say {i}", "output": str(i)}) + "\n" for i in range(20)), "utf-8")
    page.get_by_text("Add a data set").click()
    page.locator('input[type="file"]').set_input_files(bad)
    page.get_by_text("2 rows: 1 problem must be fixed or left out").wait_for()
    page.get_by_text("Row 2 cannot be learned from as it is").wait_for()
    page.locator('input[type="file"]').set_input_files(good)
    still(page.get_by_role("button", name="Use these 20 rows")).click()
    page.get_by_role("heading", name="good (20)").wait_for()
    page.get_by_role("button", name="Use it in a new run").click()
    page.get_by_role("button", name="Start training").wait_for()
