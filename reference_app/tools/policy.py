"""Who may call which tool, read from a file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

from reference_app.errors import AppError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

Outcome = Literal["allow", "confirm", "deny"]
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
ROLES = ("customer", "staff")
POLICY = Path(__file__).with_name("policy.yaml")


class PolicyError(AppError):
    """The policy file is missing, breaks the format, or does not fit the tools."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """
    The rules of one file.

    Attributes:
        source: The file, for messages.
        rules: Tool → role → what happens.
    """

    source: Path
    rules: Mapping[str, Mapping[str, Outcome]]

    def decide(self, name: str, role: str) -> Outcome:
        """What has no rule is denied."""
        return self.rules.get(name, {}).get(role, "deny")

    def check_tools(self, names: Collection[str]) -> None:
        """
        See that the file speaks of these tools, all of them and no others.

        Raises:
            PolicyError: It does not.
        """
        if unknown := [name for name in self.rules if name not in names]:
            raise PolicyError(
                f"{self.source}: there is no tool {unknown[0]!a}; there are {', '.join(sorted(names))}."
            )
        if missing := sorted(name for name in names if name not in self.rules):
            raise PolicyError(f"{self.source}: there is no rule for {missing[0]}.")


def load_policy(source: Path = POLICY) -> Policy:
    """
    The rules of a YAML file: `tool: {role: allow | confirm | deny}`.

    Raises:
        PolicyError: The file cannot be read, or a rule names an unknown role or outcome, or stands twice.
    """
    import yaml

    try:
        loader = yaml.SafeLoader(source.read_text(encoding="utf-8"))
        try:
            node = loader.get_single_node()
            _refuse_twins(node, source)
            rules = loader.construct_document(node) if node else None
        finally:
            loader.dispose()
    except (OSError, UnicodeDecodeError) as error:
        raise PolicyError(f"The policy {source} cannot be read: {error}.") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise PolicyError(f"{source} is no YAML: {' '.join(str(error).split())}.") from error
    if not isinstance(rules, dict) or not all(isinstance(rule, dict) for rule in rules.values()):
        raise PolicyError(f"{source} holds no rules like `order_status: {{customer: allow}}`.")
    for name, rule in rules.items():
        for role, outcome in rule.items():
            if role not in ROLES:
                raise PolicyError(
                    f"{source}: {name}: there is no role {role!a}; there are {', '.join(ROLES)}."
                )
            if outcome not in OUTCOMES:
                raise PolicyError(f"{source}: {name}: {role}: {outcome!a} is none of {', '.join(OUTCOMES)}.")
    return Policy(source=source, rules=cast("dict[str, dict[str, Outcome]]", rules))


def _refuse_twins(node: Any, source: Path) -> None:
    """YAML would let the last of two rules win in silence."""
    import yaml

    if not isinstance(node, yaml.MappingNode):
        return
    seen = set()
    for key, value in node.value:
        name = str(key.value)
        if name in seen:
            raise PolicyError(f"{source}:{key.start_mark.line + 1}: {name!a} stands there twice.")
        seen.add(name)
        _refuse_twins(value, source)
