"""What the commands print: JSON or a table on stdout, progress and errors on stderr."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from core.errors import fill

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]
MultiQuery = Annotated[int, typer.Option("--multi-query", min=1, max=5, help="Ways to ask, searched for together.")]


def complain(message: str, hint: str = "") -> None:
    """An error and what to do about it, on stderr."""
    typer.echo(f"error: {message}", err=True)
    if hint:
        typer.echo(f"hint: {hint}", err=True)


def failure(error: dict[str, Any], hint: str = "") -> typer.Exit:
    """Say why a job failed, as its state file has it; raise what comes back, and the command ends with 1.

    Args:
        hint: another one, after the error's own.
    """
    complain(fill(error["message"], error["values"]), fill(error["hint"], error["values"]))
    if hint:
        typer.echo(f"hint: {hint}", err=True)
    return typer.Exit(1)


def show(value: Any, as_json: bool, text: Callable[[], str]) -> None:
    """The command's answer on stdout: ``value`` as JSON, or the text."""
    typer.echo(json.dumps(value, ensure_ascii=False, indent=1) if as_json else text())


def table(rows: list[dict[str, Any]], columns: list[str]) -> str:
    """Rows under their columns' names, aligned."""
    cells = [columns, *([str(row.get(c) if row.get(c) is not None else "–") for c in columns] for row in rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(columns))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in cells)


def counted(number: int, one: str) -> str:
    """ "1 row", "2 rows"."""
    return f"{number} {one}" if number == 1 else f"{number} {one}s"


def note(text: str, end: str = "\n") -> None:
    """Progress goes to stderr, and only where a person looks on."""
    if sys.stderr.isatty():
        typer.echo(text + end, nl=False, err=True)


def stage(step: str, share: float) -> None:
    """A :data:`core.models.Progress` that rewrites one line."""
    note(f"\r  {step} {share:>4.0%}  ", end="")


@contextmanager
def waiting(hint: str) -> Iterator[None]:
    """While a job of its own process is followed: Ctrl-C ends the following alone, and says so.

    Args:
        hint: how to come back to the job, or end it.
    """
    try:
        yield
    except KeyboardInterrupt:
        note("")
        complain("No longer waited for: it goes on by itself.", hint)
        raise typer.Exit(130) from None


def count(done: int, total: int) -> None:
    """The same for a number of things."""
    note(f"\r  {done}/{total}  ", end="")
