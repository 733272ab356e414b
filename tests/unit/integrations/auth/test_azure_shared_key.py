"""Signatures that Microsoft's own Python packages make of the same requests (see each case)."""

from __future__ import annotations

from base64 import b64encode
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

import pytest

from hub.integrations.auth.azure_shared_key import cosmos_string, storage_string
from tests.unit.integrations.auth.requests_in_hand import a_request, faults, signer

DATE = "Fri, 02 Jan 2026 03:04:05 GMT"
KEY = b64encode(b"0123456789abcdef0123456789abcdef").decode()
AUTH: dict[str, Any] = {"mode": "azure_shared_key", "account": "acct", "key": KEY}


def now() -> datetime:
    return datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("service", "method", "url", "headers", "data", "signature"),
    [
        # azure-storage-blob 12.31.1, SharedKeyCredentialPolicy.
        (
            "blob",
            "GET",
            "https://acct.blob.core.windows.net/container?restype=container&comp=list&prefix=a%2Fb%20c&maxresults=10",
            {},
            None,
            "fsSGCtLdj10xl91UdYlq3ftUZXMh53Kg7K/i0x2+8hA=",
        ),
        (
            "blob",
            "PUT",
            "https://acct.blob.core.windows.net/container/a%20b/%C3%A9.txt",
            {
                "X-Ms-Blob-Type": "BlockBlob",
                "content-type": "text/plain",
                "x-ms-meta-colour": "blue",
                "If-None-Match": "*",
                "X-Other": "unsigned",
            },
            b"12345",
            "ChtxLRJQcAt89RqK/uTEX8SPpzsZFjj5Kola2Qg9icw=",
        ),
        (
            "queue",
            "DELETE",
            "https://acct.queue.core.windows.net/q/messages/1?popreceipt=a%3D%3D",
            {},
            None,
            "0NnfZOXnZ1m5YUyysCFDFakpQu23d73YKlMiEPBtS9M=",
        ),
        # azure-data-tables 12.7.0, SharedKeyCredentialPolicy.
        (
            "table",
            "GET",
            "https://acct.table.core.windows.net/mytable()?$filter=a+eq%20'b'",
            {},
            None,
            "4DS8g2XyfM36fJnts98qb9NK+LkQEJcffMzpsIimR9U=",
        ),
        (
            "table",
            "POST",
            "https://acct.table.core.windows.net/mytable",
            {"Content-Type": "application/json"},
            b"{}",
            "LwJF6qfq1wFCD41dLNlY1gZ5a48m8asFQolEGj07H6A=",
        ),
        (
            "table",
            "GET",
            "https://acct.table.core.windows.net/?restype=service&comp=properties",
            {},
            None,
            "5CikrJ9YaqOMe/C8vNwltjAqlE6kMg3Za8jQNooroQc=",
        ),
    ],
    ids=["list", "put", "delete", "table query", "table insert", "table properties"],
)
def test_storage(service: str, method: str, url: str, headers: Any, data: Any, signature: str) -> None:
    sign = signer({**AUTH, "service": service}, now=now)
    signed = sign(a_request(method, url, headers, data))
    assert signed.headers["Authorization"] == f"SharedKey acct:{signature}"
    assert signed.headers["x-ms-date"] == DATE
    assert signed.headers["x-ms-version"] == "2023-11-03"
    assert "+" not in (signed.url or "")


def test_a_version_of_ones_own_stays() -> None:
    sign = signer({**AUTH, "service": "blob"}, now=now)
    signed = sign(a_request(headers={"X-Ms-Version": "2020-04-08"}))
    assert signed.headers["x-ms-version"] == "2020-04-08"


def test_a_plus_in_a_path_is_a_plus() -> None:
    sign = signer({**AUTH, "service": "blob"}, now=now)
    assert sign(a_request(url="https://a.example.com/c+d?x=e+f")).url == "https://a.example.com/c+d?x=e%20f"


def test_repeated_parameters_are_joined_and_values_are_trimmed() -> None:
    url = "https://acct.example.com/?include=snapshots&Include=metadata&comp=list&x"
    string = storage_string(
        "GET", url, {"x-ms-meta-a": "  b  c  ", "x-ms-date": DATE, "Date": "ignored"}, "acct"
    )
    assert string == (
        "GET\n\n\n\n\n\n\n\n\n\n\n\n"
        f"x-ms-date:{DATE}\nx-ms-meta-a:b  c\n/acct/\ncomp:list\ninclude:metadata,snapshots\nx:"
    )


def test_the_published_example_of_cosmos() -> None:
    # learn.microsoft.com/rest/api/cosmos-db/access-control-on-cosmosdb-resources, the example of the C# method.
    auth = {
        "mode": "azure_shared_key",
        "service": "cosmos",
        "key": "dsZQi3KtZmCv1ljt3VNWNm7sQUF1y5rJfC6kv5JiwvW0EndXdDku/dkKBp8/ufDToSxLzR4y+O/0H/t4bQtVNw==",
    }
    sign = signer(auth, now=lambda: datetime(2017, 4, 27, 0, 51, 12, tzinfo=UTC))
    signed = sign(a_request(url="https://acct.documents.azure.com/dbs/ToDoList"))
    assert signed.headers["Authorization"] == (
        "type%3Dmaster%26ver%3D1.0%26sig%3Dc09PEVJrgp2uQRkr934kFbTqhByc7TVr3OHyqlu%2Bc%2Bc%3D"
    )
    assert signed.headers["x-ms-version"] == "2018-12-31"


@pytest.mark.parametrize(
    ("method", "path", "signature"),
    [
        # azure-cosmos 4.17.1, azure.cosmos.auth.
        ("POST", "/dbs/db/colls/c/docs", "Qw3mvdJ6h3oWrl4A7Zi1SkTM362Ky2zO9qAuIfraAHE="),
        ("GET", "/dbs/db/colls/c/docs/My%20Doc", "JQPtPiSUKpQa4KlhjkF5VynYbpEALtRjVRcM7qlENMU="),
        ("GET", "/dbs", "NbedVOTS3sEBg9dW/yHn55kDmOL2nW8x2GoLjw33pds="),
        ("GET", "/", "63VbByPxaciZM32ukV5sK+vFCGGBgXXMKyiocsTeZPg="),
        ("PUT", "/offers/aBcD", "14jhzdoBxBIdmXtnMAS1ZK+6J4iNp3UMUaveIcOc+7c="),
    ],
)
def test_cosmos(method: str, path: str, signature: str) -> None:
    auth = {"mode": "azure_shared_key", "service": "cosmos", "key": KEY}
    sign = signer(auth, now=now)
    signed = sign(a_request(method, f"https://acct.documents.azure.com{path}"))
    assert unquote(signed.headers["Authorization"]) == f"type=master&ver=1.0&sig={signature}"


def test_a_feed_of_cosmos_is_signed_with_its_parent() -> None:
    assert cosmos_string("GET", "https://x/dbs/DB/colls/", DATE) == f"get\ncolls\ndbs/DB\n{DATE.lower()}\n\n"
    assert cosmos_string("GET", "https://x/offers", DATE) == f"get\noffers\n\n{DATE.lower()}\n\n"


@pytest.mark.parametrize(
    ("more", "path"),
    [
        ({"service": "blob", "account": ""}, "auth.account"),
        ({"service": "cosmos"}, "auth.account"),
        ({"service": "blob", "account": "My Account"}, "auth.account"),
        ({"service": "blob", "key": "not base64!"}, "auth.key"),
        ({"service": "sql"}, "auth.service"),
        ({}, "auth.service"),
    ],
    ids=str,
)
def test_what_makes_no_sense_is_refused(more: dict[str, Any], path: str) -> None:
    assert path in faults({**AUTH, **more})
