"""What the second column costs: two answers in one batch against one answer of the same length.

Same process, same model, 64 new tokens for every answer, greedy, alternating, medians. The claim: at most 1.35.
Run: python -m benchmarks.two_columns
"""

import json
import statistics
import time

from core.generation import ask
from core.generation.ask import Arm
from core.generation.engine import Engine, Options
from core.models import store
from core.rag import retrieval

QUESTION, TOKENS, ROUNDS = "What is Llama 2?", 64, 9


def main() -> None:
    """Print {"ratio", "one_answer_seconds", "two_answers_seconds", …} as JSON."""
    engine, card = Engine(), store.default_generator()
    passages = [passage.as_dict() for passage in retrieval.search("llama2", QUESTION, card.passages)]
    options = Options(max_new_tokens=TOKENS, min_new_tokens=TOKENS)

    def seconds(arms: list[Arm]) -> float:
        began = time.perf_counter()
        answers = ask.submit(engine, card.name, QUESTION, arms, passages, options=options).result()
        assert all(answer.tokens == TOKENS for answer in answers)
        return time.perf_counter() - began

    one, two = [Arm(rag=True)], [Arm(rag=False), Arm(rag=True)]
    seconds(one), seconds(two)  # load and warm up
    pairs = [(seconds(one), seconds(two)) for _ in range(ROUNDS)]
    ratios = [both / single for single, both in pairs]
    report = {
        "model": card.name,
        "new_tokens": TOKENS,
        "rounds": ROUNDS,
        "one_answer_seconds": round(statistics.median(single for single, _ in pairs), 3),
        "two_answers_seconds": round(statistics.median(both for _, both in pairs), 3),
        "ratio": round(statistics.median(ratios), 3),
        "ratio_range": [round(min(ratios), 3), round(max(ratios), 3)],
        "claim": 1.35,
    }
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
