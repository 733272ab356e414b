"""The vault: puts secrets away and gives them back, to their own tenant only.

Promises: nothing is stored in the clear; what `put` returned an id for can be read by every process whose
ring holds the key; a rotation never makes a secret unreadable, because the wrap under the key before stays
until `retire`. Transactions are the caller's: a secret is written with the row that needs it, or not at all.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hub.core.errors import FieldError, Invalid, NotFound, TooLarge
from hub.core.ids import Kind, format_id, new_uuid
from hub.core.secret import Secret
from hub.vault import envelope, rotation, store
from hub.vault.envelope import Place, Sealed, Undecryptable, WrappedKey

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from uuid import UUID

    from sqlalchemy import Connection

    from hub.vault.envelope import RandomBytes
    from hub.vault.keyring import KeyRing
    from hub.vault.rotation import Batch
    from hub.vault.store import Description, NewRow, StoredSecret, Usage

log = logging.getLogger(__name__)

#: Room for any key file or service-account document; a larger "secret" is a mistake.
MAX_SECRET_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class NewSecret:
    """A secret to put away.

    Args:
        tenant_id: whose it is.
        kind: what it belongs to, e.g. `integration` or `endpoint`.
        field: which of its secrets, e.g. `password`; names the input field in errors.
        secret: the text.
    """

    tenant_id: UUID
    kind: str
    field: str
    secret: Secret


class Vault:
    """Secrets under a key ring.

    Args:
        keyring: the keys of this process.
        random_bytes: a cryptographically strong source.
    """

    def __init__(self, keyring: KeyRing, random_bytes: RandomBytes = os.urandom) -> None:
        self._ring = keyring
        self._random = random_bytes

    def put(self, conn: Connection, tenant_id: UUID, kind: str, field: str, secret: Secret) -> UUID:
        """Store a secret.

        Returns:
            The id that `get` takes.

        Raises:
            Invalid: the text is empty, too large or not Unicode; the fault names `field`.
        """
        return self.put_many(conn, [NewSecret(tenant_id, kind, field, secret)])[0]

    def put_many(self, conn: Connection, secrets: Sequence[NewSecret]) -> list[UUID]:
        """Store secrets in one statement.

        Returns:
            Their ids, in the order of `secrets`.

        Raises:
            Invalid: as for `put`; then none is stored.
        """
        rows = [self._seal(new, new_uuid(), 1) for new in secrets]
        if rows:
            store.insert_secrets(conn, rows)
        return [row.id for row in rows]

    def get(self, conn: Connection, tenant_id: UUID, secret_id: UUID) -> Secret:
        """Read a secret.

        Raises:
            NotFound: this tenant has no such secret.
            Undecryptable: it is there but does not open.
        """
        rows = store.load_secrets(conn, [(tenant_id, secret_id)])
        if not rows:
            raise NotFound(f"There is no secret {format_id(Kind.SECRET, secret_id)}.")
        return self._open(rows[0])

    def get_many(self, conn: Connection, ids: Sequence[tuple[UUID, UUID]]) -> dict[UUID, Secret]:
        """Read secrets of any tenants in one statement.

        One bad row must not stop the calls of all others, so a secret that is missing, of another tenant or
        does not open is left out; the last of these is logged.

        Args:
            conn: a connection.
            ids: (tenant id, secret id) pairs.
        """
        found = {}
        for row in store.load_secrets(conn, ids) if ids else ():
            try:
                found[row.id] = self._open(row)
            except Undecryptable as error:
                log.error("%s", error)  # noqa: TRY400 - the sentence says it all; a traceback would repeat per row
        return found

    def describe(self, conn: Connection, tenant_id: UUID, ids: Collection[UUID]) -> dict[UUID, Description]:
        """What may be shown of secrets (last four characters, fingerprint); unknown ids are left out."""
        return {row.id: row for row in store.describe_secrets(conn, tenant_id, ids)}

    def replace(self, conn: Connection, tenant_id: UUID, secret_id: UUID, secret: Secret) -> None:
        """Store another text under the same id, with a new data key.

        Raises:
            NotFound: this tenant has no such secret.
            Invalid: as for `put`.
        """
        locked = store.lock_secret(conn, tenant_id, secret_id)
        if locked is None:
            raise NotFound(f"There is no secret {format_id(Kind.SECRET, secret_id)}.")
        kind, field, version = locked
        store.overwrite_secret(
            conn, self._seal(NewSecret(tenant_id, kind, field, secret), secret_id, version + 1)
        )

    def delete(self, conn: Connection, tenant_id: UUID, ids: Collection[UUID]) -> int:
        """Delete secrets of a tenant.

        Returns:
            How many there were.
        """
        return store.delete_secrets(conn, tenant_id, ids)

    def check(self, conn: Connection) -> list[Usage]:
        """Make sure that the ring opens this database, before any work starts (see `rotation.check`).

        Raises:
            ConfigError: it does not; the sentence says what to do.
        """
        return rotation.check(conn, self._ring, self._random)

    def rewrap(self, conn: Connection, limit: int, skip: Collection[UUID] = ()) -> Batch:
        """Put up to `limit` secrets under the primary key (see `rotation.rewrap`)."""
        return rotation.rewrap(conn, self._ring, limit=limit, skip=skip, random_bytes=self._random)

    def retire(self, conn: Connection, limit: int) -> Batch:
        """Close up to `limit` secrets to the key before (see `rotation.retire`).

        Raises:
            Conflict: secrets are still under an old key only.
        """
        return rotation.retire(conn, self._ring, limit=limit)

    def _seal(self, new: NewSecret, secret_id: UUID, version: int) -> NewRow:
        place = Place(new.tenant_id, secret_id, new.kind, new.field, version)
        sealed = envelope.seal(self._ring.primary, place, _plaintext(new), self._random)
        last4 = new.secret.last4 if new.secret.last4.isprintable() else ""
        return store.NewRow(
            id=secret_id,
            tenant_id=new.tenant_id,
            kind=new.kind,
            field=new.field,
            version=version,
            kek_id=sealed.key.kek_id,
            wrapped_key=sealed.key.data,
            nonce=sealed.nonce,
            ciphertext=sealed.ciphertext,
            last4=last4,
            # A short secret is often a password: its digest could be found with a dictionary.
            fingerprint=new.secret.fingerprint if new.secret.last4 else "",
        )

    def _open(self, row: StoredSecret) -> Secret:
        wrapped = WrappedKey(row.kek_id, row.wrapped_key)
        kek = self._ring.find(row.kek_id)
        if kek is None and row.previous_wrapped_key is not None and row.previous_kek_id is not None:
            # A rotation runs and this process has not been given the new key yet.
            wrapped = WrappedKey(row.previous_kek_id, row.previous_wrapped_key)
            kek = self._ring.find(row.previous_kek_id)
        if kek is None:
            raise Undecryptable(
                f"Secret {row.id} is under key {row.kek_id}, which this process does not hold:"
                " add that key to HUB_MASTER_KEYS and restart."
            )
        sealed = Sealed(wrapped, row.nonce, row.ciphertext)
        return Secret(envelope.open_sealed(kek, row.place, sealed).decode())


def _plaintext(new: NewSecret) -> bytes:
    try:
        plaintext = new.secret.reveal().encode()
    except UnicodeEncodeError:
        raise Invalid(
            f"{new.field} is not valid Unicode text.",
            fields=(FieldError(new.field, "not valid Unicode text"),),
        ) from None
    if not plaintext:
        raise Invalid(f"{new.field} is empty.", fields=(FieldError(new.field, "must not be empty"),))
    if len(plaintext) > MAX_SECRET_BYTES:
        message = f"must be at most {MAX_SECRET_BYTES} bytes"
        raise TooLarge(f"{new.field} {message}.", fields=(FieldError(new.field, message),))
    return plaintext
