"""Short private directories for unix sockets.

A socket's path may have 107 bytes (103 on macOS), and a data directory can lie deep, so sockets live
under the system's temporary directory, in a directory whose name is derived from the data directory: the
same one after every restart.
"""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

from hub.core.errors import ConfigError

_LONGEST = 60


def socket_directory(home: Path, account: tuple[int, int] | None) -> Path:
    """Make the 0700 socket directory of one server.

    Args:
        home: the server's directory, which gives the socket directory its name.
        account: uid and gid of the server's user; None for ours.

    Raises:
        ConfigError: somebody else already made a directory of that name.
    """
    uid, gid = account or (os.geteuid(), os.getegid())
    digest = hashlib.sha256(f"{uid}:{home.resolve()}".encode()).hexdigest()[:16]
    base = Path(tempfile.gettempdir()).resolve()
    if len(str(base)) > _LONGEST or not _open_to_all(base):
        base = Path("/tmp").resolve()  # noqa: S108  (the directory in it is 0700 and its owner is checked)
    path = base / f"hub-{digest}"
    path.mkdir(mode=0o700, exist_ok=True)
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid not in {os.geteuid(), uid}:
        raise ConfigError(
            f"{path} exists and belongs to somebody else: remove it, or set TMPDIR to another directory."
        )
    if os.geteuid() == 0:
        os.chown(path, uid, gid)
    path.chmod(0o700)
    return path


def remove_socket_directory(path: Path) -> None:
    """Remove a socket directory and what a server left in it; harmless when it is gone."""
    with suppress(FileNotFoundError):
        for file in path.iterdir():
            file.unlink()
        path.rmdir()


def _open_to_all(path: Path) -> bool:
    return all(p.stat().st_mode & stat.S_IXOTH for p in (path, *path.parents))
