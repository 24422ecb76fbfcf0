"""Comparisons as ``show`` gives them, made up: each arm knows the answers to some rows and says nothing else."""

from dataclasses import asdict
from typing import Any

from core.evaluation import grid, scoring
from core.evaluation.metrics import expected

EVIL = "<img src=x onerror=alert(1)></script>"
RIGHT = {"base": {0}, "base+kb": set(range(1, 12)), "run-a": set(range(9)), "run-a+kb": set(range(22))}


def row(number: int, output: str = "") -> dict[str, Any]:
    about = asdict(expected({"output": output or f"answer {number} of the row"}))
    reference = about["references"][0]
    return {"input": f"Question {number} {EVIL}", "reference": reference, "expected": about, "answers": {}}


def answer(row: dict[str, Any], text: str, arm: dict[str, Any]) -> dict[str, Any]:
    kept = {"text": text, "reasoning": "", "tokens": len(text), "seconds": 2.0, "finish": "end", "supported": None,
            "sources": ["a.md"] if arm["rag"] else None}  # fmt: skip
    parts = scoring.measure(row, kept)
    return {**kept, "parts": parts, "scores": scoring.figures(parts)}


def square() -> list[dict[str, Any]]:
    return [
        {"adapter": adapter, "path": "", "rag": rag, "strategy": "zero-shot"}
        for adapter in ("", "run-a")
        for rag in (False, True)
    ]


def made(arms: list[dict[str, Any]], right: dict[str, set[int]], rows: int = 24) -> dict[str, Any]:
    """An experiment as ``show`` gives it, in which each arm knows the answer to some rows and says nothing else."""
    told = [row(number) for number in range(rows)]
    for number, one in enumerate(told):
        for arm in arms:
            name = grid.name(arm)
            one["answers"][name] = answer(one, one["reference"] if number in right[name] else "–", arm)
    return {"id": "x", "dataset": "d", "model": "tiny", "kb": "notes", "limit": rows, "seed": 0,
            "tokenizer": "character", "arms": arms, "answers": told}  # fmt: skip
