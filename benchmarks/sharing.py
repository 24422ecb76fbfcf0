"""What a second program on the same cores costs: two processes that write answers at once, as beside a training run.

Each writes the same four answers of 24 tokens with the embedded model, three times. Once with the way of waiting that
the app sets (threads spin briefly, then sleep), once with the default of torch's own threads (they spin on). The claim:
together at most 3 times the time of one process alone (two threads of one core leave no more than 2), and nothing lost
where a process is alone: at most 1.1 times the default's time.
Run: python -m benchmarks.sharing
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time

TOKENS, ROUNDS = 24, 3
WAYS = {"ours": {}, "default": {"GOMP_SPINCOUNT": "300000"}}  # libgomp's own count
CLAIMS = {"together_against_alone": 3.0, "alone_against_default": 1.1}


def write() -> float:
    """Seconds of one batch of four answers: the median."""
    from core.generation.engine import Engine, Options, Request
    from core.generation.prompts import conversation
    from core.models import store

    engine, card = Engine(), store.default_generator()
    options = Options(max_new_tokens=TOKENS, min_new_tokens=TOKENS)
    requests = [Request(conversation(f"Tell me about the number {number}.")) for number in range(4)]
    taken = []
    for _ in range(ROUNDS + 1):
        began = time.perf_counter()
        engine.submit(card.name, requests, options).result()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken[1:])  # the first one loads the model


def started(way: str) -> "subprocess.Popen[str]":
    """A process that measures :func:`write`."""
    environment = {name: value for name, value in os.environ.items() if name != "GOMP_SPINCOUNT"} | WAYS[way]
    command = [sys.executable, "-m", "benchmarks.sharing", "--write"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


def seconds(way: str, processes: int) -> float:
    """The slower one's time of so many at once."""
    found = [process.communicate()[0] for process in [started(way) for _ in range(processes)]]
    return max(float(text.splitlines()[-1]) for text in found)


def main() -> None:
    """Print the times, their ratios and the claims as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="measure one process")
    if parser.parse_args().write:
        print(write())
        return
    taken = {f"{way} {count}": seconds(way, count) for count in (1, 2) for way in WAYS}
    report = {
        "seconds": {name: round(value, 2) for name, value in taken.items()},
        "together_against_alone": round(taken["ours 2"] / taken["ours 1"], 2),
        "together_against_alone_by_default": round(taken["default 2"] / taken["default 1"], 2),
        "alone_against_default": round(taken["ours 1"] / taken["default 1"], 2),
        "claims": CLAIMS,
    }
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
