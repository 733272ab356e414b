from __future__ import annotations

import base64
import json
import shlex
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from hub.cli.main import cli
from hub.cli.webhooks import SECRET_VARIABLE, webhooks
from hub.client.verify import verify
from hub.core.errors import Invalid
from hub.webhooks.signing import new_keypair

# Vector of the Standard Webhooks specification 1.0.0.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_" + base64.b64encode(bytes(range(32))).decode()
PRIVATE, PUBLIC = new_keypair(lambda count: bytes(range(count)))
ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
STAMP = 1614265330
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
BODY = b'{"test": 2432232314}'
HEADERS = {"webhook-id": ID, "webhook-timestamp": str(STAMP), "webhook-signature": SIGNATURE}
LINES = "".join(f"{name.title()}: {value}\n" for name, value in HEADERS.items())
AT = ["--at", str(STAMP)]


@pytest.fixture(autouse=True)
def _no_secret_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SECRET_VARIABLE, raising=False)


@pytest.fixture
def body_file(tmp_path: Path) -> str:
    path = tmp_path / "body.json"
    path.write_bytes(BODY)
    return str(path)


@pytest.fixture
def headers_file(tmp_path: Path) -> str:
    path = tmp_path / "headers.txt"
    path.write_text(LINES)
    return str(path)


def run(*args: str, code: int = 0, stdin: bytes = b"", env: dict[str, str] | None = None) -> Result:
    result = CliRunner().invoke(webhooks, args, input=stdin, env=env)
    assert result.exit_code == code, result.output
    for secret in (SECRET, OTHER, PRIVATE.reveal()):
        assert secret[6:] not in result.output
    return result


def test_the_group_is_part_of_the_command() -> None:
    assert "verify" in CliRunner().invoke(cli, ["webhooks", "--help"]).output


def test_a_good_request_is_verified(body_file: str, headers_file: str) -> None:
    done = run("verify", body_file, "--headers", headers_file, "--secret", SECRET, *AT)
    assert done.output.startswith("Verified")


@pytest.mark.parametrize(
    "at", ["1614265330", "2021-02-25T15:02:10Z", "2021-02-25T15:02:10", "2021-02-25 16:02:10+01:00"]
)
def test_the_time_of_arrival_is_read(at: str, body_file: str, headers_file: str) -> None:
    run("verify", body_file, "--headers", headers_file, "--secret", SECRET, "--at", at, "--tolerance", "0")


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(HEADERS),
        "\ufeff" + LINES,
        "POST /hooks HTTP/1.1\r\nHost: a\r\n" + LINES.replace("\n", "\r\n") + "\r\n",
        "> POST /hooks HTTP/1.1\n" + "".join(f"> {line}\n" for line in LINES.splitlines()) + ">\n",
    ],
    ids=["json", "bom", "http", "curl -v"],
)
def test_headers_are_read_as_people_have_them(text: str, body_file: str, tmp_path: Path) -> None:
    path = tmp_path / "h"
    path.write_bytes(text.encode())
    run("verify", body_file, "--headers", str(path), "--secret", SECRET, *AT)


def test_all_may_come_from_options_and_standard_input() -> None:
    options = [part for name, value in HEADERS.items() for part in ("-H", f"{name}: {value}")]
    run("verify", "-", *options, "--secret", SECRET, *AT, stdin=BODY)


def test_an_option_overrides_the_file(body_file: str, headers_file: str) -> None:
    args = (
        "verify",
        body_file,
        "--headers",
        headers_file,
        "--secret",
        SECRET,
        *AT,
        "-H",
        "webhook-id: msg_x",
    )
    assert "no usual mistake" in run(*args, code=1).output


@pytest.mark.parametrize("source", ["file", "environment", "both"])
def test_a_secret_comes_from_a_file_or_the_environment(
    source: str, body_file: str, headers_file: str, tmp_path: Path
) -> None:
    path = tmp_path / "secret"
    path.write_text(SECRET + "\n")
    more = [] if source == "environment" else ["--secret-file", str(path)]
    value = {"file": "", "environment": f"{OTHER} {SECRET}", "both": OTHER}[source]
    run("verify", body_file, "--headers", headers_file, *AT, *more, env={SECRET_VARIABLE: value})


def test_a_wrong_request_is_explained_with_what_to_do(headers_file: str) -> None:
    args = ("verify", "-", "--headers", headers_file, "--secret", SECRET, *AT)
    done = run(*args, code=1, stdin=b'{"test":2432232314}')
    assert done.output.splitlines()[0] == "Not verified:"
    assert "parsed and written again" in done.output
    assert "get_data()" in done.output


def test_an_old_request_has_a_right_signature(body_file: str, headers_file: str) -> None:
    done = run("verify", body_file, "--headers", headers_file, "--secret", SECRET, code=1)
    assert "though the signature is right" in done.output
    assert "before the time of this check" in done.output


def test_scripts_get_json(body_file: str, headers_file: str) -> None:
    args = ("verify", body_file, "--headers", headers_file, *AT, "--json")
    assert json.loads(run(*args, "--secret", SECRET).output) == {
        "verified": True, "reason": None, "signature_matches": True, "findings": [],
    }  # fmt: skip
    answer = json.loads(run(*args, "--secret", OTHER, code=1).output)
    assert (answer["verified"], answer["reason"]) == (False, "no_match")
    assert [set(finding) for finding in answer["findings"]] == [{"code", "message", "remedy"}]


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["verify", "BODY"], "no secret"),
        (["verify", "/nowhere", "--secret", SECRET], "cannot be read"),
        (["verify", "BODY", "--secret", SECRET, "-H", "webhook-id"], "Name: value"),
        (["verify", "BODY", "--secret", SECRET, "--at", "noon"], "Unix seconds"),
        (["verify", "BODY", "--secret", SECRET, "--tolerance", "-1"], "tolerance"),
        (["verify", "BODY", "--secret", SECRET, "--headers", "BINARY"], "UTF-8"),
        (["verify", "BODY", "--secret", SECRET, "--headers", "HALF"], "JSON object"),
        (["verify", "BODY", "--secret-file", "BINARY"], "as text"),
        (["sign", "BODY"], "no secret"),
        (["sign", "BODY", "--secret", SECRET, "--id", "a.b"], "webhook-id"),
        (["sign", "BODY", "--secret", SECRET, "--id", "a\r\nb"], "webhook-id"),
        (["sign", "BODY", "--secret", SECRET, "--profile", "paypal"], "paypal"),
        (["sign", "BODY", "--secret", PRIVATE.reveal(), "--profile", "stripe"], "whsec_"),
        (["sign", "BINARY", "--secret", SECRET, "--at", "2021-99-01"], "Unix seconds"),
    ],
    ids=lambda value: None if isinstance(value, list) else value,
)  # fmt: skip
def test_wrong_usage_is_told(args: list[str], says: str, body_file: str, tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe\xfd")
    (tmp_path / "half").write_text('{"a": ')
    places = {"BODY": body_file, "BINARY": str(tmp_path / "binary"), "HALF": str(tmp_path / "half")}
    assert says in run(*(places.get(arg, arg) for arg in args), code=2).output


def test_a_malformed_secret_to_sign_with_is_told(body_file: str) -> None:
    result = CliRunner().invoke(webhooks, ["sign", body_file, "--secret", "whsec_canary"])
    assert isinstance(result.exception, Invalid)
    assert "canary" not in f"{result.exception}{result.output}"


def headers_of(command: str) -> tuple[list[str], dict[str, str]]:
    words = shlex.split(command)
    pairs = [words[n + 1].split(": ", 1) for n, word in enumerate(words) if word == "-H"]
    return words, dict(pairs)


def test_a_signed_curl_command_verifies(body_file: str) -> None:
    done = run(
        "sign", body_file, "--secret", SECRET, "--id", ID, *AT, "--url", "http://localhost:9/a b?c=1&d=2"
    )
    words, headers = headers_of(done.stdout)
    assert words[0] == "curl"
    assert words[-3:] == ["--data-binary", f"@{body_file}", "http://localhost:9/a b?c=1&d=2"]
    assert headers == HEADERS | {"content-type": "application/json"}
    assert done.stderr == "".join(f"{name}: {value}\n" for name, value in headers.items())


@pytest.mark.parametrize("body", ["", "@etc", 'it\'s\n$HOME `x` "é"'])
def test_a_body_from_standard_input_is_part_of_the_command(body: str) -> None:
    words, headers = headers_of(run("sign", "-", "--secret", SECRET, stdin=body.encode()).stdout)
    assert words[words.index("--data-raw") + 1] == body
    assert verify(body.encode(), headers, SECRET).id.startswith("msg_")


@pytest.mark.parametrize("body", [b"\xff", b"a\0b"])
def test_a_body_that_no_command_line_can_hold_must_be_in_a_file(body: bytes) -> None:
    assert "must be in a file" in run("sign", "-", "--secret", SECRET, stdin=body, code=2).output


def test_both_kinds_of_keys_and_profiles_sign() -> None:
    args: list[Any] = ["sign", "-", "--secret", SECRET, "--secret", PRIVATE.reveal(), "--json"]
    for name in ("stripe", "github", "slack", "shopify", "svix", "hmac"):
        args += ["--profile", name]
    answer = json.loads(run(*args, stdin=BODY).output)
    now = datetime.now(UTC).timestamp()
    assert verify(BODY, answer["headers"], SECRET, now=now).secret_index == 0
    assert verify(BODY, answer["headers"], PUBLIC, now=now).secret_index == 0
    assert {
        "Stripe-Signature",
        "X-Hub-Signature-256",
        "X-Slack-Signature",
        "X-Shopify-Hmac-SHA256",
        "svix-signature",
        "X-Webhook-Signature",
    } <= set(answer["headers"])
    assert headers_of(answer["curl"])[1] == answer["headers"]
