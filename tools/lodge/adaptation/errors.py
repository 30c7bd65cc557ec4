"""The error of everything that comes from outside."""


class InputError(Exception):
    """Says which file is wrong, where, how, and what to do; printed as one line and a hint."""

    def __init__(self, source, cause, hint=""):
        super().__init__(f"{source}: {cause}")
        self.hint = hint
