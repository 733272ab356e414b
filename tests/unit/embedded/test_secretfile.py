"""Secrets that are made on first start."""

from __future__ import annotations

from pathlib import Path

from hub.embedded.secretfile import ensure_secret


def test_the_secret_is_made_once_and_only_its_owner_may_read_it(tmp_path: Path) -> None:
    path = tmp_path / "master.key"
    assert ensure_secret(path, lambda: "first") == "first"
    assert ensure_secret(path, lambda: "second") == "first"
    assert path.stat().st_mode & 0o777 == 0o600


def test_nothing_else_is_left_in_the_directory(tmp_path: Path) -> None:
    ensure_secret(tmp_path / "master.key", lambda: "first")
    assert [path.name for path in tmp_path.iterdir()] == ["master.key"]


def test_a_secret_that_was_opened_to_others_is_closed_again(tmp_path: Path) -> None:
    path = tmp_path / "master.key"
    path.write_text("given\n")
    path.chmod(0o644)
    assert ensure_secret(path, lambda: "made") == "given"
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_key_that_somebody_else_made_meanwhile_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "master.key"

    def make() -> str:
        path.write_text("theirs\n")
        return "ours"

    assert ensure_secret(path, make) == "theirs"
