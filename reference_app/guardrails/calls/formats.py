"""The `format` words of JSON Schema, checked; jsonschema itself checks only some, with packages of others."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from contextlib import suppress
from datetime import date, datetime, time
from urllib.parse import urlsplit
from uuid import UUID

_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_HOST = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\.?")
_EMAIL = re.compile(
    rf"[A-Za-z0-9!#$%&'*+/=?^_`{{|}}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{{|}}~-]+)*@{_LABEL}(?:\.{_LABEL})+"
)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_TIME = re.compile(r"\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?(?:[Zz]|[+-]\d{2}:\d{2})?", re.ASCII)
_DURATION = re.compile(
    r"P(?=\d|T\d)(?:\d+Y)?(?:\d+M)?(?:\d+W)?(?:\d+D)?(?:T(?=\d)(?:\d+H)?(?:\d+M)?(?:\d+S)?)?", re.ASCII
)
MAX_HOST_CHARACTERS = 253
MAX_EMAIL_CHARACTERS = 254


def is_email(value: str) -> bool:
    return len(value) <= MAX_EMAIL_CHARACTERS and _EMAIL.fullmatch(value) is not None


def is_hostname(value: str) -> bool:
    return len(value) <= MAX_HOST_CHARACTERS and _HOST.fullmatch(value) is not None


def is_uri(value: str) -> bool:
    return _SCHEME.match(value) is not None and is_uri_reference(value)


def is_uri_reference(value: str) -> bool:
    if any(one <= " " or one in '"<>\\^`{|}\x7f' for one in value):
        return False
    with suppress(ValueError):
        return urlsplit(value) is not None
    return False


def is_date(value: str) -> bool:
    return _DATE.fullmatch(value) is not None and _parses(date.fromisoformat, value)


def is_time(value: str) -> bool:
    return _TIME.fullmatch(value) is not None and _parses(time.fromisoformat, value.upper())


def is_date_time(value: str) -> bool:
    day, clock = value[:10], value[11:]
    return (
        value[10:11] in ("T", "t", " ")
        and is_date(day)
        and is_time(clock)
        and _parses(datetime.fromisoformat, f"{day}T{clock.upper()}")
    )


def is_uuid(value: str) -> bool:
    return _parses(UUID, value) and str(UUID(value)) == value.lower()


def _parses(read: Callable[[str], object], value: str) -> bool:
    try:
        read(value)
    except ValueError:
        return False
    return True


FORMATS: dict[str, Callable[[str], bool]] = {
    "email": is_email,
    "idn-email": lambda value: value.count("@") == 1 and not any(one.isspace() for one in value),
    "uri": is_uri,
    "iri": is_uri,
    "url": is_uri,
    "uri-reference": is_uri_reference,
    "hostname": is_hostname,
    "date": is_date,
    "time": is_time,
    "date-time": is_date_time,
    "duration": lambda value: _DURATION.fullmatch(value) is not None,
    "uuid": is_uuid,
    "ipv4": lambda value: _parses(ipaddress.IPv4Address, value),
    "ipv6": lambda value: "%" not in value and _parses(ipaddress.IPv6Address, value),
}
