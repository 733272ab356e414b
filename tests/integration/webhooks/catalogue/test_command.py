"""`hub event-types`, against a served API."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.integration.cli.conftest import Hub, api, hub
from tests.integration.client.served import Served, served

__all__ = ["api", "hub", "served"]

DOCUMENT = {
    "openapi": "3.1.0",
    "webhooks": {
        "invoice.paid": {
            "post": {
                "summary": "Paid",
                "tags": ["billing"],
                "requestBody": {
                    "content": {
                        "application/json": {
                            "schema": {"required": ["amount"], "properties": {"amount": {"type": "integer"}}}
                        }
                    }
                },
            }
        }
    },
}


@pytest.fixture
def document(tmp_path: Path) -> Path:
    path = tmp_path / "openapi.json"
    path.write_text(json.dumps(DOCUMENT))
    return path


def test_a_document_is_imported_and_shown(hub: Hub, api: Served, document: Path) -> None:
    tried = hub("event-types", "import", str(document), "--dry-run")
    assert (tried.code, "created" in tried.out, "dry run" in tried.err) == (0, True, True)
    assert hub("event-types", "list", "--json").json["data"] == []
    done = hub("event-types", "import", str(document), "--validation", "warn", "--json").json
    assert [one["result"] for one in done["data"]] == ["created"]
    (row,) = hub("event-types", "list", "--label", "billing", "--json").json["data"]
    assert (row["name"], row["title"], row["validation"]) == ("invoice.paid", "Paid", "warn")
    assert hub("event-types", "list", "--label", "billing", "--label", "other", "--json").json["data"] == []
    assert hub("event-types", "list", "--archived", "--json").json["data"] == []
    assert "invoice.paid" in hub("event-types", "list").out
    shown = hub("event-types", "show", "invoice.paid")
    assert ("current version" in shown.out, '"integer"' in shown.out) == (True, True)
    assert hub("event-types", "show", "invoice.paid", "--version", "1", "--json").json["version"] == 1
    missing = hub("event-types", "show", "no.such")
    assert (missing.code, missing.err) == (1, "hub: There is no event type no.such.\n")


def test_a_sample_is_judged(hub: Hub, api: Served, document: Path, tmp_path: Path) -> None:
    hub("event-types", "import", str(document))
    fits = hub("event-types", "validate", "invoice.paid", '{"amount": 1}')
    assert (fits.code, fits.out) == (0, "invoice.paid version 1: fits\n")
    (tmp_path / "sample.json").write_text('{"amount": "1"}')
    other = hub("event-types", "validate", "invoice.paid", f"@{tmp_path / 'sample.json'}", "--version", "1")
    assert other.code == 1
    assert other.out == "invoice.paid version 1: does not fit\n  data.amount: must be an integer\n"
    verdict = hub("event-types", "validate", "invoice.paid", "{}", "--json")
    assert (verdict.code, verdict.json["errors"]) == (1, [{"path": "data.amount", "message": "is required"}])


def test_a_refused_webhook_is_told_and_the_exit_code_says_so(hub: Hub, api: Served, tmp_path: Path) -> None:
    document: dict[str, Any] = {**DOCUMENT, "webhooks": {**DOCUMENT["webhooks"], "bad": {}}}  # type: ignore[dict-item]
    path = tmp_path / "openapi.json"
    path.write_text(json.dumps(document))
    done = hub("event-types", "import", str(path))
    assert (done.code, "refused" in done.out, "no `post` operation" in done.out) == (1, True, True)
    assert len(hub("event-types", "list", "--json").json["data"]) == 1


def test_yaml_is_read_where_pyyaml_is_installed(hub: Hub, api: Served, tmp_path: Path) -> None:
    yaml = pytest.importorskip("yaml")
    path = tmp_path / "openapi.yaml"
    path.write_text(yaml.safe_dump(DOCUMENT))
    assert hub("event-types", "import", str(path)).code == 0
    assert len(hub("event-types", "list", "--json").json["data"]) == 1
    path.write_text("a: [1")
    broken = hub("event-types", "import", str(path))
    assert (broken.code, "cannot be read" in broken.err) == (1, True)


def test_without_pyyaml_the_way_out_is_told(
    hub: Hub, api: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)
    path = tmp_path / "openapi.yml"
    path.write_text("{}")
    refused = hub("event-types", "import", str(path))
    assert (refused.code, "pip install pyyaml" in refused.err) == (1, True)


@pytest.mark.parametrize(
    "content", [b"{", b"\xff", b"[" * 100_000, b"[]"], ids=["cut", "bytes", "deep", "list"]
)
def test_a_file_that_cannot_be_read_is_a_sentence(
    hub: Hub, api: Served, tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "openapi.json"
    path.write_bytes(content)
    refused = hub("event-types", "import", str(path))
    assert refused.code == 1
    assert refused.err


def test_without_a_key_nothing_is_asked(hub: Hub) -> None:
    missing = hub("event-types", "list")
    assert (missing.code, missing.err.startswith("hub: HUB_API_KEY is not set")) == (78, True)
