"""Bad golden files, and every word that is said of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_llmops.errors import GoldenError, Problem
from pytest_llmops.golden import load_golden
from pytest_llmops.registry import known_metrics

KNOWN = ", ".join(sorted(name.replace("@k", "@5") for name in known_metrics()))

# What follows `shop.yaml:` in each line of the message; KNOWN stands for the metrics' names.
MISTAKES = [
    pytest.param(
        ".yaml",
        "",
        ["1: the file has no cases; the smallest is cases: [{id: hello, input: Hi there}]"],
        id="yaml: empty",
    ),
    pytest.param(
        ".yaml",
        "# nothing yet\n",
        ["1: the file has no cases; the smallest is cases: [{id: hello, input: Hi there}]"],
        id="yaml: only a comment",
    ),
    pytest.param(
        ".yaml",
        "- id: a\n  input: hi\n",
        ["1: the file is a list; put the cases under a key: cases: [...]"],
        id="yaml: a list at the top",
    ),
    pytest.param(
        ".yaml",
        "version: 1\ncases: []\n",
        ["2: the file has no cases; the smallest is cases: [{id: hello, input: Hi there}]"],
        id="yaml: no cases in the list",
    ),
    pytest.param(
        ".yaml",
        "version: 1\n",
        ["1: the file has no cases; the smallest is cases: [{id: hello, input: Hi there}]"],
        id="yaml: no cases key",
    ),
    pytest.param(
        ".yaml", "hello\n", ["1: the file must be a mapping, not the text 'hello'"], id="yaml: a text"
    ),
    pytest.param(".yaml", "cases:\n", ["1: cases is empty; it must be a list"], id="yaml: cases left empty"),
    pytest.param(
        ".yaml",
        "cases: {a: 1}\n",
        ["1: cases must be a list, not the mapping {'a': 1}"],
        id="yaml: cases as a mapping",
    ),
    pytest.param(
        ".yaml",
        "cases:\n  - id: a\n    inptu: hi\n",
        [
            "2: a: input is missing; every case needs one",
            "3: a: unknown key 'inptu'. Did you mean 'input'? Known keys: id, input, reference, relevant, tags, repeats, checks.",
        ],
        id="yaml: misspelt key of a case",
    ),
    pytest.param(
        ".yaml",
        "verison: 1\ncases: [{id: a, input: hi}]\n",
        [
            "1: unknown key 'verison'. Did you mean 'version'? Known keys: version, app, encoder, prompts, checks, suite, cases."
        ],
        id="yaml: misspelt key of the file",
    ),
    pytest.param(
        ".yaml",
        "cases: [{id: a, input: hi}]\nzzz: 1\n",
        ["2: unknown key 'zzz'. Known keys: version, app, encoder, prompts, checks, suite, cases."],
        id="yaml: key beside no other",
    ),
    pytest.param(
        ".yaml",
        "version: 2\ncases: [{id: a, input: hi}]\n",
        ["1: version must be 1, the one that this release reads, not the number 2"],
        id="yaml: another version",
    ),
    pytest.param(
        ".yaml",
        'version: "1"\ncases: [{id: a, input: hi}]\n',
        ["1: version must be 1, the one that this release reads, not the text '1'"],
        id="yaml: version in quotes",
    ),
    pytest.param(
        ".yaml",
        "app: shop\ncases: [{id: a, input: hi}]\n",
        ["1: app must be module:attribute, such as shop.bot:answer, not 'shop'"],
        id="yaml: app without attribute",
    ),
    pytest.param(
        ".yaml",
        "app: 'shop:bot answer'\ncases: [{id: a, input: hi}]\n",
        ["1: app must be module:attribute, such as shop.bot:answer, not 'shop:bot answer'"],
        id="yaml: app with a space",
    ),
    pytest.param(
        ".yaml",
        "judge: {model: m}\ncases: [{id: a, input: hi, repeats: auto, checks: {judge: {rubric: r, min: 4}}}]\n",
        [
            "1: a judge is not available in this version",
            "2: a: repeats: auto is not available in this version; write a whole number",
            "2: a: no metric is named 'judge'. Known metrics: KNOWN.",
        ],
        id="yaml: judge",
    ),
    pytest.param(
        ".yaml",
        "prompts:\n  - prompts/anwser.md\n  - ../other.md\n  - /etc/hosts\n  - 3\n  - prompts\ncases: [{id: a, input: hi}]\n",
        [
            "2: 'prompts/anwser.md': no such file or folder. Did you mean 'answer.md'?",
            "3: '../other.md' must lie in the project and start at its root",
            "4: '/etc/hosts' must lie in the project and start at its root",
            '5: item 4 of prompts must be text, not the number 3; write it in quotes: "3"',
        ],
        id="yaml: prompts",
    ),
    pytest.param(
        ".yaml",
        "cases:\n  - input: hi\n  - id: 2024\n    input: yes\n    reference: 3.5\n  - id: b\n    input: 5\n    tags: policy\n    relevant: [1, '']\n",
        [
            "2: case 1: id is missing; every case needs one",
            '3: case 2: id must be text, not the number 2024; write it in quotes: "2024"',
            "4: case 2: yes means true in YAML; write true, or write it in quotes if it is text",
            '5: case 2: reference must be text, not the number 3.5; write it in quotes: "3.5"',
            '7: b: input must be text, a mapping or a list, not the number 5; write it in quotes: "5"',
            "8: b: tags must be a list, not the text 'policy'; write it in brackets: ['policy']",
            '9: b: item 1 of relevant must be text, not the number 1; write it in quotes: "1"',
            "9: b: item 2 of relevant is empty",
        ],
        id="yaml: not text",
    ),
    pytest.param(
        ".yaml",
        "cases:\n  - id:\n    input: ~\n    reference:\n    checks:\n",
        [
            "2: case 1: id is empty; it must be text",
            "3: case 1: input is empty; it must be text, a mapping or a list",
            "4: case 1: reference is empty; it must be text",
            "5: case 1: checks is empty; it must be a mapping",
        ],
        id="yaml: left empty",
    ),
    pytest.param(
        ".yaml",
        "cases:\n- {id: a, input: x, repeats: 0}\n- {id: b, input: x, repeats: 1.5}\n- {id: c, input: x, repeats: '2'}\n- {id: d, input: x, repeats: true}\n",
        [
            "2: a: repeats must be 1 or more, not the number 0",
            "3: b: repeats must be a whole number, not the number 1.5",
            "4: c: repeats must be a whole number, not the text '2'",
            "5: d: repeats must be a whole number, not true",
        ],
        id="yaml: repeats",
    ),
    pytest.param(
        ".yaml",
        "cases: [{id: a, input: x, tags: [t, u, t], relevant: [p, p]}]\n",
        ["1: a: relevant holds 'p' twice", "1: a: tags holds 't' twice"],
        id="yaml: twice in a list",
    ),
    pytest.param(
        ".yaml",
        "cases: [{id: a, input: x, tags: [two words, 'a:b', 'f(x)', \"\\a\"]}]\n",
        [
            "1: a: item 1 of tags holds a space, a colon or a parenthesis: 'two words'",
            "1: a: item 2 of tags holds a space, a colon or a parenthesis: 'a:b'",
            "1: a: item 3 of tags holds a space, a colon or a parenthesis: 'f(x)'",
            "1: a: item 4 of tags holds a space, a colon or a parenthesis: '\\x07'",
        ],
        id="yaml: tag that is no word",
    ),
    pytest.param(
        ".yaml",
        "cases:\n- hi\n- [a]\n- 7\n-\n",
        [
            "2: case 1: a case must be a mapping, not the text 'hi'",
            "3: case 2: a case must be a mapping, not the list ['a']",
            "4: case 3: a case must be a mapping, not the number 7",
            "5: case 4: a case is empty; it must be a mapping",
        ],
        id="yaml: case that is no mapping",
    ),
    pytest.param(
        ".yaml",
        "checks: [exact_match]\nsuite: recall\ncases: [{id: a, input: x, checks: true}]\n",
        [
            "1: checks must be a mapping, not the list ['exact_match']",
            "2: suite must be a mapping, not the text 'recall'",
            "3: a: checks must be a mapping, not true",
        ],
        id="yaml: checks as a list",
    ),
    pytest.param(
        ".yaml",
        "cases:\n  - id: a\n    input: hi\n    input: ho\ncases: []\n",
        [
            "4: a: the key 'input' is written twice; first on line 3",
            "5: the key 'cases' is written twice; first on line 1",
        ],
        id="yaml: same key twice",
    ),
    pytest.param(
        ".yaml",
        "cases:\n  - id: a\n    input: hi\n  - id: b\n    input: hi\n  - id: a\n    input: hi\n",
        ["6: a: the id 'a' is used twice; first on line 2"],
        id="yaml: same id twice",
    ),
    pytest.param(
        ".yaml",
        "cases:\n- {id: 'a/b', input: x}\n- {id: 'a::b', input: x}\n- {id: 'suite[x]', input: x}\n- {id: ' a', input: x}\n- {id: \"a\\a\", input: x}\n- {id: '', input: x}\n- {id: 'a\\b', input: x}\n",
        [
            "2: case 1: the id 'a/b' holds /; letters, digits, spaces and signs may stand in it, but no :: / \\ [ ]",
            "3: case 2: the id 'a::b' holds ::; letters, digits, spaces and signs may stand in it, but no :: / \\ [ ]",
            "4: case 3: the id 'suite[x]' holds [; letters, digits, spaces and signs may stand in it, but no :: / \\ [ ]",
            "5: case 4: the id ' a' starts or ends with a space",
            "6: case 5: the id 'a\\x07' holds an invisible character",
            "7: case 6: id is empty",
            "8: case 7: the id 'a\\\\b' holds \\; letters, digits, spaces and signs may stand in it, but no :: / \\ [ ]",
        ],
        id="yaml: ids that no item can have",
    ),
    pytest.param(
        ".yaml",
        "cases: [{id: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy, input: x}]\n",
        [
            "1: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy: id has 101 characters; at most 100 fit"
        ],
        id="yaml: id too long",
    ),
    pytest.param(
        ".yaml",
        "cases:\n  - id: a\n    input:\n      country: no\n      at: 12:30\n      zip: 01234\n      day: 2024-01-01\n      n: 1e3\n      hex: 0x1F\n      octal: 0o17\n      x: .inf\n      y: 1_000\n      fine: [12, -3.5, .5, 1., +1, 1.0e+3, 1.2.3, '1e3', v1]\n",
        [
            "4: a: no means false in YAML; write false, or write it in quotes if it is text",
            "5: a: '12:30' is a number to some YAML readers; write it as a plain decimal number, or in quotes if it is text",
            "6: a: '01234' is a number to some YAML readers; write it as a plain decimal number, or in quotes if it is text",
            "7: a: '2024-01-01' is a date in YAML; write it in quotes",
            "8: a: '1e3' is a number to some YAML readers; write it as a plain decimal number, or in quotes if it is text",
            "9: a: '0x1F' is a number to some YAML readers; write it as a plain decimal number, or in quotes if it is text",
            "10: a: '0o17' is a number to some YAML readers; write it as a plain decimal number, or in quotes if it is text",
            "11: a: '.inf' is a number to some YAML readers; write it as a plain decimal number, or in quotes if it is text",
            "12: a: '1_000' is a number to some YAML readers; write it as a plain decimal number, or in quotes if it is text",
        ],
        id="yaml: what YAML 1.1 and 1.2 read differently",
    ),
    pytest.param(
        ".yaml",
        "cases: [{id: a, input: {1: x, true: y, ~: z}}]\n",
        [
            "1: a: the key '1' is not text; write it in quotes",
            "1: a: the key 'true' is not text; write it in quotes",
            "1: a: the key '~' is not text; write it in quotes",
        ],
        id="yaml: keys that are no text",
    ),
    pytest.param(
        ".yaml",
        "cases: [{id: a, input: {on: x}}]\n",
        ["1: a: on means true in YAML; write true, or write it in quotes if it is text"],
        id="yaml: a key that YAML changes",
    ),
    pytest.param(
        ".yaml",
        "cases: [{id: a, input: [9999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999999]}]\n",
        [
            "1: a: '9999999999999999999999999999999999999999999999999999999999… is too large a number; text goes in quotes"
        ],
        id="yaml: a number too large",
    ),
    pytest.param(
        ".yaml",
        "cases:\n  - id: !!python/object/apply:os.system ['ls']\n    input: !secret hi\n    reference: !!str 3\n",
        [
            "2: case 1: the tag '!!python/object/apply:os.system' is not allowed; a golden file holds plain values",
            "2: case 1: id must be text, not the list ['ls']",
            "3: case 1: the tag '!secret' is not allowed; a golden file holds plain values",
        ],
        id="yaml: tags of YAML",
    ),
    pytest.param(
        ".yaml",
        "cases:\n- &a {id: a, input: hi}\n- <<: *a\n  id: b\n  input: x\n",
        ["3: b: merge keys (<<) are not read here; write the keys out"],
        id="yaml: a merge key",
    ),
    pytest.param(
        ".yaml",
        "cases: []\n? [a]\n: b\n",
        ["2: a key must be text, not a list or a mapping"],
        id="yaml: a mapping as key",
    ),
    pytest.param(
        ".yaml",
        "cases: [{id: a, input: hi}]\n---\ncases: []\n",
        ["2: a second document starts here; a golden file holds one"],
        id="yaml: second document",
    ),
    pytest.param(
        ".yaml",
        "cases:\n- id: a\n  input: *b\n",
        ["3: case 1: '*b' repeats what no anchor above names; text that starts with * goes in quotes"],
        id="yaml: an anchor that is missing",
    ),
    pytest.param(
        ".yaml",
        "cases:\n- id: a\n  input: *what*\n",
        [
            "3: not valid YAML: did not find expected alphabetic or numeric character; text that starts with * or & goes in quotes"
        ],
        id="yaml: text that starts with a star",
    ),
    pytest.param(
        ".yaml",
        "cases:\n- &a [*a]\n",
        ["2: case 1: '*a' stands inside the value that it repeats"],
        id="yaml: an alias of its own container",
    ),
    pytest.param(
        ".yaml",
        "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\na1: &a1 [*a0,*a0,*a0,*a0,*a0,*a0,*a0,*a0,*a0,*a0]\na2: &a2 [*a1,*a1,*a1,*a1,*a1,*a1,*a1,*a1,*a1,*a1]\na3: &a3 [*a2,*a2,*a2,*a2,*a2,*a2,*a2,*a2,*a2,*a2]\na4: &a4 [*a3,*a3,*a3,*a3,*a3,*a3,*a3,*a3,*a3,*a3]\na5: &a5 [*a4,*a4,*a4,*a4,*a4,*a4,*a4,*a4,*a4,*a4]\na6: &a6 [*a5,*a5,*a5,*a5,*a5,*a5,*a5,*a5,*a5,*a5]\na7: &a7 [*a6,*a6,*a6,*a6,*a6,*a6,*a6,*a6,*a6,*a6]\na8: &a8 [*a7,*a7,*a7,*a7,*a7,*a7,*a7,*a7,*a7,*a7]\n",
        ["5: the aliases of this file unfold to more than 100,000 values"],
        id="yaml: an alias bomb",
    ),
    pytest.param(
        ".yaml",
        "cases:\n[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\n",
        [
            "3: not valid YAML: could not find expected ':'; look at the indentation and the quotes here and one line above"
        ],
        id="yaml: deep nesting",
    ),
    pytest.param(
        ".yaml",
        "a0: &a0 [x]\na1: &a1 [*a0]\na2: &a2 [*a1]\na3: &a3 [*a2]\na4: &a4 [*a3]\na5: &a5 [*a4]\na6: &a6 [*a5]\na7: &a7 [*a6]\na8: &a8 [*a7]\na9: &a9 [*a8]\na10: &a10 [*a9]\na11: &a11 [*a10]\na12: &a12 [*a11]\na13: &a13 [*a12]\na14: &a14 [*a13]\na15: &a15 [*a14]\na16: &a16 [*a15]\na17: &a17 [*a16]\na18: &a18 [*a17]\na19: &a19 [*a18]\na20: &a20 [*a19]\na21: &a21 [*a20]\na22: &a22 [*a21]\na23: &a23 [*a22]\na24: &a24 [*a23]\na25: &a25 [*a24]\na26: &a26 [*a25]\na27: &a27 [*a26]\na28: &a28 [*a27]\na29: &a29 [*a28]\na30: &a30 [*a29]\na31: &a31 [*a30]\na32: &a32 [*a31]\na33: &a33 [*a32]\na34: &a34 [*a33]\na35: &a35 [*a34]\na36: &a36 [*a35]\na37: &a37 [*a36]\na38: &a38 [*a37]\na39: &a39 [*a38]\na40: &a40 [*a39]\na41: &a41 [*a40]\na42: &a42 [*a41]\na43: &a43 [*a42]\na44: &a44 [*a43]\na45: &a45 [*a44]\na46: &a46 [*a45]\na47: &a47 [*a46]\na48: &a48 [*a47]\na49: &a49 [*a48]\na50: &a50 [*a49]\na51: &a51 [*a50]\na52: &a52 [*a51]\na53: &a53 [*a52]\na54: &a54 [*a53]\na55: &a55 [*a54]\na56: &a56 [*a55]\na57: &a57 [*a56]\na58: &a58 [*a57]\na59: &a59 [*a58]\n",
        ["50: nested more than 50 levels deep"],
        id="yaml: deep nesting by aliases",
    ),
    pytest.param(
        ".yaml",
        "cases:\n\t- id: a\n",
        ["2: a tab stands here; YAML is indented with spaces alone"],
        id="yaml: a tab",
    ),
    pytest.param(
        ".yaml",
        "cases:\n- id: a\n\tinput: x\n",
        ["3: a tab stands here; YAML is indented with spaces alone"],
        id="yaml: a tab further in",
    ),
    pytest.param(
        ".yaml",
        "cases:\n  - id: a\n    checks:\n      semantic: >= 0.8\n",
        ['4: a value that starts with > goes in quotes: ">= 0.8"'],
        id="yaml: unquoted >=",
    ),
    pytest.param(
        ".yaml",
        "cases:\n  - id: a\n    checks:\n      semantic: > 0.8\n",
        ['4: a value that starts with > goes in quotes: ">= 0.8"'],
        id="yaml: unquoted >",
    ),
    pytest.param(
        ".yaml",
        "cases:\n  - id: a\n    input: Is it: yes?\n",
        [
            "3: not valid YAML: mapping values are not allowed in this context; text that holds ': ' or starts with a sign such as @ % ` goes in quotes"
        ],
        id="yaml: colon in a text",
    ),
    pytest.param(
        ".yaml",
        "cases:\n  - id: a\n    input: @you\n",
        [
            "3: not valid YAML: found character that cannot start any token; text that holds ': ' or starts with a sign such as @ % ` goes in quotes"
        ],
        id="yaml: at sign",
    ),
    pytest.param(
        ".yaml",
        "cases:\n  - id: a\n    input: 'oh\n    reference: x\n",
        ["3: the quote that opens here is never closed"],
        id="yaml: quote never closed",
    ),
    pytest.param(
        ".yaml",
        "cases:\n  - id: a\n    input: [Urgent] help\n",
        [
            "3: not valid YAML: did not find expected key; look at the indentation and the quotes here and one line above"
        ],
        id="yaml: text after a bracket",
    ),
    pytest.param(
        ".yaml",
        "cases:\n  - id: a\n   input: hi\n",
        [
            "3: not valid YAML: did not find expected '-' indicator; look at the indentation and the quotes here and one line above"
        ],
        id="yaml: wrong indentation",
    ),
    pytest.param(
        ".yaml",
        'cases: [{id: a, input: "\\ud800"}]\n',
        ["1: not valid YAML: found invalid Unicode character escape code"],
        id="yaml: half a surrogate pair",
    ),
    pytest.param(
        ".yaml",
        b"cases:\n- id: a\n  input: \xff\n",
        ["3: not UTF-8 text, by the byte 0xff; save the file as UTF-8"],
        id="yaml: not UTF-8",
    ),
    pytest.param(
        ".yaml",
        b"\xff\xfec\x00a\x00s\x00e\x00s\x00:\x00 \x00[\x00]\x00",
        ["1: not UTF-8 text, by the byte 0xff; save the file as UTF-8"],
        id="yaml: UTF-16",
    ),
    pytest.param(
        ".yaml",
        "cases:\r\n- id: a\r\n  input: \x00\r\n",
        ["3: the control character U+0000 cannot stand in a file; write an escape"],
        id="yaml: NUL",
    ),
    pytest.param(
        ".yaml",
        'cases:\r- id: a\r\n  input: "\u2028 \x85 😀"\n  x: 1\n',
        ["4: a: unknown key 'x'. Known keys: id, input, reference, relevant, tags, repeats, checks."],
        id="yaml: lines as editors count them",
    ),
    pytest.param(
        ".yaml",
        "cases: [{id: a, input: hi, reference: r, relevant: [x], checks: {exact_mach: true}}]",
        ["1: a: no metric is named 'exact_mach'. Did you mean 'exact_match'? Known metrics: KNOWN."],
        id="yaml: unknown metric",
    ),
    pytest.param(
        ".yaml",
        "cases: [{id: a, input: hi, reference: r, relevant: [x], checks: {recall: true}}]",
        ["1: a: no metric is named 'recall'. Did you mean 'recall@5'? Known metrics: KNOWN."],
        id="yaml: no k",
    ),
    pytest.param(
        ".yaml",
        "cases: [{id: a, input: hi, reference: r, relevant: [x], checks: {recall@0: true}}]",
        ["1: a: no metric is named 'recall@0'. Did you mean 'recall@5'? Known metrics: KNOWN."],
        id="yaml: k of zero",
    ),
    pytest.param(
        ".yaml",
        "cases: [{id: a, input: hi, reference: r, relevant: [x], checks: {semantic: 0.8}}]",
        ['1: a: semantic: a number alone does not say which side is good; write ">= 0.8"'],
        id="yaml: number alone",
    ),
    pytest.param(
        ".yaml",
        "cases: [{id: a, input: hi, reference: r, relevant: [x], checks: {semantic: maybe}}]",
        ["1: a: semantic: cannot read 'maybe'; write a comparison such as \">= 0.8\", true, false or none"],
        id="yaml: not a comparison",
    ),
    pytest.param(
        ".yaml",
        "cases: [{id: a, input: hi, reference: r, relevant: [x], checks: {semantic: '>= 1.5'}}]",
        ['1: a: semantic: ">= 1.5" is out of range; it goes from -1 to 1'],
        id="yaml: out of range",
    ),
    pytest.param(
        ".yaml",
        "cases: [{id: a, input: hi, reference: r, relevant: [x], checks: {semantic: {mni: 0.5}}}]",
        ["1: a: semantic: does not know 'mni'. Did you mean 'min'?"],
        id="yaml: misspelt min",
    ),
    pytest.param(
        ".yaml",
        "cases: [{id: a, input: hi, reference: r, relevant: [x], checks: {exact_match: {zzz: 1}}}]",
        ["1: a: exact_match has no option 'zzz'. It takes: normalize."],
        id="yaml: unknown option",
    ),
    pytest.param(
        ".yaml",
        "cases: [{id: a, input: hi, reference: r, relevant: [x], checks: {keywords: {all: 60}}}]",
        ["1: a: keywords: all must be a list of words, not 60"],
        id="yaml: option of a wrong kind",
    ),
    pytest.param(
        ".yaml",
        "cases: [{id: a, input: hi, reference: r, relevant: [x], checks: {semantic: [a]}}]",
        ['1: a: semantic: takes no list; write a comparison such as ">= 0.8", or a mapping'],
        id="yaml: list for a metric without",
    ),
    pytest.param(
        ".yaml",
        "cases: [{id: a, input: hi, reference: r, relevant: [x], checks: {semantic: }}]",
        ['1: a: semantic: is empty; write a comparison such as ">= 0.8", or the word none'],
        id="yaml: check left empty",
    ),
    pytest.param(
        ".yaml",
        'cases: [{id: a, input: hi, reference: r, relevant: [x], checks: {"\\e[31mred": true}}]',
        ["1: a: no metric is named '\\x1b[31mred'. Known metrics: KNOWN."],
        id="yaml: hostile metric name",
    ),
    pytest.param(
        ".yaml",
        'cases: [{id: a, input: hi, reference: r, relevant: [x], checks: {"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx": true}}]',
        ["1: a: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…: no metric has so long a name"],
        id="yaml: long metric name",
    ),
    pytest.param(
        ".yaml",
        'cases: [{id: a, input: hi, reference: r, relevant: [x], checks: {semantic: "\\e[31m"}}]',
        [
            "1: a: semantic: cannot read '\\x1b[31m'; write a comparison such as \">= 0.8\", true, false or none"
        ],
        id="yaml: hostile comparison",
    ),
    pytest.param(
        ".yaml",
        "cases:\n- id: a\n  input: hi\n  checks:\n    exact_match: true\n    recall@3: true\n",
        [
            "5: a: exact_match needs a reference, and the case has none; add reference: with the answer you expect",
            "6: a: recall@3 needs relevant passages, and the case has none; add relevant: with the ids of the passages that hold the answer",
        ],
        id="yaml: needs of a case's own checks",
    ),
    pytest.param(
        ".yaml",
        "checks: {exact_match: true}\ncases:\n- {id: a, input: hi}\n- {id: b, input: ho, reference: x}\n- {id: c, input: hi}\n",
        [
            "3: a: exact_match, a check of every case, needs a reference, and the case has none; add reference: with the answer you expect",
            "5: c: exact_match, a check of every case, needs a reference, and the case has none; add reference: with the answer you expect",
        ],
        id="yaml: needs of a check of every case",
    ),
    pytest.param(
        ".yaml",
        "checks: {exact_match: true}\ncases:\n- {id: c0, input: hi}\n- {id: c1, input: hi}\n- {id: c2, input: hi}\n- {id: c3, input: hi}\n- {id: c4, input: hi}\n- {id: c5, input: hi}\n- {id: c6, input: hi}\n- {id: c7, input: hi}\n- {id: c8, input: hi}\n- {id: c9, input: hi}\n- {id: c10, input: hi}\n- {id: c11, input: hi}\n- {id: c12, input: hi}\n- {id: c13, input: hi}\n- {id: c14, input: hi}\n- {id: c15, input: hi}\n- {id: c16, input: hi}\n",
        [
            "1: exact_match needs a reference, and c0, c1, c2, c3, c4 and 12 more have none; add reference: with the answer you expect"
        ],
        id="yaml: needs of a check of very many cases",
    ),
    pytest.param(
        ".yaml",
        "checks: {exact_match: true}\ncases:\n- id: a\n  input: hi\n  checks: {exact_match: {normalise: true}}\n",
        ["5: a: exact_match has no option 'normalise'. Did you mean 'normalize'? It takes: normalize."],
        id="yaml: a need that a case's own check takes over",
    ),
    pytest.param(
        ".yaml",
        "suite:\n  recall@5: {mean: '>= 0.9'}\n  exact_match: {mean: '>= 0.9'}\ncases: [{id: a, input: hi, reference: x}]\n",
        ["2: recall@5 needs relevant passages, and no case has any"],
        id="yaml: needs of the suite",
    ),
    pytest.param(
        ".yaml",
        "suite:\n  recall@5: '>= 0.9'\n  latency_s: {p95: 2}\n  latncy_s: {p95: '<= 2'}\n  tokens: {maen: '<= 2'}\n  rouge_l: {p0: '<= 2'}\n  bleu: {}\n  exact_match: {max_drop: 5}\n  semantic: {max_drop: 5%}\n  precision@2: {p50: '>= 1', p95: '>= 1', max_drop: 0}\n  cost_usd: {sum: '< 0', encoder: x}\n  keywords: {mean: '>= 1'}\ncases: [{id: a, input: hi, reference: x, relevant: [y]}]\n",
        [
            "2: recall@5: must be a mapping of statistics, not the text '>= 0.9'; write {mean: \">= 0.9\"}",
            '3: latency_s: p95: a number alone does not say which side is good; write "<= 2"',
            "4: no metric is named 'latncy_s'. Did you mean 'latency_s'? Known metrics: KNOWN.",
            "5: tokens: does not know 'maen'. Did you mean 'mean'?",
            "6: rouge_l: does not know 'p0'. Did you mean 'p90'?",
            "7: bleu: names no statistic; write mean, sum, min, max, p1 to p99, or max_drop",
            "8: exact_match: max_drop 5 is more than it can drop, from 1 to 0",
            "9: semantic: max_drop must be a number such as 0.05, not the text '5%'",
            "10: precision@2: max_drop beside several statistics is about the mean; write a mean too",
            "11: cost_usd has no option 'encoder'. It takes none.",
            '12: keywords needs at least one of all, any or none, for example {all: ["60 days"]}',
        ],
        id="yaml: suite",
    ),
    pytest.param(
        ".yaml",
        "suite: {exact_match: {sum: '>= 3', max_drop: -1}, rouge_l: {sum: '>= 3'}}\ncases: [{id: a, input: x, reference: y}, {id: b, input: x}]\n",
        [
            "1: exact_match: max_drop must be 0 or more, not -1",
            '1: rouge_l: sum: ">= 3" is out of range; it goes from 0 to 2',
        ],
        id="yaml: sum out of range",
    ),
    pytest.param(
        ".json",
        "",
        ["1: the file has no cases; the smallest is cases: [{id: hello, input: Hi there}]"],
        id="json: empty",
    ),
    pytest.param(
        ".json",
        "[]",
        ["1: the file is a list; put the cases under a key: cases: [...]"],
        id="json: a list at the top",
    ),
    pytest.param(
        ".json",
        '{"cases": [{"id": "a",\n"input": "hi",}]}',
        ["2: case 1: not valid JSON: a key in \"double quotes\" should stand here, not '}'"],
        id="json: trailing comma",
    ),
    pytest.param(
        ".json",
        "{'cases': []}",
        ['1: not valid JSON: a key in "double quotes" should stand here, not "\'cases\'"'],
        id="json: single quotes",
    ),
    pytest.param(
        ".json",
        '{"cases": [NaN]}',
        ["1: case 1: not valid JSON: a value should stand here, not 'NaN'"],
        id="json: NaN",
    ),
    pytest.param(
        ".json",
        '{"cases": [{"id": "a", "input": "hi"}]}\nx',
        ["2: not valid JSON: nothing may follow the value, but 'x' does"],
        id="json: text after the end",
    ),
    pytest.param(
        ".json",
        '{"cases": [{"id": "a", "input": "h',
        ["1: case 1: not valid JSON: unterminated string"],
        id="json: string never closed",
    ),
    pytest.param(
        ".json",
        '{"cases": [{"id": "a", "input": "h\n"}]}',
        ["1: case 1: not valid JSON: invalid control character"],
        id="json: line end in a string",
    ),
    pytest.param(
        ".json",
        '{"cases" [1]}',
        ["1: not valid JSON: a : should stand after the key 'cases', not '['"],
        id="json: no colon",
    ),
    pytest.param(
        ".json",
        '{"cases": [1 2]}',
        ["1: not valid JSON: a , or ] should stand after an item, not '2'"],
        id="json: no comma",
    ),
    pytest.param(
        ".json",
        '{\n"cases": ',
        ["2: not valid JSON: a value should stand here, not the end of the text"],
        id="json: cut off",
    ),
    pytest.param(
        ".json",
        '{"cases": [{"id": "\\x"}]}',
        ["1: case 1: not valid JSON: invalid \\escape"],
        id="json: bad escape",
    ),
    pytest.param(
        ".json",
        '{"cases": [{"id": "a", "input": "\\ud800"}]}',
        ["1: a: the text holds half of a surrogate pair"],
        id="json: half a surrogate pair",
    ),
    pytest.param(
        ".json",
        '{"cases": [{"id": "a", "input": [1e999]}]}',
        ["1: a: '1e999' is too large a number"],
        id="json: a number too large",
    ),
    pytest.param(
        ".json",
        "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
        ["1: not valid JSON: nested more than 50 levels deep"],
        id="json: deep nesting",
    ),
    pytest.param(
        ".json",
        '{"cases": [\n{"id": "a",\n"input": "hi",\n"id": "b"}]}',
        ["4: a: the key 'id' is written twice; first on line 2"],
        id="json: same key twice",
    ),
    pytest.param(
        ".json",
        '{\n"app": "a:b",\n"cases": [\n{\n"id": "a",\n"inptu": "x"\n},\n{"id": 5, "input": "x"}]}',
        [
            "4: a: input is missing; every case needs one",
            "6: a: unknown key 'inptu'. Did you mean 'input'? Known keys: id, input, reference, relevant, tags, repeats, checks.",
            '8: case 2: id must be text, not the number 5; write it in quotes: "5"',
        ],
        id="json: lines of a value",
    ),
    pytest.param(
        ".jsonl",
        "\n \n",
        ["1: the file has no cases; the smallest is cases: [{id: hello, input: Hi there}]"],
        id="jsonl: empty",
    ),
    pytest.param(
        ".jsonl",
        '\n\n{"id": "a", "input": "hi"}\n\n{"id": "b", "input": oops}\n{"id": "a", "inptu": "x"}\n[]\n{"id": "c", "input": "x"} {}\n',
        [
            "5: not valid JSON: a value should stand here, not 'oops'",
            "6: a: unknown key 'inptu'. Did you mean 'input'? Known keys: id, input, reference, relevant, tags, repeats, checks.",
            "6: a: input is missing; every case needs one",
            "6: a: the id 'a' is used twice; first on line 3",
            "7: case 3: a case must be a mapping, not the list []",
            "8: not valid JSON: nothing may follow the value, but '{' does",
        ],
        id="jsonl: each line by itself",
    ),
    pytest.param(
        ".jsonl",
        '{"id": "a", "input": "\u2028\x85"}\r\n{"id": "b"}',
        ["2: b: input is missing; every case needs one"],
        id="jsonl: line separators within a text",
    ),
    pytest.param(
        ".jsonl",
        '{"cases": [{"id": "a", "input": "hi"}]}',
        [
            "1: case 1: unknown key 'cases'. Known keys: id, input, reference, relevant, tags, repeats, checks.",
            "1: case 1: id is missing; every case needs one",
            "1: case 1: input is missing; every case needs one",
        ],
        id="jsonl: what a whole file holds",
    ),
]


@pytest.mark.parametrize(("suffix", "text", "expected"), MISTAKES)
def test_mistakes_are_told(tmp_path: Path, suffix: str, text: str | bytes, expected: list[str]) -> None:
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts" / "answer.md").touch()
    path = tmp_path / f"shop{suffix}"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())

    with pytest.raises(GoldenError) as caught:
        load_golden(path, root=tmp_path)

    said = str(caught.value).replace(KNOWN, "KNOWN").splitlines()
    assert said == [f"shop{suffix}:{line}" for line in expected]
    assert all(line.isprintable() for line in said)


def test_problems_are_records_in_the_order_of_lines(tmp_path: Path) -> None:
    path = tmp_path / "shop.yaml"
    path.write_text("checks: {nope: true}\ncases:\n- id: a\n- id: a\n  input: x\nzzz: 1\n", encoding="utf-8")

    with pytest.raises(GoldenError) as caught:
        load_golden(path, root=tmp_path)

    problems = caught.value.problems
    assert [(problem.line, problem.case) for problem in problems] == [
        (1, None),
        (3, "a"),
        (4, "a"),
        (6, None),
    ]
    assert problems[1] == Problem(
        path="shop.yaml", line=3, case="a", message="input is missing; every case needs one"
    )


def test_very_many_problems_are_kept_and_the_first_are_shown(tmp_path: Path) -> None:
    path = tmp_path / "shop.jsonl"
    path.write_text('{"question": "x", "id": 1, "input": "y"}\n' * 1000, encoding="utf-8")

    with pytest.raises(GoldenError) as caught:
        load_golden(path, root=tmp_path)

    lines = str(caught.value).splitlines()
    assert len(caught.value.problems) == 2000
    assert len(lines) == 201
    assert lines[-1] == "and 1,800 more problems"
