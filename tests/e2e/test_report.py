"""The report of a comparison in a real browser, from a file and without a network."""

from pathlib import Path
from typing import Any

import pytest

from core.evaluation import export
from core.evaluation.results import results
from tests.e2e.conftest import shoot
from tests.helpers.experiments import RIGHT, made, square

pytestmark = pytest.mark.e2e


def test_the_report_opens_with_its_charts_in_both_languages_and_loads_nothing(browser: Any, tmp_path: Path) -> None:
    experiment = made(square(), RIGHT)
    export.write(tmp_path, experiment, results(experiment))
    for width, height in ((1280, 800), (390, 844)):
        page = browser.new_page(viewport={"width": width, "height": height})
        page.set_default_timeout(120_000)
        wrong: list[str] = []
        page.on("pageerror", lambda error, wrong=wrong: wrong.append(str(error)))
        page.on("console", lambda said, wrong=wrong: wrong.append(said.text) if said.type == "error" else None)
        page.on("dialog", lambda box, wrong=wrong: (wrong.append("a dialog"), box.dismiss()))
        asked: list[str] = []
        page.on("request", lambda request, asked=asked: asked.append(request.url))
        page.goto((tmp_path / "report.html").as_uri())
        page.locator(".zh.js-plotly-plot").nth(1).wait_for()
        page.get_by_role("button", name="English").click()
        page.locator(".en.js-plotly-plot").nth(1).wait_for()
        assert page.evaluate("document.querySelector('.en.js-plotly-plot').data.map(bar => bar.name)") == [
            "Base, no knowledge base",
            "Base + knowledge base",
            "Fine-tuned, no knowledge base",
            "Fine-tuned + knowledge base",
        ]
        page.get_by_role("heading", name="Where the knowledge base hurt").wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        shoot(page, f"report-{width}")
        assert wrong == []
        assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []
        page.close()
