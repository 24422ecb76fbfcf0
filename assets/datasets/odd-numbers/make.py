"""Write train.jsonl and test.jsonl: a claim on the odd numbers of a group -> True or False.

Run ``python make.py``. Seeded, standard library only: the same files, byte for byte, every time. Half of the claims
are true whatever the length of the group, so that only the arithmetic tells.
"""

import sys
from pathlib import Path
from random import Random

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from slots import write  # noqa: E402 (lies beside the data sets, found wherever the script is started from)

CLAIM = "The odd numbers in this group add up to an even number: {numbers}."
LENGTHS = (5, 6, 7, 8, 9)
GREATEST = 30


def group(rng: Random, length: int, even_sum: bool) -> list[int]:
    """So many different numbers, two or more of them odd, whose odd ones have an even or an odd sum."""
    while True:
        numbers = rng.sample(range(1, GREATEST + 1), length)
        odd = [n for n in numbers if n % 2]
        if 2 <= len(odd) < length and (sum(odd) % 2 == 0) == even_sum:
            return numbers


def build(seed: int = 2024, train: int = 60, test: int = 40) -> tuple[list[dict], list[dict]]:
    """The rows of train and of test; no group of numbers is in both, in whatever order."""
    rng = Random(seed)
    seen: set[frozenset[int]] = set()

    def rows(count: int) -> list[dict]:
        made = []
        for i in range(count):
            true = i % 2 == 0
            numbers = group(rng, LENGTHS[i // 2 % len(LENGTHS)], true)
            while frozenset(numbers) in seen:
                numbers = group(rng, len(numbers), true)
            seen.add(frozenset(numbers))
            made.append({"input": CLAIM.format(numbers=", ".join(map(str, numbers))), "output": str(true)})
        rng.shuffle(made)
        return made

    return rows(train), rows(test)


if __name__ == "__main__":
    write(HERE, build())
