"""The charts of retrieval: that figures can be read on a phone."""

import pytest

from core.charts import retrieval_charts

LABELS = {name: name for name in ("title", "subtitle", "score", "dense", "fused", "hit", "mrr")}


def test_each_bars_figure_stands_beside_it_in_letters_that_do_not_shrink() -> None:
    means = {"dense": {"hit": 0.5, "mrr": 0.25}, "fused": {"hit": 0.0, "mrr": 1.0}}
    stages = {
        stage: {name: {"mean": mean, "low": mean / 2, "high": 1.0} for name, mean in of.items()}
        for stage, of in means.items()
    }
    figure = retrieval_charts.stage_scores(stages, ["hit", "mrr"], LABELS, ["#000000", "#ffffff"], "#123456")
    assert [(bar.name, bar.y, bar.x) for bar in figure.data] == [
        ("dense", ("hit", "mrr"), (0.5, 0.25)),
        ("fused", ("hit", "mrr"), (0.0, 1.0)),
    ]
    assert figure.data[0].error_x.arrayminus == (0.25, 0.125)
    told = sorted((note.y, note.text) for note in figure.layout.annotations)
    assert [text for _, text in told] == ["0.50", "0.00", "0.25", "1.00"], "in the order of the bars, from the top"
    gap = figure.layout.bargap
    assert [place for place, _ in told] == pytest.approx(
        [-(1 - gap) / 4, (1 - gap) / 4, 1 - (1 - gap) / 4, 1 + (1 - gap) / 4]
    )
    assert all(note.font.size >= 12 for note in figure.layout.annotations)
    lines = figure.layout.height / len(told)
    assert lines >= 20, "so that no two figures touch"
