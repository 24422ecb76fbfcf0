"""The app's shell in a real browser: deep links, gate, language, and a layout that fits."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.conftest import Server, shoot
from tests.helpers.contrast import faint

pytestmark = [pytest.mark.e2e, pytest.mark.embedded]

TITLES = {
    "": ("What do RAG and LoRA really do?", "RAG 和 LoRA 究竟做了什么？"),
    "chat": ("Chat", "对话"),
    "train": ("Fine-tune", "微调"),
    "compare": ("Compare", "对比"),
    "knowledge": ("Knowledge", "知识库"),
    "models": ("Models", "模型"),
}


@pytest.mark.parametrize("path", list(TITLES))
def test_a_deep_link_opens_its_page_on_a_fresh_server(path: str, server: Server, visit: Callable[..., Any]) -> None:
    server.start()
    page = visit(path)
    assert page.inner_text("h1") == TITLES[path][0]
    page.wait_for_selector('[data-testid="stSidebarNavLink"]')
    assert page.get_by_text("Page not found").count() == 0
    assert page.url.rstrip("/") == f"{server.url}/{path}".rstrip("/")


def test_no_deep_link_goes_around_the_gate(server: Server, visit: Callable[..., Any]) -> None:
    server.start(YUAN_PASSWORD="plum")
    for path, (title, _) in TITLES.items():
        page = visit(path)  # another tab: whoever has come in through the one stands before the gate in the next
        page.get_by_label("Password", exact=True).wait_for()
        assert page.inner_text("h1") == "Yuan Lab 源实验室"
        assert page.get_by_role("button", name="New conversation").count() == 0
        page.get_by_label("Password", exact=True).fill("plum")
        page.get_by_label("Password", exact=True).press("Enter")
        page.wait_for_function("title => document.querySelector('h1')?.innerText === title", arg=title)


def test_the_language_is_the_browsers_then_the_choice_and_survives_a_refresh(
    server: Server, visit: Callable[..., Any]
) -> None:
    server.start()
    page = visit(locale="zh-CN")
    assert page.inner_text("h1") == TITLES[""][1]
    page.get_by_role("radio", name="English").click()
    page.wait_for_function("title => document.querySelector('h1')?.innerText === title", arg=TITLES[""][0])
    page.reload()
    page.wait_for_selector("h1")
    assert page.inner_text("h1") == TITLES[""][0]
    page.get_by_role("link", name="Chat").first.click()
    page.wait_for_function("document.querySelector('h1')?.innerText === 'Chat'")
    page.reload()
    page.wait_for_selector("h1")
    assert page.inner_text("h1") == "Chat"


def test_nothing_is_wider_than_the_screen_or_too_faint_to_read(server: Server, visit: Callable[..., Any]) -> None:
    server.start()
    for phone, theme, locale in ((False, "light", "zh-CN"), (True, "dark", "en-US"), (True, "light", "zh-CN")):
        for path in TITLES:
            page = visit(path, phone=phone, theme=theme, locale=locale)
            page.wait_for_selector(".stMainBlockContainer .lead")
            width = page.evaluate("document.querySelector('.stMainBlockContainer').scrollWidth")
            assert width <= page.viewport_size["width"], f"{path or 'overview'} {theme} {locale}: {width} px"
            assert not faint(page), f"{path or 'overview'} {theme} {locale}"
            shoot(page, f"{path or 'overview'}-{'phone' if phone else 'desk'}-{theme}-{locale[:2]}")
            page.close()
