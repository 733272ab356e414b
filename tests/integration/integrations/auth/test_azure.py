"""Shared Key against Azurite, Microsoft's emulator of Azure Storage, which checks every signature.

It is a Node package, which `tests/support/node/install` gets.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hub.net.outcome import Outcome
from hub.net.session import GuardedSession
from tests.support.peers import absent
from tests.support.waiting import until
from tests.unit.integrations.auth.requests_in_hand import signer

AZURITE = Path(__file__).parents[3] / "support" / "node" / "node_modules" / ".bin" / "azurite"
ACCOUNT = "hubtest"
KEY = b64encode(b"the key of the account of the test").decode()
WRONG = b64encode(b"another key").decode()
_LISTENING = re.compile(r"Azurite (\w+) service is successfully listening at (http://\S+)")


@pytest.fixture(scope="module")
def azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Its services' addresses by name."""
    if shutil.which("node") is None or not AZURITE.exists():
        absent("node", "Node or azurite is not installed: run tests/support/node/install")
    place = tmp_path_factory.mktemp("azurite")
    log = place / "log"
    options = ["--inMemoryPersistence", "--skipApiVersionCheck", "--disableTelemetry"]
    ports = ["--blobPort", "0", "--queuePort", "0", "--tablePort", "0"]
    with log.open("wb") as out:
        process = subprocess.Popen(
            [str(AZURITE), *options, *ports],
            env={"PATH": os.environ["PATH"], "HOME": str(place), "AZURITE_ACCOUNTS": f"{ACCOUNT}:{KEY}"},
            cwd=place,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def found() -> dict[str, str]:
        return {name.lower(): url for name, url in _LISTENING.findall(log.read_text())}

    try:
        until(lambda: len(found()) == 3 or process.poll() is not None, seconds=60, what="azurite's services")
        assert process.poll() is None, log.read_text()
        yield found()
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(10)


class Azure:
    def __init__(self, session: GuardedSession, urls: dict[str, str]) -> None:
        self.session, self.urls = session, urls

    def call(self, method: str, service: str, path: str, *, key: str = KEY, **options: Any) -> Outcome:
        auth = {"mode": "azure_shared_key", "service": service, "account": ACCOUNT, "key": key}
        url = f"{self.urls[service]}/{ACCOUNT}{path}"
        return self.session.call(method, url, auth=signer(auth), **options)


@pytest.fixture
def azure(session: GuardedSession, azurite: dict[str, str]) -> Azure:
    return Azure(session, azurite)


def test_blobs(azure: Azure) -> None:
    assert azure.call("PUT", "blob", "/box?restype=container").status == 201
    blob = "/box/a%20b/%C3%A9+(1)~.txt"
    headers = {"x-ms-blob-type": "BlockBlob", "Content-Type": "text/plain", "x-ms-meta-colour": "deep  blue"}
    assert azure.call("PUT", "blob", blob, headers=headers, data=b"hello").status == 201
    assert azure.call("PUT", "blob", blob, headers=headers, data=b"forged", key=WRONG).status == 403
    part = azure.call("GET", "blob", blob, headers={"Range": "bytes=1-3"})
    assert (part.status, part.body) == (206, b"ell")
    fresh = azure.call("GET", "blob", blob, headers={"If-None-Match": part.headers["etag"]})
    assert fresh.status == 304
    listed = azure.call("GET", "blob", "/box?restype=container&comp=list&prefix=a+b%2F&include=metadata")
    assert listed.body.count(b"<Blob>") == 1
    assert azure.call("DELETE", "blob", blob).status == 202


def test_queues(azure: Azure) -> None:
    assert azure.call("PUT", "queue", "/jobs").status == 201
    message = b"<QueueMessage><MessageText>hello</MessageText></QueueMessage>"
    assert azure.call("POST", "queue", "/jobs/messages", data=message).status == 201
    assert azure.call("POST", "queue", "/jobs/messages", data=message, key=WRONG).status == 403
    assert b"hello" in azure.call("GET", "queue", "/jobs/messages?numofmessages=1").body


def test_tables(azure: Azure) -> None:
    headers = {"Accept": "application/json;odata=nometadata", "Content-Type": "application/json"}
    make = json.dumps({"TableName": "things"}).encode()
    assert azure.call("POST", "table", "/Tables", headers=headers, data=make).status == 201
    row = json.dumps({"PartitionKey": "p", "RowKey": "r", "Name": "é"}).encode()
    assert azure.call("POST", "table", "/things", headers=headers, data=row).status == 201
    assert azure.call("POST", "table", "/things", headers=headers, data=row, key=WRONG).status == 403
    query = "/things()?$filter=PartitionKey%20eq%20'p'"
    found = json.loads(azure.call("GET", "table", query, headers=headers).body)
    assert [one["Name"] for one in found["value"]] == ["é"]
