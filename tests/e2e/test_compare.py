"""The Compare page's overview in a real browser: a point is clicked and its row is read, on a phone nothing is cut."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.conftest import Server, shoot
from tests.helpers.experiments import RIGHT, keep, made, square
from tests.helpers.isolation import data_dir

pytestmark = pytest.mark.e2e


def test_a_point_opens_its_row_and_the_overview_fits_a_phone(server: Server, visit: Callable[..., Any]) -> None:
    with data_dir(server.data_dir):
        keep(made(square(), RIGHT))
    server.start()
    page = visit("compare")
    page.get_by_text("Click a point to read its row here.").scroll_into_view_if_needed()
    points = page.locator(".js-plotly-plot", has_text="ROUGE-L of each row")
    point = points.locator(".scatterlayer path.point").last.bounding_box()
    page.mouse.click(point["x"] + point["width"] / 2, point["y"] + point["height"] / 2)
    page.locator(".question", has_text="Question").wait_for()
    page.locator('[class*="st-key-arm-tuned_rag-"] .source').wait_for()
    shoot(page, "compare-point")

    page.goto(f"{server.url}/compare?tab=rows&row=1")  # the last one: it stands first, and stays there under clicks
    page.get_by_text("Row 1, which was asked for, stands first.").wait_for()
    table = page.locator('[data-testid="stDataFrame"] canvas').first.bounding_box()
    for line, number in ((3, 3), (1, 1)):
        page.mouse.click(table["x"] + 20, table["y"] + 36 * line + 18)
        page.get_by_role("heading", name=f"Row {number}", exact=True).wait_for()
        page.wait_for_url(f"**row={number}")

    phone = visit("compare", phone=True, theme="dark", locale="zh-CN")
    phone.locator(".js-plotly-plot").nth(3).wait_for()
    assert phone.evaluate("document.documentElement.scrollWidth") <= 390
    shoot(phone, "compare-phone-dark")
