"""`hub webhooks`: sign a test request, and say why a signature does not match. Works without a hub.

Secrets are read from an option, a file or the environment and never printed.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
import time
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hub.cli.output import as_json_option, show_json
from hub.client.diagnosis import diagnose
from hub.core.ids import Kind, format_id, new_uuid
from hub.core.secret import Secret
from hub.webhooks.profiles import Key, compile_profiles
from hub.webhooks.signing import PRIVATE_PREFIX, Signer, decode_private_key, decode_secret

if TYPE_CHECKING:
    from collections.abc import Callable

    from hub.client.diagnosis import Diagnosis

SECRET_VARIABLE = "HUB_WEBHOOK_SECRET"  # noqa: S105  (the variable's name)
_PROFILES = ("stripe", "github", "slack", "shopify", "svix", "hmac")
_ID = re.compile(r"[\x21-\x2d\x2f-\x7e]{1,256}")


def _read_headers(
    _ctx: click.Context, _param: click.Parameter, values: tuple[str, ...]
) -> list[tuple[str, str]]:
    return [_header(line) for line in values]


def _read_headers_file(
    _ctx: click.Context, _param: click.Parameter, path: Path | None
) -> list[tuple[str, str]]:
    """Lines `Name: value`, as a browser or proxy shows a request, or a JSON object."""
    if path is None:
        return []
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise click.BadParameter(f"{path} is not UTF-8 text.") from None
    if text.lstrip().startswith("{"):
        try:
            return [(name, str(value)) for name, value in json.loads(text).items()]
        except (ValueError, RecursionError):
            raise click.BadParameter(f"{path} is neither lines `Name: value` nor a JSON object.") from None
    lines = [line.lstrip("<> ") for line in text.splitlines()]  # curl -v marks its lines
    return [_header(line) for line in lines if line.strip() and not re.match(r"\S+ \S+ HTTP/", line)]


def _header(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    if not colon or not name.strip():
        raise click.BadParameter("a header is given as `Name: value`.")  # not repeated: it may be a secret
    return name, value


def _read_body(_ctx: click.Context, _param: click.Parameter, path: str) -> tuple[str, bytes]:
    try:
        return path, sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
    except OSError as error:
        raise click.BadParameter(f"{path} cannot be read: {error.strerror}.") from None


def _read_time(_ctx: click.Context, _param: click.Parameter, value: str | None) -> float:
    if value is None:
        return time.time()
    try:
        at = datetime.fromisoformat(value) if not re.fullmatch(r"[0-9]{1,11}", value) else None
    except ValueError:
        raise click.BadParameter(
            f"{value!r} is neither Unix seconds nor a time such as 2026-01-31T12:00:00Z."
        ) from None
    if at is None:
        return float(value)
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


def _secrets(given: tuple[str, ...], files: tuple[Path, ...]) -> list[str]:
    """All secrets, in the order of the options; the environment's when no option names one.

    Raises:
        click.UsageError: there is none.
    """
    try:
        found = [*given, *(path.read_text(encoding="utf-8").rstrip("\r\n") for path in files)]
    except (OSError, UnicodeDecodeError):
        raise click.UsageError("The secret file cannot be read as text.") from None
    found = found or os.environ.get(SECRET_VARIABLE, "").split()
    if not found:
        raise click.UsageError(
            f"There is no secret: give --secret-file, or set {SECRET_VARIABLE} (several with spaces between them)."
        )
    return found


def _with_secrets(command: Callable[..., None]) -> Callable[..., None]:
    """The options that name secrets."""
    command = click.option(
        "--secret-file",
        "secret_files",
        multiple=True,
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="A file that holds a secret.",
    )(command)
    return click.option(
        "--secret",
        "secrets",
        multiple=True,
        help=f"A secret; other users see it in the list of processes. Else {SECRET_VARIABLE} is read.",
    )(command)


_body_argument = click.argument("body", metavar="BODYFILE", callback=_read_body)
_at_option = click.option(
    "--at", callback=_read_time, metavar="TIME", help="Unix seconds or ISO 8601; now when not given."
)


@click.group()
def webhooks() -> None:
    """Sign test requests, and say why a signature does not match."""


@webhooks.command()
@_body_argument
@_with_secrets
@click.option(
    "--headers",
    "from_file",
    callback=_read_headers_file,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A file with the request's headers: lines `Name: value`, or a JSON object.",
)
@click.option("-H", "headers", multiple=True, callback=_read_headers, metavar="'NAME: VALUE'")
@_at_option
@click.option(
    "--tolerance",
    type=click.FloatRange(min=0),
    default=300,
    show_default=True,
    help="Seconds between the clocks that the receiver allows.",
)
@as_json_option
def verify(
    body: tuple[str, bytes],
    secrets: tuple[str, ...],
    secret_files: tuple[Path, ...],
    from_file: list[tuple[str, str]],
    headers: list[tuple[str, str]],
    at: float,
    tolerance: float,
    as_json: bool,
) -> None:
    """Check the signature of a received request, whose body is in BODYFILE (`-`: standard input).

    Says what is wrong and how to mend it. TIME of --at is when the request arrived. Exit code 0: verified; 1: not.
    """
    found = diagnose(
        body[1], [*headers, *from_file], _secrets(secrets, secret_files), tolerance_seconds=tolerance, now=at
    )
    if as_json:
        show_json(asdict(found))
    else:
        _tell(found)
    if not found.verified:
        sys.exit(1)


def _tell(found: Diagnosis) -> None:
    if found.verified:
        click.echo("Verified: signed with a secret that you gave, whole and in time.")
    elif found.signature_matches:
        click.echo("Not verified, though the signature is right for this body and these headers:")
    else:
        click.echo("Not verified:")
    for finding in found.findings:
        click.echo(f"- {finding.message}\n  {finding.remedy}")


@webhooks.command()
@_body_argument
@_with_secrets
@click.option(
    "--url", default="http://127.0.0.1:8000/", show_default=True, help="Where the receiver listens."
)
@click.option("--id", "webhook_id", help="The webhook-id; a new one when not given.")
@_at_option
@click.option(
    "--profile",
    "profiles",
    multiple=True,
    type=click.Choice(_PROFILES),
    help="Add the signature of this form as well.",
)
@as_json_option
def sign(
    body: tuple[str, bytes],
    secrets: tuple[str, ...],
    secret_files: tuple[Path, ...],
    url: str,
    webhook_id: str | None,
    at: float,
    profiles: tuple[str, ...],
    as_json: bool,
) -> None:
    """Sign BODYFILE (`-`: standard input) as the hub does, and print a curl command that sends it to a receiver.

    A secret is `whsec_…` (HMAC) or `whsk_…` (ed25519). Receivers allow five minutes between TIME and their clock.
    """
    path, content = body
    webhook_id = format_id(Kind.MESSAGE, new_uuid()) if webhook_id is None else webhook_id
    if not _ID.fullmatch(webhook_id):
        raise click.BadParameter("a webhook-id is 1 to 256 printable characters without space or dot.")
    given = [Secret(text) for text in _secrets(secrets, secret_files)]
    shared = [secret for secret in given if not secret.reveal().startswith(PRIVATE_PREFIX)]
    private = [secret for secret in given if secret.reveal().startswith(PRIVATE_PREFIX)]
    if profiles and not shared:
        raise click.UsageError("A profile signs with a whsec_ secret; there is none.")
    signer = Signer(
        [decode_secret(secret) for secret in shared], [decode_private_key(key) for key in private]
    )
    stamp = int(at)
    headers = [
        ("content-type", "application/json"),
        ("webhook-id", webhook_id),
        ("webhook-timestamp", str(stamp)),
        ("webhook-signature", signer.value(webhook_id, stamp, content)),
    ]
    keys = [Key.of(secret) for secret in shared]
    for profile in compile_profiles([{"type": name} for name in dict.fromkeys(profiles)]):
        headers += profile.headers(keys, webhook_id, stamp, content)
    command = _curl(url, headers, path, content)
    if as_json:
        show_json({"url": url, "headers": dict(headers), "curl": command})
        return
    for name, value in headers:
        click.echo(f"{name}: {value}", err=True)
    click.echo(command)


def _curl(url: str, headers: list[tuple[str, str]], path: str, content: bytes) -> str:
    parts: list[Any] = ["curl", "-i"]
    for name, value in headers:
        parts += ["-H", f"{name}: {value}"]
    if path == "-":
        try:
            text = content.decode()
        except UnicodeDecodeError:
            text = "\0"
        if "\0" in text:
            raise click.UsageError("A body that is not text must be in a file.")
        parts += ["--data-raw", text]  # not --data-binary, which reads a file when the text begins with @
    else:
        parts += ["--data-binary", f"@{path}"]
    return shlex.join([*parts, url])
