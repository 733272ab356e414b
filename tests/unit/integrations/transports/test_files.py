from __future__ import annotations

import base64
import hashlib
import importlib.util
import time
from typing import Any
from uuid import UUID

import pytest

from hub.core.errors import Invalid
from hub.integrations.auth.mode import Credentials
from hub.integrations.transports.dialled import Verdict
from hub.integrations.transports.files import FileTransport, host_keys, paths
from hub.integrations.transports.files import transport as module
from hub.integrations.transports.files.entries import Entry, Listing
from hub.integrations.transports.files.forms import FileOperation, FileSettings
from hub.integrations.transports.files.ftps import _of_facts, _verdict
from hub.integrations.transports.files.s3 import S3Client, _error
from hub.integrations.transports.files.s3_xml import MAX_ELEMENTS, NotXml, parse
from hub.integrations.transports.interface import Caps, Connection
from hub.net.outcome import ErrorClass, Outcome, classify_status
from hub.net.sockets import Deadline
from hub.net.trace import Trace

KEY_BLOB = b"\0\0\0\x0bssh-ed25519\0\0\0\x20" + bytes(32)
KEY = base64.b64encode(KEY_BLOB).decode()
PRINT = "SHA256:" + base64.b64encode(hashlib.sha256(KEY_BLOB).digest()).decode().rstrip("=")


@pytest.mark.parametrize(
    "path", ["a", "a/b/c.csv", "ünï côde/{x}".replace("{x}", "1"), "..a/b..", "a b", "-rf", "~"]
)
def test_plain_paths_pass(path: str) -> None:
    assert paths.path_faults(path) == []


@pytest.mark.parametrize(
    "path",
    ["..", "a/../b", "./a", "a/.", "/a", "a/", "a//b", "a\\b", "..\\a", "a\0b", "a\nb", "a\r", "a\x85b", "a\u2028b",
     "x" * 256, "x/" * 600 + "x", "\ud800"],
)  # fmt: skip
def test_paths_that_may_lead_elsewhere_do_not(path: str) -> None:
    assert paths.path_faults(path)


@pytest.mark.parametrize(
    ("template", "values", "path"),
    [
        ("a/{b}.csv", {"b": "x"}, "a/x.csv"),
        ("{a}/{b:path}", {"a": 7, "b": "x/y"}, "7/x/y"),
        ("{a}", {"a": "{b}"}, "{b}"),
        ("", {}, ""),
    ],
)
def test_parameters_fill_their_holes(template: str, values: dict[str, Any], path: str) -> None:
    assert paths.fill(template, values, "input.path") == (path, [])


@pytest.mark.parametrize(
    ("template", "values", "at"),
    [
        ("{a}", {}, "input.path.a"),
        ("{a}", {"a": ""}, "input.path.a"),
        ("{a}", {"a": True}, "input.path.a"),
        ("{a}", {"a": "x/y"}, "input.path.a"),
        ("{a}", {"a": ".."}, "input.path.a"),
        ("{a:path}", {"a": "x/../y"}, "input.path.a"),
        ("{a:path}", {"a": "/etc"}, "input.path.a"),
        ("x{a:path}", {"a": "y/"}, "input.path.a"),
        ("{a}{b}", {"a": ".x", "b": "."}, "input.path.b"),
        (".{a}", {"a": "x\0"}, "input.path.a"),
        ("{a}{b}", {"a": "x" * 200, "b": "x" * 100}, "input.path"),
    ],
)
def test_no_parameter_leaves_its_hole(template: str, values: dict[str, Any], at: str) -> None:
    path, faults = paths.fill(template, values, "input.path")
    assert path == "" or faults
    assert at in {fault.path for fault in faults}


@pytest.mark.parametrize("template", ["{a}/{a}", "{a", "a}", "{a b}", "../{a}", "/{a}", "{a}/"])
def test_templates_with_faults_are_not_saved(template: str) -> None:
    assert paths.template_faults(template)


@pytest.mark.parametrize(
    "text",
    [
        f"ssh-ed25519 {KEY}",
        f"host,10.0.0.1 ssh-ed25519 {KEY} me@there",
        PRINT,
        PRINT + "=",
        f"# x\n\n{PRINT}\n",
    ],
)
def test_pinned_keys_are_read_in_both_forms(text: str) -> None:
    found = host_keys.parse(text)
    assert found.has(KEY_BLOB)
    assert not found.has(KEY_BLOB + b"x")
    assert found.types == (frozenset() if "SHA256" in text else {"ssh-ed25519"})
    assert host_keys.fingerprint(KEY_BLOB) == PRINT


@pytest.mark.parametrize(
    "text",
    ["", "# nothing", "SHA256:short", "MD5:aa:bb", "ssh-ed25519", "ssh-ed25519 !!!", f"ssh-rsa {KEY}", f"ssh-dss {KEY}",
     "-----BEGIN PUBLIC KEY-----"],
)  # fmt: skip
def test_what_pins_nothing_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"has a|is empty"):
        host_keys.parse(text)


@pytest.mark.parametrize(
    ("url", "host_key", "at"),
    [
        ("sftp://h/base", None, ["settings.host_key"]),
        ("sftp://h/base", "x", ["settings.host_key"]),
        ("sftp://h/base", PRINT, []),
        ("sftp://h", PRINT, []),
        ("sftp://h/~/x", PRINT, []),
        ("sftp://h/a/../b", PRINT, ["base_url"]),
        ("sftp://h/a/%2e%2e/b", PRINT, ["base_url"]),
        ("ftps://h/base", PRINT, ["settings.host_key"]),
        ("ftps://h", None, []),
        ("https://s3.eu-west-1.amazonaws.com", None, ["base_url"]),
        ("https://s3.eu-west-1.amazonaws.com/bucket/pre/fix", None, []),
    ],
)
def test_settings_fit_the_address(url: str, host_key: str | None, at: list[str]) -> None:
    faults = FileTransport().settings_faults(FileSettings(host_key=host_key), url)
    assert [fault.path for fault in faults] == at


def test_without_its_package_sftp_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        module, "find_spec", lambda name: None if name == "paramiko" else importlib.util.find_spec(name)
    )
    [fault] = FileTransport().settings_faults(FileSettings(host_key=PRINT), "sftp://h")
    assert "integration-hub[sftp]" in fault.message


@pytest.mark.parametrize(
    ("form", "at"),
    [
        ({"action": "get"}, ["o.path"]),
        ({"action": "move", "path": "a"}, ["o.to"]),
        ({"action": "move", "path": "a", "to": "../b"}, ["o.to"]),
        ({"action": "move", "path": "{a}", "to": "{a}"}, ["o.to"]),
        ({"action": "get", "path": "a", "to": "b"}, ["o.to"]),
        ({"action": "get", "path": "a", "glob": "*"}, ["o.glob"]),
        ({"action": "list", "glob": "a/*"}, ["o.glob"]),
        ({"action": "delete", "path": "a", "safe": True}, ["o.safe"]),
        ({"action": "list"}, []),
    ],
)
def test_operations_make_sense(form: dict[str, Any], at: list[str]) -> None:
    faults = FileTransport().operation_faults(FileOperation(**form), None, "o")
    assert [fault.path for fault in faults] == at


def prepared(form: dict[str, Any], given: Any) -> Any:
    connection = Connection(
        id=UUID(int=1), tenant_id=UUID(int=2), base_url="sftp://h/base", headers={}, settings=FileSettings(),
        operations={"do": FileOperation(**form)}, follow_redirects=0, tls=None, pool_key="k",
    )  # fmt: skip
    return FileTransport().prepare(connection, "do", given)


def test_what_is_prepared_says_what_it_is() -> None:
    got = prepared({"action": "get", "path": "{a}"}, {"path": {"a": "x"}})
    assert (got.method, got.endpoint, got.safe, got.idempotent) == ("get", "sftp://h/base/x", True, True)
    put = prepared({"action": "put", "path": "a"}, {"text": "canary"})
    assert (put.safe, put.idempotent) == (False, False)
    assert put.payload == {"path": "a", "size": 6, "sha256": hashlib.sha256(b"canary").hexdigest()}
    assert prepared({"action": "put", "path": "a", "overwrite": True}, {"text": ""}).idempotent


@pytest.mark.parametrize(
    ("form", "given", "at"),
    [
        ({"action": "put", "path": "a"}, {}, "input"),
        ({"action": "put", "path": "a"}, {"text": "a", "base64": "YQ=="}, "input"),
        ({"action": "put", "path": "a"}, {"base64": "a"}, "input.base64"),
        ({"action": "put", "path": "a"}, {"text": 5}, "input.text"),
        ({"action": "put", "path": "a"}, {"text": "\ud800"}, "input.text"),
        ({"action": "get", "path": "a"}, {"text": "a"}, "input.text"),
        ({"action": "get", "path": "a"}, {"path": {"x": "y"}}, "input.path.x"),
        ({"action": "get", "path": "{x}"}, {"path": {"x": "../y"}}, "input.path.x"),
        ({"action": "get", "path": "{x}"}, [], "input"),
        ({"action": "move", "path": "{x}", "to": "{y}"}, {"path": {"x": "a", "y": "a"}}, "input.path"),
    ],
)
def test_input_that_does_not_fit_is_refused(form: dict[str, Any], given: Any, at: str) -> None:
    with pytest.raises(Invalid) as caught:
        prepared(form, given)
    assert at in {field.path for field in caught.value.fields}


def test_a_listing_keeps_to_its_caps() -> None:
    listing = Listing("*.CSV", 1, 10_000)
    assert listing.add(Entry("in/a.csv"))
    assert listing.add(Entry("in/A.CSV"))
    assert not listing.add(Entry("in/B.CSV"))
    assert ([entry.path for entry in listing.entries], listing.truncated) == (["in/A.CSV"], True)
    small = Listing(None, 100, 100)
    small.add(Entry("a"))
    with pytest.raises(Verdict):
        small.add(Entry("b" * 50))


@pytest.mark.parametrize(
    "document",
    [
        b"", b"<a>", b"not xml", b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>',
        b"<a>&nothing;</a>", b"<a>" * 100 + b"</a>" * 100, "<!DOCTYPE a><a/>".encode("utf-16"),
        b'<?xml version="1.0" encoding="nothing"?><a/>',
    ],
)  # fmt: skip
def test_xml_with_dangers_or_without_sense_is_not_read(document: bytes) -> None:
    with pytest.raises(NotXml):
        parse(document)


def test_xml_has_a_bounded_number_of_elements() -> None:
    assert len(parse(b"<r>" + b"<a/>" * (MAX_ELEMENTS - 1) + b"</r>").children) == MAX_ELEMENTS - 1
    with pytest.raises(NotXml):
        parse(b"<r>" + b"<a/>" * MAX_ELEMENTS + b"</r>")


def test_a_text_with_elements_inside_is_not_copied_for_each_of_them() -> None:
    elements = 20_000
    begun = time.thread_time()
    root = parse(b"<r>" + b"y" * 4_000_000 + b"<a>b</a>x" * elements + b"</r>")
    assert time.thread_time() - begun < 4  # seconds; with copies about 7
    assert root.text == "y" * 4_000_000 + "x" * elements
    assert {child.text for child in root.children} == {"b"}


def test_xml_is_read_without_its_namespaces() -> None:
    root = parse(b'<L xmlns="http://x/"><C><K>a&amp;b</K></C><T>true</T></L>')
    assert (root.name, root.child("T"), root.children[0].child("K"), root.child("no")) == (
        "L",
        "true",
        "a&b",
        "",
    )


@pytest.mark.parametrize(
    ("status", "code", "error_class", "file_error"),
    [
        (403, "SignatureDoesNotMatch", ErrorClass.UNAUTHORIZED, None),
        (403, "InvalidAccessKeyId", ErrorClass.UNAUTHORIZED, None),
        (403, "", ErrorClass.PROVIDER_ERROR, "denied"),
        (401, "", ErrorClass.UNAUTHORIZED, None),
        (403, "AccessDenied", ErrorClass.PROVIDER_ERROR, "denied"),
        (404, "NoSuchKey", ErrorClass.PROVIDER_ERROR, "not_found"),
        (404, "", ErrorClass.PROVIDER_ERROR, "not_found"),
        (412, "PreconditionFailed", ErrorClass.PROVIDER_ERROR, "exists"),
        (503, "SlowDown", ErrorClass.RATE_LIMITED, None),
        (500, "InternalError", ErrorClass.HTTP_5XX, None),
        (301, "PermanentRedirect", ErrorClass.PROVIDER_ERROR, "failed"),
        (400, "InvalidBucketName", ErrorClass.PROVIDER_ERROR, "failed"),
    ],
)
def test_errors_of_s3_have_their_class(
    status: int, code: str, error_class: ErrorClass, file_error: str | None
) -> None:
    body = f"<Error><Code>{code}</Code><Message>why</Message></Error>".encode() if code else b""
    found = _error(Outcome(status, classify_status(status), "m", body=body), "in/a")
    assert (found.error_class, found.headers.get("file-error"), found.status) == (
        error_class,
        file_error,
        status,
    )


@pytest.mark.parametrize("encoded", [False, True], ids=["as it is", "encoded"])
def test_keys_of_s3_are_decoded_when_the_answer_says_so(encoded: bool) -> None:
    names = ["in/50%25+.txt", "in/a+b%41/"]

    class Session:
        def call(self, *_: Any, **__: Any) -> Outcome:
            how = "<EncodingType>url</EncodingType>" if encoded else ""
            file, directory = (f"pre/{name}" for name in names)
            return Outcome(200, None, body=f"""<ListBucketResult>{how}<Contents><Key>pre/in/</Key></Contents>
                <Contents><Key>{file}</Key></Contents>
                <CommonPrefixes><Prefix>{directory}</Prefix></CommonPrefixes></ListBucketResult>""".encode())  # fmt: skip

    connection = Connection(
        id=UUID(int=1), tenant_id=UUID(int=2), base_url="https://h/bucket/pre", headers={}, settings=FileSettings(),
        operations={}, follow_redirects=0, tls=None, pool_key="k",
    )  # fmt: skip
    session: Any = Session()
    listing = Listing(None, 10, 10_000)
    S3Client(session, connection, Credentials(), Caps(1.0), Deadline(1.0), Trace()).list("in", listing)
    shown = ["in/50% .txt", "in/a bA"] if encoded else ["in/50%25+.txt", "in/a+b%41"]
    assert [entry.path for entry in listing.entries] == shown


@pytest.mark.parametrize(
    ("said", "error_class", "code"),
    [
        ("530 Login incorrect.", ErrorClass.UNAUTHORIZED, None),
        ("421 Too many connections.", ErrorClass.PROVIDER_BUSY, None),
        ("450 File busy.", ErrorClass.PROVIDER_BUSY, None),
        ("550 No such file or directory.", ErrorClass.PROVIDER_ERROR, "not_found"),
        ("550 Permission denied.", ErrorClass.PROVIDER_ERROR, "denied"),
        ("550 Something.", ErrorClass.PROVIDER_ERROR, "failed"),
        ("552 Quota.", ErrorClass.PROVIDER_ERROR, "no_space"),
        ("553 Name.", ErrorClass.PROVIDER_ERROR, "denied"),
    ],
)
def test_answers_of_ftp_have_their_class(said: str, error_class: ErrorClass, code: str | None) -> None:
    found = _verdict(said, "a")
    assert (found.error_class, found.headers.get("file-error")) == (error_class, code)


@pytest.mark.parametrize(
    ("facts", "shown"),
    [
        ("Type=file;Size=5;Modify=20260131120000.123;", ("file", 5, "2026-01-31T12:00:00+00:00")),
        ("type=dir;sizd=4096;", ("directory", None, None)),
        ("type=OS.unix=slink:/etc;", ("link", None, None)),
        ("nonsense", ("other", None, None)),
        ("type=file;size=x;modify=y;", ("file", None, None)),
    ],
)
def test_facts_of_ftp_are_read(facts: str, shown: tuple[Any, ...]) -> None:
    found = _of_facts(facts, "a").shown()
    assert (found["type"], found["size"], found["modified"]) == shown
