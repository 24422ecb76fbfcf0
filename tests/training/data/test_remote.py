"""Data sets from both hubs through their real clients, against a hub on loopback: data files, and nothing else."""

import json
from pathlib import Path
from typing import Any

import pytest

from core.errors import UserError
from core.models.clients import RemoteFile
from core.settings import settings
from core.training.data import datasets, remote
from tests.helpers.stub_hub import StubHub


def lines(count: int, start: int = 0) -> bytes:
    rows = ({"instruction": f"question {n}", "output": f"answer {n}"} for n in range(start, start + count))
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


FILES = {
    "README.md": b"# it",
    "script.py": b"import os",
    "picture.png": b"png",
    "dataset_infos.json": b"{}",
    ".hidden/train.jsonl": lines(1),
    "data/train-00000-of-00002.jsonl": lines(4),
    "data/train-00001-of-00002.jsonl": lines(3, 4),
    "data/test.jsonl": lines(2, 7),
}


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)


@pytest.mark.parametrize("prefix", ["hf", "ms"])
def test_only_data_files_are_fetched_and_their_splits_kept(stub_hub: StubHub, prefix: str) -> None:
    stub_hub.datasets["o/d"] = FILES
    found = datasets.inspect(f"{prefix}:o/d")
    data = datasets.load(datasets.keep("mine", found, source=f"{prefix}:o/d"))
    assert [row["output"] for row in data.train] == [f"answer {n}" for n in range(7)]
    assert [row["input"] for row in data.test] == ["question 7", "question 8"]
    assert set(stub_hub.sent()) == {name for name in FILES if name.startswith("data/")}


@pytest.mark.parametrize("prefix", ["hf", "ms"])
def test_one_split_is_fetched_alone_and_once(stub_hub: StubHub, prefix: str) -> None:
    stub_hub.datasets["o/d"] = FILES
    for _ in range(2):
        assert list(remote.fetch(f"{prefix}:o/d/test")) == ["test"]
    assert stub_hub.sent() == {"data/test.jsonl": len(FILES["data/test.jsonl"])}


@pytest.mark.parametrize(
    ("address", "parts"),
    [
        ("hf:o/d", ("huggingface", "o/d", "", "")),
        ("ms:o/d-1.0:zh_cn/train", ("modelscope", "o/d-1.0", "zh_cn", "train")),
        ("hf:o/d/validation", ("huggingface", "o/d", "", "validation")),
    ],
)
def test_an_address_has_hub_id_config_and_split(address: str, parts: tuple[str, ...]) -> None:
    found = remote.address(address)
    assert found and (found.hub, found.id, found.config, found.split) == parts


@pytest.mark.parametrize("text", ["", "hf:", "hf:d", "o/d", "hf:../d/..:x/y/z", "http://o/d", "C:/data/rows.csv"])
def test_other_texts_are_no_address(text: str) -> None:
    assert remote.address(text) is None


def picked(paths: list[str], address: str) -> dict[str, list[str]]:
    where = remote.address(address)
    assert where
    found = remote.pick([RemoteFile(path, 1) for path in paths], where)
    return {split: [file.path for file in files] for split, files in found.items()}


def test_a_config_is_a_folder_and_one_format_is_enough() -> None:
    paths = ["en/train.parquet", "en/train.csv", "zh/train-0.parquet", "zh/dev.parquet", "zh/../x.csv", "/etc/a.csv"]
    assert picked(paths, "hf:o/d:zh") == {"validation": ["zh/dev.parquet"], "train": ["zh/train-0.parquet"]}
    assert picked(paths, "hf:o/d:en/train") == {"train": ["en/train.parquet"]}
    with pytest.raises(UserError, match=r"several configs.*en, zh"):
        picked(paths, "hf:o/d")
    with pytest.raises(UserError, match=r"“fr” is none of them"):
        picked(paths, "hf:o/d:fr")
    with pytest.raises(UserError, match=r"no split “test”.*validation, train"):
        picked(paths, "hf:o/d:zh/test")


@pytest.mark.parametrize(
    ("paths", "address", "expected"),
    [
        (["rows.json"], "hf:o/d", {"train": ["rows.json"]}),
        (["zh-train.jsonl", "zh-dev.jsonl", "en-train.jsonl"], "ms:o/d:en", {"train": ["en-train.jsonl"]}),
        (
            [
                "data/train-00001-of-00002-a09b74b3ef9c3b56.parquet",
                "data/train-00000-of-00002-a09b74b3ef9c3b57.parquet",
            ],
            "hf:o/d",
            {
                "train": [
                    "data/train-00000-of-00002-a09b74b3ef9c3b57.parquet",
                    "data/train-00001-of-00002-a09b74b3ef9c3b56.parquet",
                ]
            },
        ),
        (["train.csv", "extra/train.csv"], "hf:o/d", {"train": ["train.csv"]}),
        (["train.csv", "extra/train.csv"], "hf:o/d:extra", {"train": ["extra/train.csv"]}),
        (["alpaca_data.json", "alpaca_data_cleaned.json"], "hf:o/d:alpaca", {"train": ["alpaca_data.json"]}),
    ],
)
def test_files_that_say_something_else_are_not_mixed(paths: list[str], address: str, expected: dict[str, Any]) -> None:
    assert picked(paths, address) == expected


def test_two_files_without_a_split_are_not_taken_for_one_set() -> None:
    with pytest.raises(UserError, match=r"several configs.*alpaca, alpaca-cleaned"):
        picked(["alpaca_data.json", "alpaca_data_cleaned.json"], "hf:o/d")


def test_a_set_of_scripts_alone_is_refused() -> None:
    with pytest.raises(UserError, match="no data files of the formats read here"):
        picked(["d.py", "README.md", "data.zip"], "hf:o/d")


def test_offline_and_unknown_are_sentences(stub_hub: StubHub, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="There is no data set o/none on Hugging Face"):
        remote.fetch("hf:o/none")
    with pytest.raises(UserError, match="There is no data set o/none on ModelScope"):
        remote.fetch("ms:o/none")
    monkeypatch.setenv("YUAN_OFFLINE", "true")
    settings.cache_clear()
    with pytest.raises(UserError, match="offline"):
        remote.fetch("hf:o/d")
    assert not list(Path(settings().data_dir).glob("downloads/datasets/*/files/*"))


def test_a_set_on_a_hub_must_be_fetched_before_it_is_trained_on() -> None:
    with pytest.raises(UserError, match="not here yet"):
        datasets.load("hf:o/d")
