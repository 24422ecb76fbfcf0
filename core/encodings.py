"""Bytes → text. UTF-8 and UTF-16 prove themselves; GB18030 and Big5 are told apart by which yields common characters.

General detectors guess short Chinese texts wrong; the two character sets themselves hold the answer: both put the
common characters in a first level of their own (GB 2312 bytes B0A1–D7F9, Big5 bytes A440–C67E).
"""

import re

_BOMS = [(b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe\x00\x00", "utf-32"), (b"\x00\x00\xfe\xff", "utf-32")]
_BOMS += [(b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")]
# The most frequent characters of running text, in both scripts; about a third of any real text.
_FREQUENT = frozenset(
    "的一是不了在人有我他这中大来上国个到说们为子和你地出道也时年得就那要下以生会自着去之过家学对可她里后小么"
    "心多天而能好都然没日于起还发成事只作当想看文无开手十用主行方又如前所本见经头面公同三已老从动两长知民样现"
    "分将外但身些与高意进把法此实回二理美点月明其种声全工己话儿者向情部正名定女问力机给等几很业最间新什打便位因"
    "重被走电四第门相次东政海口使教西再平真听世气信北少关并内加化由却代军产入先山五太水万市"
    "這來國個說們為時會過後對學裡麼沒於還發當開無兩長見經頭樣現從動實點種聲話兒問機給幾業間電門東關並內產萬"
    "與將進書車長體報區員應該請讓達遠運數據變語單認識總價資訊權廣場館園縣鄉鎮義務處際經濟歷"
    "，。、；：？！“”（）《》「」"
)


class Undecodable(ValueError):
    """No encoding gives a plausible text; its word is "encoding"."""


def decode(data: bytes) -> tuple[str, str]:
    """The text in ``data`` and the name of its encoding.

    Raises:
        Undecodable: when no encoding gives a plausible text.
    """
    for bom, name in _BOMS:
        if data.startswith(bom):
            return _strict(data, name)
    if b"\0" in data:
        # UTF-16 without a mark: line ends and spaces have their zero byte on one side.
        return _strict(data, "utf-16-le" if data[1::2].count(0) >= data[::2].count(0) else "utf-16-be")
    try:
        return data.decode("utf-8"), "utf-8"
    except UnicodeDecodeError as error:
        if error.end >= len(data) and error.reason == "unexpected end of data" and error.start > 0:
            return data[: error.start].decode("utf-8"), "utf-8"  # the copy ended inside a character
    if _looks_western(data):
        return data.decode("cp1252", "replace"), "cp1252"
    scored = [
        (_score(text, encoding), encoding, text) for encoding in ("gb18030", "big5") if (text := _try(data, encoding))
    ]
    best = max(scored, default=(0.0, "", ""))
    if best[0] < 0.5:
        raise Undecodable("encoding")
    return best[2], best[1]


def _strict(data: bytes, encoding: str) -> tuple[str, str]:
    unit = 4 if "32" in encoding else 2 if "16" in encoding else 1
    try:
        text = data[: len(data) - len(data) % unit].decode(encoding)
    except UnicodeDecodeError as error:
        raise Undecodable("encoding") from error
    if encoding.endswith(("-le", "-be")) and sum(c.isprintable() or c.isspace() for c in text) < 0.95 * len(text):
        raise Undecodable("encoding")
    return text, encoding


def _try(data: bytes, encoding: str) -> str:
    # Windows' Big5 (cp950 adds a few signs) first, then Hong Kong's; a cut last character is no reason to give up.
    for codec in (encoding,) if encoding == "gb18030" else ("cp950", "big5hkscs"):
        for end in (len(data), len(data) - 1):
            try:
                return data[:end].decode(codec)
            except UnicodeDecodeError as error:
                if error.start < len(data) - 4:
                    break
    return ""


def _looks_western(data: bytes) -> bool:
    """Accented letters and typographic signs stand alone between ASCII; the bytes of Chinese come in pairs and runs."""
    runs = re.findall(rb"[\x80-\xff]+", data)
    high = sum(map(len, runs))
    usual = sum(byte >= 0xC0 or 0x91 <= byte <= 0x97 for run in runs for byte in run)
    return sum(len(run) == 1 for run in runs) > 0.8 * high and usual > 0.8 * high


def _score(text: str, encoding: str) -> float:
    sample = [character for character in text if ord(character) > 0x7F][:20_000]
    if not sample:
        return 0.0
    common = sum(_first_level(character, encoding) for character in sample) / len(sample)
    frequent = sum(character in _FREQUENT for character in sample) / len(sample)
    # Korean bytes make nothing but common characters, yet not in the proportions of a text.
    return 0.0 if len(sample) >= 20 and frequent < 0.1 else common + 2 * frequent


def _first_level(character: str, encoding: str) -> bool:
    try:
        pair = character.encode("gb2312" if encoding == "gb18030" else "big5")
    except UnicodeEncodeError:
        return False
    if encoding == "gb18030":
        return b"\xb0\xa1" <= pair <= b"\xd7\xf9" or b"\xa1\xa1" <= pair <= b"\xa3\xfe"
    return b"\xa4\x40" <= pair <= b"\xc6\x7e" or b"\xa1\x40" <= pair <= b"\xa3\xbf"
