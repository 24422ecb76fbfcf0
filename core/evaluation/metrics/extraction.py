"""What was extracted as JSON: whether it is JSON, and which fields are right, wrong, missing or too many."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from core.evaluation.metrics.normal import normalise


@dataclass(frozen=True)
class Fields:
    """Values of an extraction, counted: ``wrong`` ones stand where another was expected."""

    right: int = 0
    wrong: int = 0
    missing: int = 0
    extra: int = 0

    def __add__(self, other: "Fields") -> "Fields":
        return Fields(
            self.right + other.right, self.wrong + other.wrong, self.missing + other.missing, self.extra + other.extra
        )

    @property
    def expected(self) -> int:
        return self.right + self.wrong + self.missing

    @property
    def given(self) -> int:
        return self.right + self.wrong + self.extra

    @property
    def f1(self) -> float:
        return 2 * self.right / (self.expected + self.given) if self.expected + self.given else 1.0


def valid_json(answer: str) -> bool:
    """Whether the whole answer is a JSON object or list; a code fence around it is let pass."""
    return _parsed(_unfenced(answer)) is not None


def found_json(answer: str) -> Any:
    """The JSON object or list that the answer is, or the first one within it; None: there is none."""
    whole = _parsed(_unfenced(answer))
    if whole is not None:
        return whole
    decoder = json.JSONDecoder(parse_constant=_refuse)
    for place, sign in enumerate(answer):
        if sign in "{[":
            try:
                return decoder.raw_decode(answer, place)[0]
            except (ValueError, RecursionError):
                continue
    return None


def compare(answer: str, references: Sequence[str]) -> Fields:
    """The fields of an answer against those of the reference (JSON) that it meets best.

    A field is a path of names and a value. The order of lists does not matter, a value alone is a list of one, and
    null, "" and empty lists are no values. Names and values are compared as :func:`normalise` has them.
    """
    given, wanted = found_json(answer), [json.loads(reference) for reference in references]
    try:
        counted = [_fields(reference, given) for reference in wanted]
    except RecursionError:  # a model that opens brackets until it is stopped
        counted = [_fields(reference, None) for reference in wanted]
    return max(counted, key=lambda fields: fields.f1)


def _unfenced(text: str) -> str:
    text = text.strip()
    if text.startswith("```") and text.endswith("```") and len(text) > 6:
        first, _, rest = text[3:-3].partition("\n")
        return rest if first.strip().lower() in ("", "json") else first + rest
    return text


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")


def _parsed(text: str) -> Any:
    try:
        value = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict | list) else None


def _fields(wanted: Any, given: Any) -> Fields:
    wanted, given = _listed(wanted), _listed(given)
    mine, theirs = [x for x in wanted if isinstance(x, dict)], [x for x in given if isinstance(x, dict)]
    values = _values([x for x in wanted if not isinstance(x, dict)], [x for x in given if not isinstance(x, dict)])
    return values + _objects(mine, theirs) if mine or theirs else values


def _listed(value: Any) -> list[Any]:
    """The values at one place of the JSON, lists within lists opened."""
    if isinstance(value, list):
        return [inner for item in value for inner in _listed(item)]
    return [] if value is None or value == "" else [value]


def _values(wanted: Sequence[Any], given: Sequence[Any]) -> Fields:
    mine, theirs = Counter(map(_plain, wanted)), Counter(map(_plain, given))
    right = (mine & theirs).total()
    missing, extra = mine.total() - right, theirs.total() - right
    wrong = min(missing, extra)
    return Fields(right, wrong, missing - wrong, extra - wrong)


def _plain(value: Any) -> str:
    text = json.dumps(value) if isinstance(value, bool) else str(value)
    return normalise(text) or text


def _objects(wanted: list[dict[str, Any]], given: list[dict[str, Any]]) -> Fields:
    """Objects at one place, paired so that most fields are right; who is left over is missing or too many."""
    table = [[_pair(mine, theirs) for theirs in given or [{}]] for mine in wanted or [{}]]
    pairs = _assigned(table)
    total = sum((table[i][j] for i, j in pairs), Fields())
    total = sum((_pair(mine, {}) for i, mine in enumerate(wanted) if i not in dict(pairs)), total)
    taken = {j for _, j in pairs}
    return sum((_pair({}, theirs) for j, theirs in enumerate(given) if j not in taken), total)


def _assigned(table: list[list[Fields]]) -> list[tuple[int, int]]:
    if len(table) == len(table[0]) == 1:
        return [(0, 0)]
    from scipy.optimize import linear_sum_assignment

    rows, columns = linear_sum_assignment([[fields.right for fields in row] for row in table], maximize=True)
    return list(zip(rows.tolist(), columns.tolist(), strict=True))


def _pair(wanted: dict[str, Any], given: dict[str, Any]) -> Fields:
    mine, theirs = ({_plain(name): value for name, value in record.items()} for record in (wanted, given))
    return sum((_fields(mine.get(name), theirs.get(name)) for name in mine | theirs), Fields())
