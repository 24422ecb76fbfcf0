"""What it costs the server to open a comparison of 1,000 rows and 8 arms: the Compare page, tab by tab.

An experiment of that size is written as its worker would have left it. The time is that of the page's whole script,
figures and tables packed for the browser, without the network: once with nothing in memory, as after the server's
start (libraries loaded: a small comparison was looked at before), then again. The claim: at most 1 s when it is opened.
Run: python -m benchmarks.compare_page
"""

import cProfile
import io
import json
import pstats
import random
import statistics
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from core import files, jobs
from core.evaluation import experiments, grid, scoring
from core.evaluation.metrics import expected
from core.evaluation.results import KEPT, results
from core.settings import settings

ROWS, CLAIM = 1000, 1.0
TABS = ("overview", "rows", "galleries", "vote", "report")
LARGE, SMALL = "20260102-030405-large-0002", "20260102-030405-small-0001"
SKILL = {"": 0.35, "run-a": 0.6}
"""Share of the reference's words that an arm finds; a knowledge base adds a fifth."""


def arms() -> list[dict[str, Any]]:
    """Base and adapter × without and with a knowledge base × two strategies."""
    return [
        {"adapter": adapter, "path": "", "rag": rag, "strategy": strategy}
        for adapter in ("", "run-a")
        for rag in (False, True)
        for strategy in ("zero-shot", "few-shot")
    ]


def write(experiment_id: str, rows: int) -> None:
    """A finished experiment with prompts, passages and answers of the usual lengths."""
    folder, chance = settings().experiments_dir / experiment_id, random.Random(0)
    words = [f"word{number}" for number in range(3000)]
    grid_, told, lines = arms(), [], []
    for number in range(rows):
        output = " ".join(chance.choices(words, k=14))
        about = asdict(expected({"question": "?", "output": output}))
        texts = [" ".join(chance.choices(words, k=70)) for _ in range(3)]
        passages = [{"text": text, "source": "a.md", "score": 0.5} for text in texts]
        question = f"Question {number}: " + " ".join(chance.choices(words, k=10))
        row = {"input": question, "reference": output, "expected": about, "passages": passages, "examples": {}}
        read = "\n\n".join(texts)
        row["prompts"] = {grid.condition(arm): f"{read if arm['rag'] else ''}\n{question}" for arm in grid_}
        told.append(row)
        for arm in grid_:
            skill = SKILL[arm["adapter"]] + 0.2 * arm["rag"]
            text = " ".join(word if chance.random() < skill else "other" for word in output.split())
            answer = {"text": text, "reasoning": "", "tokens": 20, "seconds": 2 + chance.random(), "finish": "end",
                      "supported": None, "sources": None}  # fmt: skip
            parts = scoring.measure(row, answer)
            lines.append({"row": number, "arm": grid.name(arm), **answer, "parts": parts,
                          "scores": scoring.figures(parts)})  # fmt: skip
    inputs = {"dataset": "d", "model": "SmolLM2-135M-Instruct", "kb": "notes", "limit": rows, "seed": 0, "top_k": 0,
              "tokenizer": "character", "arms": grid_, "rows": told}  # fmt: skip
    files.write_json(folder / "inputs.json", inputs)
    (folder / "answers.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    jobs.create(folder, done=len(lines), total=len(lines))
    jobs.update(folder, status=jobs.FINISHED)
    files.write_json(folder / KEPT, results(experiments.show(experiment_id)))


def page() -> None:
    """The script of the page, and what it took."""
    import time

    import streamlit as st

    from core.ui.compare import compare_view

    began, worked = time.perf_counter(), time.thread_time()
    compare_view.page()
    st.session_state["spent"] = (time.perf_counter() - began, time.thread_time() - worked)


def opened(experiment_id: str, tab: str) -> tuple[float, float]:
    """Seconds on the clock and of the processor."""
    from streamlit.testing.v1 import AppTest

    app = AppTest.from_function(page, default_timeout=300)
    app.query_params["experiment"], app.query_params["tab"] = experiment_id, tab
    app.run()
    assert not app.exception, app.exception
    clock, processor = app.session_state["spent"]
    return clock, processor


def main() -> None:
    import streamlit as st

    with tempfile.TemporaryDirectory() as root:
        settings().data_dir = Path(root)
        write(SMALL, 24)
        write(LARGE, ROWS)
        for tab in TABS:
            opened(SMALL, tab)
        print(f"{ROWS} rows × {len(arms())} arms; seconds on the clock (of the processor)")
        slowest = 0.0
        for tab in TABS:
            first = []
            for _ in range(3):
                st.cache_resource.clear()
                first.append(opened(LARGE, tab))
            again = [opened(LARGE, tab) for _ in range(3)]
            told = [min(times) for times in (first, again)]
            slowest = max(slowest, statistics.median(first)[0])
            print(f"  {tab:<10} opened {told[0][0]:.2f} ({told[0][1]:.2f})   again {told[1][0]:.2f} ({told[1][1]:.2f})")
        if "--profile" in sys.argv:
            st.cache_resource.clear()
            profile = cProfile.Profile()
            began = time.perf_counter()
            profile.runcall(experiments.show, LARGE)
            print(f"  read {time.perf_counter() - began:.2f}")
            said = io.StringIO()
            pstats.Stats(profile, stream=said).sort_stats("cumulative").print_stats(12)
            print(said.getvalue())
        print(f"slowest when opened: {slowest:.2f} s; claim: at most {CLAIM:.0f} s")


if __name__ == "__main__":
    main()
