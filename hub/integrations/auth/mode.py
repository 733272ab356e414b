"""What an authentication mode is, and what a transport gets of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hub.core.secret import Secret

if TYPE_CHECKING:
    from hub.core.errors import FieldError
    from hub.integrations.forms import Form
    from hub.net.session import Auth

Parameters = Mapping[str, Any]
Secrets = Mapping[str, Secret]


def plain_traces(parameters: Parameters, secrets: Secrets) -> list[str]:
    """The secrets as they are."""
    del parameters
    return [secret.reveal() for secret in secrets.values()]


def no_faults(given: Parameters) -> list[FieldError]:
    """Nothing to judge beyond the form."""
    del given
    return []


def needs_nothing_more(form: Any) -> tuple[str, ...]:
    """Optional secrets are optional, whatever the form says."""
    del form
    return ()


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
        dynamic: a form field that is an object of further secrets, named by the user (`dict[str, SecretStr | None]`);
            such a secret is called `<field>.<key>`.
        needs: which of the optional secrets an instance of the form cannot do without.
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
    dynamic: str | None = None
    needs: Callable[[Any], tuple[str, ...]] = needs_nothing_more

    @property
    def secret_fields(self) -> set[str]:
        """The form's fields that are not stored with the parameters."""
        return {*self.secrets, *self.optional_secrets, *([] if self.dynamic is None else [self.dynamic])}

    def secret_names(self, form: Any) -> tuple[str, ...]:
        """The secrets of a definition: all that there must be or may be."""
        more = {} if self.dynamic is None else getattr(form, self.dynamic)
        return (*self.secrets, *self.optional_secrets, *(f"{self.dynamic}.{key}" for key in more))

    def may_lack(self, name: str, form: Any) -> bool:
        """A definition is whole without this secret."""
        return name in self.optional_secrets and name not in self.needs(form)

    def given_secrets(self, form: Any) -> dict[str, Secret]:
        """The secrets that a definition brings; the others stay as they are stored."""
        found = {name: getattr(form, name) for name in (*self.secrets, *self.optional_secrets)}
        if self.dynamic is not None:
            found |= {f"{self.dynamic}.{key}": value for key, value in getattr(form, self.dynamic).items()}
        return {name: Secret(value.get_secret_value()) for name, value in found.items() if value is not None}


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
