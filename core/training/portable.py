"""A run as a zip file that another machine, or plain peft and transformers, can use; and such a file taken in again.

What comes in is not trusted: known names only, no more bytes than a limit however well they were packed, weights as
safetensors, and configurations without the fields by which peft or transformers would import a module.
"""

import hashlib
import importlib.metadata
import json
import lzma
import re
import shutil
import struct
import time
import zipfile
import zlib
from pathlib import Path
from typing import Any, BinaryIO

from core import files, jobs
from core.errors import UserError
from core.models import cards, weights
from core.models.cards import ModelCard
from core.settings import settings
from core.training import config as configs
from core.training import model_card, runs

MODEL_FILE = re.compile(r"[\w.-]+\.(safetensors|json|jinja|txt|model)")
"""Of a whole model: weights, configurations and its tokenizer; ``.model`` is SentencePiece's."""
MEMBER = re.compile(
    r"config\.toml|(metrics|samples)\.jsonl|run\.json|README\.md|adapter/adapter_(model\.safetensors|config\.json)"
    rf"|model/{MODEL_FILE.pattern}"
)
MAX_BYTES = 16 * 2**30
"""Of all files together, unpacked."""
MAX_TEXT = 64 * 2**20
"""Of any file but weights."""
PACKAGES = ("torch", "transformers", "peft")
ADAPTER, MODEL = "adapter/adapter_config.json", "model/config.json"
IMPORTING_FIELDS = {
    ADAPTER: ("auto_mapping", "megatron_config", "megatron_core"),
    MODEL: ("auto_map", "attn_implementation", "_attn_implementation", "_attn_implementation_internal"),
}
"""Fields of a configuration that name a module to be imported, or a kernel to be fetched."""
_DAMAGES = (zipfile.BadZipFile, OSError, RuntimeError, ValueError, EOFError, zlib.error, lzma.LZMAError, struct.error)
"""What zipfile raises at files that are encrypted, odd, cut off or have a wrong byte in them."""
FIGURES = ("train_loss", "eval_loss", "step", "steps", "elapsed", "started", "finished")


def export(run_id: str, target: Path) -> Path:
    """Write a run's adapter or whole model, config, metrics and model card into a zip file; returns its path.

    Args:
        run_id: RUN, or RUN@STEP for one of its checkpoints.
        target: the file, or a folder for a file named like the run.

    Raises:
        UserError: it has neither (yet), no such checkpoint, or no file can be written there.
    """
    where, about = runs.folder(runs.split(run_id)[0]), describe(run_id)
    weights_in = where / "model" if about["whole"] else runs.adapter(run_id)
    target = target / f"{run_id}.zip" if target.is_dir() else target
    aside = target.with_name(f".{target.name}.partial")
    with files.writing(target):
        try:
            with zipfile.ZipFile(aside, "w", zipfile.ZIP_DEFLATED) as archive:
                for name in ("config.toml", "metrics.jsonl", "samples.jsonl"):
                    if (where / name).is_file():
                        archive.write(where / name, name)
                archive.writestr("run.json", json.dumps(about, ensure_ascii=False, indent=1))
                archive.writestr("README.md", model_card.markdown(about))
                (_pack_model if about["whole"] else _pack_adapter)(archive, weights_in, _base_id(about))
            aside.replace(target)
        finally:
            aside.unlink(missing_ok=True)
    return target


def _pack_adapter(archive: zipfile.ZipFile, folder: Path, base: str) -> None:
    archive.write(folder / "adapter_model.safetensors", "adapter/adapter_model.safetensors")
    config = {**files.read_json(folder / "adapter_config.json", {}), "base_model_name_or_path": base}
    archive.writestr(ADAPTER, json.dumps(config, ensure_ascii=False, indent=1))


def _pack_model(archive: zipfile.ZipFile, folder: Path, base: str) -> None:
    for path in sorted(path for path in folder.iterdir() if MODEL_FILE.fullmatch(path.name)):
        if path.name == "config.json":  # where it was loaded from is a path of this machine
            config = {**files.read_json(path, {}), "_name_or_path": base}
            archive.writestr(MODEL, json.dumps(config, ensure_ascii=False, indent=1))
        else:  # weights hardly get smaller, however long one tries
            how = zipfile.ZIP_STORED if path.suffix == ".safetensors" else zipfile.ZIP_DEFLATED
            archive.write(path, f"model/{path.name}", how)


def describe(run_id: str) -> dict[str, Any]:
    """All that a model card says of a run, as plain values: base, data, config, figures, versions."""
    run = runs.show(run_id)
    config = run["config"]
    base = cards.catalog().get(config["model"])
    return {
        "run": run["id"],
        "adapter": run_id,
        "whole": runs.split(run_id)[1] is None and (runs.folder(run["id"]) / "model").is_dir(),
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
        kind = _check_weights(aside)
        config = configs.load(str(aside / "config.toml"))
        configs.save(config.model_copy(update={"model": _base_here(config.model, about)}), aside / "config.toml")
        run_id = _free_id(about, config.name)
        figures = about.get("figures")
        known = {n: v for n, v in figures.items() if n in FIGURES and type(v) in (int, float)} if figures else {}
        now = time.time()
        state = {"status": jobs.FINISHED, "created": now, "finished": now, kind: True, **known}
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
    if isinstance(source, Path) and not source.is_file():
        raise UserError("There is no file {path}.", "Check the path.", path=source)
    try:
        with zipfile.ZipFile(source) as archive:
            names = [entry.filename for entry in archive.infolist() if not entry.is_dir()]
            if bad := next((name for name in names if not MEMBER.fullmatch(name)), None):
                raise _stranger(bad)
            left = MAX_BYTES
            for name in names:
                left -= _copy(archive, name, target / name, left if name.endswith(".safetensors") else MAX_TEXT)
    except _DAMAGES as error:
        raise UserError("This is not a whole zip file: {why}.", "Export the run again.", why=error) from error
    if not (target / "config.toml").is_file():
        raise _missing("config.toml")


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


def _check_weights(folder: Path) -> str:
    """Which of both is there, "adapter" or "model"; its configuration is rid of what would import something."""
    kind = "model" if (folder / "model").is_dir() else "adapter"
    if kind == "model" and (folder / "adapter").is_dir():
        raise _stranger(ADAPTER)
    name, known = {"adapter": (ADAPTER, "peft_type"), "model": (MODEL, "model_type")}[kind]
    for file in (name, *_weight_files(folder, kind)):
        if not (folder / file).is_file():
            raise _missing(file)
    weights.tensors(folder / kind)
    config = files.read_json(folder / name)
    if not isinstance(config, dict) or not isinstance(config.get(known), str):
        raise _damaged(name)
    files.write_json(folder / name, {key: v for key, v in config.items() if key not in IMPORTING_FIELDS[name]})
    return kind


def _weight_files(folder: Path, kind: str) -> list[str]:
    """The weights there must be; those of a large model are told by an index, which may name no other folder's."""
    if kind == "adapter":
        return ["adapter/adapter_model.safetensors"]
    index = "model/model.safetensors.index.json"
    if not (folder / index).is_file():
        return ["model/model.safetensors"]
    told = files.read_json(folder / index)
    shards = told.get("weight_map") if isinstance(told, dict) else None
    if not isinstance(shards, dict) or not all(MODEL_FILE.fullmatch(str(name)) for name in shards.values()):
        raise _damaged(index)
    return sorted({f"model/{name}" for name in shards.values()})


def _stranger(file: str) -> UserError:
    return UserError(
        "{file} does not belong into an exported run.", "Export the run again where it was made.", file=file
    )


def _damaged(file: str) -> UserError:
    return UserError("{file} is damaged.", "Export the run again.", file=file)


def _missing(file: str) -> UserError:
    return UserError("The file {file} is missing in it.", "Export the run again.", file=file)


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
