"""The Python side of the commands in tools/."""
