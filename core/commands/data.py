"""``python -m core data``: the data sets there are; files checked, seen as a model sees them, and kept."""

from collections import Counter
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from core.commands.output import Json, counted, show, stage, table
from core.errors import UserError

app = typer.Typer(no_args_is_help=True, help="Data sets: list, check, preview, add, remove.")

ModelOption = Annotated[str, typer.Option(help="Catalog name of the model whose tokenizer counts.")]
LengthOption = Annotated[int, typer.Option(min=16, help="Tokens that fit.")]
LayoutOption = Annotated[str, typer.Option(help="Layout of the rows; empty: recognised.")]
ColumnOption = Annotated[list[str] | None, typer.Option("--column", help="FIELD=COLUMN, as often as needed.")]
Learn = StrEnum("Learn", {"ANSWERS": "answers", "LAST": "last", "ALL": "all"})
_SHOWN = 50  # problems of one reason that are printed


@app.command("list")
def data_list(as_json: Json = False) -> None:
    """Shipped and kept data sets with kind, layout, rows and languages."""
    from core.training.data import datasets

    rows = datasets.catalog()
    shown = [{**row, "languages": " ".join(row["languages"])} for row in rows]
    show(
        {"datasets": rows},
        as_json,
        lambda: table(shown, ["name", "label", "kind", "layout", "train", "test", "languages"]),
    )


@app.command("check")
def data_check(
    sources: Annotated[list[str], typer.Argument(help="Files, folders of files, hf:OWNER/NAME or ms:OWNER/NAME.")],
    layout: LayoutOption = "",
    column: ColumnOption = None,
    model: ModelOption = "",
    max_length: LengthOption = 512,
    report: Annotated[Path | None, typer.Option(help="Also write all problems into this CSV file.")] = None,
    as_json: Json = False,
) -> None:
    """Every problem with row, field and reason; exit code 2 when something must be fixed."""
    from core import files

    tokenizer = _tokenizer(model)
    found: dict[str, Any] = {}
    for source in sources:
        where = Path(source)
        for name, inspection in _inspect(source, layout, column, tokenizer=tokenizer, max_length=max_length).items():
            path = str(where / name if where.is_dir() else where)  # tells files of one name in several folders apart
            found[path if name in found else name] = inspection
    lines = [(name, problem) for name, each in found.items() for problem in each.report.problems]
    if report:
        files.write_text(report, _as_csv(lines))
    records = {
        name: {
            "rows": each.report.rows,
            "layout": each.mapping.layout if each.mapping else None,
            "columns": each.mapping.columns if each.mapping else {},
            "must_fix": len(each.report.must_fix),
            "problems": [problem.as_dict() for problem in each.report.problems],
        }
        for name, each in found.items()
    }

    def text() -> str:
        parts = []
        for name, each in found.items():
            layout_name = each.mapping.layout if each.mapping else "not recognised"
            parts += [f"{name}: {counted(each.report.rows, 'row')}, {layout_name}", *_lines(each.report)]
        return "\n".join(parts)

    show({"files": records}, as_json, text)
    if any(each.report.must_fix for each in found.values()):
        raise typer.Exit(2)


@app.command("preview")
def data_preview(
    name: Annotated[str, typer.Argument(help="Data set name, file or folder.")],
    model: ModelOption = "",
    max_length: LengthOption = 512,
    rows: Annotated[int, typer.Option(min=0, help="Rows to show.")] = 2,
    learn: Annotated[Learn, typer.Option(help="What is learned of a row.")] = Learn.ANSWERS,
    batch_size: Annotated[int, typer.Option(min=1, help="Rows per forward pass.")] = 4,
    as_json: Json = False,
) -> None:
    """Rows as the model reads them, learned tokens between « », and how long all of them are."""
    from core.models import cards, store
    from core.training.data import columns, datasets, preview

    data = datasets.load(name)
    labelled = data.kind == columns.LABEL
    card = cards.card(model) if model else store.default_embedder() if labelled else store.default_generator()
    tokenizer = _tokenizer(card.name)
    task = "classify" if labelled else "seq2seq" if card.task == "seq2seq" else "causal"
    how: dict[str, Any] = {"task": task, "learn": learn.value, "labels": data.labels}
    shown = preview.shown(tokenizer, data.train[:rows], max_length, **how)
    tokens = preview.lengths(tokenizer, data.train, **how)
    lengths, plan = preview.histogram(tokens, max_length), preview.plan(tokens, max_length, batch_size)
    report = {
        "rows": [[{"text": text, "learned": learned} for text, learned in pieces] for pieces in shown],
        "lengths": lengths,
        "plan": plan,
    }

    def text() -> str:
        parts = ["".join(f"«{text}»" if learned else text for text, learned in pieces) + "\n" for pieces in shown]
        parts.append(
            f"{counted(len(tokens), 'example')}; median {lengths['median']}, longest {lengths['longest']} tokens"
        )
        parts.append(f"{lengths['beyond']} ({lengths['share']:.1%}) longer than {max_length}")
        parts.append(f"an epoch: {plan['epoch_tokens']} tokens, {counted(plan['epoch_steps'], 'step')}")
        return "\n".join(parts)

    show(report, as_json, text)


@app.command("add")
def data_add(
    source: Annotated[
        str,
        typer.Argument(
            help="File, folder (train…, test…), hf:OWNER/NAME, hf:OWNER/NAME:CONFIG/SPLIT, or the same with ms:."
        ),
    ],
    name: Annotated[str, typer.Option(help="Label in lists; empty: the source's name.")] = "",
    layout: LayoutOption = "",
    column: ColumnOption = None,
    fix: Annotated[bool, typer.Option(help="Apply the safe fixes: strip, number to text, drop duplicates.")] = True,
    skip: Annotated[bool, typer.Option(help="Leave out rows that must be fixed; otherwise stop at them.")] = False,
    seed: Annotated[int, typer.Option(help="Of the split.")] = 7,
    share: Annotated[
        float, typer.Option(min=0, max=0.9, help="Of the rows for the test; 0: a tenth, at most 200.")
    ] = 0,
    as_json: Json = False,
) -> None:
    """Check a data set, split it, and keep it under its name for training."""
    from core.training.data import datasets, problems

    found = datasets.inspect(source, layout, dict(_pair(text) for text in column or []), stage)
    fixes, skipped = problems.FIXES if fix else (), (problems.MUST,) if skip else ()
    kept = datasets.keep(
        name or Path(source).resolve().stem, found, fixes, skipped, seed=seed, share=share, source=source
    )
    data = datasets.load(kept)
    leaked = len(datasets.leaks(kept))
    record = {"dataset": kept, "train": len(data.train), "test": len(data.test), "leaks": leaked}
    show(record, as_json, lambda: "\n".join(f"{key:<10}{value}" for key, value in record.items()))


@app.command("remove")
def data_remove(name: str) -> None:
    """Delete a kept data set; runs keep the rows they were trained on."""
    from core.training.data import datasets

    datasets.remove(name)


def _inspect(source: str, layout: str, column: list[str] | None, **how: Any) -> dict[str, Any]:
    """The inspections of a source by the name to show: of a file, of every file in a folder, of every split."""
    from core.training.data import datasets, formats

    chosen = dict(_pair(text) for text in column or [])
    path = Path(source)
    if source and path.is_dir():
        files = sorted(file for file in path.iterdir() if file.suffix.lower() in formats.SUFFIXES and file.is_file())
        if not files:
            datasets.locate(source)  # says what is looked for
        return {file.name: datasets.inspect(str(file), layout, chosen, **how)["train"] for file in files}
    found = datasets.inspect(source, layout, chosen, stage, **how)
    return {path.name: found["train"]} if path.is_file() else {f"{source} {split}": found[split] for split in found}


def _lines(report: Any) -> list[str]:
    """A line per problem: row, field, reason; of many of one kind, the first ones and their number."""
    if not report.problems:
        return ["  nothing to mend"]
    lines = []
    told: Counter[str] = Counter()
    for problem in report.problems:
        told[problem.reason] += 1
        if told[problem.reason] <= _SHOWN:
            said = problem.as_dict()
            place = f"row {problem.row}" if problem.row else "file"
            fix = f"; can be done: {problem.fix}" if problem.fix else ""
            lines.append(f"  {place}, {said['field'] or '–'}: {said['words']} [{problem.severity}{fix}]")
    more = {reason: count - _SHOWN for reason, count in told.items() if count > _SHOWN}
    return lines + [f"  … and {count} more: {reason} (--report FILE.csv has all)" for reason, count in more.items()]


def _pair(text: str) -> tuple[str, str]:
    name, sign, column = text.partition("=")
    if not sign:
        raise UserError("--column {pair} is not FIELD=COLUMN.", "For example: --column question=query", pair=text)
    return name.strip(), column.strip()


def _tokenizer(model: str) -> Any:
    from core.models import cards, loading, preparing

    if not model:
        return None
    card = cards.card(model)
    return loading.load_tokenizer(preparing.prepare(card, stage), card)


def _as_csv(lines: list[tuple[str, Any]]) -> str:
    import csv
    import io

    out = io.StringIO()
    writer = csv.DictWriter(out, ["file", "row", "field", "reason", "severity", "fix", "words"], lineterminator="\n")
    writer.writeheader()
    writer.writerows({"file": name, **problem.as_dict()} for name, problem in lines)
    return out.getvalue()
