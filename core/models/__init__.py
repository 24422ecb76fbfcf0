"""What can be loaded: the catalog of model cards, where each comes from, and loading."""

from collections.abc import Callable

Progress = Callable[[str, float], None]
"""Called with what is being done ("download", "convert", "load", …) and how far it is, 0 to 1."""
