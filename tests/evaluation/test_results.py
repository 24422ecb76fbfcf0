"""Figures, contrasts and interactions of a comparison, its files, and a report in which nothing is live."""

import csv
import io
import json
import re
from dataclasses import asdict
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from core.errors import UserError
from core.evaluation import export, stability, statistics
from core.evaluation.metrics import expected
from core.evaluation.report import page
from core.evaluation.results import results
from core.palette import ARMS
from core.ui import i18n
from tests.helpers.experiments import EVIL, RIGHT, answer, made, square
from tests.test_cli import quick


@pytest.fixture(scope="module")
def experiment() -> dict[str, Any]:
    return made(square(), RIGHT)


@pytest.fixture(scope="module")
def report(experiment: dict[str, Any]) -> dict[str, Any]:
    return results(experiment)


def test_results_have_the_shape_the_command_line_promises(report: dict[str, Any]) -> None:
    assert (report["experiment"], report["rows"], report["primary"]) == ("x", 24, "rougeL")
    assert [arm["name"] for arm in report["arms"]] == ["base", "base+kb", "run-a", "run-a+kb"]
    for arm in report["arms"]:
        assert set(arm) == {"name", "model", "adapter", "rag", "strategy", "scores", "seconds"}
        assert all({"mean", "low", "high", "n"} <= set(score) for score in arm["scores"].values())
        assert (arm["model"], arm["strategy"], arm["seconds"]) == ("tiny", "zero-shot", 2.0)
    assert {"rouge1", "rouge2", "rougeL", "rougeLsum", "exact", "token_f1", "latency"} <= set(report["metrics"])
    counted = {"helped", "hurt", "unchanged", "verdict", "p_holm"}
    for one in report["contrasts"]:
        assert set(one) == {"a", "b", "metric", "delta", "low", "high", "p", "n"} | counted
    assert json.loads(json.dumps(report)) == report


def test_every_arm_is_held_against_the_first_and_against_those_it_differs_from_in_one_thing(
    report: dict[str, Any],
) -> None:
    assert [(one["a"], one["b"]) for one in report["contrasts"] if one["metric"] == "exact"] == [
        ("base", "base+kb"),
        ("base", "run-a"),
        ("base", "run-a+kb"),
        ("base+kb", "run-a+kb"),
        ("run-a", "run-a+kb"),
    ]


def test_figures_are_those_counted_by_hand(report: dict[str, Any]) -> None:
    exact = {arm["name"]: arm["scores"]["exact"]["mean"] for arm in report["arms"]}
    assert exact == pytest.approx({"base": 1 / 24, "base+kb": 11 / 24, "run-a": 9 / 24, "run-a+kb": 22 / 24})
    found = {(one["a"], one["b"]): one for one in report["contrasts"] if one["metric"] == "exact"}
    kb = found["base", "base+kb"]
    assert kb["delta"] == pytest.approx(10 / 24)
    assert (kb["helped"], kb["hurt"], kb["unchanged"], kb["n"]) == (11, 1, 12, 24)
    assert kb["verdict"] == "higher"
    ps = statistics.holm([one["p"] for one in found.values()])
    assert [one["p_holm"] for one in found.values()] == ps
    [both] = [one for one in report["interactions"] if one["metric"] == "exact"]
    assert both["delta"] == pytest.approx((22 / 24 - 11 / 24) - (9 / 24 - 1 / 24))
    assert both["cells"] == ["base", "run-a", "base+kb", "run-a+kb"]


def test_few_rows_get_no_verdict() -> None:
    found = results(made(square()[:2], {"base": set(), "base+kb": {0, 1, 2}}, 3))
    assert {one["verdict"] for one in found["contrasts"]} == {"too_few"}
    assert found["interactions"] == []


def test_a_row_that_one_arm_has_not_answered_counts_for_none() -> None:
    """Else an arm that was asked the easy rows only would win."""
    half = made(square()[:2], {"base": {1}, "base+kb": {0, 2}}, 3)
    del half["answers"][1]["answers"]["base+kb"]
    found = results(half)
    assert (found["rows"], found["retrieved"]) == (2, 0)
    assert found["arms"][0]["scores"]["exact"]["mean"] == 0.0
    for one in half["answers"]:
        one["answers"].pop("base+kb", None)
    nothing = results(half)
    assert (nothing["rows"], nothing["contrasts"], nothing["metrics"], nothing["primary"]) == (0, [], [], "")
    assert [(arm["scores"], arm["seconds"]) for arm in nothing["arms"]] == [({}, None)] * 2


def test_classes_have_their_table() -> None:
    arms = square()[:1]
    told = [{"output": "good", "said": "good"}, {"output": "good", "said": "bad"}, {"output": "bad", "said": "hm"}]
    rows = []
    for one in told:
        about = asdict(expected({"output": one["output"]}, ["bad", "good"]))
        rows.append({"input": "?", "reference": one["output"], "expected": about})
        rows[-1]["answers"] = {"base": answer(rows[-1], one["said"], arms[0])}
    found = results({**made(arms, {"base": set()}, 0), "answers": rows})
    assert found["confusion"] == {"base": {"labels": ["bad", "good", "none"], "counts": [[0, 0, 1], [1, 1, 0]]}}
    assert found["primary"] == "accuracy"


def test_with_several_seeds_a_row_counts_once_by_its_mean() -> None:
    """Three draws of two rows: 1, 0, 0 and 1, 1, 0 exactly met."""
    arms = square()[:2]
    one = {
        **made(arms, {"base": set(), "base+kb": {0, 1}}, 2),
        "temperature": 0.8,
        "top_p": 0.7,
        "repeats": 3,
        "seed": 5,
    }
    for asked, said in zip(one["answers"], ([True, False, False], [True, True, False]), strict=True):
        drawn = [answer(asked, asked["reference"] if right else f"no {n}", arms[0]) for n, right in enumerate(said)]
        asked["answers"]["base"] = stability.together(drawn)
        asked["answers"]["base+kb"] = stability.together([asked["answers"]["base+kb"]] * 3)
    found = results(one)
    assert found["stability"]["seeds"] == [5, 6, 7]
    exact = found["stability"]["arms"]["base"]["metrics"]["exact"]
    assert exact["means"] == [1.0, 0.5, 0.0]
    assert exact["sd"] == pytest.approx(0.5)
    assert [found["stability"]["arms"][name]["same"] for name in ("base", "base+kb")] == [0.0, 1.0]
    base, with_kb = (arm["scores"]["exact"] for arm in found["arms"])
    assert (base["mean"], base["n"], with_kb["mean"]) == (pytest.approx(0.5), 2, 1.0)
    [contrast] = [one for one in found["contrasts"] if one["metric"] == "exact"]
    assert (contrast["delta"], contrast["n"], contrast["helped"]) == (pytest.approx(0.5), 2, 2)
    assert "--temperature 0.8 --top-p 0.7 --repeats 3" in found["command"]


def test_the_command_repeats_it(report: dict[str, Any]) -> None:
    assert report["command"] == (
        "python -m core compare --dataset d --models base,run-a --kb notes --rag off,on --strategy zero-shot "
        "--limit 24 --tokenizer char --model tiny"
    )
    with pytest.raises(UserError, match="There is no “run-a” here"):  # every option was understood
        quick(*report["command"].removeprefix("python -m core ").split())


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_the_report_is_whole_and_nothing_in_it_is_live(experiment: dict[str, Any], tmp_path: Path) -> None:
    leak = {"row": 3, "adapter": "run-a", "where": "train", "place": 7, "source": "", "share": 1.0, "text": EVIL}
    shown = {**experiment, "overlap": [leak], "overlap_unknown": ["reader"]}
    export.write(tmp_path, shown, results(shown))
    made_page = (tmp_path / "report.html").read_text("utf-8")
    body = re.sub(r"<script>.*?</script>", "", made_page, flags=re.DOTALL)
    assert EVIL not in body and "&lt;img src=x onerror=alert(1)&gt;" in body
    tags = Tags()
    tags.feed(body)
    assert {"img", "iframe", "link", "object"} & {tag for tag, _ in tags.found} == set()
    assert not any(name.startswith("on") or name in ("src", "href") for _, given in tags.found for name in given)
    for words in ("Where fine-tuning hurt", "微调帮了倒忙的地方", "training row 8 of run-a", "row 4: 100%", "reader"):
        assert words in body
    figures = [json.loads(found) for found in re.findall(r'type="application/json">(.*?)</script>', made_page)]
    assert [len(figure["data"]) for figure in figures] == [4, 4, 4, 4, 1, 1, 3, 3]
    assert figures[0]["data"][3]["marker"]["line"]["color"] == "#0F766E"
    cells = {one: [i18n.table(one)["arms"][cell] for cell in ARMS] for one in ("zh", "en")}
    for shown, language in zip(figures[:2], ("zh", "en"), strict=True):
        assert [trace["name"] for trace in shown["data"]] == cells[language], "arms are called as on screen"
    told = re.sub(r"<[^>]*>", "\n", body.partition("Row by row")[0])
    for words in (*cells["zh"], *cells["en"]):
        assert words in told
    assert (
        "Fine-tuned: run-a." in told and "run-a+kb" not in told and "base+kb" not in told and 'title="run-a+kb"' in body
    )
    assert "python -m core compare --dataset d" in body


def test_the_galleries_show_where_it_hurt(experiment: dict[str, Any], report: dict[str, Any]) -> None:
    body = page(experiment, report, "en")
    assert body.count("<details>") >= 24
    assert "Where the knowledge base hurt</span>" in body and "Where fine-tuning hurt</span>" in body
    assert "Where the prompt strategy hurt" not in body, "there is one strategy alone"


def test_the_answers_are_a_table_for_spreadsheets(experiment: dict[str, Any], report: dict[str, Any]) -> None:
    first = experiment["answers"][0]["answers"]["base"]
    danger = {**first, "text": '=HYPERLINK("x")'}
    rows = [{**one, "answers": {**one["answers"], "base": danger}} for one in experiment["answers"]]
    text = export.answers_csv({**experiment, "answers": rows}, report)
    assert text.startswith("\ufeff")
    lines = list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"))))
    assert len(lines) == 24 * 4
    assert (lines[0]["row"], lines[0]["arm"], lines[0]["text"]) == ("1", "base", '\'=HYPERLINK("x")')
    assert float(lines[4 * 9 + 1]["exact"]) == 1.0
