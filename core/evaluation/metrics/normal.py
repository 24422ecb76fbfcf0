"""What of an answer is compared: one width and case, no punctuation, no English articles, numbers in one form."""

import re
import unicodedata
from decimal import Decimal

from core.evaluation.metrics.tokens import WIDE

_DIGITS = {character: value for value, character in enumerate("零一二三四五六七八九")} | {"〇": 0, "两": 2}
_SMALL, _LARGE = {"十": 10, "百": 100, "千": 1000}, {"亿": 10**8, "万": 10**4}
_NUMERAL = "".join((*_DIGITS, *_SMALL, *_LARGE))
_SPOKEN = re.compile(rf"[{_NUMERAL}]+(?:点[{''.join(_DIGITS)}]+)?")
_ONE = f"[{''.join(_DIGITS)}]"
_BELOW_10000 = re.compile(rf"十{_ONE}?|(?:{_ONE}[百千][零〇]?)*(?:{_ONE}十)?{_ONE}?")
_PERCENT = re.compile(rf"百分之([{_NUMERAL}点]+|\d+(?:\.\d+)?)")
_GROUPED = re.compile(r"(?<![\d.])\d{1,3}(?:,\d{3})+(?![\d,])")
_SCALED = re.compile(r"(\d+(?:\.\d+)?)\s*([万亿]+)")
_DECIMALS = re.compile(r"(?<![\d.])(\d+)(\.\d*?)0+(?![\d.])")
# A number keeps its point, its percent sign, and the sign that begins it (but no dash between two numbers).
_PIECE = re.compile(rf"[{WIDE}]+|(?:(?<![\w)])-)?\d+(?:\.\d+)?%?|[^\W\d_{WIDE}]+")
_ARTICLES = {"a", "an", "the"}


def normalise(text: str) -> str:
    """The plain form in which answers are compared: pieces of one script each, with a space between.

    "二〇二三年" is "2023 年", "1,000.50" is "1000.5", "3万" is "30000", "百分之五" is "5%", "The Fox!" is "fox".
    Chinese numerals of one character stay as they are unless they are the whole text: most are parts of words.
    """
    plain = unicodedata.normalize("NFKC", text).casefold().replace("−", "-")
    found = _PIECE.findall(_numbers(re.sub(r"(?<=\d)\s+(?=%)", "", plain)))
    return " ".join([piece for piece in found if piece not in _ARTICLES] or found)


def _numbers(text: str) -> str:
    text = _PERCENT.sub(lambda found: f"{_spoken(found[1])}%", text)
    whole = text.strip(" 。.")
    text = _SPOKEN.sub(lambda found: _spoken(found[0]) if len(found[0]) > 1 or found[0] == whole else found[0], text)
    text = _GROUPED.sub(lambda found: found[0].replace(",", ""), text)
    text = _SCALED.sub(_scaled, text)
    return _DECIMALS.sub(lambda found: found[1] + found[2].rstrip("."), text)


def _scaled(found: re.Match[str]) -> str:
    value = Decimal(found[1])
    for unit in found[2]:
        value *= _LARGE[unit]
    return f"{value:f}"


def _spoken(text: str) -> str:
    """A Chinese numeral in digits; what only looks like one ("千万", "万一") stays."""
    whole, _, decimals = text.partition("点")
    digits = "".join(str(_DIGITS[sign]) for sign in decimals if sign in _DIGITS)
    fraction = f".{digits}" if digits else ""
    if set(whole) <= _DIGITS.keys():  # read out digit by digit: a year, the number of a room
        return "".join(str(_DIGITS[sign]) for sign in whole) + fraction
    value = _value(whole)
    return text if value is None else f"{value}{fraction}"


def _value(numeral: str) -> int | None:
    for sign, unit in _LARGE.items():
        if sign in numeral:
            left, _, right = numeral.rpartition(sign)
            high, low = _value(left), _value(right)
            return high * unit + low if high and low is not None and low < unit else None
    if not _BELOW_10000.fullmatch(numeral):
        return None
    total = digit = 0
    for sign in numeral:
        if sign in _DIGITS:
            digit = _DIGITS[sign]
        else:
            total, digit = total + (digit or 1) * _SMALL[sign], 0
    return total + digit
