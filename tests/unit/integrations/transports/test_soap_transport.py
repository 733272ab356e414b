from __future__ import annotations

import subprocess
import sys
from typing import Any
from uuid import UUID

import pytest

from hub.core.errors import Invalid
from hub.integrations import extras
from hub.integrations.auth.mode import Credentials
from hub.integrations.transports.interface import Caps, Connection, Prepared
from hub.integrations.transports.soap import SoapTransport
from hub.integrations.transports.soap.faults import fault_of
from hub.integrations.transports.soap.forms import SoapOperation, SoapSettings
from hub.integrations.transports.soap.markup import parse
from hub.net.outcome import ErrorClass
from hub.net.policy import AddressPolicy
from hub.net.session import GuardedSession
from tests.unit.integrations.transports.soap_texts import wsdl

TRANSPORT = SoapTransport()
TEXT = SoapSettings(wsdl=wsdl())
ADDRESS = SoapSettings(wsdl="https://service.test/s?wsdl")


def prepare(operation: str, given: Any, settings: SoapSettings = TEXT) -> Prepared:
    connection = Connection(
        id=UUID(int=1),
        tenant_id=UUID(int=2),
        base_url="https://service.test/soap",
        headers={},
        settings=settings,
        operations={
            "do": SoapOperation(operation="Do", body={"number": 1}),
            "gone": SoapOperation(operation="Gone"),
        },
        follow_redirects=0,
        tls=None,
        pool_key="key",
    )
    return TRANSPORT.prepare(connection, operation, given)


def paths(operation: str, given: Any, settings: SoapSettings = TEXT) -> set[str]:
    with pytest.raises(Invalid) as caught:
        prepare(operation, given, settings)
    return {fault.path for fault in caught.value.fields}


def test_what_will_be_sent_is_shown() -> None:
    prepared = prepare("do", {"body": {"number": 7}}, SoapSettings(wsdl=wsdl(), path="/v1/"))
    assert prepared.method == "Do"
    assert prepared.endpoint == "https://service.test/soap/v1/"
    assert prepared.payload == {"operation": "Do", "body": {"number": 7}, "headers": {}}
    assert (prepared.safe, prepared.idempotent) == (False, False)


@pytest.mark.parametrize("settings", [TEXT, ADDRESS], ids=["text", "address"])
@pytest.mark.parametrize(
    ("operation", "given", "expected"),
    [
        ("do", [], {"input"}),
        ("do", {"bodi": {}}, {"input.bodi"}),
        ("do", {"body": [], "headers": 1}, {"input.body", "input.headers"}),
        ("other", {}, {"operation"}),
        ("call", {}, {"input.operation"}),
        ("call", {"operation": "a b"}, {"input.operation"}),
    ],
    ids=range(6),
)
def test_the_form_of_an_input_is_checked(
    settings: SoapSettings, operation: str, given: Any, expected: set[str]
) -> None:
    assert paths(operation, given, settings) == expected


def test_an_inline_wsdl_is_checked_before_anything_leaves() -> None:
    assert paths("do", {"body": {"number": "x", "nope": 1}}) == {"input.body.number", "input.body.nope"}
    assert paths("call", {"operation": "Nope"}) == {"input.operation"}
    assert paths("gone", {}) == {"operation"}
    assert prepare("do", {"body": {"number": "x"}}, ADDRESS).method == "Do"


@pytest.mark.parametrize(
    ("settings", "path", "says"),
    [
        (SoapSettings(wsdl="<a"), "settings.wsdl", "not well-formed"),
        (SoapSettings(wsdl="<a/>"), "settings.wsdl", "no SOAP port"),
        (SoapSettings(wsdl="not an address"), "settings.wsdl", "must be a WSDL or its http or https address"),
        (SoapSettings(wsdl="file:///etc/passwd"), "settings.wsdl", "must be a WSDL or its"),
        (SoapSettings(wsdl="https://me:secret@x.test/"), "settings.wsdl", "must be a WSDL or its"),
        (SoapSettings(wsdl=wsdl(), port="Nope"), "settings.wsdl", "no SOAP port Nope"),
        (
            SoapSettings(wsdl=wsdl(), binding="Binding", use_wsdl_address=True),
            "settings.use_wsdl_address",
            "has no address",
        ),
    ],
    ids=range(7),
)
def test_settings_are_judged_when_they_are_saved(settings: SoapSettings, path: str, says: str) -> None:
    (fault,) = TRANSPORT.settings_faults(settings, "https://service.test")
    assert fault.path == path
    assert says in fault.message
    assert "secret" not in fault.message


def test_operations_are_judged_when_they_are_saved() -> None:
    def judge(form: dict[str, Any], settings: SoapSettings | None = TEXT) -> set[str]:
        operation = SoapOperation.model_validate(form)
        return {fault.path for fault in TRANSPORT.operation_faults(operation, settings, "operations.x")}

    assert judge({"operation": "Do"}) == set()
    assert judge({"operation": "Gone"}) == {"operations.x.operation"}
    assert judge({"operation": "Do", "body": {"number": "x", "nope": 1}}) == {
        "operations.x.body.number",
        "operations.x.body.nope",
    }
    for unknown in (None, ADDRESS, SoapSettings(wsdl="<a")):
        assert judge({"operation": "Gone"}, unknown) == set()


def test_without_zeep_the_definition_is_refused_and_a_call_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    prepared = prepare("do", {}, ADDRESS)
    monkeypatch.setattr(extras, "find_spec", lambda _: None)
    (fault,) = TRANSPORT.settings_faults(TEXT, "")
    assert fault.message == "needs the package zeep: install integration-hub[soap]"
    session = GuardedSession(AddressPolicy())
    outcome = TRANSPORT.send(session, None, prepared, Credentials(), Caps(1.0))  # type: ignore[arg-type]
    assert outcome.error_class is ErrorClass.INVALID_INPUT
    assert "integration-hub[soap]" in outcome.message


def test_neither_zeep_nor_graphql_core_is_loaded_before_it_is_needed() -> None:
    code = (
        "import sys; from hub.integrations.transports.soap import SoapTransport;"
        "from hub.integrations.transports.graphql import GraphqlTransport;"
        "print([name for name in ('zeep', 'lxml', 'graphql') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"


def plain(element: Any) -> str:
    return "".join(element.itertext())


def test_faults_of_both_versions_are_read() -> None:
    namespace = "http://schemas.xmlsoap.org/soap/envelope/"
    body = "<e:Fault><faultcode>wsse:InvalidSecurityToken</faultcode><faultstring>No.</faultstring></e:Fault>"
    found = fault_of(
        parse(f'<e:Envelope xmlns:e="{namespace}"><e:Body>{body}</e:Body></e:Envelope>'.encode()),
        namespace,
        plain,
    )
    assert found is not None
    assert found.error_class is ErrorClass.UNAUTHORIZED
    assert found.as_json() == {"faultcode": "wsse:InvalidSecurityToken", "faultstring": "No."}
    namespace = "http://www.w3.org/2003/05/soap-envelope"
    body = (
        "<e:Fault><e:Code><e:Value>e:Sender</e:Value><e:Subcode><e:Value>x:A</e:Value><e:Subcode><e:Value>x:B</e:Value>"
        "</e:Subcode></e:Subcode></e:Code><e:Reason><e:Text>No</e:Text></e:Reason><e:Detail>d</e:Detail></e:Fault>"
    )
    found = fault_of(
        parse(f'<e:Envelope xmlns:e="{namespace}"><e:Body>{body}</e:Body></e:Envelope>'.encode()),
        namespace,
        plain,
    )
    assert found is not None
    assert found.sentence == "The service answered with the fault e:Sender x:A x:B: No."
    assert found.as_json() == {
        "faultcode": "e:Sender",
        "faultstring": "No",
        "subcodes": ["x:A", "x:B"],
        "detail": "d",
    }


@pytest.mark.parametrize("body", ["<x/>", ""])
def test_an_answer_without_a_fault_has_none(body: str) -> None:
    namespace = "http://schemas.xmlsoap.org/soap/envelope/"
    assert (
        fault_of(
            parse(f'<e:Envelope xmlns:e="{namespace}"><e:Body>{body}</e:Body></e:Envelope>'.encode()),
            namespace,
            plain,
        )
        is None
    )
