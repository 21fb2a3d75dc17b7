"""New keys: the server's successor, announced in time, and the agent's own.

A new key of the agent lies beside the old one until the server knows the machine by it. The answer may be lost: then
the old key is refused, and the new one is tried.
"""

from __future__ import annotations

import base64
import logging
from pathlib import Path

from .audit import AuditLog
from .identity import KEY_FILE, NEXT_KEY_FILE, Identity
from .outbox import Outbox
from .protocol.messages import KeyChange, Successor
from .protocol.signing import key_change_proof, long_fingerprint, successor_proof
from .signer import Signer, apart

log = logging.getLogger(__name__)

STRANGER = "stranger"
"""The key of a server that was not trusted, for whoever compares it (``compagnon-agent trust-server``)."""


class Rotation:
    """``file`` is the key that the next handshake uses."""

    def __init__(self, identity: Identity, audit: AuditLog, outbox: Outbox) -> None:
        self._identity = identity
        self._audit = audit
        self._outbox = outbox
        self._folder: Path = identity.folder
        self.file = KEY_FILE

    # -- the server's

    async def announced(self, message: Successor) -> None:
        """Keep the successor, when the present key says so."""
        present = self._identity.server_key
        proof = successor_proof(present=present, successor=message.key)
        async with apart(self._folder) as signer:
            if not await signer.verify(present, message.signature, proof):
                log.warning("a successor that the server's key did not sign is left alone")
                return
        if self._identity.announce(message.key):
            digits = long_fingerprint(message.key) if message.key else ""
            self._audit.record("server.successor", {"fingerprint": digits})

    def met(self, server_key: bytes) -> None:
        """The server proved this key."""
        if self._identity.follow(server_key):
            self._audit.record("server.followed", {"fingerprint": long_fingerprint(server_key)})
            log.info("the server has its new key: the old one is forgotten")

    def stranger(self, shown: bytes) -> None:
        self._outbox.write(STRANGER, base64.b64encode(shown).decode())

    def trust(self, digits: str) -> bool:
        """The person at the machine compared the digits with those that a technician read out."""
        shown = base64.b64decode(self._outbox.read(STRANGER))
        said = "".join(character for character in digits if character.isdigit())
        if not shown or said != long_fingerprint(shown).replace(" ", ""):
            return False
        self._identity.trust(shown)
        self._outbox.write(STRANGER, "")
        self._audit.record("server.trusted", {"fingerprint": long_fingerprint(shown)})
        return True

    # -- the agent's own

    @property
    def wanted(self) -> bool:
        """A new key waits to be known."""
        return (self._folder / NEXT_KEY_FILE).exists()

    def refused(self) -> None:
        """The server does not know the machine by the key of the last handshake: try the other one, if there is one."""
        self.file = NEXT_KEY_FILE if self.file == KEY_FILE and self.wanted else KEY_FILE

    def accepted(self) -> None:
        """The server knows the machine by the key of this handshake."""
        if self.file == NEXT_KEY_FILE:
            self.changed()

    async def change(self) -> KeyChange:
        """Make a new key (or take the one that waits) and let both sign for it."""
        async with apart(self._folder) as signer:
            return await self._signed(signer)

    async def _signed(self, signer: Signer) -> KeyChange:
        old, new = await signer.public(KEY_FILE), await signer.public(NEXT_KEY_FILE)
        proof = key_change_proof(
            machine_id=self._identity.machine_id, old=old, new=new, server_key=self._identity.server_key
        )
        return KeyChange(
            key=new,
            old_signature=await signer.sign(KEY_FILE, proof),
            new_signature=await signer.sign(NEXT_KEY_FILE, proof),
        )

    def changed(self) -> None:
        """The server has it: from now on there is only the new one."""
        if self.wanted:
            (self._folder / NEXT_KEY_FILE).replace(self._folder / KEY_FILE)
            self._audit.record("key.changed", {})
        self.file = KEY_FILE
