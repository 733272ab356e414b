"""A session token that a described HTTP call gives: log in first, then call with what came back.

For services whose login is their own: a call with the credentials in it (as JSON, form or headers, by templates such
as `{{ password }}`), an answer that holds a token (in JSON, a header, a cookie, or as the whole text), and a place
where calls carry it. Leaves to others: making the login call and keeping the token (`hub.integrations.grants`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import quote

from pydantic import Field, SecretStr

from hub.core.errors import FieldError
from hub.core.headers import is_refused, is_token
from hub.integrations.auth.mode import Mode, Parameters, Secrets
from hub.integrations.auth.oauth2 import path_fault, url_fault
from hub.integrations.auth.placing import add_cookie, add_query
from hub.integrations.forms import Form, Headers
from hub.transforms.template import BadTemplateError, NotFilledError, parse_template

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

#: The secrets that templates may name, beside the plain `values`.
SECRET_NAMES = ("password", "key", "code")

#: Characters that a cookie's value has as they are: the service gets back what it set (RFC 6265, 5.4), even where it
#: should have set something else (4.1.1). A semicolon would end the value.
_COOKIE_SAFE = "!\"#$%&'()*+,-./:<=>?@[\\]^_`{|}~"

Template = Annotated[str, Field(max_length=8192)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,49}$")]


class TokenPlace(Form):
    """Where the login's answer holds the token."""

    in_: Literal["json", "header", "cookie", "text"] = Field(default="json", alias="in")
    name: str = Field(
        default="token",
        min_length=1,
        max_length=500,
        description="A dotted path into the JSON, or the name of the header or cookie.",
    )


class CallPlace(Form):
    """Where a call carries the token."""

    in_: Literal["header", "query", "cookie"] = Field(default="header", alias="in")
    name: str = Field(default="Authorization", min_length=1, max_length=100)
    template: Template = Field(default="Bearer {{ token }}", description="What is written there.")


class LoginCallAuth(Form):
    """How to log in, and where calls carry what came of it."""

    mode: Literal["login_call"]
    method: Literal["POST", "PUT", "GET"] = "POST"
    url: str = Field(
        min_length=1, max_length=2048, description="An address, or a path below the integration's `base_url`."
    )
    headers: Headers = Field(default={}, description="Values are templates.")
    json_body: Any = Field(default=None, alias="json", description="A JSON body; its texts are templates.")
    form: Annotated[dict[str, Template], Field(max_length=30)] | None = Field(
        default=None, description="A form body; its values are templates."
    )
    values: Annotated[dict[Name, Annotated[str, Field(max_length=2048)]], Field(max_length=20)] = Field(
        default={}, description="What templates may name and is no secret, such as `username`."
    )
    token: TokenPlace = Field(default_factory=TokenPlace)
    life_seconds: float | None = Field(
        default=None,
        ge=1,
        le=31_536_000,
        allow_inf_nan=False,
        description="How long a token lives. Unset, and nothing at `life_path`: until the service refuses it.",
    )
    life_path: str | None = Field(
        default=None,
        min_length=1,
        max_length=500,
        description="Where the answer's JSON holds it, in seconds.",
    )
    placement: CallPlace = Field(default_factory=CallPlace)

    password: SecretStr | None = None
    key: SecretStr | None = None
    code: SecretStr | None = None


def fill(template: str, document: Mapping[str, str]) -> str:
    """Fill in one template.

    Raises:
        NotFilledError: it names what is not there.
    """
    return parse_template(template).text(document, _any_size)


def destinations(parameters: Parameters) -> dict[str, str]:
    """Every address but the integration's own to which secrets are sent, by the field that holds it."""
    url = str(parameters.get("url") or "/")
    return {} if url.startswith("/") else {"url": url}


class Carried:
    """Adds the session token where the service wants it.

    Args:
        parameters: `placement`.
        secrets: `access_token`.
    """

    def __init__(self, parameters: Parameters, secrets: Secrets) -> None:
        self._place = CallPlace.model_validate(parameters.get("placement") or {})
        self._token = secrets["access_token"]

    def __call__(self, request: Any) -> Any:
        """Sign a prepared request."""
        name = self._place.name
        value = fill(self._place.template, {"token": self._token.reveal()})
        if self._place.in_ == "query":
            add_query(request, {name: value})
        elif self._place.in_ == "cookie":
            add_cookie(request, name, quote(value, safe=_COOKIE_SAFE))
        else:
            request.headers[name] = value
        return request


def texts(value: Any) -> Iterator[str]:
    """Every text in a JSON value that is filled in."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for child in value.values():
            yield from texts(child)
    elif isinstance(value, list):
        for child in value:
            yield from texts(child)


def needed_secrets(form: LoginCallAuth) -> tuple[str, ...]:
    """The secrets that the templates name, which must be there, whether new or stored."""
    parts = (form.headers, form.json_body, form.form)
    named = "".join(text for part in parts for text in texts(part) if "{{" in text).replace(" ", "")
    return tuple(name for name in SECRET_NAMES if f"{{{{{name}}}}}" in named)


def faults(given: Parameters) -> list[FieldError]:
    """What is wrong with the meaning of an `auth` object, as far as its form is right."""
    found = [(name, url_fault(url)) for name, url in destinations(given).items()]
    if given.get("json") is not None and given.get("form") is not None:
        found.append(("form", "cannot be sent beside `json`; keep one"))
    values, headers = given.get("values"), given.get("headers")
    known = dict.fromkeys((*SECRET_NAMES, *(values if isinstance(values, dict) else ())), "x")
    found += [
        (part, _template_fault(text, known))
        for part in ("headers", "json", "form")
        for text in texts(given.get(part))
    ]
    found += [
        (f"headers.{name}", "is not a header that can be set")
        for name in (headers if isinstance(headers, dict) else ())
        if not is_token(name) or is_refused(name)
    ]
    found += _place_faults(given)
    return [FieldError(f"auth.{name}", fault) for name, fault in found if fault is not None]


def _place_faults(given: Parameters) -> list[tuple[str, str | None]]:
    found = [("life_path", path_fault(given.get("life_path")))]
    token, placement = given.get("token"), given.get("placement")
    if isinstance(token, dict) and token.get("in", "json") == "json":
        found.append(("token.name", path_fault(token.get("name"))))
    if isinstance(placement, dict):
        name, template = placement.get("name", "Authorization"), placement.get("template", "")
        as_token = placement.get("in", "header") != "query"
        if as_token and isinstance(name, str) and (not is_token(name) or is_refused(name)):
            found.append(("placement.name", "cannot carry a token"))
        if isinstance(template, str):
            found.append(("placement.template", _template_fault(template, {"token": "x"})))
    return found


def _template_fault(text: str, known: Mapping[str, str]) -> str | None:
    try:
        fill(text, known)
    except BadTemplateError as error:
        return str(error)
    except NotFilledError:
        return f"names something that is not there: there are {', '.join(f'`{name}`' for name in known)}"
    return None


def _any_size(_value: Any) -> None:
    """Templates and what goes into them are bounded by the form."""


MODE = Mode(
    name="login_call",
    form=LoginCallAuth,
    optional_secrets=SECRET_NAMES,
    sign=Carried,
    faults=faults,
    obtains=True,
    any_text=frozenset(SECRET_NAMES),
    needs=needed_secrets,
)
