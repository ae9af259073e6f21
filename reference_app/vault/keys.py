"""Keys: one master key wraps a data key per period, so that a period is deleted by destroying its key."""

from __future__ import annotations

import base64
import binascii
import hashlib
import importlib
import os
import secrets
from dataclasses import dataclass, field

from reference_app.errors import VaultError

KEY_BYTES = 32
NONCE_BYTES = 12
KEYRING_SERVICE, KEYRING_NAME = "reference-app", "vault-key"
_NO_FIT = "The vault was locked with another key; check REFERENCE_APP_VAULT_KEY. Nothing was changed."


@dataclass(frozen=True, slots=True, kw_only=True)
class DataKey:
    """
    The key of one period.

    Attributes:
        id: Random, so it says nothing of the key; the audit log names it when the key is destroyed.
        secret: 32 bytes, from which a key to encrypt and one to derive tokens are made.
    """

    id: str
    secret: bytes = field(repr=False)

    @property
    def token_secret(self) -> bytes:
        return _derive(self.secret, "tokens")

    def seal(self, value: str, place: str) -> str:
        """Encrypt for one place; elsewhere it cannot be unsealed."""
        return _encrypt(_derive(self.secret, "values"), value.encode("utf-8", "surrogatepass"), place)

    def unseal(self, sealed: str, place: str) -> str:
        """Raises VaultError where the text was changed or moved."""
        value = _decrypt(_derive(self.secret, "values"), sealed, place)
        return value.decode("utf-8", "surrogatepass")


@dataclass(frozen=True, slots=True, kw_only=True)
class MasterKey:
    """Wraps data keys; it lies outside of the vault."""

    secret: bytes = field(repr=False)

    @property
    def id(self) -> str:
        """Tells a wrong key from a damaged file."""
        return hashlib.sha256(b"reference_app vault key id" + self.secret).hexdigest()[:16]

    def check(self, key_id: str) -> None:
        """Raises VaultError where the vault was locked with another key."""
        if self.id != key_id:
            raise VaultError(_NO_FIT, "failed: wrong key")

    def wrap(self, key: DataKey, period: str) -> str:
        return _encrypt(self.secret, key.secret, f"{period}/{key.id}")

    def unwrap(self, wrapped: str, period: str, key_id: str) -> DataKey:
        """Raises VaultError where the text was changed or belongs to another period."""
        return DataKey(id=key_id, secret=_decrypt(self.secret, wrapped, f"{period}/{key_id}"))


def make_data_key() -> DataKey:
    """A new key."""
    return DataKey(id=secrets.token_hex(8), secret=secrets.token_bytes(KEY_BYTES))


def make_master_key() -> str:
    """A new master key as text for the environment or a keyring."""
    return base64.urlsafe_b64encode(secrets.token_bytes(KEY_BYTES)).decode()


def read_master_key(text: str | None, name: str = "REFERENCE_APP_VAULT_KEY") -> MasterKey:
    """
    The key in a text, or without one in the keyring of the system, where the package `keyring` is installed.

    Raises:
        VaultError: There is none, or it is no key; the text is not repeated.
    """
    text = text or _read_keyring()
    if text is None:
        raise VaultError(
            f"The vault needs a key: set {name} to the output of `python -m reference_app vault key`.",
            "failed: no key",
        )
    try:
        secret = base64.urlsafe_b64decode(text.encode())
    except (binascii.Error, ValueError):
        secret = b""
    if len(secret) != KEY_BYTES:
        raise VaultError(f"{name} is no base64 of {KEY_BYTES} bytes.", "failed: wrong key")
    return MasterKey(secret=secret)


def _read_keyring() -> str | None:
    try:
        keyring = importlib.import_module("keyring")
    except ImportError:
        return None
    try:
        return keyring.get_password(KEYRING_SERVICE, KEYRING_NAME) or None
    except Exception as error:  # each backend has its own errors
        raise VaultError(f"The keyring cannot be read: {type(error).__name__}.", "failed: no key") from error


def _derive(secret: bytes, purpose: str) -> bytes:
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    info = f"reference_app vault {purpose}".encode()
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=info).derive(secret)


def _encrypt(secret: bytes, value: bytes, place: str) -> str:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    nonce = os.urandom(NONCE_BYTES)
    return base64.b64encode(nonce + AESGCM(secret).encrypt(nonce, value, place.encode())).decode()


def _decrypt(secret: bytes, text: str, place: str) -> bytes:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    try:
        data = base64.b64decode(text, validate=True)
        return AESGCM(secret).decrypt(data[:NONCE_BYTES], data[NONCE_BYTES:], place.encode())
    except (InvalidTag, ValueError) as error:
        raise VaultError(
            "The vault is damaged: an encrypted text was changed or moved. Nothing was changed; "
            "restore the file from a copy.",
            "failed: damaged",
        ) from error
