from __future__ import annotations

import pytest

from reference_app.tools.arguments import ToolError
from reference_app.tools.registry import Tool


def closed(**properties):
    return {"type": "object", "properties": properties, "additionalProperties": False}


TEXT = {"type": "string", "maxLength": 9}
NUMBER = {"type": "integer", "minimum": 0, "maximum": 9}


def make(parameters):
    return Tool(name="look", description="", parameters=parameters, run=lambda _: {})


@pytest.mark.parametrize(
    "parameters",
    [
        closed(),
        closed(a=TEXT, b=NUMBER, c={"type": "boolean"}, d={"type": "null"}),
        closed(a={"type": "string", "enum": ["x"]}, b={"type": "string", "pattern": "^x$"}),
        closed(a={"type": "array", "maxItems": 3, "items": closed(b=TEXT)}),
        closed(a={"type": "number", "minimum": 0.5, "maximum": 2}),
    ],
)
def test_a_strict_schema_is_taken(parameters):
    assert make(parameters).parameters is parameters


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({}, 'look: the parameters must be of "type": "object"'),
        (True, "must be of"),
        ({"type": "string", "maxLength": 3}, "must be of"),
        ({"type": "object", "additionalProperties": False}, "look: object needs `properties`"),
        ({"type": "object", "properties": {}}, 'look: an object needs "additionalProperties": false'),
        ({"type": "object", "properties": {}, "additionalProperties": True}, "additionalProperties"),
        ({"type": "object", "properties": {}, "additionalProperties": TEXT}, "additionalProperties"),
        ({**closed(), "patternProperties": {".*": TEXT}}, "patternProperties is not allowed"),
        ({**closed(), "required": "a"}, "look: the parameters are no JSON Schema"),
        (closed(a={}), r"look\.a: the schema needs one `type`"),
        (closed(a=True), r"look\.a: the schema must be an object"),
        (closed(a={"type": ["string", "null"], "maxLength": 3}), r"look\.a: the schema needs one `type`"),
        (closed(a={"type": "text"}), "no JSON Schema"),
        (closed(a={"$ref": "#/$defs/a"}), r"look\.a: \$ref is not allowed"),
        (closed(a={"type": "string"}), r"look\.a: string needs `maxLength` or `pattern`"),
        (closed(a={"type": "integer", "minimum": 0}), r"look\.a: integer needs `maximum` and `minimum`"),
        (closed(a={"type": "array", "items": TEXT}), r"look\.a: array needs `items` and `maxItems`"),
        (
            closed(a={"type": "array", "maxItems": 2, "items": {"type": "string"}}),
            r"look\.a\[\]: string needs",
        ),
        (closed(a={"type": "object", "properties": {}}), r"look\.a: an object needs"),
        (closed(a={"type": "string", "pattern": r"FW-\d{5}"}), r"start with \^ and end with \$"),
        (closed(a={"type": "string", "pattern": r"^FW-\$"}), r"start with \^ and end with \$"),
        (closed(a={"type": "string", "pattern": "^($"}), "no JSON Schema"),
    ],
)
def test_an_open_or_unbounded_schema_makes_no_tool(parameters, said):
    with pytest.raises(ToolError, match=said):
        make(parameters)
