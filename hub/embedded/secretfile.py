"""Secrets made on first start: a file that only its owner can read, complete or absent."""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def ensure_secret(path: Path, make: Callable[[], str]) -> str:
    """Read the secret, or make it.

    Args:
        path: the file, one line.
        make: gives a new secret.

    Returns:
        The secret that is in the file now.
    """
    if not path.exists():
        half = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
        fd = os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(fd, "w") as file:
            file.write(make() + "\n")
            file.flush()
            # Data encrypted with a key that a power cut took away would be lost for good.
            os.fsync(file.fileno())
        try:
            path.hardlink_to(
                half
            )  # unlike a rename it never replaces a key that somebody else made meanwhile
        except FileExistsError:
            pass
        finally:
            half.unlink()
    path.chmod(0o600)
    return path.read_text().strip()
