"""``python -m core runs …``: what can be done with fine-tuning runs."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from core.commands.output import Json, counted, show, stage, table
from core.errors import UserError, sentence

app = typer.Typer(no_args_is_help=True, help="Fine-tuning runs: the queue, what became of them, and what to do next.")
Direction = StrEnum("Direction", {"FIRST": "first", "UP": "up", "DOWN": "down", "LAST": "last"})
RunId = Annotated[str, typer.Argument(metavar="ID", help="The run; see `runs list`.")]
AdapterId = Annotated[str, typer.Argument(metavar="ID", help="The run, or RUN@STEP for one of its checkpoints.")]


@app.command("list")
def list_(as_json: Json = False) -> None:
    """All runs, the newest first; a queued one with the number of jobs ahead of it."""
    from core.training import runs

    rows = runs.listing()
    shown = [{**row, "model": row["config"]["model"], "dataset": row["config"]["dataset"]} for row in rows]
    columns = ["id", "name", "status", "position", "step", "steps", "model", "dataset"]
    show({"runs": rows}, as_json, lambda: table(shown, columns))


@app.command("show")
def show_(run_id: RunId, as_json: Json = False) -> None:
    """One run: config, state, checkpoints, and its points."""
    from core.training import runs

    run = runs.show(run_id)
    report = {**run, "checkpoints": runs.checkpoints(run["id"]), "metrics": runs.metrics(run["id"])}

    def text() -> str:
        told = {**report, "error": sentence(run.get("error"))}
        return "\n".join(
            f"{key:<18}{value}" for key, value in told.items() if key != "metrics" and value not in ("", [])
        )

    show(report, as_json, text)


@app.command()
def predict(run_id: AdapterId, texts: list[str], as_json: Json = False) -> None:
    """What a run's model says to one text or several: labels with their probabilities, or answers."""
    from core.training import predict

    rows = [{"input": text, **a} for text, a in zip(texts, predict.predict(predict.load(run_id), texts), strict=True)]
    show({"run": run_id, "predictions": rows}, as_json, lambda: table(rows, ["text", "input"]))


@app.command()
def stop(run_id: RunId, as_json: Json = False) -> None:
    """End a run after its step, or take it out of the queue; what it has learned is kept."""
    from core.training import runs

    runs.stop(run_id)
    _told(run_id, as_json)


@app.command()
def cancel(run_id: RunId, as_json: Json = False) -> None:
    """Take a waiting run out of the queue."""
    from core.training import runs

    runs.cancel(run_id)
    _told(run_id, as_json)


@app.command()
def move(run_id: RunId, direction: Direction, as_json: Json = False) -> None:
    """Change a waiting run's place in the queue."""
    from core.training import runs

    runs.move(run_id, direction.value)
    _told(run_id, as_json)


@app.command()
def resume(run_id: RunId, as_json: Json = False) -> None:
    """Go on from the last checkpoint of a run that ended early."""
    from core.training import runs

    runs.resume(run_id)
    _told(run_id, as_json)


def _told(run_id: str, as_json: bool) -> None:
    """What the run is now; in words nothing, as for any command that did what it was asked."""
    from core.training import runs

    if as_json:
        run = runs.show(run_id)
        show({"run": run["id"], "status": run["status"], "position": run.get("position")}, as_json, str)


@app.command()
def delete(
    run_id: RunId,
    yes: Annotated[bool, typer.Option("--yes", help="Even if something depends on it.")] = False,
    as_json: Json = False,
) -> None:
    """Remove a run and its adapter; asks for --yes where experiments, models or chats were made with it."""
    from core.training import dependents, runs

    found = dependents.dependents(run_id)
    if found and not yes:
        chats = [title or chat for chat, title in found.chats]
        raise UserError(
            "Run {run} is part of: {what}.",
            "Add --yes to delete it nevertheless; answers and merged models stay.",
            run=run_id,
            what=", ".join([*found.experiments, *found.models, *chats]),
        )
    runs.delete(run_id)
    if as_json:
        show({"run": run_id, "deleted": True, "dependents": vars(found)}, as_json, str)


@app.command()
def export(run_id: AdapterId, path: Path, as_json: Json = False) -> None:
    """Write adapter or whole model, model card, config and metrics into a zip file."""
    from core.training import portable

    written = portable.export(run_id, path)
    show({"run": run_id, "path": str(written)}, as_json, lambda: str(written))


@app.command("import")
def import_(path: Path, as_json: Json = False) -> None:
    """Take an exported zip file in as a run of this machine."""
    from core.training import portable

    run_id = portable.take_in(path)
    show({"run": run_id}, as_json, lambda: run_id)


@app.command()
def merge(run_id: AdapterId, name: str, as_json: Json = False) -> None:
    """Make a new model of base and adapter; it joins the catalog once it is verified to answer alike."""
    from core.training import merge as merging

    merged = merging.merge(run_id, name, stage)
    checked = merged.verification

    def text() -> str:
        return (
            f"{merged.path}\nverified: {checked.same} of {checked.prompts} answers the same ({checked.tokens} tokens, "
            f"{checked.dtype}), largest difference of a logit {checked.difference:.1e} (allowed {checked.tolerance:g})"
        )

    verification = {**vars(checked), "passed": checked.passed}
    show({"model": merged.name, "path": str(merged.path), "verification": verification}, as_json, text)


@app.command()
def diff(
    runs_: Annotated[list[str], typer.Argument(metavar="A B…", help="Two runs or more.")], as_json: Json = False
) -> None:
    """The settings in which runs differ."""
    from core.training import provenance

    rows = provenance.differences(runs_)
    show({"differences": rows}, as_json, lambda: table(rows, ["field", *runs_]))


@app.command()
def reproduce(run_id: RunId, as_json: Json = False) -> None:
    """The command line and the TOML that make a run again."""
    from core.training import provenance

    told = provenance.reproduce(run_id)
    show(told, as_json, lambda: f"{told['command']}\n\n{told['toml']}")


@app.command()
def estimate(
    recipe: Annotated[str, typer.Argument(help="Recipe name or TOML file.")],
    changes: Annotated[list[str] | None, typer.Option("--set", help="key=value, as often as needed.")] = None,
    as_json: Json = False,
) -> None:
    """Memory and time a run would take, whether it fits, and what would make it fit."""
    from core.training import config, throughput
    from core.training.estimate import estimate as estimated

    asked, rows = throughput.read(config.load(recipe, config.parse_overrides(changes or [])))
    if not throughput.known(asked):
        throughput.calibrate()
    told = estimated(asked, rows)
    report: dict[str, Any] = told.as_dict()

    def text() -> str:
        parts = [f"  {name:<12}{size / 1e9:6.2f} GB" for name, size in report["memory"].items()]
        lines = [*parts, f"needs {told.memory.total / 1e9:.2f} GB, free {told.free / 1e9:.2f} GB on {told.device}"]
        lines.append(
            f"takes about {told.seconds / 60:.0f} min for {counted(told.steps, 'step')}"
            if told.seconds
            else "time: not known yet"
        )
        if told.proposal:
            changed = " ".join(f"--set {name}={value}" for name, value in told.proposal.items())
            lines.append(f"does not fit; with {changed} it does")
        elif not told.fits:
            lines.append("does not fit, whatever is made smaller: choose a smaller model")
        return "\n".join(lines)

    show(report, as_json, text)
