"""Which metrics a row has, what each makes of an answer, their sums, and words for all of them in both languages."""

import json
import math
import tomllib

import pytest

from core.evaluation.metrics import ROUGE, TOKENIZERS, Output, class_names, expected, registry
from core.evaluation.metrics.cases import ANSWER, CLASS, EXTRACTION, OPEN, SUMMARY
from core.evaluation.statistics import FEWEST, HIGHER, LOWER, TOO_FEW, UNCLEAR
from core.settings import ROOT
from core.training.data import datasets

METRICS = registry()
ANY = {"perplexity", "length", "latency", "speed"}


def value(name: str, row: dict[str, object], output: Output) -> float | None:
    asked = expected(row)
    assert METRICS[name].applies(asked)
    parts = METRICS[name].compute(asked, output)
    return None if parts is None else METRICS[name].row(parts)


@pytest.mark.parametrize(
    ("row", "labels", "kind", "names"),
    [
        ({"text": "nice", "label": "positive"}, ("negative", "positive"), CLASS, {"accuracy", "macro_f1"}),
        (
            {"input": "提取简历信息：…", "output": '{"姓名":["张三"]}'},
            (),
            EXTRACTION,
            {*ROUGE, "field_f1", "field_precision", "field_recall", "valid_json"},
        ),
        ({"dialogue": "A: …", "summary": "…", "output": "A asks."}, (), SUMMARY, {*ROUGE, "faithfulness"}),
        (
            {"question": "When?", "output": "1952", "answerable": True, "source": "a.md"},
            (),
            ANSWER,
            {*ROUGE, "exact", "token_f1", "faithfulness", "false_refusal", "retrieval_hit"},
        ),
        (
            {"question": "When?", "output": "文中没有提到。"},
            (),
            ANSWER,
            {*ROUGE, "exact", "token_f1", "faithfulness", "refusal"},
        ),
        ({"input": "Write a story.", "output": "Once upon a time " * 9}, (), OPEN, {*ROUGE, "faithfulness"}),
    ],
)
def test_a_row_is_measured_by_what_it_has(
    row: dict[str, object], labels: tuple[str, ...], kind: str, names: set[str]
) -> None:
    asked = expected(row, labels)
    assert asked.kind == kind
    assert {name for name, metric in METRICS.items() if metric.applies(asked)} == names | ANY


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("sentiment-zh", CLASS),
        ("odd-numbers", CLASS),
        ("resume-extraction", EXTRACTION),
        ("dialogue-summary-zh", SUMMARY),
        ("rag-qa-zh", ANSWER),
        ("rag-qa-en", ANSWER),
    ],
)
def test_the_shipped_sets_are_of_the_kind_they_were_written_for(name: str, kind: str) -> None:
    rows = datasets.load(name).questions()
    assert {expected(row, class_names(rows)).kind for row in rows} == {kind}


def test_where_nothing_is_to_be_found_a_refusal_is_the_right_answer() -> None:
    row = {"question": "谁？", "output": "文中没有提到。", "answerable": False}
    for name in ("exact", "token_f1", "refusal"):
        assert value(name, row, Output("根据资料无法确定。")) == 1.0
        assert value(name, row, Output("张三")) == 0.0
    assert value("false_refusal", {**row, "output": "李四", "answerable": True}, Output("文中没有提到。")) == 1.0


def test_faithfulness_is_the_share_of_supported_sentences_of_what_is_an_answer() -> None:
    row = {"question": "?", "output": "x"}
    assert value("faithfulness", row, Output("A. B. C. D.", supported=[True, True, False, True])) == 0.75
    assert value("faithfulness", row, Output("The passage does not say.", supported=[False])) is None
    assert value("faithfulness", row, Output("A.")) is None


def test_a_retrieval_hit_needs_one_passage_of_the_right_document() -> None:
    row = {"question": "?", "output": "x", "source": "b.md"}
    assert value("retrieval_hit", row, Output("", sources=["a.md", "b.md"])) == 1.0
    assert value("retrieval_hit", row, Output("", sources=["a.md"])) == 0.0
    assert value("retrieval_hit", row, Output("")) is None


def test_perplexity_and_speed_are_of_all_tokens_not_means_of_rows() -> None:
    row = expected({"output": "x"})
    outputs = [Output("", 10, 1.0, log_probabilities=[math.log(0.5)] * 3), Output("", 30, 9.0, log_probabilities=[0.0])]
    perplexity, speed = ([METRICS[name].compute(row, out) for out in outputs] for name in ("perplexity", "speed"))
    assert [METRICS["perplexity"].row(parts) for parts in perplexity if parts] == pytest.approx([2.0, 1.0])
    assert METRICS["perplexity"].summary(perplexity)["mean"] == pytest.approx(2 ** (3 / 4))
    assert METRICS["speed"].summary(speed)["mean"] == pytest.approx(4.0)


def test_field_figures_are_summed_over_the_set() -> None:
    wanted = ['{"a": [1, 2, 3]}', '{"a": 1}']
    given = ['{"a": [1, 2, 9]}', "none"]
    pairs = [(expected({"output": w}), Output(g)) for w, g in zip(wanted, given, strict=True)]
    names = ("field_precision", "field_recall", "field_f1", "valid_json")
    found = {name: METRICS[name].summary([METRICS[name].compute(*pair) for pair in pairs]) for name in names}
    assert found["field_precision"]["mean"] == pytest.approx(2 / 3)
    assert found["field_precision"]["n"] == 1
    assert found["field_recall"]["mean"] == pytest.approx(2 / 4)
    assert found["field_f1"]["mean"] == pytest.approx(2 * 2 / (4 + 3))
    assert found["valid_json"]["mean"] == 0.5


def test_contrasts_know_which_way_is_better() -> None:
    quick, slow = [(1.0,)] * 20, [(2.0,)] * 15 + [(1.01,)] * 5
    found = METRICS["latency"].contrasts({"quick": quick, "slow": slow}, [("quick", "slow")])[0]
    assert (found["helped"], found["hurt"], found["unchanged"]) == (0, 15, 5)
    assert found["verdict"] == "higher"


def test_nobody_having_a_value_is_no_figure() -> None:
    assert METRICS["faithfulness"].summary([None, None]) is None


@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_metric_tokenizer_and_verdict_is_explained(language: str) -> None:
    words = tomllib.loads((ROOT / "assets" / "locales" / f"{language}.toml").read_text("utf-8"))["metrics"]
    assert set(words) == {*METRICS, "tokenizers", "verdicts"}
    assert set(words["tokenizers"]) == set(TOKENIZERS)
    assert set(words["verdicts"]) == {TOO_FEW, HIGHER, LOWER, UNCLEAR}
    assert str(FEWEST) in words["verdicts"][TOO_FEW]
    for name in METRICS:
        assert set(words[name]) == {"label", "definition", "range", "better"}
        assert all(words[name].values())


def test_parts_can_be_kept_as_json() -> None:
    row = expected({"text": "?", "label": "b"}, ("a", "b"))
    parts = METRICS["macro_f1"].compute(row, Output("b"))
    assert tuple(json.loads(json.dumps(parts))) == parts == (0, 1, 0, 1, 0, 1)
