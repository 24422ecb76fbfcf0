"""Zips, read in memory and never unpacked to disk, within limits that hold whatever their headers claim."""

import io
import stat
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import PurePosixPath

from core.rag.readers.blocks import Unreadable

MAX_MEMBERS = 5_000
MAX_RATIO = 200  # unpacked to packed; text packs 3 to 10 times, empty sheets of a workbook up to 100
_SMALL = 1_000_000  # bytes below which no ratio is a danger
_UNSEEN = ("__MACOSX", "Thumbs.db", "desktop.ini")


def open_zip(data: bytes, limit: int) -> zipfile.ZipFile:
    """The zip in ``data``, whose members may hold ``limit`` bytes together.

    Raises:
        Unreadable: "damaged" or "bomb".
    """
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
    except (zipfile.BadZipFile, ValueError, NotImplementedError, EOFError) as error:
        raise Unreadable("damaged") from error
    members = archive.infolist()
    if len(members) > MAX_MEMBERS or sum(member.file_size for member in members) > limit:
        raise Unreadable("bomb")
    if any(m.file_size > _SMALL and m.file_size > MAX_RATIO * max(m.compress_size, 1) for m in members):
        raise Unreadable("bomb")
    starts = {member.header_offset for member in members}
    if len(starts) < len(members):  # many members that share the same packed bytes
        raise Unreadable("bomb")
    return archive


def members(archive: zipfile.ZipFile, largest: int) -> Iterator[tuple[str, bytes | Unreadable]]:
    """Name and bytes of each file; in the bytes' place what is wrong with that one member.

    A member of more than ``largest`` bytes is not unpacked. Nothing outside the archive is touched: a member whose name
    points elsewhere, or that is a link, is refused.
    """
    for member in archive.infolist():
        name = _name(member)
        path = PurePosixPath(name.replace("\\", "/"))
        if member.is_dir() or any(unseen(part) for part in path.parts):
            continue
        if path.is_absolute() or ".." in path.parts or ":" in name or stat.S_ISLNK(member.external_attr >> 16):
            yield name, Unreadable("outside")
        elif member.flag_bits & 1:
            yield name, Unreadable("encrypted")
        elif member.file_size > largest:
            yield name, Unreadable("large")
        else:
            yield str(path), _bytes(archive, member)


def unseen(part: str) -> bool:
    """Whether a file or folder is the system's own: hidden, a lock file of Office, a thumbnail store."""
    return part in _UNSEEN or part.startswith("~$") or (part.startswith(".") and part not in (".", ".."))


def _bytes(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes | Unreadable:
    try:
        return archive.read(member)  # no more than the size that was checked
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError, RuntimeError, ValueError):
        return Unreadable("damaged")


def _name(member: zipfile.ZipInfo) -> str:
    if member.flag_bits & 0x800:
        return member.filename
    try:  # without the UTF-8 flag Chinese Windows writes GBK (some programs UTF-8), which zipfile reads as cp437
        raw = member.filename.encode("cp437")
    except UnicodeEncodeError:
        return member.filename
    for encoding in ("utf-8", "gb18030"):
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    return member.filename
