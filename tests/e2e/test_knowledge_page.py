"""The Knowledge page in a real browser: a base of one's own, its stages, its source behind an answer."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Server, shoot, still

pytestmark = [pytest.mark.e2e, pytest.mark.embedded]

HANDBOOK = """# Company handbook

## Holidays

Every employee of Bluebell Works has 31 days of paid holiday a year. Unused days expire at the end of March.

## Canteen

The canteen on the third floor serves lunch from 11:40 to 13:20. Tea is free all day.
"""


def test_a_base_of_ones_own_from_upload_to_a_cited_answer(
    server: Server, visit: Callable[..., Any], tmp_path: Path
) -> None:
    good, bad = tmp_path / "handbook.md", tmp_path / "broken.pdf"
    good.write_text(HANDBOOK, "utf-8")
    bad.write_bytes(b"%PDF-1.7 and then nothing")
    server.start()
    page = visit("knowledge")
    page.get_by_role("button", name="New knowledge base").click()
    name = page.get_by_label("Name", exact=True)
    name.fill("Bluebell 手册")
    name.press("Tab")
    page.locator('input[type="file"]').set_input_files([good, bad])
    page.get_by_text("broken.pdf is damaged").wait_for()  # a line for that file, and chunks of the other
    page.get_by_text("chunks, 0 of them left out").wait_for()
    page.get_by_role("button", name="Add and index").click()
    page.get_by_text("Files that could not be read: 1.").wait_for()
    page.get_by_text("Embedded by multilingual-e5-small").wait_for()

    page.get_by_text("Retrieval lab").click()
    question = page.get_by_label("Question", exact=True)
    question.fill("How many days of holiday do employees have?")
    question.press("Enter")
    page.locator(".js-plotly-plot").first.wait_for()
    shoot(page, "knowledge-lab")

    page = visit("knowledge?kb=llama2")
    page.get_by_text("Retrieval lab").click()
    question = page.get_by_label("Question", exact=True)
    question.fill("How do I cook pasta?")
    question.press("Enter")
    page.get_by_text("Nothing in this base is near enough").wait_for()
    page.get_by_text("Map", exact=True).click()
    page.locator(".js-plotly-plot").first.wait_for()

    page = visit("chat")
    page.locator('[data-test-script-state="notRunning"]').wait_for()  # the first run of a script closes open menus
    page.locator('[data-testid="stSelectbox"] input').first.click()
    page.get_by_role("option", name="Bluebell 手册").click()
    box = page.get_by_placeholder("Ask something…")
    box.fill("How many days of paid holiday does an employee of Bluebell Works have?")
    box.press("Enter")
    with_kb = page.locator('[class*="st-key-arm-base_rag-"]')
    with_kb.locator(".figures", has_text=re.compile("sentences? found in the passages")).wait_for(timeout=180_000)
    assert "31" in with_kb.inner_text()
    with_kb.get_by_text("Passages used").click()
    still(with_kb.get_by_role("link", name="Open the source here").first).click()
    mark = page.locator(".source mark")
    mark.wait_for()
    assert "31 days of paid holiday" in mark.inner_text()
