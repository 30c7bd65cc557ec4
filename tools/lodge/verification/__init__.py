"""Readers and checkers of all formats, written from formats/ with no code of the Swift side."""
