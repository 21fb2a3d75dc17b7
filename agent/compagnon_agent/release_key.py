"""The co-operative's release key, pinned at enrolment: it signs versions of the agent, and is not the server's key."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from pathlib import Path

from .protocol.releases import release_proof
from .protocol.signing import KEY_LENGTH
from .settings import SettingsError, write_private

RELEASE_KEY_FILE = "release.pub"


@dataclass(frozen=True, slots=True)
class ReleaseKey:
    public: bytes

    @classmethod
    def load(cls, folder: Path) -> ReleaseKey | None:
        """None when none was pinned, or the file is damaged: then no version is believed."""
        try:
            return cls.parse((folder / RELEASE_KEY_FILE).read_text(encoding="ascii"))
        except (OSError, UnicodeDecodeError, SettingsError):
            return None

    @classmethod
    def parse(cls, text: str) -> ReleaseKey:
        """From base64, as it is shown and read out. Raises ``SettingsError``."""
        try:
            raw = base64.b64decode(text.strip(), validate=True)
        except (ValueError, binascii.Error):
            raw = b""
        if len(raw) != KEY_LENGTH:
            raise SettingsError(f"a release key is {KEY_LENGTH} bytes in base64") from None
        return cls(raw)

    @property
    def text(self) -> str:
        return base64.b64encode(self.public).decode("ascii")

    def save(self, folder: Path) -> None:
        write_private(folder / RELEASE_KEY_FILE, self.text.encode() + b"\n")

    def signed(self, manifest: str, signature: bytes) -> bool:
        from . import keys  # only here: the cryptography is large, and versions are rare

        return keys.verify(self.public, signature, release_proof(manifest))
