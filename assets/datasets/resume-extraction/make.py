"""Write train.jsonl and test.jsonl: one Chinese sentence about an invented person -> JSON of what it says.

Run ``python make.py``. Seeded, standard library only: the same files, byte for byte, every time. The sentence
patterns and the words are in vocabulary.toml, whose first lines explain its notation; here is how they are put
together so that one row never contradicts itself.
"""

import json
import re
import tomllib
from pathlib import Path
from random import Random
from typing import Any

HERE = Path(__file__).parent
WORDS: dict[str, Any] = tomllib.loads((HERE / "vocabulary.toml").read_text(encoding="utf-8"))

INSTRUCTION = "提取简历信息：\n"
SLOTS = {  # what is extracted, and which slots of a pattern hold it
    "姓名": ("n",),
    "国籍": ("nat", "land"),
    "学历": ("e",),
    "院校": ("u", "u2"),
    "职位": ("j", "j2", "k"),
}
KEY_OF = {slot: key for key, slots in SLOTS.items() for slot in slots}

THIS_YEAR = 2024  # ages and years are counted from here, never from the clock
HELD_OUT = 0.35  # how often a test row takes a held-out word where it could
FOREIGN = 0.24  # how often a foreign person stands in a pattern that is open to anybody

LEVELS = "专本硕博"  # college, bachelor, master, doctor
LEVEL_WEIGHT = {"专": 20, "本": 45, "硕": 30, "博": 14}
EDUCATION = {
    "专": ("大专", "大专", "专科"),
    "本": ("本科", "本科", "本科", "大学本科"),
    "硕": ("硕士", "硕士", "硕士研究生", "研究生"),
    "博": ("博士", "博士", "博士研究生"),
}
FIRST_WORK_AGE = {"专": 21, "本": 22, "硕": 25, "博": 28}
JOB_RANGE = {"专": (0.0, 0.6), "本": (0.0, 1.0), "硕": (0.2, 1.0), "博": (0.28, 1.0)}  # part of the sector's ladder


def pick(rng: Random, words: str, test: bool, avoid: str = "") -> str:
    """One of the words other than ``avoid``; a held-out one ("!") only when ``test``."""
    known = [w for w in words.split() if not w.endswith("!") and w != avoid]
    held = [w[:-1] for w in words.split() if w.endswith("!") and w[:-1] != avoid]
    return rng.choice(held if test and held and rng.random() < HELD_OUT else known)


def chinese_name(rng: Random, sex: str) -> str:
    """A surname and one or two characters."""
    opening, closing = WORDS["given"][sex]
    last = rng.choice(closing)
    first = rng.choice(opening) if rng.random() < 0.68 else ""
    surnames = WORDS["compound_surnames" if rng.random() < 0.08 else "surnames"]
    return rng.choice(surnames.split()) + (first if first != last else "") + last


def foreign_name(rng: Random, sex: str, land: dict[str, str]) -> str:
    """A name as it is written in Chinese: given·family, or family and given without a sign in Japan and Korea."""
    given, family = rng.choice(land[sex].split()), rng.choice(land["families"].split())
    if "俄罗斯" in land["nationalities"]:
        family += "夫" if sex == "男" else "娃"
    return given + land["sign"] + family if land["sign"] else family + given


def university(rng: Random, sector: dict[str, Any], level: str, test: bool, home: str, avoid: str = "") -> str:
    """A school that teaches the sector at the level; ``home`` lists those of a foreign person's own country."""
    if home and rng.random() < 0.5:
        return pick(rng, home, test, avoid)
    if level == "专":
        kind = "专" + sector["schools"] if sector["schools"] in "医师" else "专"
        return pick(rng, WORDS["schools"][kind], test, avoid)
    if not home and sector["foreign"] and level in "硕博" and rng.random() < 0.12:
        return pick(rng, WORDS["foreign"][0]["universities"], test, avoid)
    return pick(rng, WORDS["schools"][rng.choice(sector["schools"].split())], test, avoid)


def career(rng: Random, sector: dict[str, Any], level: str, changed: bool, test: bool) -> tuple[str, str, float]:
    """The present job, a more junior earlier one ("" unless ``changed``), and how high the present one is (0 to 1)."""
    jobs = sector["jobs"].split()
    low, high = (part * len(jobs) for part in JOB_RANGE[level])
    ladder = [i for i, job in enumerate(jobs) if low <= i < high and (test or not job.endswith("!"))]
    ranks = ladder[1:] if changed else ladder
    held = [i for i in ranks if jobs[i].endswith("!")]
    rank = rng.choice(held if held and rng.random() < HELD_OUT else ranks)
    before = jobs[rng.choice([i for i in ladder if i < rank][-3:])] if changed else ""
    return jobs[rank].rstrip("!"), before.rstrip("!"), rank / len(jobs)


def person(rng: Random, slots: set[str], foreign: bool, test: bool) -> dict[str, str]:
    """A consistent invented person: what every slot of a pattern with these slots would say about them."""
    studied_twice = "u2" in slots

    def levels_of(sector: dict[str, Any]) -> list[str]:
        """The levels such a person can have there; a first study is at a college only where colleges teach it."""
        lowest = int(foreign or "专" not in sector["levels"]) + studied_twice
        return [x for x in sector["levels"] if LEVELS.index(x) >= lowest]

    sector = rng.choice([s for s in WORDS["sector"] if (s["foreign"] or not foreign) and levels_of(s)])
    levels = levels_of(sector)
    level = rng.choices(levels, [LEVEL_WEIGHT[x] for x in levels])[0]
    earlier = LEVELS[LEVELS.index(level) - studied_twice]

    sex = rng.choice("男女")
    if foreign:
        land = WORDS["foreign"][rng.choice((0, *range(len(WORDS["foreign"]))))]
        name, nationality = foreign_name(rng, sex, land), rng.choice(land["nationalities"].split())
        home = land["universities"]
    else:
        name, nationality, home = chinese_name(rng, sex), "中国", ""

    job, job_before, height = career(rng, sector, level, "j2" in slots, test)
    start = FIRST_WORK_AGE[level]
    age = start + 4 + rng.randint(int(10 * height), 6 + int(16 * height))
    school = university(rng, sector, earlier, test, home)
    return {
        "n": name,
        "nat": nationality,
        "land": nationality,
        "e": rng.choice(EDUCATION[level]),
        "u": school,
        "u2": university(rng, sector, level, test, home, school),
        "j": job,
        "j2": job_before,
        "k": pick(rng, sector["second_jobs"], test),
        "sex": sex,
        "title": "先生" if sex == "男" else "女士",
        "ta": "他" if sex == "男" else "她",
        "age": str(age),
        "by": str(THIS_YEAR - age),
        "exp": str(max(2, age - start - rng.randint(0, 2))),
        "city": rng.choice(WORDS["cities"].split()),
        "hob": rng.choice(WORDS["hobbies"].split()),
    }


def render(rng: Random, pattern: str, test: bool) -> tuple[str, dict[str, list[str]]]:
    """One sentence of the pattern, and what it says under those keys of SLOTS it mentions."""
    slots = re.findall(r"{(\w+)}", pattern)
    facts = person(rng, set(slots), "land" in slots or rng.random() < FOREIGN, test)
    said: dict[str, list[str]] = {key: [] for key in SLOTS}
    for slot in slots:
        if slot in KEY_OF:
            said[KEY_OF[slot]].append(facts[slot])
    return pattern.format(**facts), {key: values for key, values in said.items() if values}


def build(seed: int = 2024, train: int = 480, test: int = 120) -> tuple[list[dict], list[dict]]:
    """The two splits, each a list of rows {"input": ..., "output": ...}.

    Args:
        seed: of the only source of chance.
        train: how many rows to learn from; held-out patterns and words never occur in them.
        test: how many rows to judge by; every pattern, shared or held out, comes up equally often.

    No name of a person and no sentence occurs twice, within a split or across the two; the foreign names last for
    about 1,500 rows.
    """
    rng = Random(seed)
    names = set(WORDS["not_names"].split())
    sentences: set[str] = set()

    def split(size: int, patterns: list[str], is_test: bool) -> list[dict]:
        rows: list[dict] = []
        deck: list[str] = []
        while len(rows) < size:
            deck = deck or rng.sample(patterns, len(patterns))
            pattern = deck.pop()
            while True:  # until the person and the sentence are new
                sentence, said = render(rng, pattern, is_test)
                if sentence not in sentences and not names.intersection(said.get("姓名", ())):
                    break
            names.update(said.get("姓名", ()))
            sentences.add(sentence)
            output = json.dumps(said, ensure_ascii=False, separators=(",", ":"))
            rows.append({"input": INSTRUCTION + sentence, "output": output})
        return rows

    shared, test_only = WORDS["shared"].splitlines(), WORDS["test_only"].splitlines()
    return split(train, shared, False), split(test, shared + test_only, True)


def main() -> None:
    """Write both splits next to this file."""
    for name, rows in zip(("train", "test"), build(), strict=True):
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (HERE / f"{name}.jsonl").write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
