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

INSTRUCTION = "从简历中提取信息，输出JSON。\n"
KEYS = ("姓名", "国籍", "民族", "学历", "专业", "院校", "单位", "职位")
SLOTS = {  # what is extracted, and which slots of a pattern hold it
    "姓名": ("n",),
    "国籍": ("nat", "xnat"),
    "民族": ("eth",),
    "学历": ("e", "s", "s2", "d", "d2"),
    "专业": ("m",),
    "院校": ("u", "u2"),
    "单位": ("o", "o2"),
    "职位": ("j", "j2", "k"),
}
KEY_OF = {slot: key for key, slots in SLOTS.items() for slot in slots}

MIN_HANZI, MAX_CHARS = 20, 60  # of a sentence
THIS_YEAR = 2024  # ages and years are counted from here, never from the clock
HELD_OUT = 0.35  # how often a test row takes a held-out word where it could
FOREIGN = 0.09  # how often a foreign person stands in a pattern that is open to anybody

LEVELS = "专本硕博"  # college, bachelor, master, doctor
LEVEL_WEIGHT = {"专": 20, "本": 45, "硕": 30, "博": 14}
EDUCATION = {
    "专": ("大专", "大专", "专科"),
    "本": ("本科", "本科", "本科", "大学本科"),
    "硕": ("硕士", "硕士", "硕士研究生", "研究生"),
    "博": ("博士", "博士", "博士研究生"),
}
STAGE = {"专": "大专", "本": "本科", "硕": "硕士", "博": "博士"}
DEGREE = {"专": "", "本": "学士", "硕": "硕士", "博": "博士"}
FIRST_WORK_AGE = {"专": 21, "本": 22, "硕": 25, "博": 28}
JOB_RANGE = {"专": (0.0, 0.6), "本": (0.0, 1.0), "硕": (0.2, 1.0), "博": (0.28, 1.0)}  # part of the sector's ladder


def pick(rng: Random, words: str, test: bool, avoid: tuple[str, ...] = ()) -> str:
    """One of the words; a held-out one ("!") only when ``test``."""
    known = [w for w in words.split() if not w.endswith("!") and w not in avoid]
    held = [w[:-1] for w in words.split() if w.endswith("!") and w[:-1] not in avoid]
    return rng.choice(held if test and held and rng.random() < HELD_OUT else known)


def chinese_name(rng: Random, sex: str, ethnic: str) -> str:
    """A surname and one or two characters, or a name of the kind the ethnic group uses."""
    if own := WORDS["own_names"].get(ethnic):
        return own["sign"].join(rng.choice(part.split()) for part in own[sex])
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


def university(
    rng: Random, sector: dict[str, Any], level: str, test: bool, home: str = "", avoid: tuple[str, ...] = ()
) -> str:
    """A school that teaches the sector at the level; ``home`` lists those of a foreign person's own country."""
    if home and rng.random() < 0.5:
        return pick(rng, home, test, avoid)
    if level == "专":
        kind = "专" + sector["schools"] if sector["schools"] in "医师" else "专"
        return pick(rng, WORDS["schools"][kind], test, avoid)
    if not home and sector["foreign"] and level in "硕博" and rng.random() < 0.12:
        return pick(rng, WORDS["foreign"][0]["universities"], test, avoid)
    return pick(rng, WORDS["schools"][rng.choice(sector["schools"].split())], test, avoid)


def employer(rng: Random, sector: dict[str, Any], test: bool, avoid: tuple[str, ...]) -> str:
    """A workplace of the sector: a generic one, an invented house, or ("@") a real university; none of ``avoid``."""
    name = pick(rng, sector["employers"], test, avoid).replace("*", pick(rng, WORDS["houses"], test))
    if name == "@":
        return pick(rng, WORDS["schools"]["综"] + " " + WORDS["schools"]["师"], test, avoid)
    return name if name not in avoid else employer(rng, sector, test, avoid)


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


def chinese_number(n: int) -> str:
    """1..99 as it is said: 8 -> 八, 12 -> 十二, 25 -> 二十五."""
    tens, ones = divmod(n, 10)
    digits = "零一二三四五六七八九"
    return (digits[tens] if tens > 1 else "") + ("十" if tens else "") + (digits[ones] if ones else "")


def person(rng: Random, slots: set[str], foreign: bool, test: bool) -> dict[str, str]:
    """A consistent invented person: what every slot of a pattern with these slots would say about them."""
    studied_twice = bool(slots & {"s2", "d2", "u2"})
    first = 1 if foreign or "d" in slots else 0  # a college graduate holds no degree
    lowest = first + studied_twice
    usable = [s for s in WORDS["sector"] if (s["foreign"] or not foreign) and LEVELS.index(s["levels"][-1]) >= lowest]
    sector = rng.choice(usable)
    if not sector["college_majors"]:
        lowest = max(lowest, 1 + studied_twice)
    levels = [x for x in sector["levels"] if LEVELS.index(x) >= lowest]
    level = rng.choices(levels, [LEVEL_WEIGHT[x] for x in levels])[0]
    earlier = LEVELS[LEVELS.index(level) - studied_twice]

    sex = rng.choice("男女")
    if foreign:
        land = WORDS["foreign"][rng.choice((0, *range(len(WORDS["foreign"]))))]
        name, nationality = foreign_name(rng, sex, land), rng.choice(land["nationalities"].split())
        home, ethnic, province = land["universities"], "", ""
    else:
        ethnic, _, province = rng.choice(WORDS["ethnic_groups"].split()).partition(":")
        if "eth" not in slots or rng.random() < 0.3:
            ethnic, province = "汉族", rng.choice(WORDS["provinces"].split())
        name, nationality, home = chinese_name(rng, sex, ethnic), "中国", ""

    job, job_before, height = career(rng, sector, level, "j2" in slots, test)
    start = FIRST_WORK_AGE[level]
    age = start + 4 + rng.randint(int(10 * height), 6 + int(16 * height))
    graduated = THIS_YEAR - age + start
    years = max(2, age - start - rng.randint(0, 2))

    school = university(rng, sector, earlier, test, home)
    later_school = university(rng, sector, level, test, home, (school,))
    avoid = (school, later_school) + (("@",) if "city" in slots else ())  # a real university has its own city
    place = employer(rng, sector, test, avoid)
    return {
        "n": name,
        "nat": nationality,
        "xnat": pick(rng, WORDS["foreign"][0]["nationalities"], test),
        "eth": ethnic,
        "e": rng.choice(EDUCATION[level]),
        "s": STAGE[earlier],
        "s2": STAGE[level],
        "d": DEGREE[earlier],
        "d2": DEGREE[level],
        "m": pick(rng, sector["college_majors" if earlier == "专" else "majors"], test),
        "u": school,
        "u2": later_school,
        "o": place,
        "o2": employer(rng, sector, test, (*avoid, place)),
        "j": job,
        "j2": job_before,
        "k": pick(rng, sector["second_jobs"], test),
        "sex": sex,
        "title": "先生" if sex == "男" else "女士",
        "ta": "他" if sex == "男" else "她",
        "age": str(age),
        "by": str(THIS_YEAR - age),
        "mon": str(rng.randint(1, 12)),
        "gy": str(graduated),
        "jy": str(rng.randint(graduated + 2, THIS_YEAR - 2)),
        "exp": str(years),
        "cexp": chinese_number(years),
        "city": rng.choice(WORDS["cities"].split()),
        "prov": province,
        "hob": rng.choice(WORDS["hobbies"].split()),
        "tel": f"1{rng.choice('3578')}{rng.randint(0, 9)}****{rng.randint(0, 9999):04d}",
    }


def render(rng: Random, pattern: str, test: bool) -> tuple[str, dict[str, list[str]]]:
    """One sentence of the pattern, and what it says under those of KEYS it mentions."""
    who, text = pattern[0], pattern[2:]
    text = re.sub(r"<([^>]*)>", lambda m: rng.choice(m[1].split("|")), text)
    text = re.sub(r"\[([^\]]*)\]", lambda m: m[1] if rng.random() < 0.5 else "", text)
    slots = re.findall(r"{(\w+)}", text)
    facts = person(rng, set(slots), who == "F" or (who == "A" and rng.random() < FOREIGN), test)
    said: dict[str, list[str]] = {key: [] for key in KEYS}
    for slot in slots:
        if slot in KEY_OF:
            said[KEY_OF[slot]].append(facts[slot])
    return text.format(**facts), {key: values for key, values in said.items() if values}


def build(seed: int = 2024, train: int = 480, test: int = 120) -> tuple[list[dict], list[dict]]:
    """The two splits, each a list of rows {"input": ..., "output": ...}.

    Args:
        seed: of the only source of chance.
        train: how many rows to learn from; held-out patterns and words never occur in them.
        test: how many rows to judge by; the held-out patterns come up twice as often as the others.

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
            while True:  # until the sentence is new and neither too short nor too long
                sentence, said = render(rng, pattern, is_test)
                fits = len(re.findall(r"[一-鿿]", sentence)) >= MIN_HANZI and len(sentence) <= MAX_CHARS
                if fits and sentence not in sentences and not names.intersection(said.get("姓名", ())):
                    break
            names.update(said.get("姓名", ()))
            sentences.add(sentence)
            output = json.dumps(said, ensure_ascii=False, separators=(",", ":"))
            rows.append({"input": INSTRUCTION + sentence, "output": output})
        return rows

    shared, test_only = WORDS["shared"].splitlines(), WORDS["test_only"].splitlines()
    return split(train, shared, False), split(test, shared + test_only * 2, True)


def main() -> None:
    """Write both splits next to this file."""
    for name, rows in zip(("train", "test"), build(), strict=True):
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (HERE / f"{name}.jsonl").write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
