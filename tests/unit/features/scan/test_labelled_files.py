"""Values whose kind only shows by the name before them, in the shapes in which files pair the two."""

# ruff: noqa: F811 - the fixture is imported, and named again by the tests that take it

from __future__ import annotations

import json

import pytest

from pytest_llmops import scan
from pytest_llmops.detect.seal import seal_result
from pytest_llmops.metrics.pii_leak import PiiLeak
from pytest_llmops.records import CaseResult, Output, Sample, Span, ToolCall
from tests.command import main
from tests.unit.features.scan.test_files import file  # noqa: F401 - a fixture

SSN, PHONE, SECRET, TAX = "536221234", "03090182742", "Tr0ub4dor+horse", "86095742719"
MAIL = "mira.holt@willow.net"
PERSON, BORN, PASSPORT, TOKEN = "Maja Lindqvist", "1984-03-07", "C01X00T47", "q8Zr2LmX9vTn4KpW7sYd"


def otlp(*attributes: object, **more: object) -> str:
    span = {"traceId": "a" * 32, "spanId": "b" * 16, "name": "chat", "attributes": attributes, **more}
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]})


def attribute(key: str, value: object, kind: str = "stringValue") -> dict[str, object]:
    return {"key": key, "value": {kind: value}}


def har(**request: object) -> str:
    entry = {"request": {"method": "GET", "url": "https://shop.example/", **request}, "response": {}}
    return json.dumps({"log": {"version": "1.2", "entries": [entry]}})


def named(name: str, value: object) -> list[dict[str, object]]:
    return [{"name": name, "value": value}]


def run(**fields: object) -> str:
    return json.dumps({"id": "8f7c", "run_type": "llm", "name": "chat", **fields})


PLANTED = [
    # OTLP
    ("a.json", otlp(attribute("db.password", SECRET)), "PASSWORD"),
    ("a.json", otlp(attribute("ssn", SSN)), "US_SSN"),
    ("a.json", otlp(attribute("customer.ssn", SSN, "intValue")), "US_SSN"),
    ("a.json", otlp(attribute("customer.phone", PHONE)), "PHONE_NUMBER"),
    ("a.json", otlp(attribute("enduser.dateOfBirth", BORN)), "DATE_OF_BIRTH"),
    ("a.json", otlp(attribute("customer.full.name", PERSON)), "PERSON"),
    ("a.json", otlp(attribute("customerTaxId", TAX)), "NATIONAL_ID"),
    ("a.json", otlp(attribute("phones", {"values": [{"stringValue": PHONE}]}, "arrayValue")), "PHONE_NUMBER"),
    (
        "a.json",
        otlp(attribute("customer", {"values": [attribute("ssn", SSN)]}, "kvlistValue")),
        "US_SSN",
    ),
    (
        "a.json",
        otlp(attribute("http.request.header.authorization", f"Bearer {TOKEN}")),
        "API_KEY",
    ),
    ("a.json", otlp(events=[{"name": "e", "attributes": [attribute("passport", PASSPORT)]}]), "PASSPORT"),
    ("a.jsonl", otlp() + "\n" + otlp(attribute("db_pass", SECRET)) + "\n", "PASSWORD"),
    (
        "a.json",
        json.dumps(
            {
                "resourceLogs": [
                    {
                        "resource": {"attributes": [attribute("service.api_key", TOKEN)]},
                        "scopeLogs": [{"logRecords": [{"body": {"stringValue": "ready"}}]}],
                    }
                ]
            }
        ),
        "API_KEY",
    ),
    ("a.json", otlp(attribute("inputs", json.dumps(named("ssn", SSN)))), "US_SSN"),
    # Jaeger, and OTLP of libraries that write small letters
    ("a.json", json.dumps({"tags": [{"key": "user.ssn", "type": "string", "value": SSN}]}), "US_SSN"),
    ("a.json", json.dumps({"tags": [{"key": "phone", "vType": "STRING", "vStr": PHONE}]}), "PHONE_NUMBER"),
    ("a.json", json.dumps([{"key": "ssn", "value": {"string_value": SSN}}]), "US_SSN"),
    # HAR
    ("a.har", har(headers=named("X-Api-Key", TOKEN)), "API_KEY"),
    ("a.har", har(headers=named("Authorization", f"Bearer {TOKEN}")), "API_KEY"),
    ("a.har", har(cookies=named("auth_token", TOKEN)), "API_KEY"),
    ("a.har", har(queryString=named("phone", PHONE)), "PHONE_NUMBER"),
    ("a.har", har(postData={"params": named("new_password", SECRET)}), "PASSWORD"),
    ("a.har", har(postData={"text": f"user=7&ssn={SSN}"}), "US_SSN"),
    ("a.har", har(postData={"text": json.dumps({"fields": named("customerName", PERSON)})}), "PERSON"),
    # LangSmith
    ("a.json", run(inputs={"form": named("password", SECRET)}), "PASSWORD"),
    ("a.json", run(outputs={"fields": [{"label": "Date of birth", "value": BORN}]}), "DATE_OF_BIRTH"),
    ("a.json", run(extra={"metadata": {"customer_phone": PHONE}}), "PHONE_NUMBER"),
    ("a.json", run(tags=[f"ssn:{SSN}"]), "US_SSN"),
    ("a.json", run(inputs={"args": json.dumps({"field": "taxId", "value": TAX})}), "NATIONAL_ID"),
    # Lists of names and values of other tools
    ("a.json", json.dumps(named("password", SECRET)), "PASSWORD"),
    ("a.json", json.dumps({"value": SSN, "name": "ssn"}), "US_SSN"),
    ("a.json", json.dumps([{"Key": "Phone", "Value": PHONE}]), "PHONE_NUMBER"),
    ("a.json", json.dumps([{"ParameterKey": "DbPassword", "ParameterValue": SECRET}]), "PASSWORD"),
    ("a.json", json.dumps([{"fieldName": "ssn", "fieldValue": SSN}]), "US_SSN"),
    ("a.json", json.dumps([{"k": "passport", "v": PASSPORT}]), "PASSPORT"),
    (
        "a.json",
        json.dumps([{"id": "f_17", "name": "f_17", "label": "Phone", "value": PHONE}]),
        "PHONE_NUMBER",
    ),
    ("a.json", json.dumps([{"field": "ssn", "old": None, "new": SSN}]), "US_SSN"),
    ("a.json", json.dumps({"headers": [["accept", "*/*"], ["x-api-key", TOKEN]]}), "API_KEY"),
    ("a.json", json.dumps({"telecom": [{"system": "phone", "use": "home", "value": PHONE}]}), "PHONE_NUMBER"),
    ("a.json", json.dumps({"phoneNumbers": [{"type": "work", "value": PHONE}]}), "PHONE_NUMBER"),
    ("a.json", json.dumps({"Item": {"ssn": {"S": SSN}}}), "US_SSN"),
    ("a.json", json.dumps({"fields": {"ssn": {"integerValue": SSN}}}), "US_SSN"),
    ("a.json", json.dumps({"ssn": {"$numberLong": SSN}}), "US_SSN"),
    ("a.json", json.dumps([{"feld": "Telefon", "wert": PHONE}]), "PHONE_NUMBER"),
    ("a.json", json.dumps([{"nombre": "contraseña", "valor": SECRET}]), "PASSWORD"),
    # Results of SQL
    ("a.json", json.dumps({"columns": ["id", "ssn"], "rows": [[1, "none"], [2, SSN]]}), "US_SSN"),
    ("a.json", json.dumps({"columns": ["id", "phone"], "index": [0], "data": [[1, PHONE]]}), "PHONE_NUMBER"),
    ("a.json", json.dumps({"fields": [{"name": "id"}, {"name": "ssn"}], "rows": [[1, SSN]]}), "US_SSN"),
    ("a.json", json.dumps({"keys": ["id", "ssn"], "values": [7, SSN]}), "US_SSN"),
    # YAML, Kubernetes and environments
    ("a.yaml", f"env:\n- name: DB_PASSWORD\n  value: {SECRET}\n", "PASSWORD"),
    ("a.yml", f"env:\n- value: '{SSN}'\n  name: CUSTOMER_SSN\n", "US_SSN"),
    ("a.yaml", f"customer:\n  phones:\n    - {PHONE}\n", "PHONE_NUMBER"),
    ("a.yaml", f"password: >-\n  {SECRET}\n", "PASSWORD"),
    ("a.yaml", f"a: 1\n---\nparameters:\n- key: tax_id\n  value: {TAX}\n", "NATIONAL_ID"),
    ("a.yaml", f"x: &n {{name: ssn, value: '{SSN}'}}\ny: *n\n", "US_SSN"),
    ("a.yaml", f"calls:\n- body: '{json.dumps(named('ssn', SSN))}'\n", "US_SSN"),
    ("a.yaml", f"# call Maja, ssn {SSN}\na: 1\n", "US_SSN"),
    (".env", f"export DB_PASSWORD='{SECRET}'\n", "PASSWORD"),
    (".env", f"CUSTOMER_SSN={SSN}\n", "US_SSN"),
    # Texts that are no JSON or YAML
    ("a.log", f"sent {named('password', SECRET)}\n", "PASSWORD"),
    ("a.log", f'INFO attributes=[{{"key": "ssn", "value": {{"stringValue": "{SSN}"}}}}]\n', "US_SSN"),
    ("a.xml", f'<add key="customer.ssn" value="{SSN}"/>\n', "US_SSN"),
    ("a.html", f'<input type="text" name="phone" value="{PHONE}">\n', "PHONE_NUMBER"),
]


@pytest.mark.parametrize(("name", "content", "kind"), PLANTED)
def test_a_value_is_found_by_the_name_that_is_paired_with_it(file, name, content, kind):
    assert [finding.kind for finding in scan([file(name, content)])] == [kind]


OTLP_CLEAN = otlp(
    attribute("gen_ai.operation.name", "chat"),
    attribute("gen_ai.request.model", "gpt-4o-mini-2024-07-18"),
    attribute("gen_ai.usage.input_tokens", "1024", "intValue"),
    attribute("gen_ai.response.id", "chatcmpl-9bT4kQ2mXz7LrP1wVn8sYd0e"),
    attribute("llm.token_count.total", 4096, "intValue"),
    attribute("session.id", "0d4f1f3a-4f0e-4b7c-9f62-6f0a3b2f7c11"),
    attribute("service.version", "1.27.0"),
    attribute("telemetry.sdk.name", "opentelemetry"),
    attribute("telemetry.sdk.version", "1.27.0"),
    attribute("server.address", "api.shop.example"),
    attribute("server.port", "443", "intValue"),
    attribute("http.request.duration_ns", "30901827421", "intValue"),
    attribute("user_agent.original", "OpenAI/Python 1.54.0"),
    attribute("db.client.connection.pool.name", "Orders Pool"),
    attribute("gen_ai.tool.name", "order_status"),
    attribute("gen_ai.agent.name", "Returns Assistant"),
    attribute("output.value", "Boots may be sent back within 60 days."),
    attribute("thread.id", "140704312345600", "intValue"),
    attribute("thread.name", "MainThread"),
    startTimeUnixNano="1764531308000000000",
    endTimeUnixNano="1764531309000000000",
)
HAR_CLEAN = har(
    headers=[
        *named("Accept", "application/json"),
        *named("Content-Type", "application/json; charset=utf-8"),
        *named("Content-Length", "30901827"),
        *named("User-Agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36"),
        *named("ETag", 'W/"5e15153d-120f"'),
        *named("X-Request-Id", "0d4f1f3a-4f0e-4b7c-9f62-6f0a3b2f7c11"),
        *named("Authorization", "Bearer <redacted>"),
        *named("sec-ch-ua-mobile", "?0"),
    ],
    queryString=[*named("page_token", "2"), *named("q", "walking boots"), *named("order", "3090182742")],
    cookies=named("theme", "dark"),
)
RUN_CLEAN = run(
    inputs={"messages": [{"role": "user", "content": "Can I return boots?"}]},
    outputs={"generations": [[{"text": "Within 60 days of delivery.", "type": "ChatGeneration"}]]},
    extra={"metadata": {"ls_model_name": "gpt-4o-mini", "ls_temperature": 0.0, "thread_id": "t-4711"}},
    tags=["seq:step:2", "env:test", "version:1.27.0"],
    start_time="2026-01-05T10:00:00.000000",
    total_tokens=1024,
)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("otlp.json", OTLP_CLEAN),
        ("otlp.jsonl", f"{OTLP_CLEAN}\n{OTLP_CLEAN}\n"),
        ("lines.json", f"{OTLP_CLEAN}\n{OTLP_CLEAN}\n"),
        ("shop.har", HAR_CLEAN),
        ("run.json", RUN_CLEAN),
        ("parts.json", json.dumps([*named("part number", "4629183055771"), *named("sku", 7)])),
        ("tags.json", json.dumps([{"Key": "Name", "Value": "Orders Database"}])),
        ("schema.json", json.dumps({"name": "password", "type": "string", "value": "string"})),
        ("form.json", json.dumps([{"label": "Password", "value": ""}, {"label": "SSN", "value": None}])),
        ("rows.json", json.dumps({"columns": ["id", "product"], "rows": [[30901827, "Trail Boots"]]})),
        ("chat.json", json.dumps({"history": [["Can I call you?", "Order 3090182742 is on its way."]]})),
        ("qa.json", json.dumps([{"question": "Who is the customer?", "value": "The Shop"}])),
        ("pod.yaml", "env:\n- name: LOG_LEVEL\n  value: debug\n"),
        ("pod.yaml", "- name: DB_PASSWORD\n  valueFrom: {secretKeyRef: {name: db, key: password}}\n"),
        ("values.yaml", "image: {tag: 1.27.0}\nphone: &none null\nother: *none\n"),
        (".env", "LOG_LEVEL=debug\nAPI_KEY=${API_KEY}\nPASSWORD=changeme\n"),
        ("a.log", "name=order value=30901827 key: total, value: 1200\n"),
    ],
)  # fmt: skip
def test_an_ordinary_file_has_no_findings(file, name, content):
    assert scan([file(name, content)]) == []


def test_a_finding_says_the_name_and_the_span(file, capsys):
    found = scan([path := file("a.json", otlp(attribute("customer.ssn", SSN)))])

    assert [(finding.key, finding.span) for finding in found] == [("customer.ssn", f"chat {'b' * 16}")]
    assert main(["scan", str(path)]) == 1
    pointer = "/resourceSpans/0/scopeSpans/0/spans/0/attributes/0/value/stringValue"
    column = path.read_text(encoding="utf-8").index(f'"{SSN}"') + 1
    expected = (
        f"{path}:1:{column}:{pointer}: 0-9 <US_SSN 9 chars> of 'customer.ssn' in the span 'chat {'b' * 16}'"
    )
    assert capsys.readouterr().out.splitlines()[0] == expected


@pytest.mark.parametrize(
    ("content", "place"),
    [
        (run(outputs={"fields": named("ssn", SSN)}), ("/outputs/fields/0/value", "ssn", "chat 8f7c")),
        (json.dumps({"span_id": "s1", "name": "call", "ssn": SSN}), ("/ssn", "", "call s1")),
        (json.dumps({"span_id": "s1", "name": MAIL, "ssn": SSN}), ("/ssn", "", "<EMAIL_ADDRESS> s1")),
        (json.dumps(named(MAIL, "x")), ("/0/name", "", "")),
        (json.dumps([{"name": f"ssn {MAIL}", "value": SSN}])[1:-1], ("/value", "ssn <EMAIL_ADDRESS>", "")),
    ],
)  # fmt: skip
def test_names_and_spans_are_masked_as_they_may_leak(file, content, place):
    found = scan([file("a.json", content)])

    assert place in [(finding.pointer, finding.key, finding.span) for finding in found]
    assert MAIL not in repr(found)


def test_a_live_span_with_pairs_is_read_and_masked_like_a_file():
    form = {"headers": [["x-api-key", TOKEN]], "fields": [{"name": "password", "value": SECRET}]}
    span = Span(span_id="s", parent_id=None, name="submit", attributes={"form": json.dumps(form)})
    output = Output(text="", tool_calls=(ToolCall(name="submit", arguments=form),))
    (score,) = PiiLeak().measure_all([Sample(output=output, spans=(span,))])

    assert sorted(entry["kind"] for entry in score.evidence) == ["API_KEY"] * 2 + ["PASSWORD"] * 2
    sealed = seal_result(CaseResult(case="g.yaml::a", input_hash="", outputs=(output,), scores=(score,)))
    assert SECRET not in repr(sealed)
    assert TOKEN not in repr(sealed)


@pytest.mark.parametrize(
    "content",
    [
        "&a [*a, ssn]\n",
        "a: &a [x]\n" + "".join(f"b{at}: &b{at} [*a, *a]\n" for at in range(50)),
        "[" * 10_000,
        "- " * 5_000,
        "a: 'never closed\n",
        "? {a: 1}\n: b\n",
        "a: 1\na: 2\n!!binary x: !!python/object/apply:os.system [echo]\n",
    ],
)
def test_hostile_yaml_is_scanned_as_a_text(file, content):
    found = scan([file("a.yaml", f"{content}# to {MAIL}\n")])

    assert [finding.kind for finding in found] == ["EMAIL_ADDRESS"]


def test_each_finding_of_yaml_is_reported_once(file):
    text = f"# {MAIL}\na: {MAIL}\nb: [{MAIL}, 'and {MAIL} and {MAIL}']\nssn: '{SSN}'\nc: >\n  {MAIL}\n"

    found = scan([file("a.yaml", text)])

    kinds = ["EMAIL_ADDRESS"] * 6 + ["US_SSN"]
    assert sorted(finding.kind for finding in found) == kinds
    assert sorted(finding.pointer for finding in found) == ["", "/a", "/b/0", "/b/1", "/b/1", "/c", "/ssn"]
