"""ROUGE against rouge_score's own scorer, against a second implementation, and on the Chinese it gets wrong."""

import random
import re

import pytest

from core.evaluation import metrics
from core.evaluation.metrics import ROUGE, TOKENIZERS, MixedTokenizer, rouge_row


def test_identical_texts_score_one_in_any_script() -> None:
    for text in ("广州大学位于广州。", "GPT 是大模型", "二〇二三年", "the fox", "混合 text 123"):
        assert rouge_row(text, text) == pytest.approx(dict.fromkeys(ROUGE, 1.0), abs=1e-12)


def test_the_cases_the_usual_tokenizer_gets_wrong() -> None:
    """It keeps a-z and 0-9 alone: the first pair would score 1.0 there, an identical Chinese pair 0.0."""
    from rouge_score.rouge_scorer import RougeScorer

    usual = RougeScorer(["rouge1"]).score("GPT 是大模型", "GPT 不是香蕉")["rouge1"].fmeasure
    assert usual == 1.0
    assert rouge_row("GPT 是大模型", "GPT 不是香蕉")["rouge1"] == pytest.approx(2 * 2 / (5 + 5))
    assert rouge_row("你好", "你好")["rouge1"] == 1.0
    assert rouge_row("香蕉", "模型")["rouge1"] == 0.0


@pytest.mark.parametrize("tokenizer", TOKENIZERS)
def test_under_each_tokenizer_the_same_chinese_scores_one_and_what_shares_nothing_zero(tokenizer: str) -> None:
    same = "广州大学位于广东省，创办于一九二七年。GPT 是大模型！"
    assert rouge_row(same, same, tokenizer) == pytest.approx(dict.fromkeys(ROUGE, 1.0), abs=1e-12)
    assert rouge_row(same, "今天天气很好，我们去爬山吧？", tokenizer) == dict.fromkeys(ROUGE, 0.0)


def test_the_tokenizers_differ_in_what_they_take_for_a_token() -> None:
    text = "广州大学有 running GPT-4"
    assert MixedTokenizer().tokenize(text) == [*"广州大学有", "running", "gpt", "4"]
    assert MixedTokenizer("jieba").tokenize(text) == ["广州大学", "有", "running", "gpt", "4"]
    assert MixedTokenizer("english").tokenize(text) == [*"广州大学有", "run", "gpt", "4"]


def test_full_width_letters_and_digits_are_the_plain_ones() -> None:
    assert rouge_row("ＧＰＴ ２", "gpt 2")["rougeL"] == 1.0


def test_of_several_references_the_best_counts_for_each_figure() -> None:
    references = ["the fox jumps over it", "a red fox"]
    found = rouge_row("the red fox", references)
    alone = [rouge_row("the red fox", reference) for reference in references]
    assert found == {name: max(one[name] for one in alone) for name in ROUGE}
    assert found["rouge2"] == pytest.approx(0.5)


def test_an_empty_answer_scores_zero() -> None:
    assert rouge_row("", "广州") == dict.fromkeys(ROUGE, 0.0)
    assert rouge_row("。", "广州") == dict.fromkeys(ROUGE, 0.0)


ENGLISH = [
    ("The quick brown fox jumps over the lazy dog.", "A quick fox jumped over two lazy dogs."),
    ("One fish two fish.\nRed fish blue fish.", "Red fish blue fish.\nOne fish swims."),
    ("It costs 3.5 dollars\nor so they say", "They say it costs\nabout 3.5 dollars\nor more"),
    ("same same", "same"),
    ("nothing", "in common"),
]


@pytest.mark.parametrize(("prediction", "reference"), ENGLISH)
def test_on_english_it_is_rouge_scores_own(prediction: str, reference: str) -> None:
    from rouge_score.rouge_scorer import RougeScorer

    for tokenizer, stemmed in (("character", False), ("jieba", False), ("english", True)):
        own = RougeScorer(list(ROUGE), use_stemmer=stemmed).score(reference, prediction)
        found = rouge_row(prediction, reference, tokenizer)
        assert found == pytest.approx({name: own[name].fmeasure for name in ROUGE})


def tokens(text: str) -> list[str]:
    return re.findall(r"[a-z0-9]+|[一-鿿]", text.lower())


def f1(overlap: float, predicted: int, expected: int) -> float:
    return 2 * overlap / (predicted + expected) if overlap else 0.0


def ngram_f1(a: list[str], b: list[str], n: int) -> float:
    grams = [[tuple(words[i : i + n]) for i in range(len(words) - n + 1)] for words in (a, b)]
    overlap = sum(min(grams[0].count(gram), grams[1].count(gram)) for gram in set(grams[0]))
    return f1(overlap, len(grams[0]), len(grams[1]))


def lcs(a: list[str], b: list[str]) -> int:
    if not a or not b:
        return 0
    row = [0] * (len(b) + 1)
    for word in a:
        before = row[:]
        for j, other in enumerate(b):
            row[j + 1] = before[j] + 1 if word == other else max(before[j + 1], row[j])
    return row[-1]


def test_on_mixed_text_it_is_what_a_second_implementation_says() -> None:
    chance = random.Random(0)
    pieces = [*"广州大学是一所的，、 ", " fox ", " 12 ", " GPT", "llama "]
    for _ in range(200):
        a, b = ("".join(chance.choices(pieces, k=chance.randint(0, 20))) for _ in range(2))
        x, y = tokens(a), tokens(b)
        scored = rouge_row(a, b)
        assert scored["rouge1"] == pytest.approx(ngram_f1(x, y, 1)), (a, b)
        assert scored["rouge2"] == pytest.approx(ngram_f1(x, y, 2)), (a, b)
        assert scored["rougeL"] == pytest.approx(f1(lcs(x, y), len(x), len(y))), (a, b)


@pytest.mark.parametrize("tokenizer", TOKENIZERS)
def test_every_figure_is_the_one_rouge_score_works_out(tokenizer: str) -> None:
    """Sentences in any order, words that repeat: where several longest sequences exist, the same one is taken."""
    from rouge_score.rouge_scorer import RougeScorer

    chance, scorer = random.Random(1), RougeScorer(list(ROUGE), tokenizer=MixedTokenizer(tokenizer))
    pieces = [*"广州大学是一所。！", " running ", " foxes ", " 12 ", " GPT", ". ", "\n", " the the "]
    for _ in range(150):
        a, b, c = ("".join(chance.choices(pieces, k=chance.randint(0, 30))) for _ in range(3))
        own = scorer.score_multi([metrics.sentences(b), metrics.sentences(c)], metrics.sentences(a))
        assert rouge_row(a, [b, c], tokenizer) == pytest.approx({name: own[name].fmeasure for name in ROUGE}), (a, b, c)


def test_chinese_sentences_are_told_apart_for_rouge_lsum() -> None:
    """Two sentences in the other order: their words all match within sentences, but not as one sequence."""
    scored = rouge_row("甲乙丙。丁戊己！", "丁戊己！甲乙丙。")
    assert scored["rougeLsum"] == 1.0
    assert scored["rougeL"] == 0.5
    assert metrics.sentences("一。二！three. four 3.5") == "一。\n二！\nthree.\nfour 3.5"


def test_as_an_evaluate_metric_it_gives_the_means_without_a_network() -> None:
    predictions, references = ["广州大学", "the fox", ""], ["广州", "the fox", "x"]
    rows = [rouge_row(p, r) for p, r in zip(predictions, references, strict=True)]
    computed = metrics.rouge().compute(predictions=predictions, references=references)
    assert computed == pytest.approx({name: sum(row[name] for row in rows) / 3 for name in ROUGE})
