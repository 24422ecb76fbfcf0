"""Metrics, experiments and their statistics."""
