"""Judges what a caller wants of an endpoint, before anything is written: every fault at once, with its place.

Leaves to `schemas` what can be said of one field alone, and to the database that names are unique.
"""

from __future__ import annotations

from ipaddress import ip_network
from typing import TYPE_CHECKING, Any

from hub.core.errors import FieldError, Invalid
from hub.core.headers import is_credential, is_refused, is_token
from hub.core.secret import Secret
from hub.net.client_certificate import ClientCertificate
from hub.net.headers import check_headers
from hub.transforms import Sandbox, compile_filter, compile_steps
from hub.webhooks.endpoints.schemas import ClientCredentials, EndpointCreate, HeaderAuth
from hub.webhooks.profiles import compile_profiles
from hub.webhooks.signing import decode_secret

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime

    from hub.net.policy import AddressPolicy
    from hub.webhooks.endpoints.schemas import EndpointUpdate

_OWN_HEADERS = frozenset({"content-type", "user-agent"})


def check(
    body: EndpointCreate | EndpointUpdate,
    policy: AddressPolicy,
    now: datetime,
    sandbox: Sandbox | None = None,
) -> None:
    """Judge an endpoint as it was given. Asks DNS and may start a process: call it outside of a transaction.

    Args:
        body: a whole endpoint, or its changes: what is not set is not judged.
        policy: where calls may go.
        now: a client certificate has to be valid then.
        sandbox: where expressions are read; one is made for the time of the call when it is None.

    Raises:
        Invalid: with one field for every fault.
        Unavailable: expressions cannot be read now.
    """
    given = body.model_fields_set
    checks: list[Callable[[], object]] = []
    if "url" in given:
        checks.append(lambda: policy.check_resolves(body.url))
    checks.append(lambda: check_headers(body.headers, "headers"))
    if body.filter is not None:
        checks.append(lambda: compile_filter(body.filter, field="filter"))
    if body.transformations:
        checks.append(lambda: _check_steps(body.transformations, sandbox))
    if body.signature_profiles:
        checks.append(lambda: compile_profiles(body.signature_profiles, field="signature_profiles"))
    if isinstance(body, EndpointCreate) and (secret := body.secret) is not None:
        checks.append(lambda: decode_secret(Secret(secret)))
    if isinstance(auth := body.auth, ClientCredentials):
        checks.append(lambda: policy.check_resolves(auth.token_url, path="auth.token_url"))
    if (pair := body.client_certificate) is not None:
        checks.append(lambda: ClientCertificate.parse(pair.certificate, Secret(pair.key), now=now))
    faults: list[FieldError] = []
    for one in checks:
        try:
            one()
        except Invalid as error:
            faults += error.fields
    faults += _header_faults(body)
    faults += _network_faults(body.ip_allow_list)
    _raise(faults)


def check_together(values: Mapping[str, Any]) -> None:
    """Judge what fields say together, of an endpoint as it is going to be stored.

    Raises:
        Invalid: two of them set the same header, or a client certificate has no TLS to be shown in.
    """
    faults = []
    # libcurl sends a header twice that is given twice; which of them counts would be the receiver's guess.
    taken = {name.lower(): "headers" for name in values["headers"]}
    if values["auth"]["mode"] == "header":
        name = values["auth"]["name"]
        if name.lower() in taken:
            faults.append(FieldError("auth.name", f"{name} is among `headers` too"))
        taken[name.lower()] = "auth"
    elif values["auth"]["mode"] != "none":
        taken["authorization"] = "auth"
    for index, profile in enumerate(compile_profiles(values["signature_profiles"])):
        faults += [
            FieldError(
                f"signature_profiles.{index}", f"sets the header {name}, as `{taken[name.lower()]}` does"
            )
            for name in profile.header_names
            if name.lower() in taken
        ]
    if values["certificate"] is not None and not values["url"].lower().startswith("https:"):
        faults.append(FieldError("client_certificate", "needs an https URL"))
    _raise(faults)


def _check_steps(specs: list[Any], sandbox: Sandbox | None) -> None:
    pipeline = compile_steps(specs, field="transformations")
    if not pipeline.needs_sandbox:
        return
    if sandbox is not None:
        pipeline.check_expressions(sandbox)
        return
    with Sandbox() as own:
        pipeline.check_expressions(own)


def _header_faults(body: EndpointCreate | EndpointUpdate) -> list[FieldError]:
    faults = []
    for name, value in body.headers.items():
        if name.lower() in _OWN_HEADERS:
            faults.append(FieldError(f"headers.{name}", "is set by the hub"))
        elif is_credential(name):
            faults.append(FieldError(f"headers.{name}", "would be stored and shown in the clear: use `auth`"))
        elif is_token(name) and not value.strip():
            faults.append(FieldError(f"headers.{name}", "must have a value"))
    if isinstance(body.auth, HeaderAuth):
        name = body.auth.name
        if not is_token(name):
            faults.append(FieldError("auth.name", "a name has only letters, digits and !#$%&'*+-.^_`|~"))
        elif is_refused(name) or name.lower() in _OWN_HEADERS:
            faults.append(FieldError("auth.name", "this header is set by the hub and cannot be given"))
    return faults


def _network_faults(networks: Iterable[str]) -> list[FieldError]:
    faults = []
    for index, network in enumerate(networks):
        try:
            ip_network(network)
        except ValueError:
            faults.append(
                FieldError(
                    f"ip_allow_list.{index}",
                    "must be an address or a CIDR without host bits, such as 192.0.2.0/24",
                )
            )
    return faults


def _raise(faults: list[FieldError]) -> None:
    if faults:
        raise Invalid.of(faults)
