"""The one exception a person may be shown."""

from string import Formatter
from typing import Any

_ENDS = tuple(".!?…。！？”")


class UserError(Exception):
    """Something a person can understand and act on.

    Args:
        message: what happened and where, one sentence; ``{name}`` stands for a value.
        hint: what to do about it, one sentence; empty when the message already says it.
        values: fill the braces of both. Text and values are kept apart so that the screen can show the sentence in
            another language (``[errors]`` of the locale files, keyed by the English sentence).

    Every other exception is ours: it is logged with its traceback and shown as our fault.
    """

    def __init__(self, message: str, hint: str = "", **values: Any) -> None:
        super().__init__(message, hint, values)
        self.message_template, self.hint_template, self.values = message, hint, values

    @property
    def message(self) -> str:
        return fill(self.message_template, self.values)

    @property
    def hint(self) -> str:
        return fill(self.hint_template, self.values)

    def __str__(self) -> str:
        return joined(self.message, self.hint)

    def as_dict(self) -> dict[str, Any]:
        """For a state file; ``UserError(**error_dict)`` is not needed to show it, ``fill`` is."""
        values = {name: value if isinstance(value, int | float) else str(value) for name, value in self.values.items()}
        return {"message": self.message_template, "hint": self.hint_template, "values": values}


def fill(template: str, values: dict[str, Any]) -> str:
    """The sentence with its values in place, ``{count:run|runs}`` being the word for so many; braces inside a value
    are left alone."""
    return _COUNTING.vformat(template, (), values) if values else template


class _Counting(Formatter):
    def format_field(self, value: Any, format_spec: str) -> str:
        one, either, many = format_spec.partition("|")
        return (one if str(value) == "1" else many) if either else str(super().format_field(value, format_spec))


_COUNTING = _Counting()


def sentence(error: dict[str, Any] | None) -> str:
    """An error kept in a state file, as English text."""
    if not error:
        return ""
    return joined(*(fill(error[part], error["values"]) for part in ("message", "hint")))


def joined(message: str, hint: str, stop: str = ".") -> str:
    """Two sentences, either of which may be missing; a message may end with a library's words, without a ``stop``."""
    if not message or not hint:
        return message or hint
    return f"{message}{'' if message.endswith(_ENDS) else stop} {hint}"
