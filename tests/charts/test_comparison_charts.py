"""The charts of a comparison: what tells arms apart, and that every row keeps a place of its own."""

from itertools import product
from typing import Any

from core.charts import comparison_charts
from core.evaluation.report.look import INK
from core.palette import ARMS
from tests.charts.test_run_charts import contrast

LABELS = dict.fromkeys(("title", "subtitle", "a", "b", "row", "helped", "hurt", "unchanged", "seconds", "score"), "–")


def grid() -> list[dict[str, Any]]:
    return [
        {"name": str(place), "adapter": adapter, "rag": rag, "strategy": strategy, "scores": {}}
        for place, (adapter, rag, strategy) in enumerate(product((None, "a", "b"), (False, True), ("zero-shot", "cot")))
    ]


def colors(arms: list[dict[str, Any]]) -> list[str]:
    return [ARMS[("tuned" if arm["adapter"] else "base") + ("_rag" if arm["rag"] else "")][0] for arm in arms]


def test_no_two_arms_look_alike_and_each_keeps_the_colour_of_its_cell() -> None:
    arms = grid()
    looks = comparison_charts.looks(arms, colors(arms))
    assert len({(look["color"], look["line"], look["pattern"]) for look in looks}) == len(arms)
    assert len({(look["color"], look["line"], look["symbol"]) for look in looks}) == len(arms)
    assert [look["line"] for look in looks] == colors(arms)


def test_rows_with_the_same_scores_are_all_to_be_seen_and_nothing_of_their_text_is_obeyed() -> None:
    rows = [
        {"row": number, "a": 0.0, "b": 1.0, "effect": "helped", "text": f"<a href=x>{'why ' * 40}"}
        for number in range(1, 251)
    ]
    shades = dict.fromkeys(("helped", "hurt", "unchanged"), "#000000")
    helped, hurt, unchanged = comparison_charts.scatter(rows, LABELS, shades, "#000000", (0.0, 1.0))["data"]
    assert hurt["x"] == unchanged["x"] == []
    places = set(zip(helped["x"], helped["y"], strict=True))
    assert len(places) == 250 and all(abs(x) < 0.15 and abs(y - 1) < 0.15 for x, y in places)
    assert [told[:3] for told in helped["customdata"]] == [[number, 0.0, 1.0] for number in range(1, 251)]
    assert all("<" not in told[3] and len(told[3]) < 100 for told in helped["customdata"])


def test_an_arm_whose_time_was_not_measured_has_no_place_over_seconds() -> None:
    arms = grid()[:2]
    score = {"mean": 0.5, "low": 0.4, "high": 0.7, "n": 9}
    arms[0]["scores"] = {"exact": score, "latency": {"mean": 2.0, "low": 1.5, "high": 3.0, "n": 9}}
    arms[1]["scores"] = {"exact": score}
    [trace] = comparison_charts.cost(arms, "exact", colors(arms), LABELS, "#000000", 1.0)["data"]
    assert (trace["x"], trace["y"]) == ([2.0], [0.5])
    assert (trace["error_x"]["array"], trace["error_x"]["arrayminus"]) == ([1.0], [0.5])


def test_a_long_name_goes_on_in_a_line_of_its_own_and_the_chart_grows_by_it() -> None:
    [arm, *_] = grid()
    arm["scores"] = {"exact": {"mean": 0.5, "low": 0.4, "high": 0.7, "n": 9}}

    def drawn(name: str) -> tuple[str, int]:
        figure = comparison_charts.overview([{**arm, "name": name}], {"exact": "Exact"}, ["#000000"], LABELS, "#000000")
        return figure["data"][0]["name"], figure["layout"]["height"]

    short, height = drawn("Base + knowledge base · few-shot")
    assert short == "Base + knowledge base · few-shot"
    assert drawn("微调（第一次），有知识库 · few-shot") == (
        "微调（第一次），有知识库 · few-shot",
        height,
    )
    long = "微调（我的第一次训练，学习率更高），有知识库 · few-shot"
    assert drawn(long) == (long.replace(" · ", "<br>"), height + 16)


def test_names_of_a_difference_go_on_in_another_line_and_every_difference_gets_the_room() -> None:
    def drawn(name: str) -> tuple[str, int]:
        found = {"delta": 0.5, "low": 0.4, "high": 0.7, "p_holm": 0.01, "n": 9, "a": "Base", "b": name}
        labels = {**LABELS, "delta": "–", "against": "against"}
        figure = comparison_charts.forest([found, {**found, "b": "x"}], labels, {name: "#000000", "x": "#000000"}, "")
        return figure["layout"]["annotations"][0]["text"], figure["layout"]["height"]

    short, height = drawn("Base · cot")
    assert short == "Base · cot<br><i>against Base</i>"
    long, taller = drawn("微调，有知识库 · resume-extraction@50 · a-strategy-of-my-own")
    assert long == "微调，有知识库 · resume-extraction@50<br>a-strategy-of-my-own<br><i>against Base</i>"
    assert taller - height >= 2 * 18
    names = {**LABELS, "a": "Fine-tuned + knowledge base · resume-extraction · few-shot"}
    layout = comparison_charts.scatter([], names, dict.fromkeys(("helped", "hurt", "unchanged"), ""), "", (0.0, 1.0))
    assert layout["layout"]["xaxis"]["title"]["text"] == names["a"].replace(" · ", "<br>", 1)


def test_a_whisker_can_be_seen_on_the_bar_it_lies_on_in_the_light_and_in_the_dark() -> None:
    """3:1, as of any mark of a chart; bars are translucent, on the page's ground."""
    grounds, score = ("#FBFBFD", "#0E1117"), {"mean": 0.5, "low": 0.4, "high": 0.7, "n": 9}
    for theme, (ground, ink) in enumerate(zip(grounds, INK, strict=True)):
        for name, shades in ARMS.items():
            arm = {"name": name, "adapter": None, "rag": False, "strategy": "cot", "scores": {"exact": score}}
            [bar] = comparison_charts.overview([arm], {"exact": "–"}, [shades[theme]], LABELS, ink)["data"]
            *color, alpha = (float(part) for part in bar["marker"]["color"].removeprefix("rgba(")[:-1].split(","))
            below = bytes.fromhex(ground[1:])
            seen = bytes(round(alpha * over + (1 - alpha) * under) for over, under in zip(color, below, strict=True))
            assert contrast(ink, f"#{seen.hex()}") >= 3, (name, ground)
            assert bar["marker"]["line"]["color"] == shades[theme]


def test_a_score_that_an_arm_does_not_have_is_neither_a_bar_nor_a_figure() -> None:
    arms = grid()[:2]
    score = {"mean": 0.5, "low": 0.4, "high": 0.7, "n": 9}
    arms[0]["scores"], arms[1]["scores"] = {"exact": score}, {"exact": score, "rougeL": {**score, "mean": 0.25}}
    metrics = {"exact": "Exact", "rougeL": "ROUGE-L", "valid_json": "JSON"}
    figure = comparison_charts.overview(arms, metrics, colors(arms), LABELS, "#000000")
    assert [(bar["y"], bar["x"]) for bar in figure["data"]] == [(["Exact"], [0.5]), (["Exact", "ROUGE-L"], [0.5, 0.25])]
    told = [(note["text"], round(note["y"], 2)) for note in figure["layout"]["annotations"]]
    assert told == [("0.50", -0.19), ("0.50", 0.19), ("0.25", 1.19)], "each at the height of its bar"
    assert figure["layout"]["yaxis"]["categoryarray"] == ["Exact", "ROUGE-L"]
