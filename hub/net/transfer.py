"""One reusable libcurl handle and what it collects for the call that it carries now.

Options that never change are set once; a call sets its URL, headers, body and timeout. Promises: the address
policy sees every address before libcurl connects to it, and the peer once more at the end; header and body
bytes are capped as they arrive, after decompression; neither proxy, cookie, redirect, netrc nor another
protocol is ever used. A client certificate and a private authority are those of one call: libcurl keeps them
in the identity of a connection and of a TLS session, so no other call is ever given one of either, and the
handle forgets them with the call.
"""

from __future__ import annotations

import errno
import socket
from typing import TYPE_CHECKING, Any

import pycurl

from hub.net import curl_faults
from hub.net.outcome import ErrorClass, Outcome, Timings, classify_status, collect_headers, status_message

if TYPE_CHECKING:
    from collections.abc import Callable

    from hub.net.client_certificate import ClientCertificate
    from hub.net.kept import Kept
    from hub.net.policy import AddressPolicy
    from hub.net.url import Target

MAX_HEADER_BYTES = 65_536
MAX_HEADER_LINES = 1000


class Call:
    """One POST.

    Args:
        key: the caller's own mark; comes back with the outcome.
        url: absolute; judged again before it is sent.
        headers: rendered lines `Name: value`, all `str` or all `bytes`; libcurl leaves a line out that has
            no value.
        body: the exact bytes to send.
        timeout: seconds for everything.
        certificate: shown to a receiver that asks for one (mutual TLS); of no effect with `http`.
        ca: trusted certificates (PEM) for this call, in place of the sender's own list.
    """

    __slots__ = ("body", "ca", "certificate", "headers", "key", "timeout", "url")

    def __init__(
        self,
        key: Any,
        url: str,
        headers: list[str] | list[bytes],
        body: bytes,
        timeout: float,
        certificate: ClientCertificate | None = None,
        ca: bytes | None = None,
    ) -> None:
        self.key = key
        self.url = url
        self.headers = headers
        self.body = body
        self.timeout = timeout
        self.certificate = certificate
        self.ca = ca


class Transfer:
    """A libcurl easy handle, used for one call after the other."""

    __slots__ = (
        "_body",
        "_broken",
        "_descriptors",
        "_died",
        "_head",
        "_header_bytes",
        "_kept",
        "_max_body",
        "_on_socket",
        "_opened",
        "_peer",
        "_policy",
        "_refused",
        "_renewed",
        "_resolves",
        "_room",
        "_secure",
        "_sent",
        "_starved",
        "_timeout_ms",
        "_truncated",
        "_waited",
        "call",
        "curl",
        "stale",
    )

    def __init__(
        self,
        policy: AddressPolicy,
        *,
        max_body: int,
        idle_seconds: float,
        ca_file: str,
        on_socket: Callable[[int], None],
        kept: Kept,
    ) -> None:
        self.call: Call | None = None
        self._policy = policy
        self._max_body = max_body
        self._on_socket = on_socket
        self._opened: socket.socket | None = None
        self._kept = kept
        self._renewed = False
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
            # Each call in flight holds this buffer; libcurl's own 64 KiB would be most of what a call costs.
            (pycurl.UPLOAD_BUFFERSIZE, 16_384),
            (pycurl.USERAGENT, "integration-hub"),
            (pycurl.CAINFO, ca_file),
            (pycurl.SSL_VERIFYPEER, 1),
            (pycurl.SSL_VERIFYHOST, 2),
            (pycurl.SSLVERSION, pycurl.SSLVERSION_TLSv1_2),
            (pycurl.MAXAGE_CONN, max(1, int(idle_seconds))),
            (pycurl.OPENSOCKETFUNCTION, self._open),
            (pycurl.SOCKOPTFUNCTION, self._handed_over),
            (pycurl.PREREQFUNCTION, self._before_request),
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
        if call.certificate is not None:
            curl.setopt(pycurl.SSLCERT_BLOB, call.certificate.chain)
            curl.setopt(pycurl.SSLKEY_BLOB, call.certificate.key.reveal().encode())
        if call.ca is not None:
            curl.setopt(pycurl.CAINFO_BLOB, call.ca)

    def renew(self) -> None:
        """Prepare the call to start anew on a new connection; for a call that ended `stale`: nothing was sent."""
        self._clear()
        self.curl.setopt(pycurl.FRESH_CONNECT, 1)
        self._renewed = True

    def finish(self, code: int, detail: str) -> tuple[Call, Outcome]:
        """Unload the finished call with its outcome; `code` is its CURLcode."""
        call = self.call
        assert call is not None
        status: int | None = self.curl.getinfo(pycurl.RESPONSE_CODE)
        if status is not None and status < 200:
            status = None
        peer = self._peer or self.curl.getinfo(pycurl.PRIMARY_IP) or None
        error_class, message = self._verdict(code, detail, status, peer)
        outcome = Outcome(
            status,
            error_class,
            message,
            self._headers(),
            bytes(self._body),
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
        call, self.call = self.call, None
        if call is not None:
            if call.certificate is not None:
                self.curl.unsetopt(pycurl.SSLCERT_BLOB)
                self.curl.unsetopt(pycurl.SSLKEY_BLOB)
            if call.ca is not None:
                self.curl.unsetopt(pycurl.CAINFO_BLOB)
        if self._renewed:
            self.curl.setopt(pycurl.FRESH_CONNECT, 0)
            self._renewed = False
        self._clear()

    def _clear(self) -> None:
        self._head = bytearray()
        self._header_bytes = 0
        self._broken = ""
        self._peer = ""
        self._sent = False
        self._died = False
        self._descriptors: list[int] = []
        self.stale = False
        self._body = bytearray()
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
        if peer is not None and peer != self._peer and not self._policy.allows(peer):
            return ErrorClass.REFUSED_BY_POLICY, f"The connection ended at {peer}, which may not be called."
        if self._starved:
            return ErrorClass.INTERNAL, "The hub ran out of sockets."
        if self._broken:
            return ErrorClass.PROTOCOL, self._broken
        if self._died:
            return ErrorClass.RESET, "The other side broke a kept connection before it answered."
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
            answered=bool(self._head),
            os_errno=info(pycurl.OS_ERRNO),
        )

    def _timings(self) -> Timings:
        info = self.curl.getinfo
        timings = Timings(total_ms=(info(pycurl.TOTAL_TIME) + self._waited) * 1000)
        if self._head:
            timings.first_byte_ms = (info(pycurl.STARTTRANSFER_TIME) - info(pycurl.PRETRANSFER_TIME)) * 1000
        if self._descriptors:
            resolved, connected = info(pycurl.NAMELOOKUP_TIME), info(pycurl.CONNECT_TIME)
            secured = info(pycurl.APPCONNECT_TIME)
            timings.dns_ms = (resolved + self._waited) * 1000
            if connected > 0:
                timings.connect_ms = (connected - resolved) * 1000
            if secured > 0:
                timings.tls_ms = (secured - connected) * 1000
        return timings

    def _headers(self) -> dict[str, str]:
        """The header and trailer lines of the last answer."""
        pairs = []
        for line in self._head.decode("latin-1").split("\n", MAX_HEADER_LINES)[1:MAX_HEADER_LINES]:
            name, colon, value = line.partition(":")
            if colon:
                pairs.append((name.strip(), value.strip()))
        return collect_headers(pairs)

    def _before_request(self, *ends: Any) -> int:
        """Let a request go out once, and on a kept connection only when that is silent.

        What can be read from an idle connection is its end, or bytes that would pass for the answer to this
        request; libcurl does not look. And when a kept connection ends before the first byte of the answer,
        libcurl would send the request again on a new one, although the other side may have taken it: a
        second delivery that no attempt shows.
        """
        if self._sent:
            self._died = True
            return pycurl.PREREQFUNC_ABORT
        if self._descriptors:
            if not self._policy.allows(ends[0]):
                return pycurl.PREREQFUNC_ABORT
            self._kept.connected(ends, self._descriptors)
        elif not self._kept.is_fit(ends):
            self.stale = True
            return pycurl.PREREQFUNC_ABORT
        self._peer = ends[0]
        self._sent = True
        return pycurl.PREREQFUNC_OK

    def _on_header(self, line: bytes) -> int | None:
        self._header_bytes += len(line)
        if self._header_bytes > MAX_HEADER_BYTES:
            self._broken = f"The answer has more than {MAX_HEADER_BYTES} bytes of headers."
            return -1
        if line.startswith(b"HTTP/"):
            # What came before it was an interim answer (1xx).
            self._head.clear()
            if b" 101" in line[:13]:
                self._broken = "The answer switches to another protocol (101), which was not asked for."
                return -1
        self._head += line
        return None

    def _on_body(self, data: bytes) -> int | None:
        size = len(data)
        if size > self._room:
            self._body += data[: self._room]
            self._room = 0
            self._truncated = True
            return -1
        self._body += data
        self._room -= size
        return None

    def _open(self, _purpose: int, address: Any) -> socket.socket | int:
        """Judge an address and give libcurl a socket for it.

        After one refusal the call gets none, nor when its request went out before (`_before_request`).
        """
        if self._sent:
            self._died = True
            return pycurl.SOCKET_BAD
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

    def _handed_over(self, descriptor: int, _purpose: int) -> int:
        """Close our copy (pycurl duplicates it), or the peer would never see the connection close."""
        self._descriptors.append(descriptor)
        self._on_socket(descriptor)
        if self._opened is not None:
            self._opened.close()
            self._opened = None
        return pycurl.SOCKOPT_OK
