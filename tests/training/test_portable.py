"""A run goes out as a zip file and comes in elsewhere; what is not such a file is refused in words."""

import hashlib
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest

from core import files
from core.errors import UserError
from core.models import store
from core.models.cards import ModelCard
from core.settings import settings
from core.training import portable, runs
from tests.helpers import runs as stored

RUN = "20260101-000000-a-0001"
Members = dict[str, bytes]


@pytest.fixture
def run(tiny_card: ModelCard, tiny_adapters: list[Path]) -> Path:
    folder = stored.make(RUN)
    copytree(tiny_adapters[0], folder / "adapter")
    stored.log(folder, [{"step": 1, "loss": 3.0}, {"step": 2, "eval_loss": 2.5}])
    (folder / "data").mkdir()
    (folder / "data" / "train.jsonl").write_text('{"input": "a", "output": "b"}\n' * 3, "utf-8")
    (folder / "data" / "test.jsonl").write_text('{"input": "c", "output": "d"}\n', "utf-8")
    runs.annotate(RUN, tags=["zh"], notes="好的")
    return folder


@pytest.fixture
def members(run: Path, tmp_path: Path) -> Members:
    """The files of the exported run."""
    with zipfile.ZipFile(portable.export(RUN, tmp_path)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(members: dict[str, Any]) -> io.BytesIO:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    buffer.seek(0)
    return buffer


def test_an_export_holds_the_adapter_its_config_its_curve_and_a_model_card(members: Members) -> None:
    assert set(members) == {
        "config.toml", "metrics.jsonl", "run.json", "README.md",
        "adapter/adapter_config.json", "adapter/adapter_model.safetensors",
    }  # fmt: skip
    card = members["README.md"].decode()
    data = b'{"input": "a", "output": "b"}\n' * 3 + b'{"input": "c", "output": "d"}\n'
    for words in ("base_model:", "licence", "3 rows to train on, 1 to test with", hashlib.sha256(data).hexdigest()):
        assert words in card
    assert "PeftModel.from_pretrained" in card
    assert "torch" in card
    assert str(settings().data_dir).encode() not in b"".join(members.values())
    assert json.loads(members["adapter/adapter_config.json"])["base_model_name_or_path"] == "tiny"


def test_plain_peft_loads_what_was_exported(run: Path, tiny_card: ModelCard, tmp_path: Path, members: Members) -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    with zipfile.ZipFile(portable.export(RUN, tmp_path / "named.zip")) as archive:
        archive.extractall(tmp_path / "elsewhere")
    ids = torch.arange(5, 15)[None]
    logits = [
        PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(store.directory(tiny_card)), path)(ids).logits
        for path in (tmp_path / "elsewhere" / "adapter", run / "adapter")
    ]
    assert torch.equal(*logits)


def test_it_comes_in_again_as_a_finished_run_that_is_marked(run: Path, members: Members, tmp_path: Path) -> None:
    twin = portable.take_in(packed(members))
    assert twin != RUN, "the id is taken here"
    shown = runs.show(twin)
    assert (shown["status"], shown["imported"], shown["step"], shown["steps"]) == ("finished", True, 40, 40)
    assert (shown["name"], shown["tags"], shown["notes"]) == ("tiny", ["zh"], "好的")
    assert {run["id"] for run in runs.listing()} == {RUN, twin}
    assert runs.metrics(twin) == runs.metrics(RUN)
    weights = [runs.adapter(name, "tiny") / "adapter_model.safetensors" for name in (RUN, twin)]
    assert weights[0].read_bytes() == weights[1].read_bytes()
    assert list(runs.adapters("tiny")) == sorted([RUN, twin], reverse=True)

    runs.delete(RUN)
    path = tmp_path / "run.zip"
    path.write_bytes(packed(members).read())
    assert portable.take_in(path) == RUN
    assert portable.export(RUN, tmp_path / "again.zip").is_file()


def test_a_checkpoint_is_exported_as_itself(run: Path, tiny_adapters: list[Path], tmp_path: Path) -> None:
    kept = stored.checkpoint(run, 20)
    for file in tiny_adapters[1].iterdir():
        (kept / file.name).write_bytes(file.read_bytes())
    path = portable.export(f"{RUN}@20", tmp_path)
    assert path.name == f"{RUN}@20.zip"
    with zipfile.ZipFile(path) as archive:
        weights = archive.read("adapter/adapter_model.safetensors")
    assert weights == (tiny_adapters[1] / "adapter_model.safetensors").read_bytes()


def test_the_base_is_found_by_its_source_where_it_is_called_otherwise(run: Path, members: Members) -> None:
    about = json.loads(members["run.json"])
    about["base"]["sources"] = ["modelscope:IEITYuan/Yuan2-2B-Mars-hf"]
    config = members["config.toml"].replace(b'model = "tiny"', b'model = "my-yuan"')
    taken = portable.take_in(packed({**members, "config.toml": config, "run.json": json.dumps(about)}))
    assert runs.show(taken)["config"]["model"] == "Yuan2-2B-Mars"
    unknown = portable.take_in(packed({**members, "config.toml": config}))
    assert runs.show(unknown)["config"]["model"] == "my-yuan"


def test_an_adapter_may_not_name_a_module_to_be_imported(members: Members) -> None:
    config = json.loads(members["adapter/adapter_config.json"])
    config |= {"megatron_config": {"a": 1}, "megatron_core": "os", "auto_mapping": {"parent_library": "os"}}
    taken = portable.take_in(packed({**members, "adapter/adapter_config.json": json.dumps(config)}))
    kept = json.loads((runs.adapter(taken) / "adapter_config.json").read_text("utf-8"))
    assert not set(kept) & {"megatron_config", "megatron_core", "auto_mapping"}


REFUSED: list[tuple[Callable[[Members], dict[str, Any]], str]] = [
    (lambda m: {**m, "../../outside.json": b"{}"}, "does not belong"),
    (lambda m: {**m, "/etc/passwd": b""}, "does not belong"),
    (lambda m: {**m, "adapter/../../../x.json": b""}, "does not belong"),
    (lambda m: {**m, "adapter/adapter_model.bin": b"pickle"}, "does not belong"),
    (lambda m: {**m, "adapter/deep/er.json": b"{}"}, "does not belong"),
    (lambda m: {**m, "checkpoints/x.pt": b""}, "does not belong"),
    (lambda m: {k: v for k, v in m.items() if k != "config.toml"}, "config.toml is missing"),
    (lambda m: {k: v for k, v in m.items() if not k.endswith(".safetensors")}, "is missing"),
    (lambda m: {**m, "adapter/adapter_model.safetensors": b"\x80\x04pickle"}, "not a whole safetensors file"),
    (lambda m: {**m, "adapter/adapter_config.json": b"[]"}, "adapter_config.json is damaged"),
    (lambda m: {**m, "adapter/model.safetensors.index.json": b"{}"}, "does not belong"),
    (lambda m: {**m, "model/config.json": b"{}"}, "does not belong"),
    (lambda m: {**m, "config.toml": b"= ="}, "is not a TOML file"),
    (lambda m: {**m, "metrics.jsonl": bytes(portable.MAX_TEXT + 1)}, "is larger than 64 MB"),
]


@pytest.mark.parametrize("number", range(len(REFUSED)))
def test_what_does_not_belong_is_refused_and_leaves_nothing(members: Members, number: int, tmp_path: Path) -> None:
    change, words = REFUSED[number]
    before = sorted(path.name for path in tmp_path.rglob("*"))
    with pytest.raises(UserError, match=words):
        portable.take_in(packed(change(members)))
    assert sorted(path.name for path in tmp_path.rglob("*")) == sorted([*before, "importing"])
    assert [run["id"] for run in runs.listing()] == [RUN]


def test_what_is_no_zip_file_is_refused(members: Members, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="There is no file"):
        portable.take_in(tmp_path / "nowhere.zip")
    with pytest.raises(UserError, match=r"Could not write .*Choose another place"):
        portable.export(RUN, tmp_path / "nowhere" / "mine.zip")
    whole = packed(members).getvalue()
    for broken in (b"", b"not a zip", whole[: len(whole) // 2]):
        with pytest.raises(UserError, match="not a whole zip file"):
            portable.take_in(io.BytesIO(broken))
    squeezed = io.BytesIO()
    with zipfile.ZipFile(squeezed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.toml", members["config.toml"])
    damaged = squeezed.getvalue().replace(squeezed.getvalue()[41:45], b"\xff" * 4)  # the first bytes of what was packed
    with pytest.raises(UserError, match="not a whole zip file"):
        portable.take_in(io.BytesIO(damaged))
    monkeypatch.setattr(portable, "MAX_BYTES", 1000)
    with pytest.raises(UserError, match="is larger than"):
        portable.take_in(io.BytesIO(whole))


@pytest.fixture
def whole(tiny_model_dir: Path, tiny_card: ModelCard) -> Path:
    """A run that has trained all weights, its model in two files."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = stored.make(RUN, method="full")
    model = AutoModelForCausalLM.from_pretrained(tiny_model_dir)
    model.save_pretrained(folder / "model", max_shard_size="200KB")
    AutoTokenizer.from_pretrained(tiny_model_dir).save_pretrained(folder / "model")
    (folder / "model" / "training_args.bin").write_bytes(b"pickle")
    files.write_json(folder / "state.json", {"status": "finished", "created": 1.0, "model": True, "step": 40})
    return folder


def test_a_whole_model_goes_out_and_comes_in_and_answers_the_same(whole: Path, tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    with zipfile.ZipFile(portable.export(RUN, tmp_path)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    assert sum(name.endswith(".safetensors") for name in members) > 1 and "model/training_args.bin" not in members
    card = members["README.md"].decode()
    assert 'AutoModelForCausalLM.from_pretrained("model")' in card and '"lora"' not in card
    config = json.loads(members["model/config.json"])
    assert str(tmp_path.parent) not in json.dumps(config)
    members["model/config.json"] = json.dumps(config | {"auto_map": {"AutoConfig": "x.Y"}}).encode()
    twin = portable.take_in(packed(members))
    shown = runs.show(twin)
    assert (shown["status"], shown["model"], shown.get("adapter")) == ("finished", True, None)
    came = runs.folder(twin) / "model"
    assert "auto_map" not in json.loads((came / "config.json").read_text("utf-8"))
    ids = torch.arange(5, 15)[None]
    assert torch.equal(*(AutoModelForCausalLM.from_pretrained(path)(ids).logits for path in (came, whole / "model")))
    assert AutoTokenizer.from_pretrained(came)("A llama.")["input_ids"]

    index = json.loads(members["model/model.safetensors.index.json"])
    first = next(iter(index["weight_map"]))
    for place, words in (("../config.toml", "index.json is damaged"), ("other.safetensors", "is missing")):
        index["weight_map"][first] = place
        with pytest.raises(UserError, match=words):
            portable.take_in(packed({**members, "model/model.safetensors.index.json": json.dumps(index)}))
    with pytest.raises(UserError, match="does not belong"):
        portable.take_in(packed({**members, "model/custom.py": b""}))
