"""Packages that only some integrations need."""

from __future__ import annotations

import re
import tomllib
from importlib.util import find_spec
from pathlib import Path

import pytest

from hub.integrations import extras

EXTRAS = ("aws", "grpc", "mqtt", "mysql", "sftp", "soap")


def test_the_first_package_that_is_not_there_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        extras, "find_spec", lambda name: None if name == "grpc_reflection" else find_spec(name)
    )
    assert extras.lack_of("grpc") == "needs the package grpcio-reflection: install integration-hub[grpc]"
    assert extras.lack_of("soap") is None


def test_a_package_inside_of_one_that_is_not_there_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    def without_google(name: str) -> object:
        if name == "google.protobuf":
            raise ModuleNotFoundError(name)
        return find_spec(name)

    monkeypatch.setattr(extras, "find_spec", without_google)
    assert extras.lack_of("grpc") == "needs the package protobuf: install integration-hub[grpc]"


@pytest.mark.parametrize("extra", EXTRAS)
def test_an_extra_brings_what_is_looked_for(extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())["project"]
    brought = {re.split(r"[<>=]", one)[0] for one in project["optional-dependencies"][extra]}
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    lack = extras.lack_of(extra)
    assert lack is not None
    assert lack.removeprefix("needs the package ").partition(":")[0] in brought
    assert lack.endswith(f"install integration-hub[{extra}]")
