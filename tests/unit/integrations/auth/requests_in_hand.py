"""Prepared requests as the session makes them, and what a definition's `auth` becomes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationError
from requests import PreparedRequest

from hub.core.secret import Secret
from hub.integrations.auth.mode import Secrets
from hub.integrations.auth.registry import MODES, AuthForm

FORM: TypeAdapter[Any] = TypeAdapter(AuthForm)


def a_request(
    method: str = "GET",
    url: str = "https://api.example.com/things?a=1",
    headers: Mapping[str, str] | None = None,
    data: bytes | None = None,
) -> PreparedRequest:
    """As `hub.net.session` prepares one, before authentication."""
    request = PreparedRequest()
    request.prepare_method(method)
    request.prepare_url(url, None)
    request.prepare_headers(dict(headers or {}))
    request.prepare_body(data, None, None)
    return request


def parts(auth: Mapping[str, Any]) -> tuple[dict[str, Any], Secrets]:
    """The stored parameters and the secrets of a definition's `auth`, which must be right."""
    mode = MODES[auth["mode"]]
    form = FORM.validate_python(auth)
    assert not mode.faults(auth), mode.faults(auth)
    secrets = mode.given_secrets(form)
    lacking = [n for n in mode.secret_names(form) if n not in secrets and not mode.may_lack(n, form)]
    assert not lacking, lacking
    return form.model_dump(mode="json", by_alias=True, exclude=mode.secret_fields), secrets


def signer(auth: Mapping[str, Any], **options: Any) -> Any:
    """The authentication object of a definition's `auth`; options take the place of clock and randomness."""
    sign: Any = MODES[auth["mode"]].sign
    assert sign is not None
    return sign(*parts(auth), **options)


def traces(auth: Mapping[str, Any]) -> list[str]:
    return MODES[auth["mode"]].traces(*parts(auth))


def faults(auth: Mapping[str, Any]) -> dict[str, str]:
    """What is wrong with it, in form and meaning, by path."""
    found = {fault.path: fault.message for fault in MODES[auth["mode"]].faults(auth)}
    try:
        FORM.validate_python(auth)
    except ValidationError as error:
        for fault in error.errors():
            path = ".".join(["auth", *(str(part) for part in fault["loc"][1:] if part != "[key]")])
            found[path] = f"{found.get(path, '')} {fault['msg']}"
    return found


def secret(text: str) -> Secret:
    return Secret(text)
