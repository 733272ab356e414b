"""What an authentication mode is, and what a transport gets of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hub.core.errors import FieldError
    from hub.core.secret import Secret
    from hub.integrations.forms import Form
    from hub.net.session import Auth

Parameters = Mapping[str, Any]
Secrets = Mapping[str, "Secret"]


def plain_traces(parameters: Parameters, secrets: Secrets) -> list[str]:
    """The secrets as they are."""
    del parameters
    return [secret.reveal() for secret in secrets.values()]


def no_faults(given: Parameters) -> list[FieldError]:
    """Nothing to judge beyond the form."""
    del given
    return []


@dataclass(frozen=True, slots=True)
class Mode:
    """One way to prove who calls.

    Args:
        name: the value of `auth.mode`.
        form: what a definition says: parameters, and secrets as write-only `SecretStr | None` fields.
        secrets: the form's secret fields that must be there.
        optional_secrets: the form's secret fields that may be there.
        sign: makes the authentication object (in the sense of `requests`) from parameters and secrets, for
            transports that speak HTTP; None where the mode has no HTTP form.
        traces: every text in which a secret appears on the wire, for redaction of what comes back.
        faults: what is wrong with the meaning of a raw `auth` object; paths begin with `auth.`.
        obtains: calls need a token that is got first with these secrets (`hub.integrations.grants`);
            `sign` then finds it among its secrets, as `access_token`.
        any_text: secrets that may have characters beyond printable ASCII (they travel encoded, or in PEM).
    """

    name: str
    form: type[Form]
    secrets: tuple[str, ...] = ()
    optional_secrets: tuple[str, ...] = ()
    sign: Callable[[Parameters, Secrets], Auth] | None = None
    traces: Callable[[Parameters, Secrets], list[str]] = plain_traces
    faults: Callable[[Parameters], list[FieldError]] = no_faults
    obtains: bool = False
    any_text: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Credentials:
    """The credentials of one call.

    Args:
        mode: its name.
        parameters: the stored `auth`, without secrets.
        secrets: by field name; with an obtained token as `access_token`.
        http: adds them to a prepared request; None when there is nothing to add.
    """

    mode: str = "none"
    parameters: Parameters = field(default_factory=dict)
    secrets: Secrets = field(default_factory=dict)
    http: Auth | None = None
