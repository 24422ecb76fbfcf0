"""``python -m core compare``: a grid of arms on the same rows, its figures, and a report to keep."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from core import files, jobs
from core.commands.output import Json, count, failure, note, show, table, waiting
from core.errors import UserError


class Tokenizer(StrEnum):
    """What ROUGE and token F1 count, as the command line says it."""

    CHARACTER = "char"
    JIEBA = "jieba"
    ENGLISH = "english"


_SWITCHES = {"off": False, "on": True}


def compare(
    dataset: Annotated[
        str,
        typer.Option(help="Data set name, file or folder (train…, test…); its test rows are asked, of a file a tenth."),
    ] = "resume-extraction",
    models: Annotated[str, typer.Option(help="base, RUN, RUN@STEP or the app's own adapters, by commas.")] = "base",
    kb: Annotated[str, typer.Option(help="Knowledge base for the arms that use one.")] = "",
    rag: Annotated[str, typer.Option(help="off, on, or off,on.")] = "off",
    strategy: Annotated[str, typer.Option(help="Prompt strategies by commas: zero-shot, few-shot, cot.")] = "zero-shot",
    model: Annotated[str, typer.Option(help="Base model; empty: that of the runs, else the default.")] = "",
    limit: Annotated[int, typer.Option(min=0, help="At most so many rows; 0: all.")] = 0,
    top_k: Annotated[int, typer.Option(min=0, help="Passages to read; 0: what suits the model.")] = 0,
    tokenizer: Annotated[
        Tokenizer | None, typer.Option(help="Tokens of ROUGE and token F1; char unless it is chosen.")
    ] = None,
    seed: Annotated[
        int, typer.Option(min=0, max=2**31 - 1, help="Of few-shot examples, resampling and drawn answers.")
    ] = 0,
    temperature: Annotated[float, typer.Option(min=0, max=2, help="0: greedy; above, answers are drawn.")] = 0.0,
    top_p: Annotated[float, typer.Option(min=0.01, max=1, help="Of drawn answers: share of the mass.")] = 0.9,
    repeats: Annotated[int, typer.Option(min=1, max=20, help="Drawn answers of each row and arm.")] = 3,
    forgetting: Annotated[bool, typer.Option(help="Also ask adapters and base model general questions.")] = False,
    resume: Annotated[str | None, typer.Option(help="Go on with this experiment instead of starting one.")] = None,
    kept: Annotated[
        str | None,
        typer.Option("--show", help="Read this experiment, asking nothing; --tokenizer measures its answers anew."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Also write figures, answers and a report into this folder.")] = None,
    as_json: Json = False,
) -> None:
    """Base model, adapters, knowledge base and prompts on the same rows, each difference with its uncertainty."""
    from core.evaluation import experiments, export, measured
    from core.evaluation.freezing import Plan

    tokens = tokenizer.name.lower() if tokenizer else ""
    if out:  # before an hour of answers, not after it
        with files.writing(out):
            out.mkdir(parents=True, exist_ok=True)
    experiment_id = kept if kept is not None else resume
    if experiment_id is not None:
        if kept is None:
            experiments.resume(experiment_id)
    else:
        if not set(_words(rag)) <= _SWITCHES.keys():
            raise UserError("--rag {rag} is not known.", "Use off, on, or off,on.", rag=rag)
        uses = [_SWITCHES[word] for word in _words(rag)]
        how: dict[str, Any] = {"limit": limit, "top_k": top_k, "model": model, "seed": seed}
        how |= {"temperature": temperature, "top_p": top_p, "repeats": repeats, "forgetting": forgetting}
        how |= {"tokenizer": tokens} if tokens else {}
        plan = Plan(dataset, _words(models), kb, uses, _words(strategy), **how)
        experiment_id = experiments.start(plan, count)
    note(f"Experiment {experiment_id}")
    if kept is None:
        _wait(experiment_id)
    experiment, report = measured.read(experiment_id, tokens)
    if out:
        export.write(out, experiment, report)
    show(report, as_json, lambda: _text(report))


def comparisons(
    stop: Annotated[
        str | None, typer.Option(help="End this experiment after its batch; what is answered stays.")
    ] = None,
    as_json: Json = False,
) -> None:
    """The experiments there are, the newest first, with status and how far they are."""
    from core.evaluation import experiments

    if stop is not None:
        experiments.stop(stop)
    rows = [
        {
            "id": one["id"],
            "status": one["status"],
            "answers": f"{one.get('done') or 0}/{one.get('total') or '?'}",
            "dataset": one["dataset"],
            "model": one["model"],
            "kb": one["kb"],
        }
        for one in experiments.listing()
    ]
    show({"experiments": rows}, as_json, lambda: table(rows, ["id", "status", "answers", "dataset", "model", "kb"]))


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",")]


def _wait(experiment_id: str) -> None:
    """Follow the worker to its end."""
    from core.evaluation import experiments

    folder = experiments.folder(experiment_id)
    with waiting(f"Read it when it is done: python -m core compare --show {experiment_id}"):
        state = jobs.wait(folder, lambda s: note(f"\r  {s['status']} {s.get('done', 0)}/{s.get('total')}  ", end=""))
    if state["status"] in (jobs.FAILED, jobs.INTERRUPTED):
        raise failure(state["error"], f"Nothing is lost: python -m core compare --resume {experiment_id}")


def _text(report: dict[str, Any]) -> str:
    arms = [arm["name"] for arm in report["arms"]]
    scores = [
        {"metric": metric, **{arm["name"]: _shown(arm["scores"].get(metric), "mean") for arm in report["arms"]}}
        for metric in report["metrics"]
    ]
    parts = [table(scores, ["metric", *arms])]
    told = [
        {
            **one,
            "contrast": f"{one['b']} against {one['a']}",
            "delta": _shown(one, "delta"),
            "p_holm": f"{one['p_holm']:.4f}",
        }
        for one in report["contrasts"]
        if one["metric"] == report["primary"]
    ]
    if told:
        columns = ["contrast", "metric", "delta", "p_holm", "helped", "hurt", "unchanged", "verdict"]
        parts.append(table(told, columns))
    if report["retrieved"] is not None:
        parts.append(f"Passages were found for {report['retrieved']} of {report['rows']} rows.")
    parts += [*_stability(report), *_forgetting(report), *_too_long(report)]
    if met := report["overlap"]:
        lines = [f"  row {one['row'] + 1} in {one['adapter'] or one['source']}: {one['text']}" for one in met]
        parts.append("\n".join(["Test rows that were met before, in training rows or the knowledge base:", *lines]))
    return "\n\n".join(parts)


def _stability(report: dict[str, Any]) -> list[str]:
    if not (stable := report["stability"]):
        return []
    metric, lines = report["primary"], []
    for name, one in stable["arms"].items():
        of = one["metrics"][metric]
        means = ", ".join(f"{mean:.3f}" for mean in of["means"])
        line = {"arm": name, f"{metric} by seed": means, "sd": f"{of['sd']:.3f}", "same answer": f"{one['same']:.0%}"}
        lines.append(line)
    return [table(lines, list(lines[0]))]


def _forgetting(report: dict[str, Any]) -> list[str]:
    lines = [
        {
            "general questions": f"{one['b']} against {one['a']}",
            **one,
            "delta": _shown(one, "delta"),
            "p_holm": f"{one['p_holm']:.4f}",
        }
        for one in (report["forgetting"] or {"contrasts": []})["contrasts"]
    ]
    return [table(lines, ["general questions", "metric", "delta", "p_holm", "verdict"])] if lines else []


def _too_long(report: dict[str, Any]) -> list[str]:
    found = {name: ", ".join(str(row + 1) for row in rows) for name, rows in report["too_long"].items()}
    words = "Too long for the model, so not asked and counted as wrong, by {}: rows {}."
    return [words.format(name, rows) for name, rows in found.items()]


def _shown(found: dict[str, Any] | None, name: str) -> str | None:
    return f"{found[name]:.3f} [{found['low']:.3f}, {found['high']:.3f}]" if found else None
