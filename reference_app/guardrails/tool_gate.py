"""All guards of one call, in the order from the cheapest and surest to those that weigh words."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from reference_app.guardrails.calls.commands import find_command_fault, find_host_fault
from reference_app.guardrails.calls.paths import find_path_fault
from reference_app.guardrails.calls.provenance import find_provenance_fault, find_taint
from reference_app.guardrails.calls.request import (
    CALL_GUARDS,
    AllowedTool,
    Confirmation,
    Decision,
    Leaf,
    Request,
    list_leaves,
    read_list,
)
from reference_app.guardrails.calls.schema import find_schema_fault
from reference_app.guardrails.calls.sql import find_sql_fault
from reference_app.guardrails.calls.urls import find_url_fault, read_sites
from reference_app.guardrails.calls.values import is_named, list_words, split_name
from reference_app.guardrails.markup import find_markup_fault
from reference_app.guardrails.redaction import find

CONFIRMING = ("confirm", "confirmation", "requires_confirmation", "requires_approval")
_SECRETS = frozenset({"key", "password", "token"})  # kinds of the redaction that no reply has
_NETWORK = re.compile(
    r"\b(?:ping|host ?names?|dns|servers?|shell|commands?|traceroute|resolves?|ports?)\b", re.IGNORECASE
)
_SQL_TOOL = re.compile(r"\bsql\b|\bselect statement\b", re.IGNORECASE)
_IS_URL = re.compile(r"\s*(?:[a-zA-Z][a-zA-Z0-9+.-]*:)?//\S+")
Named = tuple[Leaf, set[str], Mapping[str, Any]]
"""A text of a call, the words of its argument's name, and the argument's schema."""


def check_call(request: Request, guards: Collection[str] = CALL_GUARDS) -> Decision:
    """
    Whether the call may be made; a guard that denies it goes before one that wants a person to confirm it.

    Args:
        guards: Of `CALL_GUARDS`, those that look. Without `schema`, the guards behind it still refuse
            arguments that are no object.
    """
    tool = next((tool for tool in request.tools if tool.name == request.name), None)
    if tool is None:
        if "tools" in guards:
            return Decision(outcome="deny", reason="the task may not use this tool")
        tool = AllowedTool(name=request.name)
    asked: Decision | None = None
    for guard, check in _CHECKS.items():
        found = check(request, tool) if guard in guards else None
        if isinstance(found, str) and found:
            found = Decision(outcome="deny", guard=guard, reason=found)
        if isinstance(found, Decision):
            if found.outcome == "deny":
                return found
            asked = asked or found
    if not isinstance(request.arguments, Mapping):
        return Decision(outcome="deny", guard="schema", reason="the arguments are not a JSON object")
    if asked and request.confirmation == Confirmation.of(request.name, request.arguments):
        return Decision()
    return asked or Decision()


def _check_tool(request: Request, tool: AllowedTool) -> Decision | None:
    """Whether the role may use the tool, and whether a person has to agree."""
    policy, outcomes = tool.policy, tool.declaration.outcomes if tool.declaration else None
    outcome = outcomes.get(request.role, "deny") if outcomes is not None else policy.get("outcome", "allow")
    if outcome == "deny" or policy.get("allowed") is False or policy.get("deny") is True:
        return Decision(outcome="deny", reason="the policy denies this tool")
    if outcome == "confirm" or any(
        policy.get(key) not in (None, False, "never", "none") for key in CONFIRMING
    ):
        return Decision(outcome="confirm", reason="a person has to confirm this call first")
    return None


def _check_schema(request: Request, tool: AllowedTool) -> str:
    return find_schema_fault(request.arguments, tool.parameters)


def _check_urls(named: Named, request: Request, tool: AllowedTool) -> str:  # noqa: ARG001 - as the others
    leaf, words, schema = named
    if (
        schema.get("format") in ("uri", "url", "iri")
        or words & list_words("urls")
        or _IS_URL.fullmatch(leaf.text)
    ):
        return find_url_fault(leaf.text, read_sites({} if "runs" in tool.policy else tool.policy))
    return ""


def _check_paths(named: Named, request: Request, tool: AllowedTool) -> str:
    leaf, words, schema = named
    if not words & list_words("paths") or "id" in words or schema.get("format") == "uri":
        return ""
    root = tool.policy.get("root") or tool.policy.get("folder")
    asked = any(is_named(leaf.text, text) for text in request.said or ())
    if not root and asked and ".." not in leaf.text and "content" not in leaf.name:
        return ""  # the customer named this very file
    suffixes = read_list(tool.policy.get("suffixes") or tool.policy.get("extensions"))
    return find_path_fault(leaf.text, root=str(root) if root else None, suffixes=suffixes or [])


def _check_sql(named: Named, request: Request, tool: AllowedTool) -> str:  # noqa: ARG001
    leaf, words, schema = named
    speaks = {"dialect", "tables", "statements"} & set(tool.policy) or _SQL_TOOL.search(tool.description)
    if not ("sql" in words or (speaks and words & {"query", "statement"})) or "enum" in schema:
        return ""
    if tool.policy.get("read_only") is False:
        return ""
    tables = read_list(tool.policy.get("tables"))
    return find_sql_fault(leaf.text, dialect=_dialect(tool.policy.get("dialect")), tables=tables)


def _check_shell(named: Named, request: Request, tool: AllowedTool) -> str:  # noqa: ARG001
    leaf, words, schema = named
    if "enum" in schema:
        return ""
    hosts, shell = read_list(tool.policy.get("hosts")), tool.policy.get("shell") is True
    runs = "runs" in tool.policy or "shell" in tool.policy
    network = hosts is not None or _NETWORK.search(f"{' '.join(split_name(tool.name))} {tool.description}")
    if schema.get("format") == "hostname" or (words & list_words("hosts") and runs):
        return find_host_fault(leaf.text, hosts)
    if words & {"host", "hostname"} and network:  # "host" may also be who invites
        return find_host_fault(leaf.text, hosts)
    if not shell and (runs or words & list_words("commands")):
        return find_command_fault(leaf.text, whole=bool(words & list_words("commands")))
    return ""


def _check_markup(named: Named, request: Request, tool: AllowedTool) -> str:  # noqa: ARG001
    """What is shown to somebody, where the policy says what it may link."""
    links, images = read_list(tool.policy.get("link_hosts")), read_list(tool.policy.get("image_hosts"))
    if links is None and images is None:
        return ""
    if any(match.kind in _SECRETS for match in find(named[0].text)):
        return "the text contains a secret"
    return find_markup_fault(named[0].text, link_hosts=links or [], image_hosts=images or [])


def _each_text(
    check: Callable[[Named, Request, AllowedTool], str],
) -> Callable[[Request, AllowedTool], str]:
    """The check of a call by a check of one of its texts."""

    def check_all(request: Request, tool: AllowedTool) -> str:
        for named in _list_texts(request, tool):
            if fault := check(named, request, tool):
                return f"{named[0].name}: {fault}"
        return ""

    return check_all


def _list_texts(request: Request, tool: AllowedTool) -> Iterator[Named]:
    properties = tool.parameters.get("properties")
    for leaf in list_leaves(request.arguments):
        if isinstance(leaf.value, str):
            schema = properties.get(leaf.name) if isinstance(properties, Mapping) else None
            yield leaf, set(split_name(leaf.name)), schema if isinstance(schema, Mapping) else {}


def _dialect(value: object) -> str:
    from sqlglot.dialects.dialect import Dialect

    plain = str(value).lower()
    name = {"postgresql": "postgres", "mssql": "tsql", "mariadb": "mysql"}.get(plain, plain)
    return name if name in Dialect.classes else "sqlite"


_CHECKS: dict[str, Callable[[Request, AllowedTool], str | Decision | None]] = {
    "tools": _check_tool,
    "schema": _check_schema,
    "url": _each_text(_check_urls),
    "path": _each_text(_check_paths),
    "sql": _each_text(_check_sql),
    "shell": _each_text(_check_shell),
    "markup": _each_text(_check_markup),
    "provenance": find_provenance_fault,
    "taint": find_taint,
}
