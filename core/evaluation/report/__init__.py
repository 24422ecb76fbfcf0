"""A comparison as one HTML page that needs nothing else (:func:`page`)."""

from core.evaluation.report.page import page

__all__ = ["page"]
