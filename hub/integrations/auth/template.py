"""Headers and query parameters of one's own making, for services whose credentials no other mode can write."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from hub.integrations.auth.mode import Mode, Parameters, Secrets
from hub.integrations.auth.places import ALWAYS, Moment
from hub.integrations.auth.templates import SECRETS, TemplatesForm, place, secret_values, templates_faults

if TYPE_CHECKING:
    from collections.abc import Callable

    from hub.core.errors import FieldError


class TemplateAuth(TemplatesForm):
    """Named headers and query parameters whose values are templates over any number of named secrets.

    Places: the secrets, `timestamp`, `nonce` (32 hexadecimal digits) and `uuid`.
    `{"mode": "template", "headers": {"X-Auth": "{{ key }}:{{ timestamp }}"}, "secrets": {"key": "…"}}`
    """

    mode: Literal["template"]


class Template:
    """Fills the templates in.

    Args:
        parameters: `headers`, `query`, `timestamp_format`.
        secrets: `secrets.<name>` for each one that a template uses.
        moment: gives what is new in every request.
    """

    def __init__(
        self,
        parameters: Parameters,
        secrets: Secrets,
        *,
        moment: Callable[[], Moment] = Moment.present,
    ) -> None:
        self._parameters = parameters
        self._secrets = secret_values(secrets)
        self._moment = moment

    def __call__(self, request: Any) -> Any:
        """Sign a prepared request."""
        parameters = self._parameters
        values = self._moment().values(parameters["timestamp_format"]) | self._secrets
        place(request, parameters["headers"], parameters["query"], values)
        return request


def faults(given: Parameters) -> list[FieldError]:
    """What is wrong beyond the form."""
    return templates_faults(given, ALWAYS)


MODE = Mode("template", TemplateAuth, sign=Template, faults=faults, dynamic=SECRETS)
