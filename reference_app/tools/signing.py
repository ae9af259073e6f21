"""The tools as somebody signed for them: what a plan may call changes only together with a signature."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from reference_app.safety import RefusedError
from reference_app.safety.manifests import Manifest, read_manifest, sign_manifest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from reference_app.tools.registry import Tool

SIGNED = Path(__file__).with_name("manifests.jsonl")
SIGNER = "fellwind-1"
KEYS = {SIGNER: bytes.fromhex("bbbcd43ab132e7e1ce5bf572d415844233546e5ecfe0d075fe1d77338ba7e53b")}
"""Of whoever may sign; the private key is in no repository."""
EXPIRES = datetime(2100, 1, 1, tzinfo=UTC)  # these tools are part of the app, which has to work at any time


def find_unsigned(
    tools: Iterable[Tool], signed: Path = SIGNED, keys: Mapping[str, bytes] = KEYS
) -> frozenset[str]:
    """
    Names of the tools that are not as somebody signed for them.

    Raises:
        RefusedError: The manifests cannot be read, or the signature of one does not fit.
    """
    try:
        manifests = [read_manifest(line, keys) for line in signed.read_bytes().splitlines()]
    except OSError as error:
        raise RefusedError(f"The tools are refused: {signed} cannot be read.") from error
    known = {manifest.name: (manifest.description, dict(manifest.parameters)) for manifest in manifests}
    return frozenset(
        tool.name for tool in tools if known.get(tool.name) != (tool.description, tool.parameters)
    )


def sign_tools(tools: Iterable[Tool], key: Path, signed: Path = SIGNED) -> bytes:
    """Write the manifests; returns the public key. A key file that is missing is made."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    if not key.exists():
        key.touch(mode=0o600)
        key.write_bytes(Ed25519PrivateKey.generate().private_bytes_raw())
    private = Ed25519PrivateKey.from_private_bytes(key.read_bytes())
    manifests = [
        Manifest(
            name=tool.name,
            description=tool.description,
            parameters=dict(tool.parameters),
            version="1.0.0",
            expires=EXPIRES,
            key=SIGNER,
        )
        for tool in tools
    ]
    signed.write_bytes(b"".join(sign_manifest(manifest, private) + b"\n" for manifest in manifests))
    return private.public_key().public_bytes_raw()
