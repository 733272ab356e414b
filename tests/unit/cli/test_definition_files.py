"""Definitions in files: what is read, and where a fault is."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hub.cli.definition_files import read_definitions
from hub.core.errors import Invalid

TWO = """\
# A comment.
name: crm
base_url: https://crm.example/v2
operations:
  get_user:
    path: /users/{id}
    request_transform:
      - set: {path: a, value: 1}
---
name: billing
"""


def values(text: str, source: str = "a.yaml") -> list[Any]:
    return [one.value for one in read_definitions(text, source)]


def test_every_document_is_a_definition_that_knows_where_it_stands() -> None:
    crm, billing = read_definitions(TWO, "crm.yaml")
    assert (crm.name, billing.value) == ("crm", {"name": "billing"})
    assert crm.value["operations"]["get_user"]["request_transform"] == [{"set": {"path": "a", "value": 1}}]
    assert crm.where("operations.get_user.path") == "crm.yaml:6:11"
    assert crm.where("operations.get_user.request_transform[0].set.value") == "crm.yaml:8:31"
    assert crm.where("operations.get_user.method") == "crm.yaml:6:5"
    assert crm.where("tls.key") == crm.where("") == "crm.yaml:2:1"
    assert billing.where("name") == "crm.yaml:10:7"


def test_a_list_under_integrations_is_as_good() -> None:
    one, other = read_definitions("integrations:\n- name: a\n- name: b\n  tags: [x]\n", "a.yaml")
    assert (one.value, other.value) == ({"name": "a"}, {"name": "b", "tags": ["x"]})
    assert other.where("tags") == "a.yaml:4:9"
    assert values('{"integrations": [{"name": "a"}, {"name": "b"}]}', "a.json") == [
        {"name": "a"},
        {"name": "b"},
    ]


def test_json_is_read_with_tabs_and_without_places() -> None:
    (one,) = read_definitions('{\n\t"name": "a", "x": "on"\n}', "-")
    assert one.value == {"name": "a", "x": "on"}
    assert one.where("name") == "- (a)"
    assert values("{name: a}") == [{"name": "a"}]


SCALARS: list[tuple[str, Any]] = [
    ("no", "no"), ("on", "on"), ("Yes", "Yes"), ("true", True), ("FALSE", False), ("~", None), ("", None),
    ("null", None), ("22:30", "22:30"), ("2026-01-01", "2026-01-01"), ("007", 7), ("0o17", 15), ("0x1F", 31),
    ("1_000", "1_000"), ("1e3", 1000.0), ("-1.5", -1.5), (".5", 0.5), ("1.2.3", "1.2.3"), ("'1'", "1"), ("!!str 1", "1"),
    ("!!int '1'", 1), ("=", "="), ("${X}", "${X}"), ("+", "+"), ("1.", 1.0), ("nullable", "nullable"), ("<<", "<<"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "value"), SCALARS, ids=[text or "nothing" for text, _ in SCALARS])
def test_scalars_are_those_of_yaml_1_2(text: str, value: Any) -> None:
    (found,) = values(f"name: {text}\n")
    assert (found["name"], type(found["name"])) == (value, type(value))


def test_aliases_are_written_out() -> None:
    assert values("name: &n crm\ntags: &t [a]\nx: *t\ny: {404: *n}\n") == [
        {"name": "crm", "tags": ["a"], "x": ["a"], "y": {"404": "crm"}}
    ]


BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12)
)
FAULTS = [
    ("name: a\nname: b\n", "a.yaml:2:1: the key name is there twice, first in line 1."),
    ("x:\n  a: 1\n  b: 2\n  a: 3\n", "a.yaml:4:3: the key a is there twice, first in line 2."),
    ("name: [a\n", "a.yaml:2:1: "),
    ("a: b: c\n", "a.yaml:1:5: "),
    ("name: *nobody\n", "a.yaml:1:7: "),
    ("name: !!python/object/apply:os.system [ls]\n", "a.yaml:1:7: the tag !!python/object/apply:os.system means"),
    ("name: !secret x\n", "a.yaml:1:7: the tag !secret means nothing here."),
    ("name: !!int x\n", "a.yaml:1:7: this number cannot be read."),
    (f"name: {'9' * 5000}\n", "a.yaml:1:7: this number cannot be read."),
    ("name: .inf\n", "a.yaml:1:7: .inf is no number of JSON."),
    ("name: 1e999\n", "a.yaml has a number that is too large."),
    ("? [a]\n: b\n", "a.yaml:1:3: a key must be a text."),
    ("name: &a\n  x: *a\n", "a.yaml:1:7: an alias stands inside of what it stands for."),
    (BOMB, "a.yaml has more than 100000 values when its aliases are written out."),
    ("x: " + "[" * 70 + "]" * 70, "a.yaml is nested deeper than 64 levels."),
    ("x: " + "[" * 20_000, "a.yaml"),
    ('x: "\\ud800"\n', "a.yaml"),
    ("a\0b\n", "a.yaml"),
    ("- name: a\n", "a.yaml:1:1: a document must be a definition"),
    ("integrations: []\nname: a\n", "a.yaml:2:7: name cannot stand beside `integrations`."),
    ("integrations: {a: 1}\n", "a.yaml:1:15: must be a list of definitions."),
    ("integrations:\n- a\n", "a.yaml:2:3: must be a definition, an object."),
    ("# nothing\n", "a.yaml has no definition."),
    ("", "a.yaml has no definition."),
    ("x" * 5_000_000, "a.yaml is longer than 4194304 characters."),
]  # fmt: skip


@pytest.mark.parametrize(("text", "said"), FAULTS, ids=range(len(FAULTS)))
def test_a_fault_is_one_sentence_with_its_place(text: str, said: str) -> None:
    with pytest.raises(Invalid) as caught:
        read_definitions(text, "a.yaml")
    assert caught.value.detail.startswith(said)
    assert "\n" not in caught.value.detail


JSON_FAULTS = [
    ('{"a": 1, "a": 2}', "a.json: the key a is there twice in one object."),
    ('{"a": NaN}', "a.json: NaN is no number of JSON."),
    ('{"a": 1e999}', "a.json has a number that is too large."),
    ('{\n"a": }', "a.json:2:6: Expecting value."),
    ('{"a": "\\ud800"}', "a.json has a text that is not Unicode."),
    ("[" * 100_000, "a.json is nested deeper than 64 levels."),
    ('"a"', "a.json: a document must be a definition"),
]


@pytest.mark.parametrize(("text", "said"), JSON_FAULTS, ids=range(len(JSON_FAULTS)))
def test_so_is_one_of_json(text: str, said: str) -> None:
    with pytest.raises(Invalid) as caught:
        read_definitions(text, "a.json")
    assert caught.value.detail.startswith(said)


def test_what_json_can_say_is_read_from_yaml_alike() -> None:
    value = {"name": "a", "x": [1, 1.5, True, None, "tab\t", "é ✓ 😀", "line\nline", "${A}", "- b", "#c"]}
    for indent in (None, 2):
        text = json.dumps(value, ensure_ascii=False, indent=indent)
        assert values(f"--- {text}\n...\n") == [value]
    assert values(json.dumps(value)) == [value]
