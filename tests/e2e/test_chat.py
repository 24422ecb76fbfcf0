"""Chat in a real browser, on the real embedded model."""

import itertools
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Server, shoot, still
from tests.helpers.waiting import eventually

pytestmark = [pytest.mark.e2e, pytest.mark.embedded]

WITHOUT = '[class*="st-key-arm-base-"]'
# A Chinese question is read with the app's own adapter.
WITH = ':is([class*="st-key-arm-base_rag-"], [class*="st-key-arm-tuned_rag-"])'


def lengths(page: Any) -> tuple[int, int]:
    """Characters in the last answer without and with the knowledge base."""
    both = []
    for column in (WITHOUT, WITH):
        texts = page.locator(f"{column} .stMarkdown").all_inner_texts()
        both.append(len(texts[-1]) if texts else 0)
    return both[0], both[1]


def stopped(page: Any) -> bool:
    return page.get_by_role("button", name="Stop", exact=True).count() == 0


def test_two_answers_grow_together_and_are_kept(server: Server, visit: Callable[..., Any]) -> None:
    shutil.rmtree(server.data_dir / "kb")  # the app's first question of all: it indexes the base itself
    server.start()
    page = visit("chat")
    page.get_by_role("button", name="What is Llama 2?").click()
    eventually(lambda: min(lengths(page)) > 0, 180)
    seen = [lengths(page)]
    while not stopped(page):
        if (now := lengths(page)) != seen[-1]:
            seen.append(now)
    grown = [now for before, now in itertools.pairwise(seen) if now[0] > before[0] and now[1] > before[1]]
    assert len(grown) >= 3, f"the columns did not grow at the same time: {seen}"

    without, with_kb = page.locator(WITHOUT).inner_text(), page.locator(WITH).inner_text()
    assert "Meta" in with_kb and "2023" in with_kb
    assert "Meta" not in without
    for column in (without, with_kb):
        assert re.search(r"first token [\d.]+ s · \d+ tokens · [\d.]+ tokens/s", column)
    page.get_by_text(re.compile("Passages used: 1")).click()
    page.get_by_text("llama-2.md").wait_for()
    still(page.locator(".passage").last)
    page.locator(".question").scroll_into_view_if_needed()
    shoot(page, "chat")

    page.reload()
    page.locator(WITH).get_by_text("Meta").first.wait_for()
    page.get_by_role("button", name="What is Llama 2?").wait_for()  # its place in the list


def test_a_follow_up_stop_rename_export_delete(server: Server, visit: Callable[..., Any], tmp_path: Path) -> None:
    server.start()
    page = visit("chat")
    page.get_by_text("Without", exact=True).click()
    box = page.get_by_placeholder("Ask something…")
    box.fill("Tell me a long story about a river.")
    box.press("Enter")
    eventually(lambda: lengths(page)[0] > 20, 180)
    page.get_by_role("button", name="Stop", exact=True).click()
    eventually(lambda: stopped(page), 30)
    page.locator(".figures", has_text="stopped").wait_for()
    assert lengths(page)[0] > 20
    assert page.locator(WITH).count() == 0

    box.fill("What was my first question about?")
    box.press("Enter")
    page.locator(".figures").nth(1).wait_for()
    eventually(lambda: stopped(page), 180)
    assert page.locator(".question").count() == 2

    page.get_by_role("button", name="This conversation").click()
    page.get_by_label("Title").fill("River talk")
    page.get_by_label("Title").press("Enter")
    page.get_by_role("button", name="River talk").wait_for()
    # The list is drawn before the export: wait until the whole page is.
    page.wait_for_selector('[data-testid="stApp"][data-test-script-state="notRunning"]')
    with page.expect_download() as download:
        page.get_by_role("button", name="Export as JSON").click()
    kept = json.loads(Path(download.value.path()).read_text("utf-8"))
    assert kept["title"] == "River talk" and len(kept["turns"]) == 2
    assert kept["turns"][0]["answers"][0]["finish"] == "stopped"
    with page.expect_download() as download:
        page.get_by_role("button", name="Export as Markdown").click()
    assert Path(download.value.path()).read_text("utf-8").startswith("# River talk")
    page.get_by_role("button", name="Delete").click()
    eventually(lambda: page.get_by_role("button", name="River talk").count() == 0, 30)
    assert not list((server.data_dir / "chats").glob("*.json"))


def test_an_answer_goes_on_while_nobody_looks(server: Server, visit: Callable[..., Any]) -> None:
    server.start()
    page = visit("chat", locale="zh-CN", theme="dark")
    page.get_by_role("button", name="介绍一下广州大学").click()
    eventually(lambda: min(lengths(page)) > 0, 180)
    address = page.url
    page.close()
    page = visit(address.removeprefix(f"{server.url}/"), locale="zh-CN", theme="dark")
    page.locator(f"{WITH} .figures").wait_for()
    eventually(lambda: page.get_by_role("button", name="停止").count() == 0, 180)
    page.get_by_text(re.compile("所用段落：1")).click()
    page.get_by_text("广州大学.md").wait_for()
    assert "rag-qa-zh" in page.locator(WITH).inner_text()
    still(page.locator(".passage").last)
    page.locator(".question").scroll_into_view_if_needed()
    shoot(page, "chat-zh-dark")
