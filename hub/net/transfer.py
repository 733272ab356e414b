"""One reusable libcurl handle and what it collects for the call that it carries now.

Options that never change are set once; a call sets its URL, headers, body and timeout. Promises: the address
policy sees every address before libcurl connects to it, and the peer once more at the end; header and body
bytes are capped as they arrive, after decompression; neither proxy, cookie, redirect, netrc nor another
protocol is ever used.
"""

from __future__ import annotations

import errno
import socket
from typing import TYPE_CHECKING, Any

import pycurl

from hub.net import curl_faults
from hub.net.outcome import ErrorClass, Outcome, Timings, classify_status, collect_headers, status_message

if TYPE_CHECKING:
    from hub.net.policy import AddressPolicy
    from hub.net.url import Target

MAX_HEADER_BYTES = 65_536


class Call:
    """One POST.

    Args:
        key: the caller's own mark; comes back with the outcome.
        url: absolute; judged again before it is sent.
        headers: rendered lines `Name: value`, all `str` or all `bytes`; libcurl leaves a line out that has
            no value.
        body: the exact bytes to send.
        timeout: seconds for everything.
    """

    __slots__ = ("body", "headers", "key", "timeout", "url")

    def __init__(
        self, key: Any, url: str, headers: list[str] | list[bytes], body: bytes, timeout: float
    ) -> None:
        self.key = key
        self.url = url
        self.headers = headers
        self.body = body
        self.timeout = timeout


class Transfer:
    """A libcurl easy handle, used for one call after the other."""

    __slots__ = (
        "_chunks",
        "_header_bytes",
        "_lines",
        "_max_body",
        "_opened",
        "_policy",
        "_refused",
        "_resolves",
        "_room",
        "_secure",
        "_starved",
        "_timeout_ms",
        "_truncated",
        "_waited",
        "call",
        "curl",
    )

    def __init__(self, policy: AddressPolicy, *, max_body: int, idle_seconds: float, ca_file: str) -> None:
        self.call: Call | None = None
        self._policy = policy
        self._max_body = max_body
        self._opened: socket.socket | None = None
        self._resolves = False
        self._secure = False
        self._waited = 0.0
        self._timeout_ms = -1
        self.curl = curl = pycurl.Curl()
        for option, value in (
            (pycurl.NOSIGNAL, 1),
            (pycurl.POST, 1),
            (pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS),
            (pycurl.FOLLOWLOCATION, 0),
            (pycurl.PROXY, ""),
            (pycurl.NOPROXY, "*"),
            (pycurl.NETRC, pycurl.NETRC_IGNORED),
            # Each connection carries one call at a time, so an aborted body costs a connection, never a
            # neighbour.
            (pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1),
            (pycurl.ACCEPT_ENCODING, "gzip"),
            (pycurl.USERAGENT, "integration-hub"),
            (pycurl.CAINFO, ca_file),
            (pycurl.SSL_VERIFYPEER, 1),
            (pycurl.SSL_VERIFYHOST, 2),
            (pycurl.SSLVERSION, pycurl.SSLVERSION_TLSv1_2),
            (pycurl.MAXAGE_CONN, max(1, int(idle_seconds))),
            (pycurl.OPENSOCKETFUNCTION, self._open),
            (pycurl.SOCKOPTFUNCTION, self._handed_over),
            (pycurl.HEADERFUNCTION, self._on_header),
            (pycurl.WRITEFUNCTION, self._on_body),
        ):
            curl.setopt(option, value)
        self._clear()

    def start(self, call: Call, target: Target, addresses: str | None, waited: float) -> None:
        """Load a call.

        Args:
            call: what to send.
            target: its checked URL.
            addresses: where its name leads, with commas between; None when the URL holds the address.
            waited: seconds of its time that are gone.
        """
        self.call = call
        self._secure = target.scheme == "https"
        self._waited = waited
        curl = self.curl
        curl.setopt(pycurl.URL, target.text)
        if addresses is not None:
            # Given with every call (+: as if just resolved), so that libcurl never asks its own resolver.
            curl.setopt(pycurl.RESOLVE, [f"+{target.host}:{target.port}:{addresses}"])
            self._resolves = True
        elif self._resolves:
            curl.setopt(pycurl.RESOLVE, [])
            self._resolves = False
        # libcurl would ask permission (`Expect: 100-continue`) before a large body and wait a second for it.
        curl.setopt(pycurl.HTTPHEADER, [*call.headers, "Expect:"])
        curl.setopt(pycurl.POSTFIELDS, call.body)
        timeout_ms = max(1, int((call.timeout - waited) * 1000))
        if timeout_ms != self._timeout_ms:
            curl.setopt(pycurl.TIMEOUT_MS, timeout_ms)
            self._timeout_ms = timeout_ms

    def finish(self, code: int, detail: str) -> tuple[Call, Outcome]:
        """Unload the finished call with its outcome; `code` is its CURLcode."""
        call = self.call
        assert call is not None
        status: int | None = self.curl.getinfo(pycurl.RESPONSE_CODE)
        if status is not None and status < 200:
            status = None
        peer = self.curl.getinfo(pycurl.PRIMARY_IP) or None
        error_class, message = self._verdict(code, detail, status, peer)
        outcome = Outcome(
            status,
            error_class,
            message,
            self._headers(),
            b"".join(self._chunks),
            self._truncated,
            self._timings(),
            peer,
        )
        self.unload()
        return call, outcome

    def unload(self) -> None:
        """Forget the call."""
        if self._opened is not None:
            self._opened.close()
            self._opened = None
        self.call = None
        self._clear()

    def _clear(self) -> None:
        self._lines: list[bytes] = []
        self._header_bytes = 0
        self._chunks: list[bytes] = []
        self._room = self._max_body
        self._truncated = False
        self._refused = ""
        self._starved = False

    def _verdict(  # noqa: PLR0911 - one line a case
        self, code: int, detail: str, status: int | None, peer: str | None
    ) -> tuple[ErrorClass | None, str]:
        if self._refused:
            return (
                ErrorClass.REFUSED_BY_POLICY,
                f"The host leads to {self._refused}, which may not be called.",
            )
        if peer is not None and not self._policy.allows(peer):
            return ErrorClass.REFUSED_BY_POLICY, f"The connection ended at {peer}, which may not be called."
        if self._starved:
            return ErrorClass.INTERNAL, "The hub ran out of sockets."
        if self._header_bytes > MAX_HEADER_BYTES:
            return ErrorClass.PROTOCOL, f"The answer has more than {MAX_HEADER_BYTES} bytes of headers."
        if status is not None and (code == pycurl.E_OK or self._truncated):
            # A cut body is our doing: the status is the receiver's word.
            return classify_status(status), status_message(status)
        if code == pycurl.E_OK:
            return ErrorClass.PROTOCOL, "The answer has no status."
        info = self.curl.getinfo
        ready = pycurl.APPCONNECT_TIME if self._secure else pycurl.CONNECT_TIME
        return curl_faults.classify(
            code,
            detail,
            resolved=peer is not None or info(pycurl.NAMELOOKUP_TIME) > 0,
            # A reused connection (no connects) has a peer and no times.
            connected=peer is not None and (info(pycurl.NUM_CONNECTS) == 0 or info(ready) > 0),
            answered=bool(self._lines),
            os_errno=info(pycurl.OS_ERRNO),
        )

    def _timings(self) -> Timings:
        info = self.curl.getinfo
        timings = Timings(total_ms=(info(pycurl.TOTAL_TIME) + self._waited) * 1000)
        if self._lines:
            timings.first_byte_ms = (info(pycurl.STARTTRANSFER_TIME) - info(pycurl.PRETRANSFER_TIME)) * 1000
        if info(pycurl.NUM_CONNECTS):
            resolved, connected = info(pycurl.NAMELOOKUP_TIME), info(pycurl.CONNECT_TIME)
            secured = info(pycurl.APPCONNECT_TIME)
            timings.dns_ms = (resolved + self._waited) * 1000
            if connected > 0:
                timings.connect_ms = (connected - resolved) * 1000
            if secured > 0:
                timings.tls_ms = (secured - connected) * 1000
        return timings

    def _headers(self) -> dict[str, str]:
        """The lines of the last answer; interim ones (1xx) come before it, each with a status line."""
        pairs = []
        for line in reversed(self._lines):
            name, colon, value = line.partition(b":")
            if colon and not line.startswith(b"HTTP/"):
                pairs.append((name.strip().decode("latin-1"), value.strip().decode("latin-1")))
            elif line.startswith(b"HTTP/"):
                break
        pairs.reverse()
        return collect_headers(pairs)

    def _on_header(self, line: bytes) -> int | None:
        self._header_bytes += len(line)
        if self._header_bytes > MAX_HEADER_BYTES:
            return -1
        self._lines.append(line)
        return None

    def _on_body(self, data: bytes) -> int | None:
        size = len(data)
        if size > self._room:
            self._chunks.append(data[: self._room])
            self._room = 0
            self._truncated = True
            return -1
        self._chunks.append(data)
        self._room -= size
        return None

    def _open(self, _purpose: int, address: Any) -> socket.socket | int:
        """Judge an address and give libcurl a socket for it; after one refusal the call gets none."""
        ip, port = address.addr[:2]
        if self._refused or not self._policy.allows(ip, port):
            self._refused = self._refused or f"{ip} port {port}"
            return pycurl.SOCKET_BAD
        try:
            self._opened = socket.socket(address.family, address.socktype, address.protocol)
        except OSError as error:
            self._starved = error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
            return pycurl.SOCKET_BAD
        return self._opened

    def _handed_over(self, _descriptor: int, _purpose: int) -> int:
        """Close our copy (pycurl duplicates it), or the peer would never see the connection close."""
        if self._opened is not None:
            self._opened.close()
            self._opened = None
        return pycurl.SOCKOPT_OK
