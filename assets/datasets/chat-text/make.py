"""Write train.jsonl and test.jsonl: short conversations as one text with ### Human and ### Assistant marks.

Run ``python make.py``. Seeded, standard library only: the same files, byte for byte, every time. Two thirds are told
from topics.toml, the others are exchanges on facts.toml and on sums whose answers are worked out here.
"""

import sys
import tomllib
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from random import Random

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from slots import Deck, write  # noqa: E402 (lies beside the data sets, found wherever the script is started from)

HUMAN, ASSISTANT = "### Human: ", "### Assistant: "
TOLD = 2 / 3  # share of conversations from topics.toml
FOLLOWED = 0.85  # how often a further exchange of a topic is kept
Turns = list[tuple[str, str]]  # what is asked, what is answered

TOPICS = tomllib.loads((HERE / "topics.toml").read_text(encoding="utf-8"))
FACTS = tomllib.loads((HERE / "facts.toml").read_text(encoding="utf-8"))
WEEKDAYS = ("一", "二", "三", "四", "五", "六", "日")


def told(rng: Random, topic: str) -> Turns:
    """A conversation on a topic, some of its later exchanges left out."""
    lines = topic.strip().splitlines()
    turns = [(rng.choice(h[3:].split("|")), a[3:]) for h, a in zip(lines[::2], lines[1::2], strict=True)]
    return turns[:1] + [turn for turn in turns[1:] if rng.random() < FOLLOWED]


def looked_up(rng: Random, table: dict) -> Turns:
    """One to three questions on a table of facts, the later ones shorter."""
    turns: Turns = []
    for key, value in rng.sample(sorted(table["facts"].items()), rng.choice((1, 2, 2, 3))):
        asked = rng.choice(table["then" if turns else "first"])
        turns.append((asked.format(key=key), table["answer"].format(key=key, value=value)))
    return turns


def share(rng: Random) -> Turns:
    """A part of a sum of money, and what is left."""
    whole, percent = rng.randrange(40, 900, 20), rng.randrange(5, 100, 5)
    part = whole * percent / 100
    return [
        (
            rng.choice((f"What is {percent}% of {whole}?", f"How much is {percent} percent of {whole}?")),
            f"{percent}% of {whole} is {whole} × {percent} / 100 = {part:g}.",
        ),
        ("And if I take that away?", f"{whole} - {part:g} = {whole - part:g}."),
    ][: rng.randint(1, 2)]


def ordered(rng: Random) -> Turns:
    """Numbers put in order."""
    numbers = rng.sample(range(2, 100), rng.randint(4, 7))
    text, up = ", ".join(map(str, numbers)), ", ".join(map(str, sorted(numbers)))
    return [
        (rng.choice((f"Sort these numbers: {text}", f"Put {text} in ascending order, please.")), up + "."),
        ("What is their sum?", f"{sum(numbers)}."),
    ][: rng.randint(1, 2)]


def trip(rng: Random) -> Turns:
    """时间、速度和路程。"""
    speed, hours = rng.randrange(40, 130, 10), rng.randint(2, 6)
    return [
        (
            rng.choice(
                (f"汽车每小时行{speed}公里，{hours}小时能走多远？", f"时速{speed}公里，开{hours}小时，一共多少公里？")
            ),
            f"{speed}×{hours}={speed * hours}，一共{speed * hours}公里。",
        ),
        ("时间翻倍呢？", f"路程也翻倍，是{speed * hours * 2}公里。"),
    ][: rng.randint(1, 2)]


def shopping(rng: Random) -> Turns:
    """买东西找零。"""
    price, count = rng.randint(3, 19), rng.randint(2, 5)
    thing = rng.choice(("笔记本", "苹果汁", "毛巾", "雨伞", "杯子"))
    return [
        (
            f"{thing}{price}元一个，买{count}个，付100元找多少？",
            f"{price}×{count}={price * count}元，找回100-{price * count}={100 - price * count}元。",
        ),
        ("如果打八折呢？", f"打八折是{price * count * 0.8:g}元，找回{100 - price * count * 0.8:g}元。"),
    ][: rng.randint(1, 2)]


def any_day(rng: Random) -> tuple[date, int, date]:
    """A day, a number of days, and the day so many days later."""
    day, count = date(2023, 1, 1) + timedelta(days=rng.randrange(1400)), rng.randint(5, 60)
    return day, count, day + timedelta(days=count)


def weekday(rng: Random) -> Turns:
    """A day of the week, counted on."""
    day, count, then = any_day(rng)
    asked = f"{day.day} {day:%B %Y} is a {day:%A}. Which weekday is it {count} days later?"
    return [(asked, f"{count} days are {count // 7} weeks and {count % 7} days, so it is a {then:%A}.")]


def calendar(rng: Random) -> Turns:
    """往后数几天是星期几。"""
    day, count, then = any_day(rng)
    asked = f"{day.year}年{day.month}月{day.day}日是星期{WEEKDAYS[day.weekday()]}，再过{count}天是星期几？"
    return [(asked, f"再过{count}天是{then.month}月{then.day}日，星期{WEEKDAYS[then.weekday()]}。")]


def temperature(rng: Random) -> Turns:
    """Celsius to Fahrenheit."""
    celsius = rng.randrange(-20, 45, 5)
    return [
        (
            rng.choice((f"What is {celsius} °C in Fahrenheit?", f"Convert {celsius} degrees Celsius to Fahrenheit.")),
            f"{celsius} × 9/5 + 32 = {celsius * 9 // 5 + 32}, so it is {celsius * 9 // 5 + 32} °F.",
        )
    ]


WORKED_OUT: dict[str, tuple[Callable[[Random], Turns], ...]] = {
    "train": (share, ordered, trip, shopping),
    "test": (calendar, weekday, temperature),
}


def written(turns: Turns) -> str:
    """The conversation as one text."""
    return "".join(f"{HUMAN}{asked}{ASSISTANT}{answer}" for asked, answer in turns)


def conversations(rng: Random, split: str, size: int) -> list[dict[str, str]]:
    """So many conversations of the split, English and Chinese in turn, none twice."""
    topics = {language: Deck(rng, TOPICS[language][split].strip().split("\n\n")) for language in TOPICS}
    tables = Deck(rng, [table for table in FACTS["table"] if table.get("split", "train") == split])
    sums = Deck(rng, WORKED_OUT[split])
    texts: dict[str, None] = {}
    while len(texts) < size:
        i = len(texts)
        if i < size * TOLD:
            turns = told(rng, topics[("en", "zh")[i % 2]].deal())
        else:
            turns = looked_up(rng, tables.deal()) if i % 2 else sums.deal()(rng)
        texts[written(turns)] = None
    return [{"text": text} for text in rng.sample(list(texts), size)]


def build(seed: int = 2024, train: int = 300, test: int = 40) -> tuple[list[dict], list[dict]]:
    """The rows of train and of test; no topic, table or kind of sum is in both."""
    return conversations(Random(seed), "train", train), conversations(Random(seed + 1), "test", test)


if __name__ == "__main__":
    write(HERE, build())
