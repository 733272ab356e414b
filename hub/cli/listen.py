"""`hub listen`: a tenant's events in the terminal as they are accepted, and forwarded to a receiver on this machine.

What is forwarded is what an endpoint without filter and transformation would get: the same body, byte for byte, the
same headers, signed here with a secret of the session. One event after the other, each one once: retries are the
hub's business with endpoints, and would only stand in the way of somebody who debugs.

The address policy that guards the hub's deliveries has no part in this: the request is made by the developer's own
machine, with the developer's own reach, to where the developer says, which is mostly loopback. The hub learns nothing
of it, and nothing that the receiver answers is sent to the hub.
"""

from __future__ import annotations

import signal
import time
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

import click
import requests
from urllib3.exceptions import HTTPError
from urllib3.exceptions import TimeoutError as SilenceError

from hub.cli.connection import api, api_url
from hub.cli.moments import parse_duration
from hub.cli.output import moment
from hub.cli.webhooks import SECRET_VARIABLE
from hub.core.errors import Invalid
from hub.core.ids import Kind, floor_uuid, format_id, parse_id
from hub.core.secret import Secret
from hub.webhooks.matching import LABEL_RULE, is_label, is_pattern
from hub.webhooks.signing import Signer, decode_secret, new_secret

if TYPE_CHECKING:
    from collections.abc import Callable

    from hub.client.streaming import EventStream, StreamedEvent

_TIMEOUT_SECONDS = 15.0
#: Of an answer that is read.
_ANSWER_BYTES = 65_536
_HEADERS = {"Content-Type": "application/json", "User-Agent": "Integration-Hub/1 (webhooks)", "Accept": "*/*"}
#: Ids begin with it.
_FIRST = datetime(1970, 1, 1, tzinfo=UTC)
_ONE_LINE = str.maketrans("\r\n", "  ")


class Answered(NamedTuple):
    """What a receiver made of one event.

    Args:
        said: its status, or why there is none.
        took: 2xx.
    """

    said: str
    took: bool


class Forwarder:
    """Posts events to one URL, signed.

    Args:
        url: absolute.
        signer: of the session.
    """

    def __init__(self, url: str, signer: Signer) -> None:
        self._url = url
        self._signer = signer
        self._session = requests.Session()
        # Neither a proxy of the environment nor a ~/.netrc is meant for a receiver on this machine.
        self._session.trust_env = False
        self._session.headers = requests.structures.CaseInsensitiveDict(_HEADERS)

    def send(self, event: StreamedEvent) -> Answered:
        """Post one event, once."""
        stamp = int(time.time())
        headers = {
            "webhook-id": event.id,
            "webhook-timestamp": str(stamp),
            "traceparent": event.traceparent,
            "webhook-signature": self._signer.value(event.id, stamp, event.body),
        }
        started = time.perf_counter()
        try:
            with self._session.post(
                self._url,
                data=event.body,
                headers=headers,
                timeout=_TIMEOUT_SECONDS,
                allow_redirects=False,
                stream=True,
            ) as answer:
                _read_some(answer, started + _TIMEOUT_SECONDS)
                said, took = str(answer.status_code), answer.ok and answer.status_code < 300
        except (requests.RequestException, HTTPError, OSError) as error:
            said, took = f"no answer: {_cause(error)}", False
        return Answered(f"{said}, {(time.perf_counter() - started) * 1000:.0f} ms", took)

    def close(self) -> None:
        """Close its connections."""
        self._session.close()


def _read_some(answer: requests.Response, until: float) -> None:
    """Most of an answer, so that its sender is not cut off in the middle of a sentence."""
    left = _ANSWER_BYTES
    while left > 0 and time.perf_counter() < until and (received := answer.raw.read1(left)):
        left -= len(received)


def _cause(error: BaseException) -> str:
    """The operating system's own words where it has some, which say more than the wrappings around them."""
    if isinstance(error, requests.Timeout | SilenceError):
        return f"it took over {_TIMEOUT_SECONDS:g} s"
    inner: BaseException | None = error
    while inner is not None:
        if isinstance(inner, OSError) and inner.strerror:
            return inner.strerror
        inner = inner.__context__
    return type(error).__name__


def _words(is_good: Callable[[str], bool], rule: str) -> Callable[..., list[str]]:
    def read(_ctx: click.Context, _param: click.Parameter, values: tuple[str, ...]) -> list[str]:
        words = [word.strip() for value in values for word in value.split(",") if word.strip()]
        for word in words:
            if not is_good(word):
                raise click.BadParameter(f"{word!r} {rule}.")
        return words

    return read


def _read_url(_ctx: click.Context, _param: click.Parameter, value: str | None) -> str | None:
    if value is None:
        return None
    try:
        parts = urlsplit(value)
        is_url = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_url = False
    if not is_url:
        raise click.BadParameter("must be a URL such as http://localhost:3000/hooks.")
    return value


def _read_since(_ctx: click.Context, _param: click.Parameter, value: str | None) -> str | None:
    """A place to begin from, as the id of an event."""
    if value is None:
        return None
    ago = parse_duration(value)
    if ago is not None:
        return format_id(Kind.MESSAGE, floor_uuid(max(_FIRST, datetime.now(UTC) - ago)))
    try:
        return format_id(Kind.MESSAGE, parse_id(Kind.MESSAGE, value))
    except Invalid:
        raise click.BadParameter("must be a time back from now such as 10m, or an event, msg_….") from None


def _read_secret(_ctx: click.Context, _param: click.Parameter, value: str | None) -> list[Secret]:
    return [Secret(one) for one in (value or "").split()]


@click.command()
@click.option(
    "--types",
    multiple=True,
    callback=_words(
        is_pattern, "is no event type such as invoice.paid, no prefix such as invoice.*, and not *"
    ),
    help="Only these event types, such as invoice.paid or invoice.*; with commas, or repeated.",
)
@click.option(
    "--labels",
    multiple=True,
    callback=_words(is_label, LABEL_RULE),
    help="Only events that carry one of these labels.",
)
@click.option(
    "--forward", metavar="URL", callback=_read_url, help="Post each event to a receiver of yours, signed."
)
@click.option(
    "--secret",
    "secrets",
    envvar=SECRET_VARIABLE,
    metavar="whsec_…",
    callback=_read_secret,
    help=f"Sign with this; other users see it in the list of processes. Else {SECRET_VARIABLE} is read, else a secret"
    " is made for the session and shown.",
)
@click.option(
    "--print-secret", is_flag=True, help="Print a new secret, for --secret and your receiver, and end."
)
@click.option("--print-json", is_flag=True, help="Print each event as one line of JSON.")
@click.option(
    "--since", metavar="10m|msg_…", callback=_read_since, help="Begin with what was accepted since then."
)
@click.option("--events-only", is_flag=True, help="Leave out what the hub itself says about endpoints.")
def listen(
    types: list[str],
    labels: list[str],
    forward: str | None,
    secrets: list[Secret],
    print_secret: bool,
    print_json: bool,
    since: str | None,
    events_only: bool,
) -> None:
    """Show events as they are accepted, and forward them to a receiver on this machine.

    It connects again by itself and goes on where it was. With --since, some of the seconds before come too.
    """
    if print_secret:
        click.echo(new_secret().reveal())
        return
    forwarder = None
    if forward is not None:
        made = secrets or [new_secret()]
        forwarder = Forwarder(forward, Signer([decode_secret(one) for one in made]))
        if not secrets:
            _note(f"The signing secret of this session is {made[0].reveal()}")
    # SIGTERM ends it as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    counts: Counter[str] = Counter()
    try:
        with (
            api() as hub,
            hub.stream_events(
                types=types, labels=labels, kind="events" if events_only else None, after=since, notify=_note
            ) as stream,
        ):
            _note(f"Listening to {api_url()}; Ctrl-C ends it.")
            _follow(stream, forwarder, counts, print_json=print_json)
    except KeyboardInterrupt:
        pass
    finally:
        if forwarder is not None:
            forwarder.close()
    _note(_summary(counts, forwarded=forwarder is not None))


def _follow(
    stream: EventStream, forwarder: Forwarder | None, counts: Counter[str], *, print_json: bool
) -> None:
    for event in stream:
        counts["events"] += 1
        if print_json:
            body = event.body.decode()[1:].translate(_ONE_LINE)
            click.echo(f'{{"message_id":"{event.message_id}","id":"{event.id}",{body}')
        else:
            click.echo(f"{moment(event.timestamp)}  {event.type}  {event.id}  {len(event.body)} bytes")
        if forwarder is not None:
            answered = forwarder.send(event)
            counts["taken" if answered.took else "not taken"] += 1
            click.echo(f"  -> {answered.said}", err=print_json)


def _summary(counts: Counter[str], *, forwarded: bool) -> str:
    events = f"{counts['events']} event{'' if counts['events'] == 1 else 's'}"
    if not forwarded:
        return f"{events}."
    return f"{events}: {counts['taken']} taken by the receiver, {counts['not taken']} not."


def _note(text: str) -> None:
    """What is not an event goes where it does not disturb a pipe."""
    click.echo(text, err=True)
