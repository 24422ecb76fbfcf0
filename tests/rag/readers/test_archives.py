"""Zips that lie: about their sizes, their names, their members."""

import io
import random
import struct
import zipfile

import pytest

from core.rag.readers import archives
from core.rag.readers.blocks import Unreadable
from tests.helpers.documents import zipped


def contents(data: bytes, limit: int = 10_000_000) -> dict[str, str]:
    found = archives.members(archives.open_zip(data, limit), 1_000_000)
    return {name: str(said) if isinstance(said, Unreadable) else said.decode() for name, said in found}


def bombs(data: bytes, limit: int = 10_000_000) -> None:
    with pytest.raises(Unreadable, match="bomb"):
        archives.open_zip(data, limit)


def test_too_much_in_all_too_many_or_packed_too_well() -> None:
    bombs(zipped({f"{i}.txt": bytes(range(256)) * 4 for i in range(100)}), limit=100_000)
    bombs(zipped({f"{i}": b"" for i in range(archives.MAX_MEMBERS + 1)}))
    bombs(zipped({"zeros": bytes(5_000_000)}))
    assert contents(zipped({"small": b"a" * 100_000}))["small"] == "a" * 100_000


def test_a_member_larger_than_a_document_may_be_is_not_unpacked() -> None:
    data = zipped({"large.bin": random.Random(1).randbytes(1_000_001), "a.txt": b"x"})
    assert contents(data) == {"large.bin": "large", "a.txt": "x"}


def test_members_that_share_their_bytes_are_a_bomb() -> None:
    data = zipped({"one.txt": b"x" * 5000, "two.txt": b"x" * 5000})
    entry = data.rindex(b"PK\x01\x02")
    bombs(data[: entry + 42] + struct.pack("<I", 0) + data[entry + 46 :])


def test_a_size_that_lies_yields_no_more_than_it_says() -> None:
    data = zipped({"a.txt": b"x" * 100_000})
    entry = data.rindex(b"PK\x01\x02")
    assert contents(data[: entry + 24] + struct.pack("<I", 10) + data[entry + 28 :]) == {"a.txt": "damaged"}


def test_one_damaged_member_leaves_the_others() -> None:
    data = bytearray(zipped({"bad.txt": b"bad text " * 50, "good.txt": b"good"}))
    data[45] ^= 0xFF
    assert contents(bytes(data)) == {"bad.txt": "damaged", "good.txt": "good"}


def test_names_that_lead_elsewhere_and_links() -> None:
    link = zipfile.ZipInfo("link.txt")
    link.create_system, link.external_attr = 3, 0o120777 << 16
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name in ("../up.txt", "a/../../up.txt", "/root.txt", "C:\\drive.txt", "..\\up.txt", "fine/a.txt"):
            archive.writestr(name, "x")
        archive.writestr(link, "/etc/passwd")
    assert {name for name, said in contents(target.getvalue()).items() if said != "outside"} == {"fine/a.txt"}


def test_a_member_under_a_password() -> None:
    data = bytearray(zipped({"a.txt": b"secret"}))
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(mark) + offset] |= 1
    assert contents(bytes(data)) == {"a.txt": "encrypted"}


def test_what_is_no_whole_zip_is_damaged() -> None:
    for data in (b"", b"PK\x03\x04", b"PK\x03\x04" + bytes(500), zipped({"a": b"b" * 999})[:-30]):
        with pytest.raises(Unreadable, match="damaged"):
            archives.open_zip(data, 1000)
