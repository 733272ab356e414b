"""S3 and what speaks like it, in path style (AWS, Amazon S3 API Reference), over the guarded session.

Promises: every request is signed by the integration's own credentials; a copy or a listing that answers 200 with an
error in it is an error. Leaves to others: the signature (`hub.integrations.auth.aws_sigv4`).
"""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote, unquote_plus, urlsplit

from hub.integrations.transports.dialled import Verdict
from hub.integrations.transports.files.entries import Entry, fault
from hub.integrations.transports.files.s3_xml import Element, NotXml, parse
from hub.net.outcome import ErrorClass

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from hub.integrations.auth.mode import Credentials
    from hub.integrations.transports.files.entries import Listing
    from hub.integrations.transports.interface import Caps, Connection
    from hub.net.outcome import Outcome
    from hub.net.session import GuardedSession
    from hub.net.sockets import Deadline
    from hub.net.trace import Trace

#: Bytes of XML that are read of one answer; a thousand entries are about 400 KB.
_MAX_XML_BYTES = 4_194_304
_PAGE = 1000
# Amazon S3 API Reference, Error responses.
_LOGIN = frozenset(
    {
        "InvalidAccessKeyId",
        "SignatureDoesNotMatch",
        "ExpiredToken",
        "InvalidToken",
        "TokenRefreshRequired",
        "AuthorizationHeaderMalformed",
        "RequestTimeTooSkewed",
        "InvalidSecurity",
    }
)
_CODES = {
    "NoSuchKey": "not_found",
    "NoSuchBucket": "not_found",
    "AccessDenied": "denied",
    "AllAccessDisabled": "denied",
    "PreconditionFailed": "exists",
    "EntityTooLarge": "no_space",
}


class S3Client:
    """A bucket, or what is below a prefix in it.

    Args:
        session: the way out.
        connection: its address is that of the bucket, with the prefix.
        credentials: sign the requests.
        caps: bounds of the call.
        deadline: over all its requests.
        trace: gets the timings and the peer of the newest one.
    """

    def __init__(
        self,
        session: GuardedSession,
        connection: Connection,
        credentials: Credentials,
        caps: Caps,
        deadline: Deadline,
        trace: Trace,
    ) -> None:
        self._session = session
        self._connection = connection
        self._credentials = credentials
        self._caps = caps
        self._deadline = deadline
        self._trace = trace
        parts = urlsplit(connection.base_url)
        bucket, _, prefix = parts.path.strip("/").partition("/")
        self._bucket_url = f"{parts.scheme}://{parts.netloc}/{bucket}"
        self._bucket = bucket
        self._prefix = f"{prefix}/" if prefix else ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        del kind, error, trace

    def list(self, path: str, listing: Listing) -> None:
        """See `Client`. What is below a common prefix is shown as a directory."""
        prefix = self._key(f"{path}/") if path else self._prefix
        token = ""
        while True:
            query = {
                "list-type": "2",
                "delimiter": "/",
                "prefix": prefix,
                "encoding-type": "url",
                "max-keys": str(_PAGE),
            } | ({"continuation-token": token} if token else {})
            outcome = self._ask("GET", self._bucket_url, path, params=query, max_body=_MAX_XML_BYTES)
            page = _read(outcome)
            # Not every service knows `encoding-type`; one that does says so, and only then is a key encoded.
            read = unquote_plus if page.child("EncodingType") == "url" else str
            for element in page.children:
                entry = self._entry(element, prefix, read)
                if entry is not None and not listing.add(entry):
                    return
            token, previous = page.child("NextContinuationToken"), token
            if page.child("IsTruncated") != "true" or not token or token == previous:
                return

    def stat(self, path: str) -> Entry:
        """See `Client`."""
        outcome = self._ask("HEAD", self._url(path), path)
        headers = outcome.headers
        size = headers.get("content-length", "")
        modified = None
        with contextlib.suppress(KeyError, ValueError, TypeError):
            modified = parsedate_to_datetime(headers["last-modified"]).astimezone(UTC)
        etag = headers.get("etag", "").strip('"')
        more = {"etag": etag} if etag else {}
        return Entry(path, "file", int(size) if size.isdigit() else None, modified, more)

    def get(self, path: str, max_bytes: int) -> bytes:
        """See `Client`. The Content-Encoding in the answer is the object's own: it was stored with it."""
        return self._ask("GET", self._url(path), path, max_body=max_bytes, decode=False).body

    def put(self, path: str, content: bytes, *, overwrite: bool, content_type: str | None) -> None:
        """See `Client`. Who may write and not read is refused by the look; then the condition alone decides."""
        headers = {"Content-Type": content_type or "application/octet-stream"}
        if not overwrite:
            try:
                self._check_free(path)
            except Verdict as verdict:
                if verdict.headers.get("file-error") != "denied":
                    raise
            headers["If-None-Match"] = "*"  # for those that know it, it also decides a race
        self._ask("PUT", self._url(path), path, data=content, headers=headers)

    def move(self, path: str, to: str, *, overwrite: bool) -> None:
        """See `Client`: a copy, then a deletion, so for a moment there are both."""
        if not overwrite:
            self._check_free(to)
        source = quote(f"/{self._bucket}/{self._key(path)}", safe="/-_.~")
        outcome = self._ask("PUT", self._url(to), path, headers={"x-amz-copy-source": source}, data=b"")
        if _read(outcome).name != "CopyObjectResult":
            raise _error(outcome, path)
        self._ask("DELETE", self._url(path), path)

    def delete(self, path: str) -> None:
        """See `Client`. S3 deletes what is not there as well, so it looks first."""
        self._ask("HEAD", self._url(path), path)
        self._ask("DELETE", self._url(path), path)

    def _check_free(self, path: str) -> None:
        try:
            self._ask("HEAD", self._url(path), path)
        except Verdict as verdict:
            if verdict.headers.get("file-error") == "not_found":
                return
            raise
        raise fault("exists", path)

    def _key(self, path: str) -> str:
        return self._prefix + path

    def _url(self, path: str) -> str:
        if not path:
            raise fault("is_directory", path)
        return f"{self._bucket_url}/{quote(self._key(path), safe='/-_.~')}"

    def _ask(self, method: str, url: str, path: str, *, max_body: int = 65_536, **more: Any) -> Outcome:
        """One request.

        Raises:
            Verdict: it failed.
        """
        outcome = self._session.call(
            method,
            url,
            auth=self._credentials.http,
            max_body=max_body,
            pool_key=self._connection.pool_key,
            identity=self._connection.tls,
            cancellation=self._caps.cancellation,
            deadline=self._deadline,
            **more,
        )
        self._trace.timings, self._trace.peer = outcome.timings, outcome.peer
        if outcome.error_class is not None:
            raise _error(outcome, path)
        return outcome

    def _entry(self, element: Element, prefix: str, read: Callable[[str], str]) -> Entry | None:
        if element.name == "CommonPrefixes":
            return Entry(self._path(read(element.child("Prefix")).rstrip("/")), "directory")
        key = read(element.child("Key"))
        if element.name != "Contents" or key == prefix:
            return None
        modified = None
        with contextlib.suppress(ValueError):
            modified = datetime.fromisoformat(element.child("LastModified"))
        size, etag = element.child("Size"), element.child("ETag").strip('"')
        return Entry(
            self._path(key),
            "file",
            int(size) if size.isdigit() else None,
            modified,
            {"etag": etag} if etag else {},
        )

    def _path(self, key: str) -> str:
        return key.removeprefix(self._prefix)


def _read(outcome: Outcome) -> Element:
    try:
        return parse(outcome.body)
    except NotXml:
        raise Verdict(ErrorClass.PROTOCOL, "The answer is not what S3 says.", status=outcome.status) from None


def _error(outcome: Outcome, path: str) -> Verdict:
    """What a refused request means.

    The answer to a HEAD has no body to say more: its 403 may mean the credentials, or that this user may not read, or,
    for one who may not list the bucket, that there is nothing (Amazon S3 API Reference, HeadObject).
    """
    try:
        said = parse(outcome.body) if outcome.body else Element("")
    except NotXml:
        said = Element("")
    code, text = said.child("Code"), said.child("Message")
    status = outcome.status
    if code in _LOGIN or status == 401:
        words = f" ({code})" if code else ""
        return Verdict(ErrorClass.UNAUTHORIZED, f"The service refused the credentials{words}.", status=status)
    if code in {"SlowDown", "RequestLimitExceeded"} or status == 429:
        return Verdict(
            ErrorClass.RATE_LIMITED, "The service asks to slow down.", headers=outcome.headers, status=status
        )
    if status == 403 and not code:
        words = "without a reason: the credentials are wrong, or may not do this, or may not list the bucket"
        return fault("denied", path, words, status=status)
    found = _CODES.get(code) or {404: "not_found", 412: "exists"}.get(status or 0)
    if found is not None:
        return fault(found, path, f"{code} {text}".strip(), status=status)
    if outcome.error_class in {None, ErrorClass.HTTP_4XX, ErrorClass.REDIRECT}:
        words = f"{code} {text}".strip() or outcome.message
        return fault("failed", path, words, status=status)
    return Verdict(
        outcome.error_class or ErrorClass.PROTOCOL, outcome.message, headers=outcome.headers, status=status
    )
