"""The command line: everything the browser does, through the same functions. Heavy imports wait for their command."""

import logging
import sys
import time
from typing import Annotated, Any

import typer

from core import jobs
from core.commands import compare, data, kb, models, runs
from core.commands.output import Json, MultiQuery, complain, count, failure, note, show, waiting
from core.errors import UserError
from core.models import cards, store

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
app.add_typer(models.app, name="models")
app.add_typer(kb.app, name="kb")
app.add_typer(data.app, name="data")
app.add_typer(runs.app, name="runs")


def run() -> None:
    """Run the command line; a person's mistake exits with 2, a failure of ours with 1."""
    try:
        sys.exit(app(standalone_mode=False) or 0)
    except typer.TyperException as error:  # an option or argument that does not fit
        complain(error.format_message(), "Try --help.")
        sys.exit(error.exit_code)
    except UserError as error:
        complain(error.message, error.hint)
        sys.exit(2)
    except Exception as error:
        logging.getLogger("yuan").exception("Command failed")
        complain(f"This is our fault, not yours: {type(error).__name__}: {error}")
        sys.exit(1)


@app.command()
def doctor(as_json: Json = False) -> None:
    """Hardware, versions, models, and what is missing."""
    import importlib.metadata
    import shutil
    from dataclasses import asdict

    from core.hardware import hardware
    from core.settings import settings

    packages = ["torch", "transformers", "peft", "sentence-transformers", "chromadb", "streamlit", "datasets"]
    versions: dict[str, str | None] = {}
    for package in packages:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = None
    missing = [f"package {name}" for name, version in versions.items() if version is None]
    missing += [f"model {c.name}" for c in cards.catalog().values() if c.embedded and not store.is_ready(c)]
    if not shutil.which("git"):
        missing.append("program git")
    machine = asdict(hardware())
    report = {
        "hardware": machine,
        "versions": versions,
        "data_dir": str(settings().data_dir),
        "models": models.rows(),
        "default_model": store.default_generator().name,
        "missing": missing,
    }

    def text() -> str:
        gpu = ", ".join(f"{name} ({memory / 2**30:.0f} GiB)" for name, memory in machine["gpus"]) or "none"
        lines = [
            f"machine   {machine['system']}",
            f"cores     {machine['cores']}, memory {machine['memory'] / 2**30:.0f} GiB, "
            f"free disk {machine['disk_free'] / 2**30:.0f} GiB",
            f"GPU       {gpu}",
            *(f"{name:<22}{version or 'missing'}" for name, version in versions.items()),
            f"data in   {report['data_dir']}",
            f"answers   {report['default_model']}",
            "missing   " + (", ".join(missing) or "nothing"),
        ]
        return "\n".join(lines)

    show(report, as_json, text)


@app.command()
def ask(
    question: str,
    kb: Annotated[str, typer.Option(help="Answer with this knowledge base.")] = "",
    compare: Annotated[bool, typer.Option(help="Answer without and with the knowledge base, in one batch.")] = False,
    model: Annotated[str, typer.Option(help="Catalog name of the model.")] = "",
    adapter: Annotated[str, typer.Option(help="Run whose adapter is used, or an adapter of the app's own.")] = "",
    reader: Annotated[
        bool,
        typer.Option(help="Read passages with the app's adapter for the question's language."),
    ] = True,
    top_k: Annotated[int, typer.Option(min=0, help="Passages to read; 0: what suits the model.")] = 0,
    rewrite: Annotated[bool, typer.Option("--rewrite", help="The model also writes a search query.")] = False,
    multi_query: MultiQuery = 1,
    max_new_tokens: Annotated[int | None, typer.Option(min=1, help="Longest answer, in tokens.")] = None,
    temperature: Annotated[float | None, typer.Option(min=0, max=2, help="0: greedy, repeats exactly.")] = None,
    strategy: Annotated[str, typer.Option(help="zero-shot, few-shot, cot or one of yours.")] = "zero-shot",
    examples: Annotated[
        str, typer.Option(help="Data set whose train split few-shot examples come from; by default the adapter's own.")
    ] = "",
    as_json: Json = False,
) -> None:
    """Ask a question, with or without a knowledge base, or both at once."""
    from core.evaluation import shots
    from core.generation import ask as asking
    from core.generation import templates
    from core.generation.engine import Engine, Options
    from core.rag import context, retrieval
    from core.training import runs

    if compare and not kb:
        raise UserError("--compare needs a knowledge base.", "Add --kb NAME.")
    name = model or (runs.base(adapter) if adapter else "")
    card = cards.card(name) if name else store.default_generator()
    path = runs.adapter(adapter, card.name) if adapter else None
    [how] = shots.prepared([templates.load(strategy)], question, examples, adapter)
    arms = asking.arms(card.name, question, [False, True] if compare else [bool(kb)], adapter, path, reader, how)
    options = Options.of(card, max_new_tokens=max_new_tokens, temperature=temperature)
    engine, passages, queries = Engine(), list[dict[str, Any]](), list[str]()
    if kb:
        write = asking.writer(engine, card.name) if rewrite or multi_query > 1 else None
        search = retrieval.Settings(rewrite=rewrite, queries=multi_query)
        found = retrieval.retrieve(kb, question, top_k or card.passages, search, count, write=write)
        room = asking.room(card.name, how.bare(question), (), options.max_new_tokens)
        read = context.build(kb, found.passages, context.Room(*room) if room else None)
        passages, queries = [passage.as_dict() for passage in read], found.queries
    arms = asking.fitting(card.name, question, arms, passages, options.max_new_tokens)
    answers = asking.submit(engine, card.name, question, arms, passages, options=options).result()
    records = [asking.record(card.name, arm, a, passages) for arm, a in zip(arms, answers, strict=True)]

    def text() -> str:
        parts = []
        for record in records:
            model_name = card.title + (f" + {record['adapter']}" if record["adapter"] else "")
            parts.append(f"— {model_name}, {'with ' + kb if record['rag'] else 'without knowledge base'}")
            if record["rag"] and not passages:
                parts.append(f"(Nothing in {kb} is near enough to this question: answered without passages.)")
            if record["left_out"]:
                of = record["examples"] + record["left_out"]
                parts.append(f"({record['examples']} of {of} examples had room.)")
            if record["reasoning"]:
                parts.append(f"(Reasoning: {' '.join(record['reasoning'].split())})")
            parts.append(record["text"])
            parts += [f"  [{p['score']:.3f}] {p['source']}: {p['text'][:100]}" for p in record["passages"]]
        return "\n".join(parts)

    about = {"queries": queries, "found": bool(passages)} if kb else {}
    show({"question": question, **about, "answers": records}, as_json, text)


@app.command()
def train(
    recipe: Annotated[str, typer.Argument(help="Recipe name or TOML file.")],
    changes: Annotated[list[str] | None, typer.Option("--set", help="key=value, as often as needed.")] = None,
    wait: Annotated[bool, typer.Option(help="Stay until it has ended.")] = False,
    as_json: Json = False,
) -> None:
    """Start a fine-tuning run; it goes on when this terminal is closed."""
    from core.training import config, runs

    began = time.time()
    run_id = runs.start(config.load(recipe, config.parse_overrides(changes or [])))
    state = runs.show(run_id)
    if wait:
        note(f"Run {run_id}")
        with waiting(f"End it with: python -m core runs stop {run_id}"):
            state = jobs.wait(
                runs.folder(run_id),
                lambda s: note(f"\r  {s['status']} {s.get('step', 0)}/{s.get('steps') or '?'}  ", end=""),
            )
    report = {
        "run": run_id,
        "status": state["status"],
        "train_loss": state.get("train_loss"),
        "eval_loss": state.get("eval_loss"),
        "steps": state.get("step"),
        "seconds": round(time.time() - began, 1),
        "adapter": str(runs.adapter(run_id)) if state.get("adapter") else None,
        **({"model": str(runs.folder(run_id) / "model")} if state.get("model") else {}),
    }
    show(report, as_json, lambda: "\n".join(f"{key:<12}{value}" for key, value in report.items()))
    if state["status"] in (jobs.FAILED, jobs.INTERRUPTED):
        raise failure(state["error"])


app.command()(compare.compare)
app.command()(compare.comparisons)
