"""Data sets: read (formats, remote), mapped (columns), checked (checks), split (splitting), seen (preview) and kept.

``datasets`` is the door for whoever only wants the rows of a set by its name.
"""
