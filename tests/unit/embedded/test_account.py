"""Where a server's directories go."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hub.core.errors import ConfigError
from hub.embedded.account import may_enter, private_directory, server_account
from hub.embedded.sockets import socket_directory


def test_a_directory_is_made_private(tmp_path: Path) -> None:
    made = private_directory(tmp_path / "valkey", None)
    assert made == (tmp_path / "valkey").resolve()
    assert made.stat().st_mode & 0o777 == 0o700


def test_a_link_to_a_directory_that_is_gone_is_not_taken_for_a_fresh_start(tmp_path: Path) -> None:
    (tmp_path / "postgres").symlink_to(tmp_path / "gone")
    with pytest.raises(ConfigError, match="which is gone"):
        private_directory(tmp_path / "postgres", None)


def test_others_do_not_get_through_a_private_parent(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    assert not may_enter(closed / "postgres")


def test_only_root_gives_a_server_another_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert server_account(tmp_path) is None
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    account = server_account(tmp_path / "new")
    assert account is not None
    assert account[0] != 0


def test_sockets_of_a_deep_directory_have_a_short_private_home_that_stays_the_same(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100) / ("e" * 100)
    deep.mkdir(parents=True)
    first = socket_directory(deep, None)
    try:
        assert len(str(first)) < 80
        assert first.stat().st_mode & 0o777 == 0o700
        assert socket_directory(deep, None) == first
        assert socket_directory(deep.parent, None) != first
    finally:
        first.rmdir()
        socket_directory(deep.parent, None).rmdir()
