"""What retrieval needs to know of a base besides its rows and vectors, worked out once per version and kept with it.

The spread of cosines differs from embedder to embedder and from base to base, and so does the best score that a
question reaches which the base cannot answer. Both are measured: the spread with sentences of the base as queries, the
other with questions from everyday life and with nonsense, in the query's kind of script (an embedder holds texts of
one language for alike, so that a Chinese question scores high on any Chinese base). That holds for a base of a single
row, too: of 40 own questions to bases of 7 passages of the CMRC trial 39 find something, of 60 foreign ones 5.
"""

import logging
import re
import shutil
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from filelock import FileLock

from core import files
from core.rag import embedding, fusion, knowledge
from core.rag.bases import View
from core.rag.lexical import Lexical

FORMAT = 3  # raise it when terms, formula or probes change: what is kept is made again
SENTENCES, ROWS, WIDTH = 32, 1000, 10
DEVIATIONS = 2.25  # of the probes' best scores, above their median
FLOOR = 0.005  # smallest spread: that of a base of one row would be none
WAYS = ("both", "dense", "lexical")
PROBES = {
    "narrow": (
        "How do I bake sourdough bread at home?",
        "What is the best way to remove rust from a bicycle chain?",
        "Which vaccines does a puppy need in its first year?",
        "How much does a monthly parking permit cost downtown?",
        "Why does my knee hurt when I climb stairs?",
        "Who won the tennis final last Sunday?",
        "How can I grow tomatoes on a balcony?",
        "What time does the pharmacy close on holidays?",
        "How do I change the oil filter of a diesel engine?",
        "Can I return shoes without a receipt?",
        "How long should I boil an egg?",
        "Tell me a joke about penguins.",
        "plim bordeck sunfa trullen goz",
        "xkq wvv zzt pprl",
    ),
    "wide": (
        "怎么在家烤面包？",
        "自行车链条生锈了怎么办？",
        "小狗第一年要打哪些疫苗？",
        "市中心的月租停车位多少钱？",
        "上楼梯时膝盖为什么会疼？",
        "上周日的网球决赛谁赢了？",
        "阳台上怎么种西红柿？",
        "药店节假日几点关门？",
        "柴油发动机的机油滤芯怎么换？",
        "没有小票可以退鞋吗？",
        "鸡蛋要煮多久？",
        "讲一个企鹅的笑话",
        "嗒噜咪吱哩呗嘟",
        "桌七蓝跑的又纸很",
    ),
}
_WIDE = re.compile(r"[\u3041-\u9fff\uac00-\ud7af]")
_SENTENCE = re.compile(r"[^。！？；.!?;\n]{8,}[。！？；.!?;]?")


@dataclass(frozen=True)
class Prepared:
    """Of one version of a base: its lexical index, its spread of cosines, and the score that means "found".

    Attributes:
        thresholds: by script of the query ("wide", "narrow"), then by what recalls ("both", "dense", "lexical").
    """

    lexical: Lexical
    spread: float
    thresholds: dict[str, dict[str, float]]

    def threshold(self, query: str, dense: bool, lexical: bool) -> float:
        """The fused score below which nothing was found for this query."""
        ways = "both" if dense and lexical else "dense" if dense else "lexical"
        return self.thresholds["wide" if _WIDE.search(query) else "narrow"][ways]


@lru_cache(maxsize=4)
def _prepared(seen: View, folder: Path) -> Prepared:
    with FileLock(folder.with_suffix(".lock")):
        made = _read(folder)
        if made is None:
            made = _make(seen)
            aside = folder.with_name(folder.name + ".new")
            shutil.rmtree(aside, ignore_errors=True)
            made.lexical.save(aside)
            files.write_json(aside / "calibration.json", {"spread": made.spread, "thresholds": made.thresholds})
            shutil.rmtree(folder, ignore_errors=True)
            aside.rename(folder)
            for old in folder.parent.glob("lexical-*"):  # of versions that are no more
                if old.is_dir() and old != folder:
                    shutil.rmtree(old, ignore_errors=True)
        return made


def prepared(seen: View) -> Prepared:
    """What belongs to this version of a base; made at its first question."""
    return _prepared(seen, knowledge.cache_dir(seen.name) / f"lexical-{FORMAT}-{seen.version}")


def _read(folder: Path) -> Prepared | None:
    known = files.read_json(folder / "calibration.json")
    if not known:
        return None
    try:
        return Prepared(Lexical.load(folder), known["spread"], known["thresholds"])
    except (OSError, ValueError, KeyError):
        logging.getLogger("yuan").exception("The lexical index in %s is made anew", folder)
        return None


def _make(seen: View) -> Prepared:
    import numpy as np

    index = Lexical.build(row.text for row in seen.rows)
    some = np.random.default_rng(0).permutation(len(seen.rows))[:ROWS]
    own = [match[0] for row in some[: 4 * SENTENCES] if (match := _SENTENCE.search(seen.rows[row].text))][:SENTENCES]
    foreign = [probe for probes in PROBES.values() for probe in probes]
    vectors = embedding.embed([*own, *foreign], "query", seen.embedder)
    near = vectors[: len(own) or None] @ knowledge.row_vectors(seen, [int(row) for row in some]).T
    spread = max(FLOOR, float(near.std(axis=1).mean()))
    best: dict[str, list[dict[str, float]]] = {"own": [], "wide": [], "narrow": []}
    kinds = ["own"] * len(own) + [kind for kind, probes in PROBES.items() for _ in probes]
    for kind, query, vector in zip(kinds, [*own, *foreign], vectors, strict=True):
        best[kind].append(_best(seen, index, spread, query, vector))
    thresholds = {
        kind: {way: _threshold([b[way] for b in best[kind]], [b[way] for b in best["own"]]) for way in WAYS}
        for kind in PROBES
    }
    return Prepared(index, spread, thresholds)


def _best(seen: View, index: Lexical, spread: float, query: str, vector: Any) -> dict[str, float]:
    found = fusion.recall(seen, index, spread, query, lambda: vector, WIDTH)
    return {
        "both": found.best,
        "dense": max(found.cosine.values(), default=0.0),
        "lexical": fusion.WEIGHT * spread * max(found.share.values(), default=0.0),
    }


def _threshold(foreign: list[float], own: list[float]) -> float:
    """So many deviations above what foreign questions reach; never nearer to the base's own sentences than half way.

    Median and median deviation, so that the base may well be about one or the other of the probes' subjects.
    """
    import numpy as np

    middle = float(np.median(foreign))
    deviation = 1.4826 * float(np.median(np.abs(np.asarray(foreign) - middle)))
    limit = middle + DEVIATIONS * deviation
    return min(limit, (middle + float(np.median(own))) / 2) if own else limit
