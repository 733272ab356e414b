from __future__ import annotations

import errno
import http.client
import os
import socket
import ssl

import pycurl
import pytest

from hub.net import curl_faults, faults
from hub.net.cancellation import Cancellation, Cancelled
from hub.net.decoding import DecodingError
from hub.net.outcome import ErrorClass as E
from hub.net.outcome import Outcome
from hub.net.policy import EgressRefused
from hub.net.sockets import Deadline
from hub.net.trace import Phase, Trace


def _os(number: int) -> OSError:
    return OSError(number, os.strerror(number))


@pytest.mark.parametrize(
    ("error", "phase", "expected"),
    [
        (EgressRefused("no"), Phase.CONNECT, E.REFUSED_BY_POLICY),
        (DecodingError("x"), Phase.BODY, E.PROTOCOL),
        (socket.gaierror(socket.EAI_NONAME, "no name"), Phase.DNS, E.DNS),
        (TimeoutError("late"), Phase.DNS, E.DNS),
        (TimeoutError("late"), Phase.CONNECT, E.CONNECT_TIMEOUT),
        (TimeoutError("late"), Phase.TLS, E.CONNECT_TIMEOUT),
        (TimeoutError("late"), Phase.SEND, E.TIMEOUT),
        (TimeoutError("late"), Phase.WAIT, E.TIMEOUT),
        (TimeoutError("late"), Phase.BODY, E.TIMEOUT),
        (_os(errno.ECONNREFUSED), Phase.CONNECT, E.CONNECT_REFUSED),
        (_os(errno.EHOSTUNREACH), Phase.CONNECT, E.CONNECT_REFUSED),
        (_os(errno.ETIMEDOUT), Phase.CONNECT, E.CONNECT_TIMEOUT),
        (_os(errno.EMFILE), Phase.CONNECT, E.INTERNAL),
        (_os(errno.ECONNRESET), Phase.TLS, E.TLS),
        (ssl.SSLCertVerificationError(1, "bad"), Phase.TLS, E.TLS),
        (_os(errno.ECONNRESET), Phase.SEND, E.RESET),
        (_os(errno.ECONNRESET), Phase.BODY, E.RESET),
        (ssl.SSLEOFError(8, "eof"), Phase.BODY, E.RESET),
        (ssl.SSLError(1, "bad record"), Phase.BODY, E.PROTOCOL),
        (http.client.RemoteDisconnected("gone"), Phase.WAIT, E.RESET),
        (http.client.BadStatusLine("x"), Phase.WAIT, E.PROTOCOL),
        (http.client.IncompleteRead(b""), Phase.BODY, E.PROTOCOL),
        (KeyError("bug"), Phase.SEND, E.INTERNAL),
    ],
)
def test_a_python_fault_has_one_class_in_its_phase(error: Exception, phase: Phase, expected: E) -> None:
    error_class, message = faults.classify(error, phase)
    assert error_class is expected
    assert message.endswith(".") or message == "no" or message == "x"


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (pycurl.E_COULDNT_RESOLVE_HOST, E.DNS),
        (pycurl.E_COULDNT_CONNECT, E.CONNECT_REFUSED),
        (pycurl.E_OPERATION_TIMEDOUT, E.TIMEOUT),
        (pycurl.E_SSL_CONNECT_ERROR, E.TLS),
        (pycurl.E_PEER_FAILED_VERIFICATION, E.TLS),
        (pycurl.E_GOT_NOTHING, E.RESET),
        (pycurl.E_RECV_ERROR, E.RESET),
        (pycurl.E_SEND_ERROR, E.RESET),
        (pycurl.E_PARTIAL_FILE, E.PROTOCOL),
        (pycurl.E_FTP_WEIRD_SERVER_REPLY, E.PROTOCOL),
        (pycurl.E_BAD_CONTENT_ENCODING, E.PROTOCOL),
        (pycurl.E_UNSUPPORTED_PROTOCOL, E.PROTOCOL),
        (pycurl.E_WRITE_ERROR, E.PROTOCOL),
        (pycurl.E_BAD_FUNCTION_ARGUMENT, E.INTERNAL),
        (pycurl.E_OUT_OF_MEMORY, E.INTERNAL),
    ],
)
def test_a_libcurl_code_has_one_class(code: int, expected: E) -> None:
    assert (
        curl_faults.classify(code, "", resolved=True, connected=True, answered=False, os_errno=0)[0]
        is expected
    )


def test_a_late_libcurl_call_is_told_by_how_far_it_came() -> None:
    late = pycurl.E_OPERATION_TIMEDOUT
    assert (
        curl_faults.classify(late, "", resolved=False, connected=False, answered=False, os_errno=0)[0]
        is E.DNS
    )
    assert (
        curl_faults.classify(late, "", resolved=True, connected=False, answered=False, os_errno=0)[0]
        is E.CONNECT_TIMEOUT
    )
    refused = pycurl.E_COULDNT_CONNECT
    number = errno.ETIMEDOUT
    assert (
        curl_faults.classify(refused, "", resolved=True, connected=False, answered=False, os_errno=number)[0]
        is E.CONNECT_TIMEOUT
    )


def test_a_broken_answer_is_told_from_a_broken_connection() -> None:
    def of(code: int, detail: str, *, answered: bool, os_errno: int) -> E:
        return curl_faults.classify(
            code, detail, resolved=True, connected=True, answered=answered, os_errno=os_errno
        )[0]

    assert of(pycurl.E_GOT_NOTHING, "", answered=True, os_errno=0) is E.PROTOCOL
    assert of(pycurl.E_GOT_NOTHING, "", answered=False, os_errno=0) is E.RESET
    assert of(pycurl.E_RECV_ERROR, "chunk hex-length char", answered=True, os_errno=0) is E.PROTOCOL
    assert of(pycurl.E_RECV_ERROR, "reset", answered=True, os_errno=errno.ECONNRESET) is E.RESET


def test_a_refused_client_certificate_is_told_from_a_reset() -> None:
    def of(detail: str, *, answered: bool) -> E:
        return curl_faults.classify(
            pycurl.E_RECV_ERROR, detail, resolved=True, connected=True, answered=answered, os_errno=0
        )[0]

    alert = "OpenSSL SSL_read: error:0A00045C:SSL routines::tlsv13 alert certificate required, errno 0"
    assert of(alert, answered=False) is E.TLS
    assert of(alert, answered=True) is E.RESET
    assert of("Recv failure: Connection reset by peer", answered=False) is E.RESET


class _Library(Exception):
    """What a library makes of a fault."""


def _ended(
    deadline_seconds: float = 60.0, *, cancelled: bool = False, error: Exception | None = None
) -> Outcome:
    cancellation = Cancellation()
    if cancelled:
        cancellation.cancel()
    return faults.failure(
        error or _Library("canary-secret"),
        Trace(phase=Phase.WAIT, peer="1.1.1.1"),
        deadline=Deadline(deadline_seconds),
        cancellation=cancellation,
    )


def test_the_cause_is_the_deadline_or_the_cancellation_whatever_a_library_made_of_it() -> None:
    assert _ended(0.0).error_class is E.TIMEOUT
    assert _ended(0.0, cancelled=True).error_class is E.CANCELLED
    assert _ended(cancelled=True, error=_os(errno.EPIPE)).error_class is E.CANCELLED
    assert _ended(0.0, error=EgressRefused("no")).error_class is E.REFUSED_BY_POLICY


def test_the_outcome_of_an_exception_has_no_text_of_it_and_keeps_what_is_known() -> None:
    outcome = _ended()
    assert outcome.error_class is E.INTERNAL
    assert "canary" not in outcome.message
    assert outcome.peer == "1.1.1.1"
    assert _ended(error=Cancelled()).error_class is E.CANCELLED
    assert _ended(error=_os(errno.ECONNRESET)).error_class is E.RESET
