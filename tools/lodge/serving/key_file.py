"""The file with the bearer key: made on the first start, readable by its owner alone."""

import os
import secrets
import stat

from lodge.serving.errors import InputError

SMALLEST_LENGTH = 32


def make_key(path):
    """Writes a new key of 256 bits to a file of mode 600 that is not there yet."""
    key = "lodge-" + secrets.token_urlsafe(32)
    try:
        # Whole or not at all: a name is given to what is written.
        temporary = f"{path}.{os.getpid()}.tmp"
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(descriptor, "w") as file:
                file.write(key + "\n")
                file.flush()
                os.fsync(file.fileno())
            os.link(temporary, path)
        finally:
            os.unlink(temporary)
    except OSError as error:
        raise InputError(
            f"{path}: cannot be made: {error.strerror}", "name another place with --key-file") from None
    return key


def read_key(path):
    """The key in the file at `path`; makes it where there is none. Returns (key, whether it is new)."""
    try:
        # Not blocked by a pipe of that name.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return make_key(path), True
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
    with os.fdopen(descriptor, "rb") as file:
        state = os.fstat(file.fileno())
        if not stat.S_ISREG(state.st_mode):
            raise InputError(f"{path}: is no file")
        if state.st_uid != os.geteuid() or state.st_mode & 0o077:
            raise InputError(
                f"{path}: others than you can read or change it", f"chmod 600 {path}, or remove it: a "
                "new key is made")
        content = file.read(4096)
    key = content.strip().decode("latin-1")
    if not SMALLEST_LENGTH <= len(key) <= 1024 or not all("!" <= letter <= "~" for letter in key):
        raise InputError(
            f"{path}: holds no key, which is at least {SMALLEST_LENGTH} letters without spaces",
            "remove it: a new one is made")
    return key, False
