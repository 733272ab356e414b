"""Checking what a person says an integration is: every fault at once, each with its path.

Pydantic finds what is wrong with the form, `meaning` what is wrong with what it says; both look at everything, so that
one answer lists it all. Changes are judged together with what is stored: of a whole definition, but only faults in
what was given, or what depends on it, are told.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Generic, TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pydantic import TypeAdapter, ValidationError, ValidatorFunctionWrapHandler, WrapValidator

from hub.core.errors import FieldError, Invalid
from hub.integrations.registry import meaning
from hub.integrations.registry.documents import FIXED
from hub.integrations.registry.kinds import SPOKEN
from hub.integrations.registry.schemas import IntegrationCreate, IntegrationUpdate
from hub.integrations.target import TLS_KEY
from hub.web.problems import fault_message

if TYPE_CHECKING:
    from collections.abc import Collection

    from hub.core.secret import Secret
    from hub.net.policy import AddressPolicy
    from hub.transforms import Sandbox

M = TypeVar("M", IntegrationCreate, IntegrationUpdate)

#: What has to be judged again when a part changes.
_DEPENDS = {
    "base_url": {"settings", "operations"},
    "settings": {"base_url", "operations", "auth"},
    # The settings name the transport that operations are judged by.
    "operations": {"health_check", "settings"},
    "auth": {"tls"},
    "tls": {"auth"},
}
_SHOWN_FAULTS = 5


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
class Stored:
    """What an integration is now.

    Args:
        document: as `documents.document_of` writes it.
        secrets: names of the secrets that it has.
    """

    document: dict[str, Any]
    secrets: Collection[str]


@dataclass(frozen=True, slots=True)
class Definition:
    """What is to be stored.

    Args:
        columns: of the table `integration`; only those that were given.
        secrets: new ones by name, for the vault.
        needs: names of the secrets that it has from now on; those that are not new stay. None leaves all alone.
    """

    columns: dict[str, Any]
    secrets: dict[str, Secret] = field(default_factory=dict)
    needs: frozenset[str] | None = None


def _draft(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
    try:
        return Draft(value, handler(value), ())
    except ValidationError as error:
        return Draft(value, None, tuple(form_faults(error)))


def form_faults(error: ValidationError, at: str = "") -> list[FieldError]:
    """What pydantic found wrong, without the values; paths begin with `at`."""
    return [
        FieldError(_path((*([at] if at else []), *fault["loc"])), fault_message(fault))
        for fault in error.errors(include_input=False, include_url=False)
    ]


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


def check_create(
    draft: Draft[IntegrationCreate], policy: AddressPolicy, sandbox: Sandbox | None = None
) -> Definition:
    """Judge a new integration. Resolves its host, up to 5 s: call it outside a transaction.

    Args:
        draft: what was sent.
        policy: where calls may go.
        sandbox: reads expressions; without one they are only looked at.

    Raises:
        Invalid: with one field for every fault.
    """
    return _check(draft, policy, sandbox, None)


def check_update(
    draft: Draft[IntegrationUpdate], policy: AddressPolicy, stored: Stored, sandbox: Sandbox | None = None
) -> Definition:
    """Judge changes. Resolves a new host, up to 5 s: call it outside a transaction.

    Args:
        draft: what was sent.
        policy: where calls may go.
        stored: what it is now; its secrets need not be sent again.
        sandbox: as for `check_create`.

    Raises:
        Invalid: with one field for every fault.
    """
    return _check(draft, policy, sandbox, stored)


def _check(
    draft: Draft[M], policy: AddressPolicy, sandbox: Sandbox | None, stored: Stored | None
) -> Definition:
    faults = {fault.path: fault for fault in reversed(draft.faults)}
    found: meaning.Meaning | None = None
    if isinstance(draft.value, dict):
        whole = draft.value
        if stored is not None:
            fixed = {name: stored.document[name] for name in FIXED & stored.document.keys()}
            whole = {**stored.document, **draft.value, **fixed}
        found = meaning.judge(
            whole,
            policy,
            sandbox,
            kept=frozenset() if stored is None else _kept(stored, draft.value),
            given=draft.value.keys() if stored is not None else IntegrationCreate.model_fields.keys(),
        )
        if stored is not None:
            faults |= {name: _fixed(name, stored) for name in FIXED & draft.value.keys()}
        told = _told(draft.value) if stored is not None else None
        for fault in found.faults:
            if told is None or fault.path.partition(".")[0].partition("[")[0] in told:
                faults.setdefault(fault.path, fault)
    if faults or draft.model is None or found is None:
        raise refusal(sorted(faults.values(), key=lambda fault: fault.path))
    return _definition(draft.model, found, partial=stored is not None)


def _kept(stored: Stored, given: dict[str, Any]) -> frozenset[str]:
    """Secrets that need not be sent again: of another mode or certificate they would be other secrets."""
    kept = frozenset(stored.secrets)
    auth, tls = given.get("auth"), given.get("tls")
    if isinstance(auth, dict) and auth.get("mode") != stored.document["auth"].get("mode"):
        kept &= {TLS_KEY}
    if isinstance(tls, dict) and isinstance(new := tls.get("certificate"), str):
        old = (stored.document.get("tls") or {}).get("certificate")
        if old is None or not _same_key(old, new):
            kept -= {TLS_KEY}
    return kept


def _same_key(old: str, new: str) -> bool:
    """Are both certificates of one private key, as those of a renewal often are?"""
    if old == new:
        return True
    try:
        keys = {
            x509.load_pem_x509_certificate(one.encode())
            .public_key()
            .public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
            for one in (old, new)
        }
    except (ValueError, UnsupportedAlgorithm):
        return False
    return len(keys) == 1


def refusal(found: list[FieldError]) -> Invalid:
    """One error for many faults."""
    shown = "; ".join(f"{fault.path or 'The body'}: {fault.message}" for fault in found[:_SHOWN_FAULTS])
    more = f"; and {len(found) - _SHOWN_FAULTS} more" if len(found) > _SHOWN_FAULTS else ""
    return Invalid(f"{shown}{more}.", fields=tuple(found[:100]))


def _fixed(name: str, stored: Stored) -> FieldError:
    now = stored.document.get(name)
    return FieldError(name, f"cannot change; it is {now}. Make another integration, or leave it out")


def _told(given: dict[str, Any]) -> set[str]:
    return set(given).union(*(_DEPENDS.get(name, set()) for name in given))


def _definition(
    model: IntegrationCreate | IntegrationUpdate, found: meaning.Meaning, *, partial: bool
) -> Definition:
    given = model.model_fields_set if partial else set(type(model).model_fields)
    # Whole, so that a later change of a default does not change what was agreed.
    dumped = model.model_dump(mode="json", include=given, exclude={"auth", "tls", "protocol"})
    columns: dict[str, Any] = {name: dumped[name] for name in dumped}
    if "timeout_seconds" in columns:
        # As it will be read: it is stored as a 4-byte float.
        columns["timeout_seconds"] = round(columns["timeout_seconds"], 3)
    if isinstance(model, IntegrationCreate):
        columns["protocol"] = model.protocol or SPOKEN[model.type][0]
    for name in ("base_url", "settings", "operations"):
        if name in given:
            columns[name] = getattr(found, name)
    if not {"auth", "tls"} & given:
        return Definition(columns)
    if "auth" in given:
        columns["auth"] = found.auth
    if "tls" in given:
        columns["tls"] = found.tls
    return Definition(columns, found.secrets, found.needs)


def _path(loc: tuple[int | str, ...]) -> str:
    """Dotted, without the mark that pydantic adds for keys."""
    return ".".join(str(part) for part in loc if part != "[key]")
