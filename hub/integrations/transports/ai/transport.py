"""The transport `ai_service`."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit

from hub.core.errors import FieldError
from hub.integrations.transports.ai import asking
from hub.integrations.transports.ai.forms import AiOperation, AiSettings
from hub.integrations.transports.ai.reading import counted_of, error_of, result_of
from hub.integrations.transports.ai.verdicts import retry_headers, verdict
from hub.integrations.transports.http.calling import HTTP_AUTH_MODES, HTTP_SCHEMES, call_http
from hub.integrations.transports.interface import Prepared, Transport
from hub.integrations.transports.metered import MeteredOutcome
from hub.net.outcome import ErrorClass, Outcome
from hub.net.sockets import Deadline

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hub.integrations.auth.mode import Credentials
    from hub.integrations.transports.interface import Caps, Connection
    from hub.net.session import GuardedSession

_VERSIONED_HOSTS = frozenset({"api.openai.com", "api.anthropic.com"})
_READING_SECONDS = 1.0
_REFUSED = frozenset({ErrorClass.HTTP_4XX, ErrorClass.HTTP_5XX})
#: They tell of the service's own answer, and the result is another one.
_OF_THE_ANSWER = ("content-encoding", "content-length", "transfer-encoding")


class AiTransport(Transport):
    """Questions to language models, embeddings, and the list of models."""

    name: ClassVar[str] = "ai_service"
    schemes: ClassVar[Mapping[str, int]] = HTTP_SCHEMES
    auth_modes: ClassVar[frozenset[str]] = HTTP_AUTH_MODES
    settings_form = AiSettings
    operation_form = AiOperation
    free_operation: ClassVar[str | None] = asking.FREE_OPERATION

    def settings_faults(self, settings: AiSettings, base_url: str) -> list[FieldError]:
        """A base URL without the version, at the services where that is known to be wrong."""
        del settings
        parts = urlsplit(base_url)
        if parts.hostname in _VERSIONED_HOSTS and not parts.path.strip("/"):
            return [FieldError("base_url", f"must end with the version: https://{parts.hostname}/v1")]
        return []

    def operation_faults(
        self, operation: AiOperation, settings: AiSettings | None, at: str
    ) -> list[FieldError]:
        """See `Transport`."""
        if settings is None:
            return []
        dialect = asking.DIALECTS[settings.dialect]
        faults = asking.parameter_faults(dialect, operation.parameters, f"{at}.parameters")
        if operation.action == "embeddings" and not dialect.has_embeddings:
            faults.append(FieldError(f"{at}.action", "this service makes no embeddings"))
        if operation.action != "chat":
            faults += [
                FieldError(f"{at}.{name}", f"has no meaning for {operation.action}")
                for name in ("system", "tools", "stream")
                if getattr(operation, name)
            ]
        return faults

    def prepare(
        self, connection: Connection, operation: str, given: Any, *, field: str = "input"
    ) -> Prepared:
        """See `Transport`, and `asking.prepare` for the input."""
        return asking.prepare(connection, operation, given, field)

    def send(
        self,
        session: GuardedSession,
        connection: Connection,
        prepared: Prepared,
        credentials: Credentials,
        caps: Caps,
    ) -> MeteredOutcome:
        """See `Transport`; the result is one form of JSON, and the outcome says what was counted."""
        wire: asking.Wire = prepared.wire
        method = "GET" if wire.body is None else "POST"
        deadline = Deadline(caps.timeout)
        outcome = _metered(
            call_http(
                session,
                connection,
                credentials.http,
                caps,
                method,
                prepared.endpoint,
                prepared.headers,
                wire.body,
                deadline,
            )
        )
        # An answer that came in the last moment is read all the same: it has been paid for.
        reading = Deadline(max(caps.timeout - deadline.spent, _READING_SECONDS))
        settings: AiSettings = connection.settings
        if outcome.ok:
            _read(outcome, wire, settings, caps.max_bytes, reading)
        elif outcome.error_class in _REFUSED:
            outcome.error_class, outcome.message = verdict(outcome.status, error_of(outcome.body))
        else:
            outcome.usage = counted_of(outcome, wire, settings, asking.DIALECTS[settings.dialect], reading)
        if not outcome.ok:
            outcome.headers.update(retry_headers(outcome.headers))
            for secret in credentials.secrets.values():
                outcome.message = outcome.message.replace(secret.reveal() or "\0", "***")
        return outcome

    def probe(
        self, session: GuardedSession, connection: Connection, credentials: Credentials, caps: Caps
    ) -> Outcome:
        """List the models; services of the compatible kind need not have such a list."""
        dialect = asking.DIALECTS[connection.settings.dialect]
        wire = asking.Wire("list_models", None, "", raw=False)
        headers = asking.headers_of(connection, has_body=False)
        endpoint = f"{connection.base_url}{dialect.models_path}"
        prepared = Prepared("list_models", endpoint, headers, None, safe=True, idempotent=True, wire=wire)
        outcome = self.send(session, connection, prepared, credentials, caps)
        missing = outcome.error_class is ErrorClass.HTTP_4XX and outcome.status in {404, 405}
        if missing and connection.settings.dialect == "openai_compatible":
            outcome.error_class, outcome.message = None, ""
        return outcome


def _read(
    outcome: MeteredOutcome, wire: asking.Wire, settings: AiSettings, max_bytes: int, deadline: Deadline
) -> None:
    dialect = asking.DIALECTS[settings.dialect]
    result, outcome.usage, outcome.error_class, outcome.message = result_of(
        outcome, wire, settings, dialect, deadline
    )
    if result is None:
        return
    outcome.body = result
    outcome.headers["content-type"] = "application/json"
    for name in _OF_THE_ANSWER:
        outcome.headers.pop(name, None)
    if len(outcome.body) > max_bytes:
        outcome.body, outcome.truncated = outcome.body[:max_bytes], True
        outcome.error_class = ErrorClass.TOO_LARGE
        outcome.message = f"The result is longer than {max_bytes} bytes."


def _metered(outcome: Outcome) -> MeteredOutcome:
    return MeteredOutcome(**{field.name: getattr(outcome, field.name) for field in fields(outcome)})
