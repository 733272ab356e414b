from __future__ import annotations

import base64
import gzip
import hashlib
import json
import os
import socket
import ssl
import threading
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar

import asyncssh
import paramiko
import pytest
import trustme
from botocore.config import Config
from botocore.session import Session
from paramiko.sftp import CMD_STATUS, SFTP_NO_SUCH_FILE

from hub.core.secret import Secret
from hub.integrations.auth import aws_sigv4
from hub.integrations.auth.mode import Credentials
from hub.integrations.transports.files import FileTransport
from hub.integrations.transports.files.forms import FileOperation, FileSettings
from hub.integrations.transports.files.ssh import _sftp_class
from hub.net import AddressPolicy, ErrorClass, GuardedSession
from hub.net.cancellation import Cancellation
from hub.net.identity import TlsIdentity
from hub.net.sockets import Deadline, PlainSocket, TlsContext
from tests.integration.integrations.transports.calls import Caller, basic
from tests.integration.integrations.transports.conformance import LARGE_BYTES, Conformance
from tests.integration.integrations.transports.file_peers import (
    PASSWORD,
    USER,
    SftpPeer,
    checking,
    running_ftps,
    running_s3,
    running_sftp,
)

AUTHORITY = trustme.CA()
OPERATIONS: dict[str, dict[str, Any]] = {
    "list": {"action": "list", "path": "{dir:path}"},
    "root": {"action": "list"},
    "csv": {"action": "list", "path": "in", "glob": "*.csv"},
    "two": {"action": "list", "path": "in", "max_entries": 2},
    "get": {"action": "get", "path": "{file:path}"},
    "as_text": {"action": "get", "path": "{file:path}", "content": "text"},
    "as_bytes": {"action": "get", "path": "{file:path}", "content": "base64"},
    "stat": {"action": "stat", "path": "{file:path}"},
    "put": {"action": "put", "path": "out/{file}", "content_type": "text/plain"},
    "replace": {"action": "put", "path": "out/{file}", "overwrite": True},
    "move": {"action": "move", "path": "in/{file}", "to": "out/{name}"},
    "move_over": {"action": "move", "path": "in/{file}", "to": "out/{name}", "overwrite": True},
    "delete": {"action": "delete", "path": "{file:path}"},
}  # fmt: skip


class Place(ABC):
    """A base directory on one of the servers, and what the test sees of it from behind."""

    protocol: str
    caller: Caller

    @abstractmethod
    def write(self, path: str, content: bytes) -> None:
        """On its server."""

    @abstractmethod
    def read(self, path: str) -> bytes | None:
        """On its server."""

    @abstractmethod
    def names(self, directory: str) -> list[str]:
        """On its server."""


class Directory(Place):
    def __init__(self, protocol: str, root: Path, caller: Caller) -> None:
        self.protocol = protocol
        self.root = root
        self.caller = caller
        for name in ("in", "out"):
            (root / name).mkdir(parents=True)

    def write(self, path: str, content: bytes) -> None:
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_bytes(content)

    def read(self, path: str) -> bytes | None:
        file = self.root / path
        return file.read_bytes() if file.exists() else None

    def names(self, directory: str) -> list[str]:
        return sorted(entry.name for entry in (self.root / directory).iterdir())


class Bucket(Place):
    protocol = "s3"

    def __init__(self, client: Any, caller: Caller, bucket: str) -> None:
        self.client = client
        self.caller = caller
        self.bucket = bucket

    def write(self, path: str, content: bytes) -> None:
        self.client.put_object(Bucket=self.bucket, Key=f"base/{path}", Body=content)

    def read(self, path: str) -> bytes | None:
        try:
            return bytes(self.client.get_object(Bucket=self.bucket, Key=f"base/{path}")["Body"].read())
        except self.client.exceptions.NoSuchKey:
            return None

    def names(self, directory: str) -> list[str]:
        found = self.client.list_objects_v2(Bucket=self.bucket, Prefix=f"base/{directory}/")
        return sorted(item["Key"].rpartition("/")[2] for item in found.get("Contents", []))


def aws(secret: str = "canary-good-secret-key", key: str = "AKIAEXAMPLE") -> Credentials:
    parameters = {"mode": "aws_sigv4", "access_key_id": key, "service": "s3", "region": "us-east-1"}
    secrets = {"secret_access_key": Secret(secret)}
    return Credentials("aws_sigv4", parameters, secrets, aws_sigv4.AwsSigV4(parameters, secrets))


@pytest.fixture(scope="module")
def sftp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[SftpPeer, Path]]:
    root = tmp_path_factory.mktemp("sftp")
    with running_sftp(root) as peer:
        yield peer, root


@pytest.fixture(scope="module")
def ftps(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Path]]:
    root = tmp_path_factory.mktemp("ftps")
    with running_ftps(root, AUTHORITY) as port:
        yield port, root


@pytest.fixture(scope="module")
def ftpsi(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Path]]:
    root = tmp_path_factory.mktemp("ftpsi")
    with running_ftps(root, AUTHORITY, implicit=True) as port:
        yield port, root


@pytest.fixture(scope="module")
def s3() -> Iterator[int]:
    with running_s3() as port:
        yield port


def s3_client(port: int) -> Any:
    return Session().create_client(
        "s3", endpoint_url=f"http://127.0.0.1:{port}", region_name="us-east-1", aws_access_key_id="a",
        aws_secret_access_key="b", config=Config(s3={"addressing_style": "path"}),
    )  # fmt: skip


def tls() -> TlsIdentity:
    return TlsIdentity(ca=AUTHORITY.cert_pem.bytes())


@pytest.fixture(params=["sftp", "ftps", "ftpsi", "s3"])
def place(request: pytest.FixtureRequest) -> Place:
    protocol = request.param
    base = f"b{uuid.uuid4().hex[:8]}"
    if protocol == "s3":
        port = request.getfixturevalue("s3")
        client = s3_client(port)
        client.create_bucket(Bucket=base)
        caller = Caller(FileTransport(), f"http://127.0.0.1:{port}/{base}/base", aws(), OPERATIONS)
        return Bucket(client, caller, base)
    if protocol == "sftp":
        peer, root = request.getfixturevalue("sftp")
        caller = Caller(
            FileTransport(), f"sftp://127.0.0.1:{peer.port}/{base}", basic(USER, PASSWORD), OPERATIONS,
            {"host_key": peer.host_key},
        )  # fmt: skip
    else:
        port, root = request.getfixturevalue(protocol)
        caller = Caller(
            FileTransport(),
            f"{protocol}://127.0.0.1:{port}/{base}",
            basic(USER, PASSWORD),
            OPERATIONS,
            tls=tls(),
        )
    return Directory(protocol, root / base, caller)


def file(path: str) -> dict[str, Any]:
    return {"path": {"file": path}}


NASTY = "ünï côde & [x] ('q') %41+;.txt"


def test_a_file_comes_back_as_text_or_bytes_with_its_hash(place: Place) -> None:
    place.write(f"in/{NASTY}", "grün".encode())
    place.write("in/blob", b"\xff\0\xfe")
    assert place.caller.result("get", file(f"in/{NASTY}")) == {
        "path": f"in/{NASTY}",
        "size": 5,
        "sha256": hashlib.sha256("grün".encode()).hexdigest(),
        "text": "grün",
    }
    assert (
        place.caller.result("as_bytes", file(f"in/{NASTY}"))["base64"]
        == base64.b64encode("grün".encode()).decode()
    )
    assert place.caller.result("get", file("in/blob"))["base64"] == "/wD+"
    refused = place.caller.call("as_text", file("in/blob"))
    assert (refused.error_class, refused.headers["file-error"]) == (ErrorClass.PROVIDER_ERROR, "not_text")


def test_a_listing_has_what_is_there(place: Place) -> None:
    place.write("in/a.csv", b"1")
    place.write(f"in/{NASTY}", b"22")
    place.write("in/sub/deep.csv", b"333")
    listed = place.caller.result("list", {"path": {"dir": "in"}})
    assert listed["truncated"] is False
    found = {entry["name"]: entry for entry in listed["entries"]}
    assert set(found) == {"a.csv", NASTY, "sub"}
    assert (found[NASTY]["type"], found[NASTY]["size"], found[NASTY]["path"]) == ("file", 2, f"in/{NASTY}")
    assert (found["sub"]["type"], found["sub"]["size"]) == ("directory", None)
    assert found["a.csv"]["modified"].endswith("+00:00")
    assert [entry["name"] for entry in place.caller.result("csv")["entries"]] == ["a.csv"]
    assert "in" in {entry["name"] for entry in place.caller.result("root")["entries"]}
    place.write("in/b.csv", b"1")
    two = place.caller.result("two")
    assert (len(two["entries"]), two["truncated"]) == (2, True)


def test_stat_knows_size_and_time(place: Place) -> None:
    place.write("in/a", b"12345")
    found = place.caller.result("stat", file("in/a"))
    assert (found["name"], found["type"], found["size"]) == ("a", "file", 5)
    assert found["modified"].endswith("+00:00")


def test_a_put_writes_all_of_it_and_replaces_only_when_told_to(place: Place) -> None:
    given = {"path": {"file": NASTY}, "text": "grün"}
    sha = hashlib.sha256("grün".encode()).hexdigest()
    place.write("out/keep", b"")
    assert place.caller.result("put", given) == {"path": f"out/{NASTY}", "size": 5, "sha256": sha}
    assert place.read(f"out/{NASTY}") == "grün".encode()
    again = place.caller.call("put", {"path": {"file": NASTY}, "base64": "/wA="})
    assert (again.error_class, again.headers["file-error"]) == (ErrorClass.PROVIDER_ERROR, "exists")
    assert place.read(f"out/{NASTY}") == "grün".encode()
    place.caller.result("replace", {"path": {"file": NASTY}, "base64": "/wA="})
    assert place.read(f"out/{NASTY}") == b"\xff\0"
    assert place.names("out") == sorted([NASTY, "keep"])


def test_a_large_file_goes_both_ways(place: Place) -> None:
    content = os.urandom(3_000_000)
    place.write("out/x", b"")
    place.caller.result("replace", {"path": {"file": "big"}, "base64": base64.b64encode(content).decode()})
    assert place.read("out/big") == content
    got = place.caller.result("get", file("out/big"), max_bytes=5_000_000)
    assert base64.b64decode(got["base64"]) == content
    assert place.caller.call("get", file("out/big"), max_bytes=3_500_000).error_class is ErrorClass.TOO_LARGE
    assert place.caller.call("get", file("out/big"), max_bytes=1_000).error_class is ErrorClass.TOO_LARGE


def test_a_move_takes_the_file_along(place: Place) -> None:
    place.write("in/a", b"new")
    place.write("out/taken", b"old")
    place.caller.result("move", {"path": {"file": "a", "name": NASTY}})
    assert (place.read("in/a"), place.read(f"out/{NASTY}")) == (None, b"new")
    place.write("in/a", b"newer")
    refused = place.caller.call("move", {"path": {"file": "a", "name": "taken"}})
    assert (refused.error_class, refused.headers["file-error"]) == (ErrorClass.PROVIDER_ERROR, "exists")
    assert (place.read("in/a"), place.read("out/taken")) == (b"newer", b"old")
    assert place.caller.result("move_over", {"path": {"file": "a", "name": "taken"}}) == {
        "path": "in/a",
        "to": "out/taken",
    }
    assert (place.read("in/a"), place.read("out/taken")) == (None, b"newer")


def test_a_deleted_file_is_gone(place: Place) -> None:
    place.write("in/a", b"1")
    assert place.caller.result("delete", file("in/a")) == {"path": "in/a"}
    assert place.read("in/a") is None


@pytest.mark.parametrize(
    ("operation", "given"),
    [
        ("get", file("in/nothing")),
        ("stat", file("in/nothing")),
        ("delete", file("in/nothing")),
        ("move", {"path": {"file": "nothing", "name": "x"}}),
    ],
)
def test_what_is_not_there_is_an_error_with_a_code(place: Place, operation: str, given: Any) -> None:
    place.write("in/other", b"")
    place.write("out/other", b"")
    outcome = place.caller.call(operation, given)
    assert (outcome.error_class, outcome.headers["file-error"]) == (ErrorClass.PROVIDER_ERROR, "not_found"), (
        outcome
    )
    assert json.loads(outcome.body)["error"]["code"] == "not_found"
    assert "nothing" in outcome.message


def test_a_probe_logs_in(place: Place) -> None:
    place.write("in/other", b"")
    assert place.caller.probe().ok


def test_an_address_that_is_not_allowed_is_not_dialled(place: Place) -> None:
    place.caller.session.policy = AddressPolicy()
    assert place.caller.probe().error_class is ErrorClass.REFUSED_BY_POLICY


def sftp_caller(peer: SftpPeer, credentials: Credentials | None = None, **more: Any) -> Caller:
    options = {"host_key": peer.host_key, "base": ""} | more
    return Caller(
        FileTransport(), f"sftp://127.0.0.1:{peer.port}{options['base']}", credentials or basic(USER, PASSWORD),
        OPERATIONS, {"host_key": options["host_key"]},
    )  # fmt: skip


def key_login(private_key: str, passphrase: str | None = None) -> Credentials:
    secrets = {"private_key": Secret(private_key)} | (
        {"passphrase": Secret(passphrase)} if passphrase else {}
    )
    return Credentials("ssh_key", {"mode": "ssh_key", "username": USER}, secrets)


def test_a_host_key_that_is_not_pinned_ends_it_before_the_login(sftp: tuple[SftpPeer, Path]) -> None:
    peer, _ = sftp
    other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
    rsa = asyncssh.generate_private_key("ssh-rsa").export_public_key().decode()
    for pinned in (other, "SHA256:" + "A" * 43):
        outcome = sftp_caller(peer, host_key=pinned).probe()
        assert outcome.error_class is ErrorClass.TLS
        assert peer.fingerprint in outcome.message
    assert sftp_caller(peer, host_key=rsa).probe().error_class is ErrorClass.PROTOCOL
    for pinned in (peer.fingerprint, f"{other}\n{peer.host_key}", f"# new\n[127.0.0.1]:22 {peer.host_key}"):
        assert sftp_caller(peer, host_key=pinned).probe().ok


@pytest.mark.parametrize("key_type", ["ssh-rsa", "ecdsa-sha2-nistp256", "ssh-ed25519"])
def test_keys_of_every_type_prove_both_sides(tmp_path: Path, key_type: str) -> None:
    with running_sftp(tmp_path, key_type=key_type, client_type=key_type) as peer:
        assert sftp_caller(peer, key_login(peer.client_key)).probe().ok
        assert sftp_caller(peer, key_login(peer.client_key), host_key=peer.fingerprint).probe().ok


def test_a_key_with_a_passphrase_needs_it(sftp: tuple[SftpPeer, Path]) -> None:
    peer, _ = sftp
    locked = (
        asyncssh.import_private_key(peer.client_key).export_private_key(passphrase="canary-phrase").decode()
    )
    assert sftp_caller(peer, key_login(locked, "canary-phrase")).probe().ok
    for phrase in (None, "canary-wrong"):
        outcome = sftp_caller(peer, key_login(locked, phrase)).probe()
        assert outcome.error_class is ErrorClass.UNAUTHORIZED
        assert "canary" not in outcome.message
    stranger = asyncssh.generate_private_key("ssh-ed25519").export_private_key().decode()
    for key in (stranger, "not a key"):
        assert sftp_caller(peer, key_login(key)).probe().error_class is ErrorClass.UNAUTHORIZED


def test_links_out_of_the_base_directory_lead_nowhere(sftp: tuple[SftpPeer, Path]) -> None:
    peer, root = sftp
    base = root / uuid.uuid4().hex
    for name in ("in", "out", "in/real"):
        (base / name).mkdir(parents=True)
    (root / "secret").mkdir(exist_ok=True)
    (root / "secret" / "file").write_text("canary-outside")
    (base / "in" / "file").symlink_to("../../secret/file")
    (base / "in" / "dir").symlink_to("../../secret")
    (base / "in" / "near").symlink_to("real")
    (base / "in" / "real" / "x").write_text("inside")
    caller = sftp_caller(peer, base=f"/{base.name}")
    for operation, given in [
        ("get", file("in/file")),
        ("get", file("in/dir/file")),
        ("stat", file("in/file")),
        ("list", {"path": {"dir": "in/dir"}}),
        ("delete", file("in/dir/file")),
    ]:
        outcome = caller.call(operation, given)
        assert (outcome.error_class, outcome.headers["file-error"]) == (
            ErrorClass.PROVIDER_ERROR,
            "outside",
        ), operation
    assert caller.result("get", file("in/near/x"))["text"] == "inside"
    # The link itself may go; what it leads to stays.
    caller.result("delete", file("in/file"))
    assert (root / "secret" / "file").exists()
    # A put through a link replaces the link.
    (base / "out" / "link").symlink_to("../../secret/file")
    caller.result("replace", {"path": {"file": "link"}, "text": "mine"})
    assert (root / "secret" / "file").read_text() == "canary-outside"
    assert (base / "out" / "link").read_text() == "mine"


def test_names_that_are_not_utf_8_hinder_nobody(tmp_path: Path) -> None:
    odd = tmp_path / os.fsdecode(b"caf\xe9")
    odd.mkdir()
    for name in ("a.txt", "caf\ufffd.txt"):
        (tmp_path / name).write_text("here")
    for directory in (tmp_path, odd):
        (directory / os.fsdecode(b"caf\xe8.txt")).write_text("there")
    (tmp_path / "in").symlink_to(odd.name)
    with running_sftp(tmp_path) as peer:
        caller = sftp_caller(peer)
        shown = [entry["name"] for entry in caller.result("root")["entries"]]
        assert sorted(shown) == ["a.txt", "caf\ufffd", "caf\ufffd.txt", "caf\ufffd.txt", "in"]
        assert caller.probe().ok
        assert caller.result("get", file("caf\ufffd.txt"))["text"] == "here"
        # A directory whose real name no input can say is used through a link.
        below = sftp_caller(peer, base="/in")
        assert [entry["name"] for entry in below.result("root")["entries"]] == ["caf\ufffd.txt"]
        (odd / "b.txt").write_text("inside")
        for way, at in ((caller, "in/b.txt"), (below, "b.txt")):
            assert way.result("get", file(at))["text"] == "inside"
        below.result("delete", file("b.txt"))
        assert below.call("get", file("b.txt")).headers["file-error"] == "not_found"
    assert vars(paramiko.sftp_client)["Message"] is paramiko.Message


def test_what_an_sftp_server_says_of_an_error_may_be_in_any_encoding() -> None:
    said = paramiko.Message()
    said.add_int(7)
    said.add_int(SFTP_NO_SUCH_FILE)
    said.add_string(b"fichier supprim\xe9")
    kind: Any = _sftp_class()
    client = kind.__new__(kind)
    client._expecting, client._lock = {7: type(None)}, threading.Lock()
    client._read_packet = lambda: (CMD_STATUS, said.asbytes())
    with pytest.raises(FileNotFoundError, match="fichier"):
        client._read_response(7)


def test_a_file_that_cannot_be_written_leaves_nothing_behind(sftp: tuple[SftpPeer, Path]) -> None:
    peer, root = sftp
    base = root / uuid.uuid4().hex
    (base / "out" / "name").mkdir(parents=True)
    caller = sftp_caller(peer, base=f"/{base.name}")
    outcome = caller.call("replace", {"path": {"file": "name"}, "text": "x"})
    assert outcome.headers["file-error"] == "is_directory"
    assert [entry.name for entry in (base / "out").iterdir()] == ["name"]
    missing = sftp_caller(peer, base=f"/{base.name}/no")
    assert missing.call("put", {"path": {"file": "a"}, "text": "x"}).headers["file-error"] == "not_found"


class _Full(asyncssh.SFTPServer):
    """Has the extension that replaces, and fails in it as on a full disk."""

    def posix_rename(self, oldpath: bytes, newpath: bytes) -> None:
        raise asyncssh.SFTPFailure("No space left")


class _Old(asyncssh.SFTPServer):
    """Has no such extension."""

    def posix_rename(self, oldpath: bytes, newpath: bytes) -> None:
        raise asyncssh.SFTPOpUnsupported("Not known")


class _OldAndFull(_Old):
    """The same, and cannot do the second rename of a call."""

    renames = 0

    def rename(self, oldpath: bytes, newpath: bytes) -> None:
        self.renames += 1
        if self.renames == 2:
            raise asyncssh.SFTPFailure("Across devices")
        super().rename(oldpath, newpath)


class _OldAndBroken(_OldAndFull):
    """The same, and no later one."""

    def rename(self, oldpath: bytes, newpath: bytes) -> None:
        if self.renames:
            raise asyncssh.SFTPFailure("Read-only")
        super().rename(oldpath, newpath)


def _replacing(root: Path, files: type[asyncssh.SFTPServer], operation: str) -> tuple[Any, list[str]]:
    """Replace `out/name` on such a server; the outcome, and the texts of the files that are there then."""
    for name, text in {"in/new": "new", "out/name": "old"}.items():
        (root / name).parent.mkdir(parents=True)
        (root / name).write_text(text)
    given = {"move_over": {"path": {"file": "new", "name": "name"}}}
    with running_sftp(root, files=files) as peer:
        outcome = sftp_caller(peer).call(
            operation, given.get(operation, {"path": {"file": "name"}, "text": "new"})
        )
    return outcome, sorted(f"{at.name}: {at.read_text()}" for at in root.rglob("*") if at.is_file())


@pytest.mark.parametrize("operation", ["replace", "move_over"])
@pytest.mark.parametrize("files", [_Full, _OldAndFull])
def test_a_replacement_that_fails_leaves_what_was_there(
    tmp_path: Path, operation: str, files: type[asyncssh.SFTPServer]
) -> None:
    outcome, left = _replacing(tmp_path, files, operation)
    assert (outcome.error_class, outcome.headers["file-error"]) == (ErrorClass.PROVIDER_ERROR, "failed")
    assert left == ["name: old", "new: new"]


@pytest.mark.parametrize("operation", ["replace", "move_over"])
def test_a_server_that_cannot_replace_in_one_step_does_it_in_several(tmp_path: Path, operation: str) -> None:
    outcome, left = _replacing(tmp_path, _Old, operation)
    assert outcome.ok, outcome.message
    assert left == ["name: new"] + ["new: new"] * (operation == "replace")


def test_what_cannot_be_put_back_is_told_with_its_name(tmp_path: Path) -> None:
    outcome, left = _replacing(tmp_path, _OldAndBroken, "move_over")
    aside = left[0].removesuffix(": old")
    assert left == [f"{aside}: old", "new: new"]
    assert f"is now {aside}" in outcome.message


def test_a_file_is_not_moved_to_itself_by_way_of_a_link(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "x").write_text("here")
    (tmp_path / "out").symlink_to("in")
    with running_sftp(tmp_path, files=_Old) as peer:
        outcome = sftp_caller(peer).call("move_over", {"path": {"file": "x", "name": "x"}})
    assert outcome.headers["file-error"] == "same"
    assert (tmp_path / "in" / "x").read_text() == "here"


def test_the_home_directory_is_a_base_too(sftp: tuple[SftpPeer, Path]) -> None:
    peer, root = sftp
    (root / "below").mkdir(exist_ok=True)
    (root / "below" / "x").write_text("home")
    assert sftp_caller(peer, base="/~/below").result("get", file("x"))["text"] == "home"
    assert sftp_caller(peer, base="/~").result("get", file("below/x"))["text"] == "home"


def test_data_connections_go_where_the_control_connection_is(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "x").write_text("here")
    # This server says that its data are at another address.
    with running_ftps(root, AUTHORITY, masquerade_address="192.0.2.1") as port:
        caller = Caller(
            FileTransport(), f"ftps://127.0.0.1:{port}", basic(USER, PASSWORD), OPERATIONS, tls=tls()
        )
        assert caller.result("get", file("x"))["text"] == "here"


def test_a_server_without_facts_is_read_by_names(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "in").mkdir(parents=True)
    (root / "in" / "x").write_text("here")

    def unknown(self: Any, *_: Any) -> None:
        self.respond("502 Not here.")

    with running_ftps(root, AUTHORITY, ftp_MLSD=unknown, ftp_MLST=unknown) as port:
        caller = Caller(
            FileTransport(), f"ftps://127.0.0.1:{port}", basic(USER, PASSWORD), OPERATIONS, tls=tls()
        )
        [entry] = caller.result("list", {"path": {"dir": "in"}})["entries"]
        assert (entry["path"], entry["type"]) == ("in/x", None)
        assert caller.result("stat", file("in/x"))["size"] == 4
        assert caller.call("stat", file("in/y")).headers["file-error"] == "not_found"


def test_silence_on_a_data_connection_ends_the_call(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "x").write_text("here")

    def wait(self: Any, *_: Any) -> None:
        """Say that data come, and send none."""
        self.respond("150 Soon.")

    with running_ftps(root, AUTHORITY, ftp_RETR=wait) as port:
        caller = Caller(
            FileTransport(), f"ftps://127.0.0.1:{port}", basic(USER, PASSWORD), OPERATIONS, tls=tls()
        )
        late = caller.call("get", file("x"), timeout=1.0)
        assert late.error_class is ErrorClass.TIMEOUT
        cancellation = Cancellation()
        threading.Timer(0.5, cancellation.cancel).start()
        assert caller.call("get", file("x"), cancellation=cancellation).error_class is ErrorClass.CANCELLED


def test_a_put_ends_although_the_server_says_no_goodbye(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "out").mkdir(parents=True)
    with running_ftps(root, AUTHORITY, goodbye=False) as port:
        caller = Caller(
            FileTransport(), f"ftps://127.0.0.1:{port}", basic(USER, PASSWORD), OPERATIONS, tls=tls()
        )
        caller.result("put", {"path": {"file": "x"}, "text": "here"}, timeout=4.0)
    assert [(at.name, at.read_text()) for at in (root / "out").iterdir()] == [("x", "here")]


def test_the_wait_for_a_goodbye_is_under_the_deadline() -> None:
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    AUTHORITY.issue_cert("localhost").configure_cert(server)
    client = TlsContext(ssl.PROTOCOL_TLS_CLIENT)
    AUTHORITY.configure_trust(client)
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor() as thread:
        plain = PlainSocket()
        plain.under(Deadline(6.0))
        plain.connect(listener.getsockname())
        accepted = thread.submit(server.wrap_socket, listener.accept()[0], server_side=True)
        secured = client.wrap_socket(plain, server_hostname="localhost")
        with accepted.result(5), secured:
            secured.sendall(b"x")
            secured.bound(Deadline(0.2))
            begun = time.monotonic()
            with pytest.raises(TimeoutError):
                secured.unwrap()
            assert time.monotonic() - begun < 4.5


@pytest.mark.parametrize(
    ("command", "says", "error_class"),
    [
        ("AUTH", "530 Please log in with USER and PASS first.", ErrorClass.TLS),
        ("AUTH", "500 Unknown.", ErrorClass.TLS),
        ("AUTH", "431 No certificate.", ErrorClass.TLS),
        ("AUTH", "421 Too many connections.", ErrorClass.PROVIDER_BUSY),
        ("PROT", "536 Not supported.", ErrorClass.TLS),
        ("PROT", "534 Not allowed.", ErrorClass.TLS),
    ],
)
def test_a_refusal_of_tls_by_ftp_is_one_of_tls(
    tmp_path: Path, command: str, says: str, error_class: ErrorClass
) -> None:
    def refuse(self: Any, *_: Any) -> None:
        self.respond(says)

    refusing: dict[str, Any] = {f"ftp_{command}": refuse}
    with running_ftps(tmp_path, AUTHORITY, **refusing) as port:
        url = f"ftps://127.0.0.1:{port}"
        outcome = Caller(FileTransport(), url, basic(USER, PASSWORD), OPERATIONS, tls=tls()).probe()
    assert outcome.error_class is error_class, outcome
    assert says.rstrip(".") in outcome.message


def test_ftps_verifies_the_server(ftps: tuple[int, Path]) -> None:
    port, _ = ftps
    caller = Caller(FileTransport(), f"ftps://127.0.0.1:{port}", basic(USER, PASSWORD), OPERATIONS)
    assert caller.probe().error_class is ErrorClass.TLS


@pytest.mark.parametrize("implicit", [False, True], ids=["ftps", "ftpsi"])
def test_an_ftp_server_may_talk_in_any_encoding(tmp_path: Path, implicit: bool) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "a").write_text("here")
    said: dict[str, Any] = {"banner": "Bienvenue à tous", "encoding": "latin-1"}
    with running_ftps(root, AUTHORITY, implicit=implicit, **said) as port:
        scheme = "ftpsi" if implicit else "ftps"
        caller = Caller(
            FileTransport(), f"{scheme}://127.0.0.1:{port}", basic(USER, PASSWORD), OPERATIONS, tls=tls()
        )
        assert caller.result("get", file("a"))["text"] == "here"
        assert [entry["name"] for entry in caller.result("root")["entries"]] == ["a"]
        missing = caller.call("get", file("dossier é"))
    assert (missing.error_class, missing.headers["file-error"]) == (ErrorClass.PROVIDER_ERROR, "not_found")


def test_s3_lists_over_many_pages(s3: int) -> None:
    client = s3_client(s3)
    client.create_bucket(Bucket="pages")
    for number in range(1105):
        client.put_object(Bucket="pages", Key=f"in/{number:05}", Body=b"")
    caller = Caller(
        FileTransport(),
        f"http://127.0.0.1:{s3}/pages",
        aws(),
        {"all": {"action": "list", "path": "in", "max_entries": 2000}},
    )
    listed = caller.result("all")
    assert (len(listed["entries"]), listed["truncated"]) == (1105, False)


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd"])
def test_an_object_of_s3_that_was_stored_with_a_coding_comes_as_it_is(s3: int, coding: str) -> None:
    bucket = f"b{uuid.uuid4().hex[:8]}"
    content = gzip.compress(b"canary", mtime=0)
    client = s3_client(s3)
    client.create_bucket(Bucket=bucket)
    client.put_object(Bucket=bucket, Key="a", Body=content, ContentEncoding=coding)
    got = Caller(FileTransport(), f"http://127.0.0.1:{s3}/{bucket}", aws(), OPERATIONS).result(
        "as_bytes", file("a")
    )
    assert base64.b64decode(got["base64"]) == content
    assert (got["size"], got["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())


def test_s3_takes_a_put_of_who_may_write_and_not_read(s3: int) -> None:
    client = s3_client(s3)
    client.create_bucket(Bucket="write-only")
    client.put_object(Bucket="write-only", Key="out/old", Body=b"old")
    with checking(s3, "s3:PutObject") as (key, secret):
        caller = Caller(FileTransport(), f"http://127.0.0.1:{s3}/write-only", aws(secret, key), OPERATIONS)
        caller.result("put", {"path": {"file": "new"}, "text": "new"})
        again = caller.call("put", {"path": {"file": "old"}, "text": "new"})
        seen = caller.call("stat", file("out/old"))
        caller.credentials = aws("canary-bad-secret-key", key)
        stranger = caller.call("put", {"path": {"file": "more"}, "text": "new"})
    assert client.get_object(Bucket="write-only", Key="out/new")["Body"].read() == b"new"
    assert client.get_object(Bucket="write-only", Key="out/old")["Body"].read() == b"old"
    assert (again.error_class, again.headers["file-error"]) == (ErrorClass.PROVIDER_ERROR, "exists")
    assert (seen.error_class, seen.headers["file-error"]) == (ErrorClass.PROVIDER_ERROR, "denied")
    assert stranger.error_class is ErrorClass.UNAUTHORIZED


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("conformance")
    (root / "small").write_text("small")
    (root / "large").write_text("x" * (LARGE_BYTES + 100_000))
    return root


@pytest.fixture(scope="module")
def filled_sftp(filled: Path) -> Iterator[SftpPeer]:
    with running_sftp(filled) as peer:
        yield peer


@pytest.fixture(scope="module")
def filled_ftps(filled: Path) -> Iterator[int]:
    with running_ftps(filled, AUTHORITY) as port:
        yield port


@pytest.fixture(scope="module")
def filled_s3(s3: int) -> int:
    client = s3_client(s3)
    client.create_bucket(Bucket="conformance")
    client.put_object(Bucket="conformance", Key="small", Body=b"small")
    client.put_object(Bucket="conformance", Key="large", Body=b"x" * (LARGE_BYTES + 100_000))
    return s3


class FileConformance(Conformance):
    transport = FileTransport()
    operations: ClassVar[dict[str, Any]] = {"get": FileOperation(action="get", path="{name}")}
    small = ("get", {"path": {"name": "small"}})
    large = ("get", {"path": {"name": "large"}})
    good = basic(USER, PASSWORD)
    bad = basic(USER, "canary-bad-password")


class TestSftpConformance(FileConformance):
    scheme = "sftp"

    @pytest.fixture(autouse=True)
    def port(self, filled_sftp: SftpPeer, monkeypatch: pytest.MonkeyPatch) -> int:
        monkeypatch.setattr(type(self), "settings", FileSettings(host_key=filled_sftp.host_key))
        return filled_sftp.port


class TestFtpsConformance(FileConformance):
    scheme = "ftps"
    settings = FileSettings()
    tls = tls()
    # What passes the relay is the control connection, half of which is its handshake.
    broken = frozenset({ErrorClass.RESET, ErrorClass.PROTOCOL, ErrorClass.TLS})
    exempt: ClassVar[dict[str, str]] = {
        "test_silence_in_the_middle_of_an_answer_ends_at_the_deadline": "it would be silence in the handshake; the "
        "silence of a data connection is tested above"
    }

    @pytest.fixture
    def port(self, filled_ftps: int) -> int:
        return filled_ftps


class TestS3Conformance(FileConformance):
    scheme = "http"
    path = "/conformance"
    settings = FileSettings()
    good = aws()
    bad = aws("canary-bad-secret-key")
    exempt: ClassVar[dict[str, str]] = {
        "test_a_name_is_looked_up_once_and_by_the_policy_alone": "moto takes the name of the host for a bucket's",
    }

    @pytest.fixture
    def port(self, filled_s3: int) -> int:
        return filled_s3

    def test_bad_credentials_are_unauthorized(self, port: int, session: GuardedSession) -> None:
        with checking(port, "s3:*") as (key, secret):
            assert self.send(session, self.url(port), credentials=aws(secret, key), pool_key="good").ok
            for bad in (aws("canary-bad-secret-key", key), aws(secret, "AKIAUNKNOWN")):
                outcome = self.send(session, self.url(port), credentials=bad, pool_key="bad")
                assert outcome.error_class is ErrorClass.UNAUTHORIZED, outcome
