"""What a definition means, and what is wrong with that: addresses, settings, operations, secrets, rules.

Looks at everything that has the right form, whatever else is wrong. Promises: no secret and no value that was given
stands in a fault.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from hub.core.errors import FieldError, Invalid
from hub.core.secret import Secret
from hub.integrations.auth.registry import MODES
from hub.integrations.pipeline.mapping import compile_rules
from hub.integrations.pipeline.masking import compile_masks
from hub.integrations.registry.kinds import SPOKEN
from hub.integrations.target import TLS_KEY
from hub.integrations.transports.http.headers import header_faults
from hub.integrations.transports.http.paths import template_faults
from hub.integrations.transports.registry import transport_of
from hub.json_schema import MAX_PATTERNS, compile_schema
from hub.net.client_certificate import ClientCertificate, check_authorities, check_chain
from hub.transforms import compile_steps
from hub.web.problems import fault_message

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from hub.integrations.auth.mode import Mode
    from hub.integrations.operation import OperationForm
    from hub.integrations.transports.interface import Transport
    from hub.net.policy import AddressPolicy
    from hub.transforms import Sandbox


#: Instructions of the patterns of all operations: about a second, once.
_MAX_PATTERNS = 4 * MAX_PATTERNS


@dataclass(slots=True)
class Meaning:
    """What was found. The parts hold sense only when there are no faults.

    Attributes:
        faults: everything that is wrong.
        base_url: as it is stored.
        settings, operations, auth, tls: likewise, without secrets.
        secrets: those that were given, by name.
        needs: names of all that it has.
    """

    faults: list[FieldError] = field(default_factory=list)
    base_url: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    operations: dict[str, Any] = field(default_factory=dict)
    auth: dict[str, Any] = field(default_factory=dict)
    tls: dict[str, Any] | None = None
    secrets: dict[str, Secret] = field(default_factory=dict)
    needs: frozenset[str] = frozenset()

    def attempt(self, judge: Callable[[], object]) -> None:
        """Note what a check raises."""
        try:
            judge()
        except Invalid as error:
            self.faults += error.fields


def judge(
    value: dict[str, Any],
    policy: AddressPolicy,
    sandbox: Sandbox | None,
    *,
    kept: frozenset[str],
    given: Collection[str],
) -> Meaning:
    """Judge a whole definition.

    Args:
        value: as it came; its form may be wrong anywhere.
        policy: where calls may go.
        sandbox: reads expressions; None only looks at them.
        kept: names of secrets that are stored and need not be given.
        given: fields that are new: of these is asked too what may have changed since, such as where DNS leads an
            address.
    """
    found = Meaning()
    transport = _transport(value, found)
    if transport is not None:
        _address(value, transport, policy, found, resolve="base_url" in given)
        settings = _settings(value, transport, found)
        _operations(value, transport, settings, found, sandbox)
        _health_check(value, transport, found)
    _credentials(value, transport, found, kept, new_tls="tls" in given)
    found.faults += header_faults(_texts(value.get("headers")), "headers")
    for name in ("request_transform", "response_transform"):
        if isinstance(steps := value.get(name), list):
            _steps(steps, name, found, sandbox)
    if isinstance(rules := value.get("error_mapping"), list):
        found.attempt(lambda: compile_rules(rules, field="error_mapping"))
    if isinstance(alerts := value.get("alerts"), list):
        found.faults += _alert_faults(alerts)
    data_policy = value.get("data_policy")
    if isinstance(data_policy, dict) and isinstance(masks := data_policy.get("redact"), list):
        found.attempt(lambda: compile_masks(masks, field="data_policy.redact"))
    return found


def _alert_faults(alerts: list[Any]) -> list[FieldError]:
    faults = []
    names = [one.get("name") if isinstance(one, dict) else None for one in alerts]
    for index, alert in enumerate(alerts):
        if not isinstance(alert, dict):
            continue
        if (alert.get("at_least") is None) == (alert.get("at_most") is None):
            faults.append(
                FieldError(f"alerts.{index}.at_least", "either this or at_most is needed, and not both")
            )
        if names[index] is not None and names[index] in names[:index]:
            faults.append(FieldError(f"alerts.{index}.name", "is the name of another alert"))
    return faults


def _transport(value: dict[str, Any], found: Meaning) -> Transport | None:
    kind = value.get("type", "api")
    if not isinstance(kind, str) or kind not in SPOKEN:
        return None
    protocol = value.get("protocol") or SPOKEN[kind][0]
    if protocol not in SPOKEN[kind]:
        if protocol in SPOKEN["api"]:
            spoken = ", ".join(SPOKEN[kind])
            found.faults.append(FieldError("protocol", f"an integration of type {kind} speaks {spoken}"))
        return None
    settings = value.get("settings")
    try:
        return transport_of(kind, protocol, settings if isinstance(settings, dict) else {})
    except Invalid as error:
        found.faults += error.fields
        return None


def _address(
    value: dict[str, Any], transport: Transport, policy: AddressPolicy, found: Meaning, *, resolve: bool
) -> None:
    url = value.get("base_url")
    if not isinstance(url, str) or not url:
        return
    check = policy.check_address_resolves if resolve else policy.check_address

    def judge_it() -> None:
        found.base_url = check(url, schemes=transport.schemes, path="base_url").rstrip("/")

    found.attempt(judge_it)


def _settings(value: dict[str, Any], transport: Transport, found: Meaning) -> Any:
    given = value.get("settings", {})
    if not isinstance(given, dict):
        return None
    settings = _form(transport.settings_form, given, "settings", found)
    if settings is None:
        return None
    found.settings = settings.model_dump(mode="json", exclude_unset=True)
    found.faults += transport.settings_faults(settings, found.base_url)
    return settings


def _operations(
    value: dict[str, Any], transport: Transport, settings: Any, found: Meaning, sandbox: Sandbox | None
) -> None:
    operations = value.get("operations", {})
    if not isinstance(operations, dict):
        return
    room = _MAX_PATTERNS
    for name, given in operations.items():
        at = f"operations.{name}"
        if name == transport.free_operation:
            text = "every integration of this protocol has this operation; choose another name"
            found.faults.append(FieldError(at, text))
        if not isinstance(given, dict):
            continue
        operation: OperationForm | None = _form(transport.operation_form, given, at, found)
        if operation is None:
            continue
        found.operations[name] = operation.model_dump(mode="json", exclude_unset=True, by_alias=True)
        found.faults += transport.operation_faults(operation, settings, at)
        if operation.input_schema is not None and room >= 0:
            room -= _schema(operation.input_schema, f"{at}.input_schema", found)
            if room < 0:
                text = (
                    "has too many patterns together with those of other operations; use fewer or simpler ones"
                )
                found.faults.append(FieldError(f"{at}.input_schema", text))
        for part in ("request_transform", "response_transform"):
            _steps(getattr(operation, part), f"{at}.{part}", found, sandbox)


def _schema(schema: Any, at: str, found: Meaning) -> int:
    """Judge an input's schema; what its patterns count for."""
    try:
        return compile_schema(schema, field=at).patterns
    except Invalid as error:
        found.faults += error.fields
        return MAX_PATTERNS


def _steps(steps: list[Any], at: str, found: Meaning, sandbox: Sandbox | None) -> None:
    def judge_them() -> None:
        pipeline = compile_steps(steps, field=at)
        if sandbox is not None and pipeline.needs_sandbox:
            pipeline.check_expressions(sandbox)

    found.attempt(judge_them)


def _health_check(value: dict[str, Any], transport: Transport, found: Meaning) -> None:
    check = value.get("health_check")
    if not isinstance(check, dict):
        return
    path = check.get("path", "/")
    if isinstance(path, str):
        faults = template_faults(path) or (["must not have parameters"] if "{" in path else [])
        found.faults += [FieldError("health_check.path", text) for text in faults]
    if not isinstance(name := check.get("operation"), str):
        return
    operations = value.get("operations")
    if name != transport.free_operation and not (isinstance(operations, dict) and name in operations):
        found.faults.append(FieldError("health_check.operation", "the integration has no such operation"))


def _credentials(
    value: dict[str, Any],
    transport: Transport | None,
    found: Meaning,
    kept: frozenset[str],
    *,
    new_tls: bool,
) -> None:
    needs: set[str] = set()
    mode = _auth(value, transport, found, kept, needs)
    tls = value.get("tls")
    if isinstance(tls, dict):
        _tls(tls, found, kept, needs, new=new_tls)
    if mode is not None and mode.name == "mtls" and not (isinstance(tls, dict) and tls.get("certificate")):
        found.faults.append(FieldError("tls.certificate", "is required by the mode mtls"))
    if mode is not None and value.get("type") == "oauth" and not mode.obtains:
        text = "an integration of type oauth needs a mode that obtains tokens, such as oauth2"
        found.faults.append(FieldError("auth.mode", text))
    found.needs = frozenset(needs)


def _auth(
    value: dict[str, Any],
    transport: Transport | None,
    found: Meaning,
    kept: frozenset[str],
    needs: set[str],
) -> Mode | None:
    given = value.get("auth", {"mode": "none"})
    if not isinstance(given, dict):
        return None
    mode = MODES.get(str(given.get("mode")))
    if mode is None:
        found.faults.append(FieldError("auth.mode", f"must be one of {', '.join(MODES)}"))
        return None
    if transport is not None and mode.name not in transport.auth_modes:
        modes = ", ".join(sorted(transport.auth_modes))
        found.faults.append(FieldError("auth.mode", f"{transport.name} can use {modes}"))
    found.faults += mode.faults(given)
    form = _form(mode.form, given, "auth", found)
    if form is None:
        return mode
    found.auth = form.model_dump(mode="json", by_alias=True, exclude=mode.secret_fields)
    if mode.dynamic is not None:
        # Which ones there are is part of the definition: an old version cannot be had back without its names.
        found.auth[mode.dynamic] = dict.fromkeys(getattr(form, mode.dynamic))
    _secrets(mode, form, given, found, kept, needs)
    return mode


def _secrets(
    mode: Mode, form: Any, given: dict[str, Any], found: Meaning, kept: frozenset[str], needs: set[str]
) -> None:
    """Which secrets there are from now on: new ones, and stored ones that were not taken away with a null."""
    new = mode.given_secrets(form)
    for name in mode.secret_names(form):
        may_lack = mode.may_lack(name, form)
        if may_lack and name in given and given[name] is None:
            continue
        if name in new or name in kept:
            needs.add(name)
        elif not may_lack:
            found.faults.append(FieldError(f"auth.{name}", "is required"))
        if name in new:
            found.secrets[name] = new[name]
            _check_secret(mode, name, new[name], found)


def _check_secret(mode: Mode, name: str, secret: Secret, found: Meaning) -> None:
    text, at = secret.reveal(), f"auth.{name}"
    if not text:
        found.faults.append(FieldError(at, "must not be empty"))
    elif name not in mode.any_text and not (text.isprintable() and text.isascii()):
        # It stands in a header or a URL as it is.
        found.faults.append(FieldError(at, "must be printable ASCII characters only"))


def _tls(tls: dict[str, Any], found: Meaning, kept: frozenset[str], needs: set[str], *, new: bool) -> None:
    certificate, key, ca = tls.get("certificate"), tls.get("key"), tls.get("ca")
    now = datetime.now(UTC)
    found.tls = {"certificate": None, "ca": None}
    if isinstance(certificate, str):
        needs.add(TLS_KEY)
        found.tls["certificate"] = certificate
        if isinstance(key, str):

            def pair() -> None:
                parsed = ClientCertificate.parse(certificate, Secret(key), now=now, field="tls")
                assert found.tls is not None
                found.tls["certificate"] = parsed.chain.decode()
                found.secrets[TLS_KEY] = parsed.key

            found.attempt(pair)
        elif key is None and TLS_KEY in kept:

            def renewed() -> None:
                assert found.tls is not None
                found.tls["certificate"] = check_chain(certificate, now=now, field="tls.certificate").decode()

            # One that is stored was looked at before, and may have expired since.
            if new:
                found.attempt(renewed)
        elif key is None:
            found.faults.append(FieldError("tls.key", "is required with a certificate"))
    elif key is not None:
        found.faults.append(FieldError("tls.certificate", "is required with a key"))
    if isinstance(ca, str):
        found.tls["ca"] = ca
        found.attempt(lambda: check_authorities(ca, now=now, field="tls.ca"))


def _form(model: type[Any], given: dict[str, Any], at: str, found: Meaning) -> Any:
    """The checked form; of one with faults, which are noted, what is left without the faulty fields, or None."""
    assert issubclass(model, BaseModel)
    try:
        return model.model_validate(given)
    except ValidationError as error:
        faulty = set()
        for fault in error.errors(include_input=False, include_url=False):
            loc = [str(part) for part in fault["loc"] if part != "[key]"]
            faulty.add(loc[0] if loc else "")
            found.faults.append(FieldError(".".join([at, *loc]), fault_message(fault)))
    try:
        return model.model_validate({name: value for name, value in given.items() if name not in faulty})
    except ValidationError:
        return None


def _texts(value: Any) -> dict[str, str]:
    """The headers of a definition, as far as they have the right form."""
    return {n: v for n, v in value.items() if isinstance(v, str)} if isinstance(value, dict) else {}
