"""Waiting for something that another process or thread does: poll up to a deadline, never sleep blindly."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def eventually(look: Callable[[], T], seconds: float = 90.0) -> T:
    """The first truthy value of ``look()``; fails once ``seconds`` have passed without one."""
    deadline = time.monotonic() + seconds
    while True:
        if found := look():
            return found
        assert time.monotonic() < deadline, f"nothing within {seconds:.0f} s, last seen: {found!r}"
        time.sleep(0.02)
