from __future__ import annotations

import pytest

from hub.access.principal import Principal
from hub.access.scopes import Scope, allows, known_scopes, parse_scopes
from hub.core.errors import Forbidden, Invalid
from hub.core.ids import new_uuid


def test_names_are_read_as_a_set() -> None:
    assert parse_scopes(["events:write", "events:write", "admin"]) == {Scope.EVENTS_WRITE, Scope.ADMIN}


@pytest.mark.parametrize("names", [[], ["events:writ"], ["events:write", "root"], ["Admin"], [""]])
def test_an_unknown_or_missing_scope_is_refused_with_the_choice(names: list[str]) -> None:
    with pytest.raises(Invalid, match="integrations:read") as caught:
        parse_scopes(names)
    assert [fault.path for fault in caught.value.fields] == ["scopes"]


def test_a_stored_scope_that_is_not_known_grants_nothing() -> None:
    assert known_scopes(["events:read", "time:travel"]) == {Scope.EVENTS_READ}


@pytest.mark.parametrize("held", list(Scope))
@pytest.mark.parametrize("needed", list(Scope))
def test_a_scope_permits_itself_and_admin_permits_all(held: Scope, needed: Scope) -> None:
    assert allows({held}, needed) == (held is needed or held is Scope.ADMIN)


def test_a_principal_without_the_scope_is_forbidden() -> None:
    principal = Principal(new_uuid(), new_uuid(), frozenset({Scope.EVENTS_READ}))
    principal.require(Scope.EVENTS_READ)
    with pytest.raises(Forbidden, match="events:write"):
        principal.require(Scope.EVENTS_WRITE)
