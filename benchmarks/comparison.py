"""What a comparison costs in one process, against two loaded models that answer a row at a time.

The same rows of rag-qa-zh, asked of the embedded model and of it with the app's own adapter, without and with the row's
passage in the prompt (what a knowledge base would have found): 2 × 2 arms, greedy, at most 48 new tokens. Each way has
a process of its own; its time is that of the answers alone, without loading, its memory the highest resident set of the
process (VmHWM: ru_maxrss begins with that of whoever started it), the libraries' own included; how it is without what
they take before a model is loaded is told beside it. The perplexity of the references, which the other way does not
measure at all, is timed apart. The live grid: four arms of one question in one batch against one answer, both of
exactly 48 tokens, in turn. With --large also the memory with a random model of 1.1 billion weights (4.4 GB), two rows
and four tokens an answer: there the weights are most of it.

Claims: at most 0.4 of the time and 0.6 of the memory, the same answers; four arms at most 2.0 times one answer.
Run: python -m benchmarks.comparison [--limit ROWS] [--large]
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from core.models import adapters, cards

ADAPTER, DATASET = "rag-qa-zh", "rag-qa-zh"
TOKENS, ROUNDS = 48, 7
CLAIMS = {"time": 0.4, "memory": 0.6, "different_answers": 0, "live_grid": 2.0}


def experiment(limit: int) -> dict[str, Any]:
    """Rows and arms in the form in which a comparison freezes them."""
    from core.evaluation import grid
    from core.generation import prompts
    from core.generation.templates import ZERO_SHOT
    from core.training.data import datasets

    own = adapters.shipped()[ADAPTER]
    arms = [
        {"adapter": name, "path": path, "rag": rag, "strategy": ZERO_SHOT}
        for name, path in (("", ""), (ADAPTER, str(own.folder)))
        for rag in (False, True)
    ]
    rows = []
    for row in datasets.load(DATASET).test[:limit]:
        asked = {False: row["question"], True: prompts.with_context(row["question"], [row["context"]])}
        texts = {grid.condition(arm): asked[bool(arm["rag"])] for arm in arms}
        rows.append({"prompts": texts, "expected": {"references": [row["answer"]]}})
    strategies = {ZERO_SHOT: {"kind": ZERO_SHOT}}
    return {"model": own.model, "arms": arms, "rows": rows, "strategies": strategies, "tokens": TOKENS}


def enlarged(inputs: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The same asked of a random model of 1.1 billion weights and a random adapter, made in ``folder`` if need be."""
    model, adapter = folder / "model", folder / "adapter"
    if not model.exists():
        import torch
        from peft import LoraConfig, get_peft_model
        from transformers import LlamaConfig, LlamaForCausalLM

        from core.models import loading, own, store

        small = cards.card(inputs["model"])
        tokenizer = loading.load_tokenizer(store.directory(small), small)
        sizes = {"hidden_size": 2048, "intermediate_size": 5632, "num_hidden_layers": 22, "num_attention_heads": 32}
        config = LlamaConfig(vocab_size=len(tokenizer), num_key_value_heads=4, max_position_embeddings=2048, **sizes)
        with torch.device("meta"):
            whole = LlamaForCausalLM(config)
        whole = whole.to_empty(device="cpu")
        for weight in whole.parameters():
            torch.nn.init.normal_(weight, std=0.02)
        whole.save_pretrained(model)
        tokenizer.save_pretrained(model)
        own.add(own.from_directory(model, "large"))
        lora = LoraConfig(r=16, target_modules="all-linear", task_type="CAUSAL_LM")
        get_peft_model(whole, lora).save_pretrained(adapter)
    arms = [{**arm, "path": arm["path"] and str(adapter)} for arm in inputs["arms"]]
    return {**inputs, "model": "large", "arms": arms, "tokens": 4}


def together(inputs: dict[str, Any]) -> dict[str, Any]:
    """This project's way: the batches that a comparison's worker makes, through one engine."""
    import peft  # noqa: F401 - counted among the libraries here as it is there

    from core.evaluation import lengths, worker
    from core.generation.engine import Engine, Options

    bare, engine = _resident("VmRSS"), Engine()
    engine.load(inputs["model"]).result()
    fit = lengths.of(cards.card(inputs["model"]), inputs["rows"])
    assert fit
    batches, _ = worker.batches(inputs, replace(fit, answer=inputs["tokens"]))
    engine.submit(inputs["model"], [worker.request(batches[0][-1])], Options(max_new_tokens=1)).result()  # the adapter
    answers, began = {}, time.perf_counter()
    for batch in batches:
        requests = [worker.request(ask) for ask in batch]
        said = engine.submit(inputs["model"], requests, Options(max_new_tokens=inputs["tokens"])).result()
        answers.update({ask.key: answer.text for ask, answer in zip(batch, said, strict=True)})
    seconds, peak = time.perf_counter() - began, _resident("VmHWM")
    began = time.perf_counter()
    for batch in batches:
        worker.likelihoods(engine, inputs, batch)
    return _report(answers, seconds, peak, bare=bare, perplexity_seconds=time.perf_counter() - began)


def apart(inputs: dict[str, Any]) -> dict[str, Any]:
    """The other way: the base model and a second one with the adapter on it, both in memory, a row at a time."""
    import torch
    from peft import PeftModel

    from core.evaluation import grid
    from core.generation import prompts
    from core.models import loading

    bare = _resident("VmRSS")
    base, tokenizer = loading.load_generator(cards.card(inputs["model"]))
    second, _ = loading.load_generator(cards.card(inputs["model"]))
    path = next(arm["path"] for arm in inputs["arms"] if arm["path"])
    models = {"": base, path: PeftModel.from_pretrained(second, path).eval()}
    options = {"max_new_tokens": inputs["tokens"], "do_sample": False, "repetition_penalty": 1.0}

    def write(model: Any, text: str) -> str:
        ids = torch.tensor([prompts.encode(tokenizer, prompts.conversation(text))])
        found = model.generate(
            input_ids=ids, attention_mask=torch.ones_like(ids), pad_token_id=tokenizer.pad_token_id, **options
        )
        text = str(tokenizer.decode(found[0, ids.shape[1] :], skip_special_tokens=True))
        return text.rstrip("\ufffd").strip()  # an answer cut off within a character, as the engine shows it

    answers, began = {}, 0.0
    with torch.inference_mode():
        for model in models.values():
            model.generate(input_ids=torch.tensor([[1, 2, 3]]), max_new_tokens=1, pad_token_id=0)
        began = time.perf_counter()
        for number, row in enumerate(inputs["rows"]):
            for arm in inputs["arms"]:
                answers[number, grid.name(arm), 0] = write(models[arm["path"]], row["prompts"][grid.condition(arm)])
    return _report(answers, time.perf_counter() - began, _resident("VmHWM"), bare=bare)


def live(inputs: dict[str, Any]) -> dict[str, float]:
    """All arms of one question at once, against each of them alone; every answer has as many tokens."""
    from core.evaluation import grid
    from core.generation.engine import Engine, Options, Request
    from core.generation.prompts import conversation

    engine, options = Engine(), Options(max_new_tokens=TOKENS, min_new_tokens=TOKENS)
    row = inputs["rows"][0]
    requests = [
        Request(conversation(row["prompts"][grid.condition(arm)]), Path(arm["path"]) if arm["path"] else None)
        for arm in inputs["arms"]
    ]

    def seconds(asked: list[Request]) -> float:
        began = time.perf_counter()
        answers = engine.submit(inputs["model"], asked, options).result()
        assert all(answer.tokens == TOKENS for answer in answers)
        return time.perf_counter() - began

    longest = requests[1:2]  # the base model with the passage: one answer as the grid has two
    seconds(requests), seconds(longest)  # load and warm up
    pairs = [(seconds(longest), seconds(requests)) for _ in range(ROUNDS)]
    ratios = [grid_ / one for one, grid_ in pairs]
    return {
        "one": statistics.median(one for one, _ in pairs),
        "grid": statistics.median(four for _, four in pairs),
        "ratio": statistics.median(ratios),
        "lowest": min(ratios),
        "highest": max(ratios),
    }


WAYS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {"together": together, "apart": apart, "live": live}


def _resident(which: str) -> int:
    """Bytes of this process's resident set, now (VmRSS) or at its highest (VmHWM)."""
    return 1024 * int(re.findall(rf"{which}:\s+(\d+) kB", Path("/proc/self/status").read_text("utf-8"))[0])


def _report(answers: dict[Any, str], seconds: float, peak: int, **more: float) -> dict[str, Any]:
    told = {" ".join(map(str, key)): text for key, text in sorted(answers.items())}
    return {"answers": told, "seconds": seconds, "peak": peak, **more}


def measured(way: str, limit: int, large: str = "") -> dict[str, Any]:
    """One way in a process of its own.

    Args:
        large: a folder to make the large model in, or where it is already.
    """
    command = [sys.executable, "-m", "benchmarks.comparison", "--way", way, "--limit", str(limit)]
    more = {"YUAN_DATA_DIR": large, "LARGE": large} if large else {}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env={**os.environ, **more})
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Print the ratios and the claims as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--limit", type=int, default=32, help="rows of the data set's test")
    parser.add_argument("--way", choices=WAYS, help="measure one way in this process")
    parser.add_argument("--large", action="store_true", help="also the memory with a model of 4.4 GB")
    chosen = parser.parse_args()
    if chosen.way:
        inputs = experiment(chosen.limit)
        if folder := os.environ.get("LARGE"):
            inputs = enlarged(inputs, Path(folder))
        print(json.dumps(WAYS[chosen.way](inputs), ensure_ascii=False))
        return
    ours, theirs, grid = (measured(way, chosen.limit) for way in WAYS)
    different = [key for key, text in theirs["answers"].items() if ours["answers"][key] != text]
    report: dict[str, Any] = {
        "rows": chosen.limit,
        "answers": len(theirs["answers"]),
        "seconds": {"together": round(ours["seconds"], 1), "apart": round(theirs["seconds"], 1)},
        "time": round(ours["seconds"] / theirs["seconds"], 3),
        "perplexity_seconds": round(ours["perplexity_seconds"], 1),
        "peak_gigabytes": {way: round(of["peak"] / 1e9, 2) for way, of in (("together", ours), ("apart", theirs))},
        "memory": round(ours["peak"] / theirs["peak"], 3),
        "memory_without_libraries": round((ours["peak"] - ours["bare"]) / (theirs["peak"] - theirs["bare"]), 3),
        "different_answers": len(different),
        "different": different,
        "live_grid": round(grid["ratio"], 3),
        "live_grid_range": [round(grid["lowest"], 3), round(grid["highest"], 3)],
        "live_seconds": {"one": round(grid["one"], 2), "four": round(grid["grid"], 2)},
        "claims": CLAIMS,
    }
    if chosen.large:
        from core.models import store

        embedded = cards.card(adapters.shipped()[ADAPTER].model)
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "models").mkdir()
            Path(folder, "models", embedded.name).symlink_to(store.directory(embedded))
            measured("apart", 1, folder)  # makes the model, which would count in a peak
            peaks = {way: measured(way, 2, folder)["peak"] for way in ("together", "apart")}
        report["large_gigabytes"] = {way: round(peak / 1e9, 2) for way, peak in peaks.items()}
        report["large_memory"] = round(peaks["together"] / peaks["apart"], 3)
    print(json.dumps(report, indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()
