"""Secrets that we make ourselves and have to keep."""

import os
import secrets
from pathlib import Path


def keep(path: Path) -> str:
    """Return the secret in *path*; make one of 32 hexadecimal digits if there is none."""
    try:
        found = path.read_text(encoding="ascii").strip()
        if found.isalnum():
            return found
    except (FileNotFoundError, UnicodeDecodeError):
        pass
    path.parent.mkdir(parents=True, exist_ok=True)
    secret = secrets.token_hex(16)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(secret + "\n")
    return secret


def peek(path: Path) -> str:
    """Return the secret in *path* if it may be read, else a word in its place. Writes nothing."""
    try:
        return path.read_text(encoding="ascii").strip() or "secret"
    except (OSError, UnicodeDecodeError):
        return "secret"
