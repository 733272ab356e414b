"""Checking what a person says an integration is: every fault at once, each with its path.

Pydantic finds what is wrong with the form, the rules here what is wrong with the meaning (addresses, headers,
templates, missing secrets); both look at everything, so that one answer lists it all.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Generic, TypeVar

from pydantic import TypeAdapter, ValidationError, ValidatorFunctionWrapHandler, WrapValidator

from hub.core.errors import FieldError, Invalid
from hub.core.secret import Secret
from hub.integrations.auth import SECRETS
from hub.integrations.request import FREE_OPERATION, header_faults, query_faults, template_faults
from hub.integrations.schemas import IntegrationCreate, IntegrationUpdate
from hub.net.headers import is_refused
from hub.web.problems import fault_message

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hub.net.policy import AddressPolicy

M = TypeVar("M", IntegrationCreate, IntegrationUpdate)


@dataclass(frozen=True, slots=True)
class Draft(Generic[M]):
    """What was sent, before judgement.

    Args:
        value: as it came.
        model: its checked form; None when the form is wrong.
        faults: what is wrong with the form.
    """

    value: Any
    model: M | None
    faults: tuple[FieldError, ...]


@dataclass(frozen=True, slots=True)
class Definition:
    """What is to be stored.

    Args:
        columns: of the table `integration`; only those that were given.
        secrets: new ones by name, for the vault.
        mode: the authentication mode from now on; None leaves it and its secrets alone.
    """

    columns: dict[str, Any]
    secrets: dict[str, Secret] = field(default_factory=dict)
    mode: str | None = None


def _draft(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
    try:
        return Draft(value, handler(value), ())
    except ValidationError as error:
        faults = tuple(
            FieldError(_path(fault["loc"]), fault_message(fault))
            for fault in error.errors(include_input=False, include_url=False)
        )
        return Draft(value, None, faults)


#: Body types of routes: documented as the model, received as a draft.
CreateBody = Annotated[IntegrationCreate, WrapValidator(_draft)]
UpdateBody = Annotated[IntegrationUpdate, WrapValidator(_draft)]

_create: TypeAdapter[Any] = TypeAdapter(CreateBody)
_update: TypeAdapter[Any] = TypeAdapter(UpdateBody)


def draft_create(value: Any) -> Draft[IntegrationCreate]:
    """Read a new integration from a JSON value; never raises."""
    found: Draft[IntegrationCreate] = _create.validate_python(value)
    return found


def draft_update(value: Any) -> Draft[IntegrationUpdate]:
    """Read changes from a JSON value; never raises."""
    found: Draft[IntegrationUpdate] = _update.validate_python(value)
    return found


def check_create(draft: Draft[IntegrationCreate], policy: AddressPolicy) -> Definition:
    """Judge a new integration. Resolves its host, up to 5 s: call it outside a transaction.

    Raises:
        Invalid: with one field for every fault.
    """
    return _check(draft, policy, stored_mode=None)


def check_update(draft: Draft[IntegrationUpdate], policy: AddressPolicy, stored_mode: str) -> Definition:
    """Judge changes. Resolves a new host, up to 5 s: call it outside a transaction.

    Args:
        draft: what was sent.
        policy: where calls may go.
        stored_mode: the present authentication mode; its secrets need not be sent again.

    Raises:
        Invalid: with one field for every fault.
    """
    return _check(draft, policy, stored_mode=stored_mode)


def _check(draft: Draft[M], policy: AddressPolicy, stored_mode: str | None) -> Definition:
    faults = {fault.path: fault for fault in reversed(draft.faults)}
    if isinstance(draft.value, dict):
        for fault in _meaning(draft.value, policy, stored_mode):
            faults.setdefault(fault.path, fault)
    if faults or draft.model is None:
        found = tuple(sorted(faults.values(), key=lambda fault: fault.path))
        shown = "; ".join(f"{fault.path or 'The body'}: {fault.message}" for fault in found[:5])
        more = f"; and {len(found) - 5} more" if len(found) > 5 else ""
        raise Invalid(f"{shown}{more}.", fields=found)
    return _definition(draft.model, policy, partial=stored_mode is not None)


def _definition(
    model: IntegrationCreate | IntegrationUpdate, policy: AddressPolicy, *, partial: bool
) -> Definition:
    dumped = model.model_dump(
        mode="json", by_alias=True, exclude_unset=partial, exclude={"auth", "operations"}
    )
    columns: dict[str, Any] = dict(dumped)
    given = model.model_fields_set if partial else set(type(model).model_fields)
    # Nested objects are stored whole, so that a later change of a default does not change what was agreed.
    for name in {"retry_policy", "health_check"} & given:
        part = getattr(model, name)
        columns[name] = None if part is None else part.model_dump(mode="json")
    if "operations" in given:
        columns["operations"] = {
            name: operation.model_dump(mode="json", exclude_none=True)
            for name, operation in model.operations.items()
        }
    if "base_url" in given:
        columns["base_url"] = policy.check_url(model.base_url, path="base_url").rstrip("/")
    if "auth" not in given:
        return Definition(columns)
    auth = model.auth
    names = SECRETS[auth.mode]
    columns["auth"] = auth.model_dump(mode="json", by_alias=True, exclude=set(names))
    secrets = {
        name: Secret(value.get_secret_value()) for name in names if (value := getattr(auth, name)) is not None
    }
    return Definition(columns, secrets, auth.mode)


def _meaning(value: Mapping[str, Any], policy: AddressPolicy, stored_mode: str | None) -> list[FieldError]:
    faults: list[FieldError] = []
    url = value.get("base_url")
    if isinstance(url, str) and url:
        faults += _url_faults(url, policy)
    faults += header_faults(_texts(value.get("headers")), "headers")
    operations = value.get("operations")
    for name, operation in operations.items() if isinstance(operations, dict) else ():
        at = f"operations.{name}"
        if name == FREE_OPERATION:
            faults.append(FieldError(at, "every integration has this operation; choose another name"))
        if isinstance(operation, dict):
            faults += _operation_faults(operation, at)
    check = value.get("health_check")
    if isinstance(check, dict) and isinstance(path := check.get("path", "/"), str):
        messages = template_faults(path) or (["must not have parameters"] if "{" in path else [])
        faults += [FieldError("health_check.path", message) for message in messages]
    auth = value.get("auth")
    if isinstance(auth, dict):
        faults += _auth_faults(auth, stored_mode)
    return faults


def _url_faults(url: str, policy: AddressPolicy) -> list[FieldError]:
    if "?" in url or "#" in url:
        return [
            FieldError(
                "base_url", "must have no query or fragment; put defaults into the operations' `query`"
            )
        ]
    try:
        policy.check_resolves(url, path="base_url")
    except Invalid as error:
        return list(error.fields)
    return []


def _operation_faults(operation: Mapping[str, Any], at: str) -> list[FieldError]:
    path, query = operation.get("path", "/"), operation.get("query")
    faults = (
        [FieldError(f"{at}.path", text) for text in template_faults(path)] if isinstance(path, str) else []
    )
    faults += header_faults(_texts(operation.get("headers")), f"{at}.headers")
    return faults + (query_faults(query, f"{at}.query") if isinstance(query, dict) else [])


def _auth_faults(auth: Mapping[str, Any], stored_mode: str | None) -> list[FieldError]:
    faults = []
    mode = auth.get("mode")
    if mode == "api_key" and auth.get("in", "header") == "header" and is_refused(str(auth.get("name", ""))):
        faults.append(FieldError("auth.name", "this header is set by the hub and cannot carry a key"))
    for name in SECRETS.get(mode, ()) if isinstance(mode, str) else ():
        secret = auth.get(name)
        if secret is None:
            if mode != stored_mode:
                faults.append(FieldError(f"auth.{name}", "is required"))
        elif isinstance(secret, str) and not secret:
            faults.append(FieldError(f"auth.{name}", "must not be empty"))
        elif isinstance(secret, str) and not _fits(secret, mode == "basic"):
            faults.append(FieldError(f"auth.{name}", "must be printable ASCII characters only"))
    return faults


def _fits(secret: str, encoded: bool) -> bool:  # noqa: FBT001 - read with its one caller
    """A password travels in base64; anything else stands in a header or a URL as it is."""
    return secret.isprintable() and (encoded or secret.isascii())


def _texts(value: Any) -> dict[str, str]:
    """The headers of a definition, as far as they have the right form."""
    return {n: v for n, v in value.items() if isinstance(v, str)} if isinstance(value, dict) else {}


def _path(loc: tuple[int | str, ...]) -> str:
    """Dotted, without the marks that pydantic adds: the chosen kind of `auth`, and `[key]`."""
    parts = [str(part) for part in loc if part != "[key]"]
    if len(parts) > 1 and parts[0] == "auth" and parts[1] in SECRETS:
        del parts[1]
    return ".".join(parts)
