"""OAuth 2.0 as data: how a token is got (RFC 6749 and its extensions), and where calls carry it.

One mode with six grants. Everything in which providers differ is a field, so that a new provider is a definition and
no code. Leaves to others: asking for tokens, keeping and renewing them (`hub.integrations.grants`).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr

from hub.core.errors import FieldError
from hub.core.headers import is_value
from hub.integrations.auth.fields import header_name_faults
from hub.integrations.auth.mode import Mode, Parameters, Secrets
from hub.integrations.auth.placing import add_query
from hub.integrations.forms import Form
from hub.net.url import UrlError, parse
from hub.transforms.paths import BadPathError, parse_path

#: Grants that somebody gives in a browser: without a token there is nothing that the hub could do by itself.
INTERACTIVE = ("authorization_code", "device")

Text = Annotated[str, Field(min_length=1, max_length=2048)]
Url = Annotated[str, Field(min_length=1, max_length=2048)]
Extra = Annotated[dict[Annotated[str, Field(min_length=1, max_length=100)], Text], Field(max_length=20)]

#: Parameters that the hub sets itself (RFC 6749, 7636, 7521, 8628, 8693).
_RESERVED = frozenset(
    {
        *("grant_type", "response_type", "client_id", "client_secret", "client_assertion", "redirect_uri"),
        *("client_assertion_type", "code", "code_verifier", "code_challenge", "code_challenge_method"),
        *("state", "refresh_token", "assertion", "device_code", "subject_token", "actor_token", "scope"),
    }
)
_TOKENS = frozenset({"access_token", "refresh_token", "id_token"})


class Placement(Form):
    """Where a call carries the token."""

    in_: Literal["header", "query"] = Field(default="header", alias="in")
    name: str = Field(default="Authorization", min_length=1, max_length=100)
    prefix: str = Field(
        default="Bearer", max_length=50, description="Before the token, with a space; empty for none."
    )


class AnswerPaths(Form):
    """Where the token endpoint's JSON holds what, as dotted paths."""

    access_token: Text = "access_token"  # noqa: S105 - a name
    refresh_token: Text = "refresh_token"  # noqa: S105 - a name
    expires_in: Text = "expires_in"
    scope: Text = "scope"


class Assertion(Form):
    """The claims of a JWT that asks for a token (RFC 7523, 3)."""

    issuer: Text | None = Field(default=None, description="Unset: the client id.")
    subject: Text | None = None
    audience: Text | None = Field(default=None, description="Unset: the token URL.")
    life_seconds: int = Field(default=300, ge=10, le=3600)
    claims: dict[str, Any] = Field(default={}, max_length=20, description="More claims.")


class Exchange(Form):
    """What is exchanged for what (RFC 8693, 2.1)."""

    subject_token_type: Text = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105 - a name
    actor_token_type: Text = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105 - a name
    requested_token_type: Text | None = None


class OAuth2Auth(Form):
    """How a token is got, and where calls carry it."""

    mode: Literal["oauth2"]
    grant: Literal[
        "authorization_code", "client_credentials", "refresh_token", "jwt_bearer", "device", "token_exchange"
    ]
    token_url: Url
    client_id: str = Field(default="", max_length=500)
    client_auth: Literal["basic", "post", "private_key_jwt", "none"] = Field(
        default="basic", description="How the hub proves to the token endpoint that it is the client."
    )
    scopes: list[Annotated[str, Field(min_length=1, max_length=200)]] = Field(default=[], max_length=100)
    scope_separator: Literal[" ", ","] = " "

    authorize_url: Url | None = None
    device_url: Url | None = Field(default=None, description="The device authorization endpoint.")
    revocation_url: Url | None = Field(default=None, description="RFC 7009; unset: nothing is revoked there.")
    issuer: Text | None = Field(
        default=None, description="Set: the provider's redirect must carry exactly this as `iss` (RFC 9207)."
    )
    pkce: bool = Field(default=True, description="PKCE with S256 (RFC 7636).")
    authorize_parameters: Extra = Field(default={})
    token_parameters: Extra = Field(default={})

    default_life_seconds: float | None = Field(
        default=None,
        ge=1,
        le=31_536_000,
        allow_inf_nan=False,
        description="Life of a token whose `expires_in` is missing. Unset: five minutes where the hub gets tokens by"
        " itself, and until the service refuses it where a person gave the grant.",
    )
    rotation: bool = Field(
        default=True,
        description="A refresh token in the answer to a refresh takes the place of the one before.",
    )
    placement: Placement = Field(default_factory=Placement)
    answer: AnswerPaths = Field(default_factory=AnswerPaths)
    capture: Annotated[
        dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,49}$")], Text], Field(max_length=20)
    ] = Field(default={}, description="Metadata by name: a dotted path into the token endpoint's answer.")

    algorithm: Literal["RS256", "ES256"] = Field(
        default="RS256", description="Of the JWTs that the hub signs."
    )
    key_id: Text | None = Field(default=None, description="`kid` of those JWTs.")
    assertion: Assertion = Field(default_factory=Assertion)
    exchange: Exchange = Field(default_factory=Exchange)

    client_secret: SecretStr | None = None
    private_key: SecretStr | None = Field(default=None, description="PEM; signs JWTs.")
    refresh_token: SecretStr | None = Field(default=None, description="For the grant `refresh_token`.")
    subject_token: SecretStr | None = Field(default=None, description="For the grant `token_exchange`.")
    actor_token: SecretStr | None = None


def needed_secrets(form: OAuth2Auth) -> tuple[str, ...]:
    """The secrets that must be there, whether new or stored."""
    needed = []
    if form.client_auth in {"basic", "post"}:
        needed.append("client_secret")
    if form.client_auth == "private_key_jwt" or form.grant == "jwt_bearer":
        needed.append("private_key")
    if form.grant == "refresh_token":
        needed.append("refresh_token")
    if form.grant == "token_exchange":
        needed.append("subject_token")
    return tuple(needed)


def destinations(parameters: Parameters) -> dict[str, str]:
    """Every address but the integration's own to which secrets or people are sent, by the field that holds it."""
    names = ("token_url", "authorize_url", "device_url", "revocation_url")
    return {name: str(parameters[name]) for name in names if parameters.get(name)}


class Carried:
    """Adds an obtained token where the provider wants it.

    Args:
        parameters: `placement`.
        secrets: `access_token`.
    """

    def __init__(self, parameters: Parameters, secrets: Secrets) -> None:
        self._place = Placement.model_validate(parameters.get("placement") or {})
        self._token = secrets["access_token"]

    def __call__(self, request: Any) -> Any:
        """Sign a prepared request."""
        value = f"{self._place.prefix} {self._token.reveal()}".lstrip()
        if self._place.in_ == "query":
            add_query(request, {self._place.name: value})
        else:
            request.headers[self._place.name] = value
        return request


def faults(given: Parameters) -> list[FieldError]:
    """What is wrong with the meaning of an `auth` object, as far as its form is right."""
    found = [
        FieldError(f"auth.{name}", fault)
        for name, url in destinations(given).items()
        if (fault := url_fault(url)) is not None
    ]
    found += [FieldError(f"auth.{name}", why) for name, why in _missing(given)]
    for name in ("authorize_parameters", "token_parameters"):
        given_parameters = given.get(name)
        for key in given_parameters if isinstance(given_parameters, dict) else ():
            if key in _RESERVED:
                found.append(FieldError(f"auth.{name}.{key}", "is set by the hub, from a field of its own"))
    found += _placement_faults(given.get("placement"))
    for group in ("answer", "capture"):
        paths = given.get(group)
        for name, path in paths.items() if isinstance(paths, dict) else ():
            if (fault := path_fault(path)) is not None:
                found.append(FieldError(f"auth.{group}.{name}", fault))
    capture = given.get("capture")
    for name, path in capture.items() if isinstance(capture, dict) else ():
        if isinstance(path, str) and path.rpartition(".")[2] in _TOKENS:
            found.append(
                FieldError(f"auth.capture.{name}", "must not be a token: metadata is shown to people")
            )
    return found


def url_fault(url: str) -> str | None:
    """Why this is no address to send a credential to; None when it is fine. Where it may lead is the policy's."""
    try:
        parse(url)
    except UrlError as error:
        return f"is not usable: {error}"
    return "must have no fragment" if "#" in url else None


def path_fault(path: Any) -> str | None:
    """Why this is no dotted path; None when it is one, or of another type (which the form tells)."""
    try:
        parse_path(path) if isinstance(path, str) else None
    except BadPathError as error:
        return str(error)
    return None


def _missing(given: Parameters) -> list[tuple[str, str]]:
    grant = given.get("grant")
    found = []
    if grant == "authorization_code" and not given.get("authorize_url"):
        found.append(("authorize_url", "is required for this grant"))
    if grant == "device" and not given.get("device_url"):
        found.append(("device_url", "is required for this grant"))
    if not given.get("client_id") and (grant != "jwt_bearer" or given.get("client_auth", "basic") != "none"):
        found.append(("client_id", "is required"))
    assertion = given.get("assertion")
    issuer = assertion.get("issuer") if isinstance(assertion, dict) else None
    if grant == "jwt_bearer" and not given.get("client_id") and not issuer:
        found.append(("assertion.issuer", "is required where there is no client id"))
    return found


def _placement_faults(placement: Any) -> list[FieldError]:
    if not isinstance(placement, dict):
        return []
    name, prefix = placement.get("name", "Authorization"), placement.get("prefix", "")
    found = []
    if placement.get("in", "header") == "header" and isinstance(name, str):
        found += header_name_faults(name, "auth.placement.name")
    if isinstance(prefix, str) and not is_value(prefix):
        found.append(FieldError("auth.placement.prefix", "must be printable ASCII characters only"))
    return found


MODE = Mode(
    name="oauth2",
    form=OAuth2Auth,
    optional_secrets=("client_secret", "private_key", "refresh_token", "subject_token", "actor_token"),
    sign=Carried,
    faults=faults,
    obtains=True,
    any_text=frozenset({"private_key"}),
    needs=needed_secrets,
)
