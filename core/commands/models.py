"""``python -m core models``: what can be loaded, fetching it, trying it, removing it, and cards of one's own."""

from dataclasses import asdict
from enum import StrEnum
from typing import Annotated, Any

import typer

from core import jobs
from core.commands.output import Json, complain, note, show, stage, table
from core.errors import fill
from core.models import cards, downloads, own, preparing, store
from core.models.cards import ModelCard
from core.models.downloads import Download

app = typer.Typer(no_args_is_help=True, help="Model cards: list, download, check, add, forget, remove.")

Hub = StrEnum("Hub", {"MODELSCOPE": "modelscope", "HUGGINGFACE": "huggingface"})


def rows() -> list[dict[str, Any]]:
    """The catalog with the state of every model and the bytes it takes on disk now."""
    found = []
    for card in cards.catalog().values():
        row = card.model_dump(include={"name", "title", "task", "parameters", "size", "license"})
        state = downloads.state(card)
        word = "not downloaded" if state.kind == downloads.ABSENT else state.kind
        found.append({**row, "disk": state.size, "state": word, "source": card.sources[0].label})
    return found


@app.command("list")
def models_list(as_json: Json = False) -> None:
    """The catalog with state, size, licence and source."""
    shown = [{**row, "size": f"{row['size'] / 1e9:.2f} GB"} for row in rows()]
    columns = ["name", "state", "size", "license", "source"]
    show({"models": rows()}, as_json, lambda: table(shown, columns))


@app.command("download")
def models_download(
    name: Annotated[str, typer.Argument(help="Catalog name; `embedded`: all that come with the app.")],
    quiet: Annotated[bool, typer.Option(help="Say nothing when there is nothing to do.")] = False,
) -> None:
    """Fetch a model and prepare it for loading; started again, it goes on where it stopped."""
    wanted = [c for c in cards.catalog().values() if c.embedded] if name == "embedded" else [cards.card(name)]
    for card in wanted:
        if store.is_ready(card):
            if quiet:
                continue
        elif any(source.kind in ("modelscope", "huggingface") for source in card.sources):
            _follow(card)
        else:
            note(f"Preparing {card.title} ({card.size / 1e9:.1f} GB on disk)")
            preparing.prepare(card, stage)
            note("")
        typer.echo(f"{card.name}: {store.directory(card)}")


def _follow(card: ModelCard) -> None:
    """Start the download in a process of its own and stay until it ends; Ctrl-C ends both."""
    downloads.start(card)
    note(f"Downloading {card.title}")
    try:
        last = downloads.wait(card, lambda seen: note(f"\r  {line(seen):<76}", end=""))
    except KeyboardInterrupt:
        downloads.stop(card)
        downloads.wait(card)
        complain("Stopped.", f"Go on with: python -m core models download {card.name}")
        raise typer.Exit(130) from None
    note(f"\r  {line(last):<76}")
    if last.status == jobs.FINISHED:
        return
    for failure in last.failures if len(last.failures) > 1 else []:
        typer.echo(f"{failure.source}: {fill(failure.error['message'], failure.error['values'])}", err=True)
    if last.error is None:
        complain("The download was stopped.", f"Go on with: python -m core models download {card.name}")
    else:
        complain(*(fill(last.error[part], last.error["values"]) for part in ("message", "hint")))
    raise typer.Exit(2)


def line(seen: Download) -> str:
    """One line of progress: file, share, speed, time to go."""
    if seen.stage == downloads.CONVERT:
        return f"convert {seen.share:>4.0%}"
    parts = [seen.file or seen.stage or seen.status]
    if seen.total:
        parts.append(f"{seen.done / seen.total:.0%} of {seen.total / 1e6:.0f} MB")
    if seen.speed:
        parts.append(f"{seen.speed / 1e6:.1f} MB/s")
    if seen.eta is not None and seen.live:
        minutes, seconds = divmod(round(seen.eta), 60)
        parts.append(f"{minutes}:{seconds:02} left")
    return "  ".join(parts)


@app.command("remove")
def models_remove(name: str) -> None:
    """Delete a model from disk, and what is left of an unfinished download."""
    downloads.remove(cards.card(name))


@app.command("check")
def models_check(name: str, as_json: Json = False) -> None:
    """Load a model, let it do one small thing of its trade, and say what came out and how fast."""
    from core.generation.check import check

    report = check(cards.card(name), progress=stage)
    note("")
    text = (
        f"{report.output}\n"
        f"{report.tokens} tokens in {report.seconds:.2f} s ({report.tokens_per_second:.1f} per second), "
        f"loaded in {report.load_seconds:.1f} s: {report.memory / 1e9:.2f} GB of {report.dtype} on {report.device}"
    )
    show(asdict(report), as_json, lambda: text)


@app.command("add")
def models_add(
    source: Annotated[str, typer.Argument(help="A model directory, or a hub's model id (OWNER/NAME).")],
    name: Annotated[str, typer.Option(help="The card's name; empty: the directory's or the model's.")] = "",
    hub: Annotated[Hub | None, typer.Option(help="Where the id is looked up; modelscope unless said.")] = None,
    as_json: Json = False,
) -> None:
    """Add a card of your own: a directory is used in place, a hub's model can then be downloaded."""
    card = own.add(own.describe(source, hub.value if hub else "", name))
    show(
        {"card": card.model_dump(by_alias=True)}, as_json, lambda: f"{card.name}: {card.task}, {card.sources[0].label}"
    )


@app.command("forget")
def models_forget(name: str) -> None:
    """Take a card of your own out of the catalog, with what was downloaded for it; your own directory stays."""
    own.remove_own(name)
