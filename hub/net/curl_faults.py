"""What a libcurl result code means: code in, error class and sentence out (libcurl-errors(3))."""

from __future__ import annotations

import errno
import re

import pycurl

from hub.net.outcome import ErrorClass, safe_text

_TLS = frozenset(
    {
        pycurl.E_SSL_CONNECT_ERROR,
        pycurl.E_PEER_FAILED_VERIFICATION,
        pycurl.E_SSL_CERTPROBLEM,
        pycurl.E_SSL_CIPHER,
        pycurl.E_SSL_ISSUER_ERROR,
        pycurl.E_SSL_PINNEDPUBKEYNOTMATCH,
        pycurl.E_SSL_INVALIDCERTSTATUS,
        pycurl.E_USE_SSL_FAILED,
    }
)
# CURLE_TOO_LARGE, which pycurl does not name: one header line over libcurl's own cap.
_TOO_LARGE = 100
_RESET = frozenset(
    {
        pycurl.E_GOT_NOTHING,
        pycurl.E_RECV_ERROR,
        pycurl.E_SEND_ERROR,
        pycurl.E_READ_ERROR,
        pycurl.E_SEND_FAIL_REWIND,
    }
)
_NOT_HTTP = (ErrorClass.PROTOCOL, "The answer is not valid HTTP.")
_CODING = (ErrorClass.PROTOCOL, "The body of the answer is not what its Content-Encoding says.")
_OWN = (
    ErrorClass.INTERNAL,
    "The stored client certificate, its key or the trusted certificates cannot be used.",
)
_PLAIN = {
    pycurl.E_COULDNT_RESOLVE_HOST: (ErrorClass.DNS, "The host name does not resolve."),
    pycurl.E_FTP_WEIRD_SERVER_REPLY: _NOT_HTTP,
    pycurl.E_UNSUPPORTED_PROTOCOL: _NOT_HTTP,  # an answer without a status line reads as HTTP/0.9
    pycurl.E_PARTIAL_FILE: (ErrorClass.PROTOCOL, "The answer ended before its body was complete."),
    pycurl.E_BAD_CONTENT_ENCODING: _CODING,
    pycurl.E_WRITE_ERROR: _CODING,  # our own callbacks took all they were given, so a decoder failed
    _TOO_LARGE: (ErrorClass.PROTOCOL, "The answer has too many headers, or one that is too long."),
    pycurl.E_BAD_FUNCTION_ARGUMENT: _OWN,
    pycurl.E_SSL_CACERT_BADFILE: _OWN,
}
# In TLS 1.3 the client's part of the handshake ends before the server has judged the client's certificate, so
# the refusal meets the request under way (RFC 8446, 4.4.2.4 and 6.2); the server has not read it then.
_CERTIFICATE_ALERT = re.compile(
    r"alert (certificate required|bad certificate|unsupported certificate|certificate revoked"
    r"|certificate expired|certificate unknown|unknown ca|access denied)"
)


def classify(  # noqa: PLR0911 - one line a case
    code: int, detail: str, *, resolved: bool, connected: bool, answered: bool, os_errno: int
) -> tuple[ErrorClass, str]:
    """The class and a sentence without secrets.

    Args:
        code: CURLcode other than CURLE_OK.
        detail: libcurl's own text; shown for TLS faults only, where it names the reason.
        resolved: the name was resolved.
        connected: TCP and, for https, TLS stood.
        answered: at least one header line came.
        os_errno: CURLINFO_OS_ERRNO.
    """
    if code == pycurl.E_OPERATION_TIMEDOUT:
        return _late(resolved=resolved, connected=connected)
    if code in _PLAIN:
        return _PLAIN[code]
    if code == pycurl.E_COULDNT_CONNECT:
        if os_errno == errno.ETIMEDOUT:
            return ErrorClass.CONNECT_TIMEOUT, "The other side did not answer the connection."
        return ErrorClass.CONNECT_REFUSED, "The connection failed; no address of the host takes it."
    if code in _TLS:
        return ErrorClass.TLS, f"The TLS handshake failed ({safe_text(detail)})."
    if code in _RESET and not answered and (alert := _CERTIFICATE_ALERT.search(detail)):
        return ErrorClass.TLS, f"The other side did not take the client certificate ({alert[1]})."
    if _is_nonsense(code, detail, answered=answered, os_errno=os_errno):
        return _NOT_HTTP
    if code in _RESET:
        return ErrorClass.RESET, "The other side broke the connection."
    return ErrorClass.INTERNAL, f"The call failed inside the hub (libcurl error {code})."


def _is_nonsense(code: int, detail: str, *, answered: bool, os_errno: int) -> bool:
    """Two codes mean a broken connection or a broken answer: libcurl has one code for both."""
    if code == pycurl.E_GOT_NOTHING:
        return answered
    return code == pycurl.E_RECV_ERROR and os_errno == 0 and "chunk" in detail.lower()


def _late(*, resolved: bool, connected: bool) -> tuple[ErrorClass, str]:
    if connected:
        return ErrorClass.TIMEOUT, "The time was over before the answer was complete."
    if resolved:
        return ErrorClass.CONNECT_TIMEOUT, "The time was over before the connection stood."
    return ErrorClass.DNS, "The time was over before the host name was resolved."
