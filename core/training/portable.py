"""A run as a zip file that another machine, or plain peft, can use; and such a file taken in again.

What comes in is not trusted: known names only, no more bytes than a limit however well they were packed, weights as
safetensors, and an adapter's configuration without the fields by which peft would import a module.
"""

import hashlib
import importlib.metadata
import json
import re
import shutil
import time
import zipfile
from pathlib import Path
from typing import Any, BinaryIO

from core import files, jobs
from core.errors import UserError
from core.models import cards, weights
from core.models.cards import ModelCard
from core.settings import settings
from core.training import config as configs
from core.training import model_card, runs

MEMBER = re.compile(r"(config\.toml|(metrics|samples)\.jsonl|run\.json|README\.md|adapter/[\w.-]+\.(safetensors|json))")
MAX_BYTES = 4 * 2**30
"""Of all files together, unpacked."""
MAX_TEXT = 64 * 2**20
"""Of any file but weights."""
PACKAGES = ("torch", "transformers", "peft")
IMPORTING_FIELDS = ("auto_mapping", "megatron_config", "megatron_core")
"""Fields of an adapter's configuration that name a module to be imported."""
FIGURES = ("train_loss", "eval_loss", "step", "steps", "elapsed", "started", "finished")


def export(run_id: str, target: Path) -> Path:
    """Write a run's adapter, config, metrics and model card into a zip file; returns its path.

    Args:
        run_id: RUN, or RUN@STEP for one of its checkpoints.
        target: the file, or a folder for a file named like the run.

    Raises:
        UserError: it has no adapter (yet), or has trained a whole model.
    """
    where = runs.folder(runs.split(run_id)[0])
    if (where / "model").is_dir():
        raise UserError(
            "Run {run} has trained a whole model, not an adapter.",
            "Merge it into the catalog, and copy that model's folder.",
            run=run_id,
        )
    adapter, about = runs.adapter(run_id), describe(run_id)
    target = target / f"{run_id}.zip" if target.is_dir() else target
    aside = target.with_name(f".{target.name}.partial")
    try:
        with zipfile.ZipFile(aside, "w", zipfile.ZIP_DEFLATED) as archive:
            for name in ("config.toml", "metrics.jsonl", "samples.jsonl"):
                if (where / name).is_file():
                    archive.write(where / name, name)
            archive.writestr("run.json", json.dumps(about, ensure_ascii=False, indent=1))
            archive.writestr("README.md", model_card.markdown(about))
            archive.write(adapter / "adapter_model.safetensors", "adapter/adapter_model.safetensors")
            config = {
                **files.read_json(adapter / "adapter_config.json", {}),
                "base_model_name_or_path": _base_id(about),
            }
            archive.writestr("adapter/adapter_config.json", json.dumps(config, ensure_ascii=False, indent=1))
        aside.replace(target)
    finally:
        aside.unlink(missing_ok=True)
    return target


def describe(run_id: str) -> dict[str, Any]:
    """All that a model card says of a run, as plain values: base, data, config, figures, versions."""
    run = runs.show(run_id)
    config = run["config"]
    base = cards.catalog().get(config["model"])
    return {
        "run": run["id"],
        "adapter": run_id,
        "name": run["name"],
        "tags": run["tags"],
        "notes": run["notes"],
        "base": {
            "name": config["model"],
            "title": base.title if base else config["model"],
            "license": base.license if base else "",
            "sources": [source.label for source in _public(base)],
        },
        "data": _data(runs.folder(run["id"]) / "data", str(config["dataset"])),
        "config": {name: value for name, value in config.items() if name not in ("name", "dataset")},
        "figures": {name: run[name] for name in FIGURES if run.get(name) is not None},
        "versions": run.get("versions") or {name: importlib.metadata.version(name) for name in PACKAGES},
    }


def _public(base: ModelCard | None) -> list[Any]:
    """The sources anybody can fetch from: a path means something on this machine only."""
    return [source for source in (base.sources if base else []) if source.kind not in ("path", "run")]


def _base_id(about: dict[str, Any]) -> str:
    """The base model as plain peft would look for it: a hub's id where there is one."""
    ids = [label.partition(":")[2] for label in about["base"]["sources"] if not label.startswith("wheel:")]
    return ids[0] if ids else about["base"]["name"]


def _data(folder: Path, name: str) -> dict[str, Any]:
    digest, rows = hashlib.sha256(), {}
    for part in ("train", "test"):
        path = folder / f"{part}.jsonl"
        content = path.read_bytes() if path.is_file() else b""
        digest.update(content)
        rows[part] = content.count(b"\n")
    return {"name": Path(name).stem, **rows, "sha256": digest.hexdigest()}


def take_in(source: Path | BinaryIO) -> str:
    """Make a run of an exported zip file: it appears among the others as finished, and marked imported.

    Returns:
        Its id: the exported one where that is free here.

    Raises:
        UserError: not such a file, larger than is taken in, or something in it that does not belong there.
    """
    aside = settings().data_dir / "importing" / files.new_id()
    aside.mkdir(parents=True)
    try:
        _unpack(source, aside)
        about = files.read_json(aside / "run.json", {})
        about = about if isinstance(about, dict) else {}
        _check_adapter(aside / "adapter")
        config = configs.load(str(aside / "config.toml"))
        configs.save(config.model_copy(update={"model": _base_here(config.model, about)}), aside / "config.toml")
        run_id = _free_id(about, config.name)
        figures = about.get("figures")
        known = {n: v for n, v in figures.items() if n in FIGURES and type(v) in (int, float)} if figures else {}
        now = time.time()
        state = {"status": jobs.FINISHED, "created": now, "finished": now, "adapter": True, **known}
        files.write_json(aside / "state.json", state)
        noted = {"name": str(about.get("name", config.name))[:60], "notes": str(about.get("notes", ""))}
        files.write_json(aside / "about.json", {**noted, "tags": _words(about.get("tags")), "imported": now})
        settings().runs_dir.mkdir(parents=True, exist_ok=True)
        aside.rename(settings().runs_dir / run_id)
        return run_id
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _words(value: Any) -> list[str]:
    return [str(word)[:60] for word in value[:50]] if isinstance(value, list) else []


def _unpack(source: Path | BinaryIO, target: Path) -> None:
    try:
        with zipfile.ZipFile(source) as archive:
            names = [entry.filename for entry in archive.infolist() if not entry.is_dir()]
            if bad := next((name for name in names if not MEMBER.fullmatch(name)), None):
                raise UserError(
                    "{file} does not belong into an exported run.", "Export the run again where it was made.", file=bad
                )
            left = MAX_BYTES
            for name in names:
                left -= _copy(archive, name, target / name, left if name.endswith(".safetensors") else MAX_TEXT)
    except (zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError) as error:  # the last two: encrypted, odd
        raise UserError("This is not a whole zip file: {why}.", "Export the run again.", why=error) from error
    for name in ("config.toml", "adapter/adapter_config.json", "adapter/adapter_model.safetensors"):
        if not (target / name).is_file():
            raise UserError("The file {file} is missing in it.", "Export the run again.", file=name)


def _copy(archive: zipfile.ZipFile, name: str, path: Path, limit: int) -> int:
    """Unpack one file; what its header says of its size is not believed."""
    path.parent.mkdir(exist_ok=True)
    done = 0
    with archive.open(name) as packed, path.open("wb") as file:
        while part := packed.read(1 << 20):
            done += len(part)
            if done > limit:
                raise UserError(
                    "{file} is larger than {limit} MB.", "This is too much for a run.", file=name, limit=limit >> 20
                )
            file.write(part)
    return done


def _check_adapter(folder: Path) -> None:
    if not weights.tensors(folder):
        raise UserError("The file {file} is missing in it.", "Export the run again.", file="adapter_model.safetensors")
    path = folder / "adapter_config.json"
    config = files.read_json(path)
    if not isinstance(config, dict) or not isinstance(config.get("peft_type"), str):
        raise UserError("The adapter's configuration is damaged.", "Export the run again.")
    files.write_json(path, {name: value for name, value in config.items() if name not in IMPORTING_FIELDS})


def _base_here(name: str, about: dict[str, Any]) -> str:
    """The base model's name in this catalog: the same one, or the card with a source of it."""
    if name in cards.catalog():
        return name
    base = about.get("base")
    sources = set(_words(base.get("sources"))) if isinstance(base, dict) else set()
    found = (card.name for card in cards.catalog().values() if sources & {source.label for source in card.sources})
    return next(found, name)


def _free_id(about: dict[str, Any], name: str) -> str:
    wanted = str(about.get("run", ""))
    free = re.fullmatch(r"[a-z0-9-]{8,80}", wanted) and not (settings().runs_dir / wanted).exists()
    return wanted if free else files.new_id(name)
