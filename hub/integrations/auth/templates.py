"""Headers and query parameters made from templates: the part that the modes `template` and `hmac` have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, SecretStr

from hub.core.errors import FieldError
from hub.core.headers import is_value
from hub.integrations.auth.fields import KEPT, header_name_faults, mapping_at
from hub.integrations.auth.places import (
    TimestampFormat,
    Value,
    fill,
    places_of,
    template_fault,
)
from hub.integrations.auth.placing import add_query
from hub.integrations.forms import Form

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from hub.integrations.auth.mode import Secrets


#: The form's field with the secrets that the definition names itself (`Mode.dynamic`).
SECRETS = "secrets"

Template = Annotated[str, Field(max_length=4096)]
Templates = Annotated[
    dict[Annotated[str, Field(min_length=1, max_length=128)], Template], Field(max_length=20)
]
NamedSecrets = Annotated[
    dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")], SecretStr | None], Field(max_length=20)
]


class TemplatesForm(Form):
    """Headers and query parameters, their values as templates."""

    headers: Templates = Field(default={}, description="Name → template such as `{{ key }}:{{ timestamp }}`.")
    query: Templates = Field(default={}, description="Added to the query, encoded; name → template.")
    secrets: NamedSecrets = Field(
        default={}, description=f"By the name that templates use. {KEPT} To keep one, give null."
    )
    timestamp_format: TimestampFormat = Field(
        default="unix",
        description="Of `{{ timestamp }}`: seconds, milliseconds or microseconds since 1970; ISO 8601 in UTC, with "
        "milliseconds, or compact (`20260102T030405Z`); or the date format of HTTP.",
    )


def secret_values(secrets: Secrets) -> dict[str, Value]:
    """The values of the places that are secrets, by the names that templates use."""
    prefix = f"{SECRETS}."
    return {
        name.removeprefix(prefix): secret.reveal
        for name, secret in secrets.items()
        if name.startswith(prefix)
    }


def place(
    request: Any, headers: Mapping[str, str], query: Mapping[str, str], values: Mapping[str, Value]
) -> None:
    """Fill in and put on a prepared request."""
    for name, template in headers.items():
        request.headers[name] = fill(template, values).decode()
    add_query(request, {name: fill(template, values).decode() for name, template in query.items()})


def templates_faults(
    given: Mapping[str, Any],
    known: Collection[str],
    *,
    elsewhere: str = "",
    known_elsewhere: Collection[str] = (),
) -> list[FieldError]:
    """What is wrong with the templates of a raw `auth` object and its secrets.

    Args:
        given: the object.
        known: names that its headers and parameters may have, beside its secrets.
        elsewhere: another template that may use its secrets.
        known_elsewhere: names that only that one may have.
    """
    secrets = given.get(SECRETS)
    names = [str(name) for name in secrets] if isinstance(secrets, dict) else []
    headers, query = mapping_at(given, "headers"), mapping_at(given, "query")
    found = [
        FieldError(
            f"auth.{SECRETS}.{name}", "is the name of a place that the hub fills in; choose another one"
        )
        for name in names
        if name in known or name in known_elsewhere
    ]
    for field, templates in (("headers", headers), ("query", query)):
        for name, template in templates.items():
            fault = template_fault(template, {*known, *names})
            if fault is None and not is_value(template):
                fault = "must be printable ASCII characters only"
            if fault is not None:
                found.append(FieldError(f"auth.{field}.{name}", fault))
    for name in headers:
        found += header_name_faults(name, f"auth.headers.{name}")
    lower = [name.lower() for name in headers]
    found += [
        FieldError(f"auth.headers.{name}", "is there twice: names of headers are alike in any case")
        for name in headers
        if lower.count(name.lower()) > 1
    ]
    if not headers and not query:
        found.append(FieldError("auth.headers", "or `query` must name what the credentials go into"))
    used = {name for text in (*headers.values(), *query.values(), elsewhere) for name in places_of(text)}
    found += [
        FieldError(f"auth.{SECRETS}.{name}", "no template uses it: misspelt, or not needed")
        for name in names
        if name not in used and name not in known
    ]
    return found
