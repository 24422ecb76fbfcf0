"""Write train.jsonl and test.jsonl: a Chinese passage, a question on it -> a span of the passage, or a refusal.

Run ``python make.py``. Seeded, standard library only: the same files, byte for byte, every time. What is said and
asked is in frames/*.toml, one file per domain; the words are in lexicon.toml. passages.py and slots.py, beside the
data sets, tell how they are read; generators.py makes names, dates and numbers in Chinese notations. These passages
are nearer to real ones than those of passages.py: mixed notations, answers that are whole clauses, and no answer that
stands in two places.

Frames with ``split = "test"`` are seen in the test only, so its figure is about sentences never trained on.
"""

import sys
from pathlib import Path
from random import Random

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from generators import Words  # noqa: E402 (a neighbour, found wherever the script is started from)
from passages import Filled, Frame, Writer, read_frames  # noqa: E402 (generators says where)
from slots import write  # noqa: E402

REFUSAL = "文中没有提到。"
UNANSWERABLE = 0.12  # share of rows whose passage does not say
OTHER_SUBJECT = 0.2  # share of those that ask about somebody else, rather than about a sentence left out
MOST = 400  # characters of a passage at most
DISTRACTED = 0.3  # share of passages that also speak of another subject
PER_PASSAGE = (1, 1, 2, 2, 3)  # how many questions a passage gets
QUESTIONS = sum(PER_PASSAGE) / len(PER_PASSAGE)
LONGER = 1.6  # the chance of a question grows with this power of its answer's length
LONG = 12  # a frame whose answers are longer than this on average ...
TURNS = 2  # ... is drawn so many times as often: real questions ask for whole clauses too
LENGTHS = (60, 260, 150)  # characters of a passage before a distractor: least, most, mode
WRITER = Writer(Words, REFUSAL, between="", lengths=LENGTHS)


def ambiguous(filled: Filled, sentence: int, answer: str, kept: list[int]) -> bool:
    """Whether the answer also stands in another sentence that was kept, or twice in its own."""
    return any(filled.sentences[i].count(answer) > (i == sentence) for i in kept)


def choose_sentences(rng: Random, filled: Filled) -> list[int]:
    """The sentences a passage keeps, in its order: the first, then others until it is long enough."""
    least, most, mode = LENGTHS
    target = rng.triangular(least, most, mode)
    rest = list(range(1, len(filled.sentences)))
    rng.shuffle(rest)
    kept, length = [0], len(filled.sentences[0])
    for i in rest:
        if length + len(filled.sentences[i]) / 2 > target:
            break
        kept.append(i)
        length += len(filled.sentences[i])
    return kept if filled.frame.shuffle else sorted(kept)


def other_subject(rng: Random, filled: Filled, frames: list[Frame]) -> tuple[Filled, str]:
    """Another subject, mostly of the same frame or domain, and one or two sentences on it."""
    same = [f for f in frames if f.domain == filled.frame.domain]
    pool = rng.choices(([filled.frame], same, frames), (50, 35, 15))[0]
    other = WRITER.fill(rng, rng.choice(pool))
    text = other.sentences[0]
    if len(text) < 60 and len(other.sentences) > 1:
        text += other.sentences[rng.randrange(1, len(other.sentences))]
    return other, text


def restyle(rng: Random, row: dict) -> dict:
    """The row with the other quotation marks, or the question without its mark, now and then."""
    if rng.random() < 0.15:
        marks = str.maketrans("“”", "「」")
        row |= {key: row[key].translate(marks) for key in ("context", "question", "answer")}
    if rng.random() < 0.06:
        row["question"] = row["question"].rstrip("？") + rng.choice(("", "?"))
    return row


def rows_of(rng: Random, frame: Frame, frames: list[Frame]) -> list[dict]:
    """One passage of the frame with one to three questions; fewer, even none, where the answer would be ambiguous."""
    filled = WRITER.fill(rng, frame)
    kept = choose_sentences(rng, filled)
    refuse = rng.random() < UNANSWERABLE * QUESTIONS
    if refuse and len(kept) > 2 and len(kept) == len(filled.sentences):
        kept.pop(rng.randrange(1, len(kept)))
    own = "".join(filled.sentences[i] for i in kept)
    blocks, other, beside = [own], None, ""
    if rng.random() < DISTRACTED:
        other, beside = other_subject(rng, filled, frames)
        blocks.insert(rng.randrange(2), beside)
        if other.subject in own or filled.subject in beside:
            return []
    context = "".join(blocks)

    def row(phrasings: tuple[str, ...], answer: str, answerable: bool = True) -> dict:
        made = {"context": context, "question": rng.choice(phrasings), "answer": answer, "answerable": answerable}
        return restyle(rng, made | {"frame": f"{frame.domain}/{frame.name}"})

    rows: list[dict] = []
    wanted = rng.choice(PER_PASSAGE)
    # longer answers somewhat more often: most of what a frame asks is a name or a number
    for i, phrasings, answer in sorted(
        filled.asked, key=lambda q: rng.random() ** (1 / len(q[2]) ** LONGER), reverse=True
    ):
        if len(rows) == wanted:
            break
        named = tuple(p for p in phrasings if filled.subject in p) if beside else phrasings
        if not named or i not in kept or answer in beside or ambiguous(filled, i, answer, kept):
            continue
        rows.append(row(named, answer))
    if refuse:
        rows = unanswerable(rng, filled, kept, context, other, row) + rows[1:]
    return rows


def unanswerable(rng, filled, kept, context, other, row) -> list[dict]:
    """A row the passage does not answer, if there is one: on a sentence left out, or on somebody not spoken of."""
    if rng.random() < OTHER_SUBJECT and other is None:
        stranger = WRITER.fill(rng, filled.frame)
        asked = [(p, answer) for _, p, answer in stranger.asked]
        name = stranger.subject
    else:
        asked = [(p, answer) for i, p, answer in filled.asked if i not in kept]
        name = filled.subject
    asked = [(tuple(p for p in phrasings if name in p), answer) for phrasings, answer in asked if answer not in context]
    asked = [(phrasings, answer) for phrasings, answer in asked if phrasings]
    return [row(rng.choice(asked)[0], REFUSAL, False)] if asked else []


def asks_for_clauses(rng: Random, frame: Frame) -> bool:
    """Whether the frame's answers are long, by one filling of it."""
    lengths = [len(answer) for _, _, answer in WRITER.fill(rng, frame).asked]
    return sum(lengths) / len(lengths) > LONG


def build_split(rng: Random, frames: list[Frame], size: int) -> list[dict]:
    """So many rows, the frames taking turns, those with long answers more of them, none twice."""
    turns = [frame for frame in frames for _ in range(TURNS if asks_for_clauses(rng, frame) else 1)]
    rows: list[dict] = []
    seen = set()
    while len(rows) < size:
        for frame in turns:
            for row in rows_of(rng, frame, frames):
                key = row["context"], row["question"]
                if key not in seen and len(row["context"]) <= MOST:
                    seen.add(key)
                    rows.append(row)
    rows = rows[:size]
    rng.shuffle(rows)
    return rows


def build(seed: int = 2024, train: int = 6500, test: int = 300) -> tuple[list[dict], list[dict]]:
    """The rows of train and of test."""
    frames = read_frames(HERE / "frames")
    learnt = build_split(Random(seed), [f for f in frames if not f.test], train)
    held_out = build_split(Random(seed + 1), [f for f in frames if f.test], test)
    return learnt, held_out


if __name__ == "__main__":
    write(HERE, build())
