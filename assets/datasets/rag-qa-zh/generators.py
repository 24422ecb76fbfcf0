"""Fills the slots of a frame: words from lexicon.toml, and names, years, dates and numbers made on the spot."""

import re
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from random import Random

sys.path.insert(0, str(Path(__file__).parents[1]))

import slots

LEXICON: dict[str, list[str]] = {
    kind: words.split()
    for kind, words in tomllib.loads((Path(__file__).parent / "lexicon.toml").read_text(encoding="utf-8")).items()
}
DIGITS = "〇一二三四五六七八九"


def in_characters(number: int) -> str:
    """A number below 100 as it is read: 32 -> 三十二."""
    tens, ones = divmod(number, 10)
    head = ("" if tens == 1 else DIGITS[tens]) + "十" if tens else ""
    return head + (DIGITS[ones] if ones or not tens else "")


class Words(slots.Words):
    """The words drawn for one subject, in Chinese notations."""

    def __init__(self, rng: Random):
        super().__init__(rng, LEXICON)
        self.years: dict[str, int] = {}

    @staticmethod
    def alike(one: str, other: str) -> bool:
        """Whether two words are equal or one is part of the other, numbers aside."""
        return one == other or (not one[0].isdigit() and len(one) > 1 and (one in other or other in one))

    def draw(self, kind: str, name: str = "") -> str:
        """A word of the kind: ``city``, ``num 3-40``, ``year>b`` (some years after the one called b)."""
        head, mark, argument = re.fullmatch(r"(\w+?)(?:([ >])(.*))?", kind).groups()  # type: ignore[union-attr]
        if head in ("year", "ym", "date"):
            return self.moment(head, name, mark, argument)
        if head in GENERATORS:
            return GENERATORS[head](self, argument or "")
        return self.rng.choice(LEXICON[head])

    def word(self, kind: str) -> str:
        """A word of that kind of the lexicon."""
        return self.rng.choice(LEXICON[kind])

    def moment(self, kind: str, name: str, mark: str | None, argument: str | None) -> str:
        """A year, a month of a year or a day, in the usual notation, seldom in characters."""
        rng = self.rng
        if mark == ">":
            year = self.years[argument or ""] + rng.randint(1, 12)
        else:
            first, last = (int(x) for x in (argument or "1890-2019").split("-"))
            year = rng.randint(first, last)
        self.years[name] = year
        if rng.random() < 0.06:
            text, month, day = (
                "".join(DIGITS[int(d)] for d in str(year)),
                in_characters(rng.randint(1, 12)),
                in_characters(rng.randint(1, 28)),
            )
        else:
            text, month, day = str(year), str(rng.randint(1, 12)), str(rng.randint(1, 28))
        return {"year": f"{text}年", "ym": f"{text}年{month}月", "date": f"{text}年{month}月{day}日"}[kind]

    def number(self, argument: str) -> str:
        """A number of that range in one of the notations: 3200, 3,200, 约3.2万, 三十二."""
        rng = self.rng
        low, high = (int(x) for x in argument.split("-"))
        value = min(high, max(low, round(low * (high / max(low, 1)) ** rng.random()))) if low else rng.randint(0, high)
        if value > 100 and rng.random() < 0.6:
            value = round(value, -(len(str(value)) - 2))
        if value < 100 and value != 2 and rng.random() < 0.2:
            return in_characters(value)
        about = rng.choice(("约", "近", "大约")) if value % 10 == 0 and rng.random() < 0.3 else ""
        if value >= 10000 and rng.random() < 0.5:
            return about + f"{value / 10000:.4g}万"
        if value >= 1000 and rng.random() < 0.35:
            return about + f"{value:,}"
        return about + str(value)

    def percent(self, _: str) -> str:
        """A share: 37.5%, 百分之三十七, 三成."""
        value = self.rng.uniform(2, 95)
        kinds = (f"{value:.1f}%", f"{value:.0f}%", f"百分之{in_characters(round(value))}")
        return self.rng.choices(kinds, (5, 5, 2))[0]

    def decimal(self, argument: str) -> str:
        """A number with one or two digits after the point."""
        low, high = (float(x) for x in argument.split("-"))
        return f"{self.rng.uniform(low, high):.{self.rng.choice((1, 1, 2))}f}"

    def money(self, _: str) -> str:
        """A sum with its currency."""
        unit = self.rng.choice(
            ("万元", "亿元", "万美元", "亿美元", "万英镑", "亿日元", "万港元", "万欧元", "元", "两白银")
        )
        return self.number("3-900" if unit != "元" else "50-90000") + unit

    def era(self, _: str) -> str:
        """A year of a reign, mostly with the common one: 天启三年（1623年）, 万历三十年（1602）."""
        name, first, years = self.word("eras").split(",")
        n = self.rng.randint(1, int(years))
        text = f"{name}{'元' if n == 1 else in_characters(n)}年"
        unit = "年" if n < 11 else ""
        return text + (f"（{int(first) + n - 1}{unit}）" if self.rng.random() < 0.6 else "")

    def person(self, _: str) -> str:
        """A Chinese name."""
        given = self.word("given_first") + (self.word("given_last") if self.rng.random() < 0.75 else "")
        return self.word("surnames") + given

    def foreign(self, _: str) -> str:
        """A foreign name as it is written in Chinese."""
        middle = f"·{self.word('foreign_given')}" if self.rng.random() < 0.12 else ""
        return f"{self.word('foreign_given')}{middle}·{self.word('foreign_family')}"

    def anybody(self, _: str) -> str:
        """A Chinese, foreign or Japanese name."""
        kinds = (self.person, self.foreign, lambda _: self.word("japanese_family") + self.word("japanese_given"))
        return self.rng.choices(kinds, (6, 3, 1))[0]("")

    def latin(self, _: str) -> str:
        """A made-up word in Latin letters."""
        rng = self.rng
        syllables = (rng.choice("bcdfghklmnprstvz") + rng.choice("aeiou") for _ in range(rng.randint(2, 3)))
        return ("".join(syllables) + rng.choice(("", "n", "r", "s", "l", "x"))).capitalize()

    def species(self, _: str) -> str:
        """A made-up name of a species in Latin."""
        return f"{self.latin('')} {self.latin('').lower()}{self.rng.choice(('us', 'a', 'ensis', 'is'))}"

    def abbreviation(self, _: str) -> str:
        """Two to four capital letters."""
        return "".join(self.rng.choice("ABCDEFGHIKLMNPRSTUVW") for _ in range(self.rng.choice((2, 3, 3, 4))))

    def model(self, _: str) -> str:
        """The designation of a product: X-200, KD7."""
        rng = self.rng
        letters = "".join(rng.choice("ABCDEFGHJKLMPRSTX") for _ in range(rng.randint(1, 2)))
        return f"{letters}{rng.choice(('-', '', '-'))}{rng.choice((rng.randint(2, 99), rng.randint(10, 90) * 10))}"

    def place_name(self, _: str) -> str:
        """Two characters that could name a place."""
        return self.word("place_first") + self.word("place_last")

    def title(self, _: str) -> str:
        """The title of a book, film or song."""
        rng = self.rng
        shapes = (
            lambda: self.word("title_head") + self.word("title_tail"),
            lambda: self.word("title_head") + "的" + self.word("title_tail"),
            lambda: self.word("title_tail") + "与" + self.word("title_thing"),
            lambda: self.place_name("") + self.word("title_thing"),
            lambda: self.word("titles"),
        )
        return rng.choices(shapes, (3, 2, 1, 1, 3))[0]()


GENERATORS: dict[str, Callable[[Words, str], str]] = {
    "num": Words.number,
    "dec": Words.decimal,
    "pct": Words.percent,
    "money": Words.money,
    "era": Words.era,
    "md": lambda w, _: f"{w.rng.randint(1, 12)}月{w.rng.randint(1, 28)}日",
    "months": lambda w, _: f"{(m := w.rng.randint(1, 9))}{w.rng.choice('至—-')}{m + w.rng.randint(1, 3)}月",
    "span": lambda w, argument: w.number(argument.split(",")[0]) + "至" + w.number(argument.split(",")[1]),
    "person": Words.person,
    "foreign": Words.foreign,
    "anybody": Words.anybody,
    "latin": Words.latin,
    "species": Words.species,
    "abbr": Words.abbreviation,
    "model": Words.model,
    "top": Words.place_name,
    "work": Words.title,
}
