"""`/in/{source_id}`: where providers call. A plain Starlette handler, without an API key.

What a provider is answered
- 2xx, chosen by the source: its request is committed, now or (a repeat) before.
- 401: it is not verified. The answer does not say why, the inspector does. 401 and not 400, because Discord takes a
  URL away that answers a wrong signature otherwise.
- 403: the address is not on the source's list.
- 404: there is no such source; it costs the same as any other id.
- 408, 413: its body came too slowly, or is too large.
- 503 with Retry-After: the source is paused. Providers repeat after 5xx, for hours or days; 410 makes many delete
  their subscription, 404 some. What they give up meanwhile can be asked of them again, a subscription cannot.
- HEAD: 200; some look whether there is somebody before they save a URL.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.responses import Response

from hub.core.errors import Forbidden, HubError, NotFound, Unavailable
from hub.core.ids import Kind, parse_id
from hub.sources.certificates import CertificateShelf, guarded_fetch
from hub.sources.directory import Directory
from hub.sources.intake import Intake
from hub.sources.peers import caller_of, inside, read_networks
from hub.sources.reading import BodyReader
from hub.sources.receiving import Arrival, judge, rejection
from hub.sources.sampling import Sampler
from hub.sources.verification import Received, Verdict, compile_verifier
from hub.web.problems import MEDIA_TYPE, problem_of

if TYPE_CHECKING:
    import uuid

    from starlette.requests import Request
    from starlette.types import Scope

    from hub.core.clock import Clock
    from hub.sources.directory import Source
    from hub.sources.intake import Judged
    from hub.web.services import Services

PATH = "/in/{source_id}"
METHODS = ["GET", "HEAD", "POST", "PUT"]

#: How long a request waits for company in its commit: providers wait for seconds, and at 1,000/s this halves commits.
_WINDOW_SECONDS = 0.005
_PAUSED_SECONDS = "300"
_NOT_ALLOWED = Verdict(
    ok=False, reason="ip_not_allowed", detail="The caller's address is not on this source's ip_allow_list."
)
#: The provider cannot mend these, so it is told to come again.
_OURS = frozenset({"certificate_unavailable", "source_unreadable"})


class Unverified(HubError):
    """A request did not prove that it is its provider's."""

    status = 401
    code = "unverified"
    title = "Not verified"


class Receiver:
    """Everything that one event loop receives with.

    Args:
        services: what handlers share.
        clock: wall time of receipt, monotonic time of memories.
        reader: reads bodies.
    """

    def __init__(self, services: Services, clock: Clock, reader: BodyReader | None = None) -> None:
        settings = services.settings
        self._settings = settings
        self._clock = clock
        self._trusted = read_networks(settings.trusted_proxies, field="HUB_TRUSTED_PROXIES")
        self._shelf = CertificateShelf(guarded_fetch(services.policy), clock)
        self._directory = Directory(services.engine, services.vault, clock, compile_=self._compile)
        self._intake = Intake(services.engine, services.ring, window_seconds=_WINDOW_SECONDS)
        self._reader = reader or BodyReader()
        self._sampler = Sampler()

    async def start(self) -> None:
        """Begin to receive."""
        await self._intake.start()

    async def stop(self) -> None:
        """Commit what waits, then end."""
        await self._intake.stop()
        await self._directory.stop()

    async def receive(self, request: Request) -> Response:
        """Answer one request of a provider.

        Raises:
            HubError: rendered as problem+json by the application.
        """
        source = await self._find(request.path_params["source_id"])
        if source is None or source.paused or request.method == "HEAD":
            return _without_reading(request, source)
        headers = _headers(request.scope)
        caller = caller_of(
            request.client.host if request.client else None, headers.get("x-forwarded-for"), self._trusted
        )
        peer = None if caller is None else str(caller)
        if source.networks and (caller is None or not inside(caller, source.networks)):
            await self._note(
                source, rejection(source, self._arrival(request, headers, b"", peer), _NOT_ALLOWED)
            )
            forbidden = Forbidden("Requests from this address are not accepted here.")
            return _refusal(request, forbidden, {"Connection": "close"})
        body = await self._reader.read(request.receive)
        arrival = self._arrival(request, headers, body, peer)
        judged, verdict, reply = await judge(source, arrival, self._shelf, self._settings)
        if judged.event is not None:
            await self._intake.put(judged)
            answer = source.answer
            return Response(answer.body, answer.status, {"Content-Type": answer.content_type})
        await self._note(source, judged)
        if reply is not None:
            return Response(reply.body, reply.status, reply.headers | {"Content-Type": reply.content_type})
        return _unverified(request, verdict)

    def _compile(self, spec: Any) -> Any:
        return compile_verifier(spec, certificates=self._shelf)

    async def _find(self, text: str) -> Source | None:
        try:
            key: uuid.UUID = parse_id(Kind.SOURCE, text)
        except HubError:
            return None
        return await self._directory.find(key)

    async def _note(self, source: Source, judged: Judged) -> None:
        """Write a request that makes no event, or only count it when there are many."""
        if self._sampler.take(source.id, self._clock.monotonic()):
            await self._intake.put(judged)
        else:
            self._intake.uncounted("handshake" if judged.row.outcome == "handshake" else "rejected")

    def _arrival(self, request: Request, headers: dict[str, str], body: bytes, peer: str | None) -> Arrival:
        scope = request.scope
        path = scope.get("raw_path", b"").decode("latin-1") or scope["path"]
        query = scope["query_string"].decode("latin-1")
        origin = self._settings.public_url or f"{scope['scheme']}://{headers.get('host', '')}"
        url = f"{origin}{path}?{query}" if query else f"{origin}{path}"
        return Arrival(Received(request.method, url, query, headers, body), path, peer, self._clock.now())


async def receive(request: Request) -> Response:
    """The handler; the application's lifespan has put a `Receiver` into its state."""
    receiver: Receiver = request.app.state.receiver
    return await receiver.receive(request)


def _headers(scope: Scope) -> dict[str, str]:
    """By lower-case name; repeated ones are joined (RFC 9110, 5.3)."""
    found: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        found[name] = f"{found[name]}, {value}" if name in found else value
    return found


def _without_reading(request: Request, source: Source | None) -> Response:
    """The answer where nothing is received, so that no body needs to be read."""
    if source is None:
        return _refusal(request, NotFound("There is no source at this address."), {"Connection": "close"})
    if request.method == "HEAD":
        return Response(status_code=200)
    paused = Unavailable("This source is paused; send this again later.")
    return _refusal(request, paused, {"Retry-After": _PAUSED_SECONDS, "Connection": "close"})


def _unverified(request: Request, verdict: Verdict) -> Response:
    """What a stranger is told, and a provider that has to come again."""
    if verdict.reason in _OURS:
        failure = Unavailable("This request cannot be verified at the moment; send it again later.")
        return _refusal(request, failure, {"Retry-After": "60"})
    # RFC 9110, 15.5.2: a 401 names a scheme.
    return _refusal(
        request, Unverified("The request is not verified."), {"WWW-Authenticate": "Webhook-Signature"}
    )


def _refusal(request: Request, error: HubError, headers: dict[str, str]) -> Response:
    """A problem without a line in the log: strangers do not get to write there."""
    problem, _ = problem_of(error, request.state.request_id)
    return Response(problem.model_dump_json(exclude_none=True), problem.status, headers, MEDIA_TYPE)
