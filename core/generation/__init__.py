"""Prompts, the engine that turns requests into streamed tokens, and kept conversations."""
