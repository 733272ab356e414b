"""An integration as its grant sees it: whose it is, how its tokens are got, where they go.

Two fingerprints say which tokens fit. `basis`: what a stored token belongs to. Where the hub gets tokens by itself that
is every setting; where a person gave the grant it is who asked, whom, and where the token is sent, so that a change of
(say) the scopes does not send everybody through a browser again, while a token never follows the integration to another
origin. `asked`: every setting and secret; a question that was refused is asked again only when it is another one.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from uuid import UUID

from hub.integrations.auth import google_service_account, login_call, oauth2

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from sqlalchemy import Row

    from hub.core.secret import Secret
    from hub.integrations.auth.mode import Mode

MODES: Mapping[str, Mode] = {
    mode.name: mode for mode in (oauth2.MODE, google_service_account.MODE, login_call.MODE)
}
_GIVEN_BY_PEOPLE = (*oauth2.INTERACTIVE, "refresh_token")
#: Whoever could change one of these could have a token sent to himself.
_NAMED = ("grant", "client_id", "token_url", "authorize_url", "device_url", "revocation_url")


@dataclass(frozen=True, slots=True)
class Holder:
    """One integration whose mode obtains.

    Args:
        id: the integration.
        tenant_id: whose.
        base_url: where its calls go.
        parameters: the stored `auth`, without secrets.
        secrets: the static ones, by field name.
        secret_ids: theirs in the vault. They stand in the fingerprints: a changed secret has a new id, and a digest
            of a password could be found with a dictionary.
        elsewhere: what says where its calls go, when that is not `base_url`.

    Attributes:
        basis: see the module.
        asked: see the module.
    """

    id: UUID
    tenant_id: UUID
    base_url: str
    parameters: Mapping[str, Any]
    secrets: Mapping[str, Secret]
    secret_ids: Mapping[str, UUID]
    elsewhere: str | None = None
    basis: str = field(init=False)
    asked: str = field(init=False)

    def __post_init__(self) -> None:
        parts = urlsplit(self.base_url)
        place = [f"{parts.scheme}://{parts.netloc.lower()}", self.elsewhere]
        everything = [
            self.parameters,
            place,
            {name: str(self.secret_ids.get(name)) for name in self.secrets},
        ]
        object.__setattr__(self, "asked", _digest(everything))
        if not self.by_people:
            object.__setattr__(self, "basis", self.asked)
            return
        given = None if self.given_refresh_token is None else str(self.secret_ids.get("refresh_token"))
        named = [self.parameters.get(name) for name in _NAMED]
        object.__setattr__(self, "basis", _digest([place, named, given]))

    @classmethod
    def of(cls, row: Row[Any], opened: Mapping[UUID, Secret]) -> Holder:
        """An integration as it is stored.

        Args:
            row: with `id`, `tenant_id`, `base_url`, `settings`, `auth` and `secret_ids`.
            opened: its secrets by vault id; one that is missing could not be read.
        """
        ids = {name: UUID(text) for name, text in row.secret_ids.items()}
        fields = MODES[row.auth["mode"]].form.model_fields if obtains(row.auth) else {}
        return cls(
            id=row.id,
            tenant_id=row.tenant_id,
            base_url=row.base_url,
            parameters=row.auth,
            secrets={name: opened[one] for name, one in ids.items() if name in fields and one in opened},
            secret_ids=ids,
            # The address is in a description that may be anybody's.
            elsewhere=str(row.settings.get("wsdl")) if row.settings.get("use_wsdl_address") else None,
        )

    @property
    def mode(self) -> Mode:
        """Its mode."""
        return MODES[self.parameters["mode"]]

    @property
    def grant(self) -> str:
        """The OAuth grant; empty for other modes."""
        return str(self.parameters.get("grant", ""))

    @property
    def by_people(self) -> bool:
        """A person gave the grant, so that the hub cannot get it by itself."""
        return self.parameters["mode"] == "oauth2" and self.grant in _GIVEN_BY_PEOPLE

    @property
    def given_refresh_token(self) -> Secret | None:
        """The refresh token that the definition came with."""
        return self.secrets.get("refresh_token") if self.grant == "refresh_token" else None


def obtains(parameters: Mapping[str, Any]) -> bool:
    """Whether an integration with this `auth` has a grant at all."""
    return parameters.get("mode") in MODES


def _digest(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()
