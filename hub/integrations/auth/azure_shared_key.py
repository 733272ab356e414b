"""Azure's account keys: Shared Key of Azure Storage, and the master key of Azure Cosmos DB.

Sources: learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key and
learn.microsoft.com/rest/api/cosmos-db/access-control-on-cosmosdb-resources
"""

from __future__ import annotations

import binascii
import hmac
from base64 import b64decode, b64encode
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote, unquote, urlsplit

from pydantic import Field

from hub.core.errors import FieldError
from hub.integrations.auth.fields import WriteOnly, text_at
from hub.integrations.auth.mode import Mode, Parameters, Secrets
from hub.integrations.auth.places import write_timestamp
from hub.integrations.forms import Form

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


#: Sent where the request names no `x-ms-version`.
_VERSIONS = {"cosmos": "2018-12-31"}
_STORAGE_VERSION = "2023-11-03"

#: What a storage signature covers, in this order; `Date` is left empty, since `x-ms-date` is there.
_SIGNED_HEADERS = (
    "Content-Encoding",
    "Content-Language",
    "Content-Length",
    "Content-MD5",
    "Content-Type",
    "Date",
    "If-Modified-Since",
    "If-Match",
    "If-None-Match",
    "If-Unmodified-Since",
    "Range",
)


class AzureSharedKeyAuth(Form):
    """Requests signed with an account key of Azure Storage, or with the master key of Azure Cosmos DB."""

    mode: Literal["azure_shared_key"]
    service: Literal["blob", "dfs", "file", "queue", "table", "cosmos"] = Field(
        description="`dfs` is Data Lake Storage; `table` is also the Table API of Cosmos DB, `cosmos` its NoSQL API."
    )
    account: str = Field(
        default="",
        pattern=r"^[a-z0-9-]{0,64}$",
        description="The account's name, for every service but `cosmos`.",
    )
    key: WriteOnly = None


class AzureSharedKey:
    """Signs requests.

    Args:
        parameters: `service`, `account`.
        secrets: `key`, in base64.
        now: the clock.
    """

    def __init__(
        self,
        parameters: Parameters,
        secrets: Secrets,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._service: str = parameters["service"]
        self._account: str = parameters["account"]
        self._key = secrets["key"]
        self._now = now

    def __call__(self, request: Any) -> Any:
        """Sign a prepared request."""
        headers = request.headers
        headers["x-ms-date"] = write_timestamp(self._now(), "http_date")
        headers.setdefault("x-ms-version", _VERSIONS.get(self._service, _STORAGE_VERSION))
        if self._service == "cosmos":
            signature = self._sign(cosmos_string(request.method, request.url, headers["x-ms-date"]))
            headers["Authorization"] = quote(f"type=master&ver=1.0&sig={signature}", safe="")
            return request
        # A plus and an encoded space are two spellings of one query; the signature knows the second.
        address, mark, query = request.url.partition("?")
        request.url = f"{address}{mark}{query.replace('+', '%20')}"
        make = table_string if self._service == "table" else storage_string
        signature = self._sign(make(request.method, request.url, headers, self._account))
        headers["Authorization"] = f"SharedKey {self._account}:{signature}"
        return request

    def _sign(self, text: str) -> str:
        return b64encode(hmac.digest(b64decode(self._key.reveal()), text.encode(), "sha256")).decode()


def storage_string(method: str, url: str, headers: Mapping[str, str], account: str) -> str:
    """What is signed for blobs, files and queues, since version 2015-02-21 of those services.

    Args:
        method: upper case.
        url: absolute, as it travels.
        headers: by names of any case, as they travel.
        account: whose key it is.
    """
    given = {name.lower(): str(value) for name, value in headers.items()}
    given["date"] = ""
    if given.get("content-length") == "0":
        given["content-length"] = ""
    lines = [method, *(given.get(name.lower(), "") for name in _SIGNED_HEADERS)]
    # The specification also folds spaces inside of values; Microsoft's packages and emulator do not.
    lines += [f"{name}:{given[name].strip()}" for name in sorted(given) if name.startswith("x-ms-")]
    parts = urlsplit(url)
    values: dict[str, list[str]] = {}
    for name, _, value in (pair.partition("=") for pair in parts.query.split("&") if pair):
        values.setdefault(unquote(name).lower(), []).append(unquote(value))
    lines.append(f"/{account}{parts.path or '/'}")
    lines += [f"{name}:{','.join(sorted(values[name]))}" for name in sorted(values)]
    return "\n".join(lines)


def table_string(method: str, url: str, headers: Mapping[str, str], account: str) -> str:
    """What is signed for tables. Arguments as of `storage_string`."""
    given = {name.lower(): str(value) for name, value in headers.items()}
    parts = urlsplit(url)
    component = [pair for pair in parts.query.split("&") if pair.startswith("comp=")]
    resource = f"/{account}{parts.path or '/'}" + (f"?{unquote(component[0])}" if component else "")
    lines = (
        method,
        given.get("content-md5", ""),
        given.get("content-type", ""),
        given["x-ms-date"],
        resource,
    )
    return "\n".join(lines)


def cosmos_string(method: str, url: str, date: str) -> str:
    """What is signed for Cosmos DB.

    Args:
        method: of the request.
        url: absolute, `…/dbs/NAME/colls/NAME/docs/ID`; a path of an odd length names a feed of its last part.
        date: the value of `x-ms-date`.
    """
    parts = [unquote(part) for part in urlsplit(url).path.strip("/").split("/") if part]
    if len(parts) % 2:
        kind, link = parts[-1], "/".join(parts[:-1])
    else:
        kind, link = (parts[-2] if parts else ""), "/".join(parts)
    if kind == "offers":
        # Offers have no names: they are known by their resource id, in lower case.
        link = link.partition("/")[2].lower()
    return f"{method.lower()}\n{kind.lower()}\n{link}\n{date.lower()}\n\n"


def faults(given: Parameters) -> list[FieldError]:
    """What is wrong beyond the form."""
    found: list[FieldError] = []
    service, account = text_at(given, "service"), text_at(given, "account")
    if service == "cosmos" and account:
        found.append(FieldError("auth.account", "has no meaning for cosmos; leave it out"))
    if service not in {"", "cosmos"} and not account:
        found.append(FieldError("auth.account", "is required: the name of the storage account"))
    try:
        b64decode(text_at(given, "key"), validate=True)
    except (binascii.Error, ValueError):
        found.append(FieldError("auth.key", "is not base64; copy the whole key from the portal"))
    return found


MODE = Mode("azure_shared_key", AzureSharedKeyAuth, secrets=("key",), sign=AzureSharedKey, faults=faults)
