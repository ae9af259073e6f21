"""Descriptions of tools count only with the signature of somebody trusted."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from reference_app.safety import RefusedError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

MAX_BYTES = 100_000
PURPOSE = b"reference_app tool manifest 1\n"  # so that no signature made for something else fits
FIELDS = {"name", "description", "parameters", "version", "expires", "key", "signature"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """
    A tool as its signer describes it.

    Attributes:
        parameters: JSON Schema of an object.
        expires: From then on it is refused.
        key: Id of the key that signed it.
    """

    name: str
    description: str
    parameters: dict[str, Any]
    version: str
    expires: datetime
    key: str


def read_manifest(data: bytes, keys: Mapping[str, bytes], *, now: datetime | None = None) -> Manifest:
    """
    A manifest whose signature fits one of the keys.

    Args:
        data: The file.
        keys: Trusted public keys of ed25519, 32 bytes each, by their id.
        now: None for the clock's time.

    Raises:
        RefusedError: It is unsigned, changed, signed by an unknown key, expired, or no manifest at all.
    """
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    content = _parse(data)
    if set(content) != FIELDS:
        raise _refusal(f"it needs exactly {', '.join(sorted(FIELDS))}")
    if not isinstance(content["key"], str) or content["key"] not in keys:
        raise _refusal("nobody trusted signed it: its key is unknown")
    unsigned = {name: value for name, value in content.items() if name != "signature"}
    try:
        signature = base64.b64decode(content["signature"], validate=True)
        key = Ed25519PublicKey.from_public_bytes(keys[content["key"]])
        key.verify(signature, PURPOSE + canonical(unsigned))
    except (InvalidSignature, binascii.Error, TypeError, ValueError) as error:
        raise _refusal("its signature does not fit: it was changed after it was signed") from error
    named = all(
        isinstance(content[name], str) and content[name] for name in ("name", "description", "version")
    )
    if not named or not isinstance(content["parameters"], dict):
        raise _refusal("its name, description, version or parameters are none of a tool")
    try:
        manifest = Manifest(**unsigned | {"expires": datetime.fromisoformat(content["expires"])})
        expired = manifest.expires <= (now or datetime.now(UTC))
    except (TypeError, ValueError) as error:
        raise _refusal("it does not say when it expires, with a time zone") from error
    if expired:
        raise _refusal("it has expired")
    return manifest


def sign_manifest(manifest: Manifest, private: Ed25519PrivateKey) -> bytes:
    """The file of a manifest."""
    content = asdict(manifest) | {"expires": manifest.expires.isoformat()}
    signature = private.sign(PURPOSE + canonical(content))
    return canonical(content | {"signature": base64.b64encode(signature).decode()})


def canonical(content: Mapping[str, Any]) -> bytes:
    """The one spelling of a JSON value: keys sorted, no spaces, UTF-8."""
    return json.dumps(
        content, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode("utf-8")


def _refusal(reason: str) -> RefusedError:
    return RefusedError(f"The tool's manifest is refused: {reason}.")


def _parse(data: bytes) -> dict[str, Any]:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        # Of a key given twice one reader takes the first and another the last, so the signed one is unknown.
        if len(dict(pairs)) < len(pairs):
            raise _refusal("it gives a key twice")
        return dict(pairs)

    def refuse_constant(_: str) -> Any:
        raise _refusal("it holds a number that JSON does not know")

    if len(data) > MAX_BYTES:
        raise _refusal(f"it is larger than {MAX_BYTES} bytes")
    try:
        content = json.loads(data.decode("utf-8"), object_pairs_hook=once, parse_constant=refuse_constant)
    except (ValueError, RecursionError) as error:
        raise _refusal("it is no JSON in UTF-8, or is nested too deeply") from error
    if not isinstance(content, dict):
        raise _refusal("it is no JSON object")
    return content
