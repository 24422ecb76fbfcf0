"""The Prompts page in a real browser, on the real embedded model."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from core.generation.templates import KINDS
from tests.e2e.conftest import Server, shoot
from tests.helpers.waiting import eventually

pytestmark = [pytest.mark.e2e, pytest.mark.embedded]


def test_the_odd_numbers_exercise_is_answered_three_ways_at_once(server: Server, visit: Callable[..., Any]) -> None:
    server.start()
    page = visit("prompts")
    page.get_by_role("button", name="Odd numbers").click()
    page.get_by_role("button", name="Next question of this data set").wait_for()
    page.get_by_role("button", name="Run all").click()
    columns = page.locator('[class*="st-key-arm-base-"]')
    eventually(lambda: columns.locator(".figures").count() == len(KINDS), 180)
    page.get_by_role("button", name="Stop", exact=True).click()
    page.get_by_text("The right answer").wait_for()

    def judged() -> list[str]:
        texts = columns.all_inner_texts()
        return texts if all(re.search(r"\b(right|wrong)\s*$", text) for text in texts) else []

    assert all(kind in text for kind, text in zip(KINDS, eventually(judged), strict=True))
    page.reload()
    page.get_by_text("The right answer").wait_for()
    box = page.get_by_label("Input", exact=True)
    eventually(lambda: box.input_value().startswith("The odd numbers in this group"), 30)
    shoot(page, "prompts")
