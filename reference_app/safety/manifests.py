"""Descriptions of tools that come from elsewhere count only with the signature of somebody trusted."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from reference_app.safety import RefusedError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

MAX_BYTES = 100_000
MAX_DESCRIPTION_CHARACTERS = 1000
PURPOSE = b"reference_app tool manifest 1\n"  # so that no signature made for something else fits
FIELDS = {"name", "description", "parameters", "version", "expires", "key", "signature"}

_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_VERSION = re.compile(r"\d{1,5}\.\d{1,5}\.\d{1,5}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """
    A tool as its signer describes it.

    Attributes:
        parameters: JSON Schema of an object that takes no other arguments.
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
    content = _parse(data)
    if "signature" not in content:
        raise _refusal("it is not signed")
    if set(content) != FIELDS:
        raise _refusal(f"it needs exactly {', '.join(sorted(FIELDS))}")
    if not isinstance(content["key"], str) or content["key"] not in keys:
        raise _refusal("nobody trusted signed it: its key is unknown")
    _verify(content, keys[content["key"]])
    manifest = _read(content)
    if manifest.expires <= (now or datetime.now(UTC)):
        raise _refusal("it has expired")
    return manifest


def sign_manifest(manifest: Manifest, private: Ed25519PrivateKey) -> bytes:
    """The file of a manifest."""
    content: dict[str, Any] = {
        "name": manifest.name,
        "description": manifest.description,
        "parameters": manifest.parameters,
        "version": manifest.version,
        "expires": manifest.expires.isoformat(),
        "key": manifest.key,
    }
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
    if len(data) > MAX_BYTES:
        raise _refusal(f"it is larger than {MAX_BYTES} bytes")
    try:
        content = json.loads(data.decode("utf-8"), object_pairs_hook=_once, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise _refusal("it is no JSON in UTF-8, or is nested too deeply") from error
    if not isinstance(content, dict):
        raise _refusal("it is no JSON object")
    return content


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Of a key given twice one reader takes the first and another the last, so the signed one is unknown."""
    content = dict(pairs)
    if len(content) < len(pairs):
        raise _refusal("it gives a key twice")
    return content


def _no_constant(_: str) -> Any:
    raise _refusal("it holds a number that JSON does not know")


def _verify(content: dict[str, Any], key: bytes) -> None:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        signature = base64.b64decode(content["signature"], validate=True)
        signed = canonical({name: value for name, value in content.items() if name != "signature"})
        Ed25519PublicKey.from_public_bytes(key).verify(signature, PURPOSE + signed)
    except (InvalidSignature, binascii.Error, TypeError, ValueError) as error:
        raise _refusal("its signature does not fit: it was changed after it was signed") from error


def _read(content: dict[str, Any]) -> Manifest:
    name, description, version = content["name"], content["description"], content["version"]
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise _refusal("its name is none of a tool")
    if not isinstance(description, str) or not 0 < len(description) <= MAX_DESCRIPTION_CHARACTERS:
        raise _refusal("its description is empty or too long")
    if not isinstance(version, str) or not _VERSION.fullmatch(version):
        raise _refusal("its version is not like 1.0.0")
    return Manifest(
        name=name,
        description=description,
        parameters=_read_parameters(content["parameters"]),
        version=version,
        expires=_read_time(content["expires"]),
        key=content["key"],
    )


def _read_parameters(parameters: object) -> dict[str, Any]:
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError

    if not isinstance(parameters, dict) or parameters.get("type") != "object":
        raise _refusal("its parameters are no JSON Schema of an object")
    if parameters.get("additionalProperties") is not False:
        raise _refusal("its parameters admit further arguments")
    try:
        Draft202012Validator.check_schema(parameters)
    except SchemaError as error:
        raise _refusal("its parameters are no JSON Schema of an object") from error
    return parameters


def _read_time(text: object) -> datetime:
    try:
        time = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        time = None
    if time is None or time.tzinfo is None:
        raise _refusal("it does not say when it expires, with a time zone")
    return time
