"""``python -m core kb``: knowledge bases, built, listed, removed, searched and scored."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from core.commands.output import Json, MultiQuery, complain, count, counted, note, show, table
from core.errors import UserError, fill, sentence

if TYPE_CHECKING:
    from core.rag.indexing import Report

app = typer.Typer(
    no_args_is_help=True,
    help="Knowledge bases: build, add, replace, reindex, rebuild, list, documents, delete, remove, search, eval.",
)


Size = Annotated[int, typer.Option(min=0, help="Longest chunk, in tokens; 0: as it is, or the default.")]
Overlap = Annotated[int, typer.Option(min=0, help="Tokens that a chunk repeats of the one before; with --size.")]


def _path(text: str) -> Path:
    """An empty word is a script's empty variable: as a path it would be the folder one stands in."""
    if not text.strip():
        raise UserError("A path is empty.", "Name a file or folder; “.” is the folder you stand in.")
    return Path(text)


Paths = Annotated[list[Path], typer.Argument(parser=_path)]
Embedder = Annotated[str, typer.Option(help="Embedding model of the catalog; empty: the default, or the base's own.")]


@app.command("build")
def kb_build(
    name: str,
    paths: Paths,
    size: Size = 0,
    overlap: Overlap = 0,
    embedder: Embedder = "",
    as_json: Json = False,
) -> None:
    """Index files, folders and zips under a name: afterwards it holds exactly these; interrupted, start it again."""
    from core.rag import knowledge

    _indexed(lambda: knowledge.build(name, paths, count, size, overlap, embedder), as_json)


@app.command("add")
def kb_add(name: str, paths: Paths, embedder: Embedder = "", as_json: Json = False) -> None:
    """The same, keeping the other documents; one of the same name is replaced."""
    from core.rag import knowledge

    _indexed(lambda: knowledge.add(name, paths, count, embedder=embedder), as_json)


@app.command("replace")
def kb_replace(name: str, document: str, file: Path, as_json: Json = False) -> None:
    """Put a file in the place of a document, which keeps its name."""
    from core.rag import knowledge

    _indexed(lambda: knowledge.replace(name, document, file, count), as_json)


@app.command("reindex")
def kb_reindex(name: str, document: str, as_json: Json = False) -> None:
    """Read, cut and embed the kept copy of one document again."""
    from core.rag import knowledge

    _indexed(lambda: knowledge.reindex(name, document, count), as_json)


@app.command("rebuild")
def kb_rebuild(name: str, size: Size = 0, overlap: Overlap = 0, embedder: Embedder = "", as_json: Json = False) -> None:
    """Index a knowledge base's own documents again, with the default or another embedding model, in other chunks."""
    from core.rag import knowledge

    _indexed(lambda: knowledge.rebuild(name, count, size, overlap, embedder), as_json)


def _indexed(work: Callable[[], "Report"], as_json: bool) -> None:
    """Do it and tell what came of it; each file that could not be read gets its line."""
    from core.rag.indexing import NothingRead

    try:
        report = work()
    except NothingRead as error:
        _tell(error.rejected, as_json)
        if as_json:
            show({"documents": 0, "chunks": 0, "rejected": _worded(error.rejected)}, as_json, str)
        raise
    _tell(report.rejected, as_json)
    text = f"{report.name}: {counted(report.documents, 'document')}, {counted(report.chunks, 'chunk')}"
    extras = {"unchanged": len(report.unchanged), "left out": len(report.rejected), "repeated": report.duplicates}
    if any(extras.values()):
        text += " (" + ", ".join(f"{number} {word}" for word, number in extras.items() if number) + ")"
    show({**report.as_dict(), "rejected": _worded(report.rejected)}, as_json, lambda: text)


def _worded(rejected: Sequence[dict[str, Any]]) -> list[dict[str, str]]:
    parts = ("message", "hint")
    return [{"name": e["name"], **{part: fill(e[part], e["values"]) for part in parts}} for e in rejected]


def _tell(rejected: Sequence[dict[str, Any]], as_json: bool) -> None:
    note("")
    for error in [] if as_json else _worded(rejected):
        typer.echo(f"left out: {error['name']}: {error['message']} {error['hint']}".strip(), err=True)


@app.command("list")
def kb_list(as_json: Json = False) -> None:
    """All knowledge bases; outdated: the default embedding model is another now, `kb rebuild` takes it."""
    from core.rag import knowledge

    rows = knowledge.listing()
    columns = ["name", "shipped", "ready", "documents", "chunks", "rejected", "embedder", "outdated"]
    show({"knowledge_bases": rows}, as_json, lambda: table(rows, columns))


@app.command("documents")
def kb_documents(name: str, as_json: Json = False) -> None:
    """The documents of a knowledge base, and the files that could not be read."""
    from core.rag import knowledge

    rows = knowledge.documents(name)
    shown = [{**row, "why": sentence(row["error"]) or None} for row in rows]
    columns = ["name", "status", "kind", "pages", "size", "chunks", "duplicates", "why"]
    show({"kb": name, "documents": rows}, as_json, lambda: table(shown, columns))


@app.command("delete")
def kb_delete(name: str, document: str) -> None:
    """Take one document out of a knowledge base."""
    from core.rag import knowledge

    knowledge.delete_document(name, document)


@app.command("remove")
def kb_remove(name: str) -> None:
    """Delete a knowledge base (the files it was built from are not touched)."""
    from core.rag import knowledge

    knowledge.remove(name)


@app.command("search")
def kb_search(
    name: str,
    query: str,
    top_k: Annotated[int, typer.Option(min=1)] = 5,
    stages: Annotated[bool, typer.Option("--stages", help="Show the rank at each stage of retrieval.")] = False,
    width: Annotated[int, typer.Option(min=1, help="Candidates that each way of recall brings.")] = 50,
    reranked: Annotated[int, typer.Option(min=1, help="Best of them that are reranked.")] = 20,
    dense: Annotated[bool, typer.Option("--dense/--no-dense", help="Recall by meaning.")] = True,
    lexical: Annotated[bool, typer.Option("--lexical/--no-lexical", help="Recall by words.")] = True,
    rerank: Annotated[bool, typer.Option("--rerank/--no-rerank", help="A closer look at the best.")] = True,
    rewrite: Annotated[bool, typer.Option("--rewrite", help="The default model also writes a search query.")] = False,
    multi_query: MultiQuery = 1,
    as_json: Json = False,
) -> None:
    """The passages that answer a question; none where the knowledge base has nothing about it."""
    from dataclasses import asdict

    from core.generation import ask
    from core.generation.engine import Engine
    from core.models import store
    from core.rag import retrieval

    if not (dense or lexical):
        raise UserError("Nothing recalls.", "Leave one of --no-dense and --no-lexical out.")
    chosen = retrieval.Settings(
        dense, lexical, rerank, width=width, reranked=reranked, rewrite=rewrite, queries=multi_query
    )
    write = ask.writer(Engine(), store.default_generator().name) if rewrite or multi_query > 1 else None
    found = retrieval.retrieve(name, query, top_k, chosen, count, write=write)
    results = [passage.as_dict() for passage in found.passages]
    report: dict[str, Any] = {"results": results, "found": found.found, "queries": found.queries}
    rows = [
        {"score": p.score, **(p.ranks if stages else {}), "source": p.source, "text": p.text[:100]}
        for p in found.passages
    ]
    if stages:
        report |= {"threshold": found.threshold, "evidence": found.evidence, "reranker": found.reranker}
        report |= {"seconds": found.seconds, "candidates": [asdict(candidate) for candidate in found.candidates]}

    def text() -> str:
        if not rows:
            return f"Nothing about that: best {found.evidence:.3f}, threshold {found.threshold:.3f}."
        spent = "  ".join(f"{stage} {1000 * seconds:.0f} ms" for stage, seconds in found.seconds.items())
        asked = "".join(f"searched for: {query}\n" for query in found.queries if len(found.queries) > 1)
        return asked + table(rows, list(rows[0])) + (f"\n{spent}" if stages else "")

    show(report, as_json, text)


@app.command("eval")
def kb_eval(name: str, qa: Path, as_json: Json = False) -> None:
    """Hit rates, MRR and nDCG@10 of each stage of retrieval, on rows {"question", "source"}.

    With the place of the answer, "start" and "end" (characters of the document), a hit is a chunk holding half of it.
    """
    from core.evaluation import retrieval

    report = retrieval.evaluate(name, qa, count)
    stages = report["stages"]
    plain = {stage: {metric: f["mean"] for metric, f in scores.items()} for stage, scores in stages.items()}
    rows = [
        {"stage": stage, **{m: f"{f['mean']:.3f} [{f['low']:.3f}, {f['high']:.3f}]" for m, f in scores.items()}}
        for stage, scores in stages.items()
    ]
    # Scripts compare the plain figures; the intervals stand beside them.
    show({**report, "stages": plain, "intervals": stages}, as_json, lambda: table(rows, list(rows[0])))


@app.command("questions")
def kb_questions(
    name: str,
    out: Path,
    number: Annotated[int, typer.Option("--count", min=1, help="Questions wanted; at most one a chunk.")] = 20,
    seed: Annotated[int, typer.Option(help="Which chunks are asked about.")] = 0,
    without_model: Annotated[bool, typer.Option("--without-model", help="Make all of words, at once.")] = False,
    as_json: Json = False,
) -> None:
    """Make questions of a knowledge base's own sentences, for `kb eval` and `kb sweep`; each row says how it was made.

    Those made of words repeat the documents' words, which makes them easier for lexical recall than people's.
    """
    import json

    from core import files
    from core.evaluation import questions
    from core.generation import ask
    from core.generation.engine import Engine
    from core.models import store

    card = store.default_generator()
    by: dict[str, Any] = (
        {} if without_model else {"write": ask.writer(Engine(), card.name), "languages": card.languages}
    )
    rows = list(questions.generate(name, number, seed, tick=lambda done: count(done, number), **by))
    files.write_text(out, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    made = questions.summary(rows)
    text = f"{out}: {counted(made['n'], 'question')}, {made['model']} by the model, {made['words']} made of words"
    show(
        {"kb": name, "out": str(out), "generator": None if without_model else card.name, **made}, as_json, lambda: text
    )


def _numbers(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError as error:
        raise UserError("{text} is no list of numbers.", "Write them like 110,220,330.", text=text) from error


@app.command("sweep")
def kb_sweep(
    name: str,
    qa: Path,
    sizes: Annotated[str, typer.Option(help="Longest chunks to try, in tokens.")] = "110,220,330",
    top_k: Annotated[str, typer.Option(help="Numbers of passages to try.")] = "1,3,5",
    overlap: Overlap = 0,
    wait: Annotated[bool, typer.Option("--wait", help="Stay until it is done; else it goes on by itself.")] = False,
    as_json: Json = False,
) -> None:
    """The same questions on the same documents cut differently: what is found, and what it costs to read.

    The knowledge base itself stays as it is. Results are kept with it, also for the Knowledge page.
    """
    from core.evaluation import sweep

    started = sweep.start(name, qa, _numbers(sizes), overlap, _numbers(top_k))
    found = sweep.show(name, started)
    if wait:
        found = sweep.wait(name, started, lambda state: count(round(100 * state.get("share", 0.0)), 100))
        if error := found.get("error"):
            complain(*(fill(error[part], error["values"]) for part in ("message", "hint")))
            raise typer.Exit(1)
    rows = [
        {
            "size": point["size"],
            "chunks": point["chunks"],
            **{m: f"{f['mean']:.3f} [{f['low']:.3f}, {f['high']:.3f}]" for m, f in sweep.last_stage(point).items()},
            **{f"tokens@{k}": round(tokens["mean"]) for k, tokens in point["tokens"].items()},
            "ms": point["ms"],
        }
        for point in found["results"]
    ]
    report = {"sweep": started, "kb": name, "status": found["status"], "n": found["n"], "results": found["results"]}
    show(report, as_json, lambda: table(rows, list(rows[0])) if rows else started)
