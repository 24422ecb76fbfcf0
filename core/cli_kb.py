"""``python -m core kb``: knowledge bases, built, listed, removed, searched and scored."""

from pathlib import Path
from typing import Annotated

import typer

from core.cli_output import Json, count, show, table

app = typer.Typer(no_args_is_help=True, help="Knowledge bases: build, list, remove, search, eval.")


@app.command("build")
def kb_build(name: str, paths: list[Path]) -> None:
    """Index documents (.md, .txt, folders of them) under a name."""
    from core.rag import knowledge

    report = knowledge.build(name, paths, count)
    typer.echo(f"{name}: {report.documents} documents, {report.chunks} chunks")


@app.command("list")
def kb_list(as_json: Json = False) -> None:
    """All knowledge bases."""
    from core.rag import knowledge

    rows = knowledge.listing()
    columns = ["name", "shipped", "ready", "documents", "chunks", "embedder"]
    show({"knowledge_bases": rows}, as_json, lambda: table(rows, columns))


@app.command("remove")
def kb_remove(name: str) -> None:
    """Delete a knowledge base's index."""
    from core.rag import knowledge

    knowledge.remove(name)


@app.command("search")
def kb_search(
    name: str,
    query: str,
    top_k: Annotated[int, typer.Option(min=1)] = 5,
    stages: Annotated[bool, typer.Option(help="Show the rank at each stage of retrieval.")] = False,
    as_json: Json = False,
) -> None:
    """The passages nearest to a question."""
    from core.rag import knowledge

    found = [passage.as_dict() for passage in knowledge.search(name, query, top_k, count)]
    rows = [
        {"score": p["score"], **(p["ranks"] if stages else {}), "source": p["source"], "text": p["text"][:100]}
        for p in found
    ]
    show({"results": found}, as_json, lambda: table(rows, list(rows[0])) if rows else "")


@app.command("eval")
def kb_eval(name: str, qa: Path, as_json: Json = False) -> None:
    """Hit rates, MRR and nDCG@10 of retrieval on rows {"question", "source"}."""
    from core.evaluation import retrieval

    report = retrieval.evaluate(name, qa, count)
    rows = [{"stage": stage, **scores} for stage, scores in report["stages"].items()]
    show(report, as_json, lambda: table(rows, list(rows[0])))
