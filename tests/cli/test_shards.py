"""A golden run that is split over machines and merged says what one run on one machine says."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from pytest_llmops import load_run, merge
from pytest_llmops.errors import MergeError
from tests.command import main
from tests.openai_server import OpenAIServer

APP = """
from pathlib import Path

BAD = Path("bad.txt").read_text().split()

def answer(question):
    if question in BAD:
        return "bad"
    if question == "raises":
        raise RuntimeError("broken")
    return f"good answer to {question}"
"""
CASES = 12
SUITE = "suite: {keywords: {mean: '>= 0.7', max_drop: 0.03}}\n"


def write_golden(more: str = "", *, suite: str = SUITE, checks: str = "{keywords: {all: [good]}}") -> None:
    lines = "".join(f"  - {{id: c{n}, input: q{n}, checks: {checks}}}\n" for n in range(CASES))
    Path("golden/shop.yaml").write_text(f"app: shard_app:answer\n{suite}cases:\n{lines}{more}")


def write_app(*bad: str, app: str = APP) -> None:
    Path("shard_app.py").write_text(app)
    Path("bad.txt").write_text(" ".join(bad))
    sys.modules.pop("shard_app", None)


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "golden").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    write_golden()
    write_app()
    return tmp_path


def run(*arguments: str) -> int:
    sys.modules.pop("shard_app", None)
    return main(["run", *arguments])


def run_shards(count: int = 3, *arguments: str) -> list[str]:
    """Run all shards, and return their files."""
    files = [f"shard-{number}.json" for number in range(1, count + 1)]
    for number, file in enumerate(files, 1):
        run("--shard", f"{number}/{count}", "--out", file, *arguments)
    return files


def read_verdict(capsys, *arguments: str) -> tuple[int, list[str]]:
    """Return the exit code of a command, and its lines without the next steps, which name its file."""
    capsys.readouterr()
    code = run(*arguments[1:]) if arguments[0] == "run" else main(list(arguments))
    lines = capsys.readouterr().out.partition("next:")[0].splitlines()
    return code, [line for line in lines if not line.startswith("resumed")]


def accept_three_repeats() -> None:
    assert run("--repeats", "3", "--out", "base.json") == 0
    assert main(["accept", "base.json"]) == 0


def fails(_: Path) -> None:
    write_app("q1", "q2")


def regresses(_: Path) -> None:
    accept_three_repeats()
    write_app("q3", "q7")


def misses_the_mean(_: Path) -> None:
    write_golden(suite=SUITE.replace("0.7", "0.9"), checks="{keywords: {all: [good], record_only: true}}")
    write_app("q1", "q2")


def drops_in_some(_: Path) -> None:
    """No case misses its bound, and the mean of all drops by more than that of some shards."""
    suite = "suite: {rouge_l: {mean: '>= 0.1', max_drop: 0.06}}\n"
    lines = "".join(
        f"  - {{id: c{n}, input: q{n}, reference: good answer to q{n}, checks: {{rouge_l: '>= 0.1'}}}}\n"
        for n in range(CASES)
    )
    Path("golden/shop.yaml").write_text(f"app: shard_app:answer\n{suite}cases:\n{lines}")
    accept_three_repeats()
    write_app("q1", "q2", "q5", app=APP.replace('"bad"', 'f"good {question}"'))


def breaks(_: Path) -> None:
    write_golden("  - {id: broken, input: raises, checks: {keywords: {all: [good]}}}\n")


def skips(_: Path) -> None:
    """A case is not run, and one is expected to fail."""
    write_golden(
        "  - {id: later, input: later, skip: not yet, checks: {keywords: {all: [good]}}}\n"
        "  - {id: known, input: q1, xfail: known bug, checks: {keywords: {all: [nothing]}}}\n"
    )


def lacks_a_case(_: Path) -> None:
    write_golden("  - {id: gone, input: gone, checks: {keywords: {all: [good]}}}\n")
    accept_three_repeats()
    write_golden()


@pytest.mark.parametrize(
    ("prepare", "code"),
    [
        (lambda _: None, 0),
        (fails, 1),
        (regresses, 1),
        (misses_the_mean, 1),
        (drops_in_some, 1),
        (breaks, 3),
        (skips, 0),
    ],
)
@pytest.mark.parametrize("count", [2, 5])
def test_shards_together_say_what_one_run_says(project, capsys, prepare, code, count):
    prepare(project)

    single = read_verdict(capsys, "run", "--out", "single.json")
    files = run_shards(count)
    shards = read_verdict(capsys, "judge", *files)
    assert main(["merge", *reversed(files), "-o", "merged.json"]) == 0
    merged = read_verdict(capsys, "judge", "merged.json")

    assert single[0] == code
    assert shards == single
    assert merged == single
    one, other = load_run("single.json"), load_run("merged.json")
    assert other.signature == one.signature
    assert other.suite == one.suite
    assert other.usage == one.usage
    assert [result.case for result in other.results] == [result.case for result in one.results]
    assert read_verdict(capsys, "judge", "single.json") == single


def test_what_is_undecided_has_an_exit_code_of_its_own(project, capsys):
    lacks_a_case(project)
    code, lines = read_verdict(capsys, "run")
    files = run_shards()

    assert code == 0
    assert read_verdict(capsys, "judge", *files) == (2, lines)
    assert main(["judge", *files, "--undecided", "pass"]) == 0
    assert main(["judge", *files, "--undecided", "fail"]) == 1


def test_a_shard_alone_is_undecided_at_best(capsys):
    files = run_shards()

    for file in files:
        code, lines = read_verdict(capsys, "judge", file, "--undecided", "pass")
        assert code == 2
        assert any(line.startswith("undecided: this is shard ") for line in lines)
        assert not any(line.startswith("keywords mean") for line in lines)
        assert main(["compare", file, file]) == 2


def test_a_part_of_a_shard_makes_a_part(capsys):
    """A shard that was cut short leaves the merged run without some of its cases."""
    files = run_shards()
    value = json.loads(Path(files[1]).read_text())
    lost = value["results"].pop()["case"]
    Path(files[1]).write_text(json.dumps(value))

    code, lines = read_verdict(capsys, "judge", *files)

    assert code == 2
    assert any("1 of 12 cases not run" in line and lost in line for line in lines)
    assert main(["merge", *files, "-o", "merged.json"]) == 0
    assert load_run("merged.json").signature["partial"] == "11 of 12 cases"


def test_a_shard_without_a_case_is_no_error(capsys):
    files = run_shards(40)

    empty = [file for file in files if not load_run(file).results]
    assert empty
    assert run("--shard", f"{files.index(empty[0]) + 1}/40") == 0
    single = read_verdict(capsys, "run")
    assert read_verdict(capsys, "judge", *files) == single


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("4/3", "--shard must be from 1/3 to 3/3, not '4/3'"),
        ("0/3", "--shard must be from 1/3 to 3/3, not '0/3'"),
        ("1/0", "--shard must be one of 1 shard or more, not '1/0'"),
        ("3", "--shard must be a shard and the number of all, such as 3/8, not '3'"),
        ("-1/3", "--shard must be a shard and the number of all, such as 3/8, not '-1/3'"),
        ("1/3/5", "--shard must be a shard and the number of all, such as 3/8, not '1/3/5'"),
        ("²/3", "--shard must be a shard and the number of all, such as 3/8, not '²/3'"),
    ],
)
def test_a_shard_that_cannot_be_is_one_message(capsys, written, message):
    assert main(["run", f"--shard={written}"]) == 4
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", f"{message}\n")


def refuse(capsys, *files: str) -> str:
    """Return the message of the refusal, which is one, and the same for both verbs; no file is written."""
    capsys.readouterr()
    assert main(["merge", *files, "-o", "merged.json"]) == 3
    captured = capsys.readouterr()
    assert captured.out == ""
    assert not Path("merged.json").exists()
    if len(files) > 1:
        assert main(["judge", *files]) == 3
        assert capsys.readouterr().err == captured.err
    return str(captured.err)


def test_a_missing_shard_is_refused(capsys):
    one, two, three = run_shards()

    message = refuse(capsys, one, three)
    assert message == "1 shard is missing: 2/3; there is 1/3 (shard-1.json), 3/3 (shard-3.json)\n"
    assert refuse(capsys, two).startswith("2 shards are missing: 1/3, 3/3;")


def test_a_shard_that_is_given_twice_is_refused(capsys):
    one, two, three = run_shards()
    Path("copy.json").write_bytes(Path(two).read_bytes())

    assert "shard 2/3 occurs 2 times: shard-2.json, copy.json" in refuse(capsys, one, two, three, "copy.json")


def test_shards_of_other_numbers_are_refused(capsys):
    one, two, _ = run_shards()
    run("--shard", "2/2", "--out", "half.json")

    assert "unlike numbers of shards: half.json of 2; shard-1.json, shard-2.json of 3" in refuse(
        capsys, one, two, "half.json"
    )


def test_a_run_that_is_no_shard_is_not_one_of_them(capsys):
    one, two, _ = run_shards()
    run("--out", "all.json")

    assert refuse(capsys, one, two, "all.json").startswith("all.json: no shard, and shard-1.json")


def other_golden() -> None:
    more = "  - {id: more, input: more, checks: {keywords: {all: [good]}}}\n"
    write_golden(more, suite=f"prompts: [prompts]\n{SUITE}")


def other_code() -> None:
    Path("shard_app.py").write_text(APP.replace("good answer", "good reply"))


def other_file() -> None:
    Path("bad.txt").write_text("nothing")


def other_prompt() -> None:
    Path("prompts/writer.md").write_text("---\nname: writer\nversion: 1.1.0\nkind: system\n---\nWrite!\n")


@pytest.mark.parametrize(
    ("change", "arguments", "message"),
    [
        (other_golden, (), "golden file golden/shop.yaml differs"),
        (other_code, (), "code shard_app.py differs"),
        (other_file, (), "file bad.txt differs"),
        (other_prompt, (), "prompt prompts/writer.md: writer 1.0.0 → 1.1.0"),
        (None, ("--app", "shard_app:other"), "app golden/shop.yaml: shard_app:answer → shard_app:other"),
        (None, ("--repeats", "2"), "repeats: auto → 2"),
    ],
)
def test_shards_of_other_stamps_are_refused(capsys, change, arguments, message):
    Path("prompts").mkdir()
    Path("prompts/writer.md").write_text("---\nname: writer\nversion: 1.0.0\nkind: system\n---\nWrite.\n")
    write_golden(suite=f"prompts: [prompts]\n{SUITE}")
    write_app(app=f"{APP}\nother = answer\n")
    files = run_shards(2)
    assert main(["merge", *files, "-o", "both.json"]) == 0
    if change is not None:
        change()
    run("--shard", "2/2", "--out", files[1], *arguments)

    refused = refuse(capsys, *files)
    assert refused.startswith("shard-1.json and shard-2.json are no parts of one run: ")
    assert message in refused


def test_a_variable_that_one_machine_lacks_is_refused(capsys, monkeypatch):
    write_app(app=f"import os\n{APP}\n    return os.environ.get('TONE', '')\n")
    one, two = run_shards(2)
    monkeypatch.setenv("TONE", "kind")
    run("--shard", "2/2", "--out", two)

    assert "environment TONE differs" in refuse(capsys, one, two)


MODEL_APP = """
import os
import openai

def answer(question):
    with openai.OpenAI(base_url=os.environ["API_BASE"], api_key="none", max_retries=0) as client:
        reply = client.chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": question}], **MORE
        )
    return reply.choices[0].message.content

MODEL, MORE = "small", {}
"""


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"MODEL": "large"}, "the requested model is small in one and large in the other"),
        ({"MORE": {"temperature": 1}}, "temperature of small is 0 in one and 1 in the other"),
    ],
)
def test_shards_of_other_models_or_settings_are_refused(capsys, monkeypatch, change, message):
    """Also where nothing of the app's code shows it, as where a service decides."""
    with OpenAIServer(answer=lambda _: "good") as server:
        monkeypatch.setenv("API_BASE", server.url)
        write_app(app=MODEL_APP.replace("{}", "{'temperature': 0}"))
        one, two = run_shards(2, "--record", "all")
        import shard_app  # the one that was just run

        for name, value in change.items():
            monkeypatch.setattr(shard_app, name, value)
        main(["run", "--shard", "2/2", "--out", two, "--record", "all"])

    assert message in refuse(capsys, one, two)


def test_other_versions_of_a_metric_are_refused(capsys):
    files = run_shards(2)
    text = Path(files[1]).read_text().replace("keywords|v1", "keywords|v2")
    Path(files[1]).write_text(text)

    assert "the metric keywords is keywords|v1 in one and keywords|v2 in the other" in refuse(capsys, *files)


def test_a_case_in_two_runs_is_refused(capsys):
    run("--out", "one.json")
    Path("two.json").write_bytes(Path("one.json").read_bytes())

    assert refuse(capsys, "one.json", "two.json").startswith(
        "one.json and two.json both have golden/shop.yaml::c0, golden/shop.yaml::c1"
    )


def test_runs_of_other_cases_become_one():
    run("--out", "all.json")
    value = json.loads(Path("all.json").read_text())
    for name, chosen in (("one", value["results"][:5]), ("two", value["results"][5:])):
        signature = value["signature"] | {"partial": f"{len(chosen)} of 12 cases"}
        Path(f"{name}.json").write_text(json.dumps({**value, "results": chosen, "signature": signature}))

    assert main(["merge", "one.json", "two.json", "-o", "merged.json"]) == 0
    assert load_run("merged.json").signature == load_run("all.json").signature
    assert main(["judge", "merged.json"]) == 0
    assert main(["merge", "one.json", "-o", "part.json"]) == 0
    assert load_run("part.json").signature["partial"] == "5 of 12 cases"
    assert main(["judge", "part.json"]) == 2


def test_what_is_no_run_is_named(capsys):
    one, _ = run_shards(2)
    Path("torn.json").write_text("{")

    assert "torn.json" in refuse(capsys, one, "torn.json")
    assert "gone.json" in refuse(capsys, one, "gone.json")
    accept_three_repeats()
    assert "golden/baseline.json" in refuse(capsys, one, "golden/baseline.json")


def test_a_golden_file_that_changed_since_is_not_judged(capsys):
    files = run_shards()
    write_golden(suite=SUITE.replace("0.7", "0.1"))

    assert main(["judge", *files]) == 3
    assert "golden/shop.yaml is not the file that the run had" in capsys.readouterr().err


def test_a_golden_file_that_is_not_here_is_that_of_the_run(project, capsys):
    fails(project)
    files = run_shards()
    Path("golden/shop.yaml").unlink()

    code, lines = read_verdict(capsys, "judge", *files)
    assert code == 1
    assert "golden/shop.yaml is not here: its checks are those that the run has" in lines
    assert any("2 failed" in line for line in lines)


def test_a_run_excuses_no_failure_of_its_own(project, capsys):
    """Compared with itself nothing got worse, but what it missed is missed."""
    fails(project)
    assert run("--out", "run.json") == 1
    assert main(["judge", "run.json", "--baseline", "run.json"]) == 1
    assert "run.json is this run itself, so thresholds alone decide" in capsys.readouterr().out


def test_errors_of_no_case_count_with_the_others(capsys):
    one, two = run_shards(2)
    value = json.loads(Path(two).read_text())
    value["errors"] = ["error: 1 unattributed call"]
    Path(two).write_text(json.dumps(value))

    assert main(["judge", one, two]) == 3
    assert "error: 1 unattributed call" in capsys.readouterr().out
    assert main(["merge", one, two, "-o", "merged.json"]) == 0
    assert main(["compare", "merged.json", "merged.json"]) == 3


def test_a_shard_is_not_accepted(capsys):
    assert main(["run", "--shard", "1/2", "--accept"]) == 4
    assert "shard 1/2 is not accepted by itself" in capsys.readouterr().err
    assert not Path("golden/baseline.json").exists()


def test_each_part_keeps_its_environment():
    files = run_shards()
    value = json.loads(Path(files[0]).read_text())
    value["environment"]["job"] = "golden (1)"
    Path(files[0]).write_text(json.dumps(value))

    assert main(["merge", *files, "-o", "merged.json"]) == 0
    merged = load_run("merged.json")
    assert [part.shard for part in merged.parts] == ["1/3", "2/3", "3/3"]
    assert merged.parts[0].environment["job"] == "golden (1)"
    assert "job" not in merged.environment
    assert sum(part.cases for part in merged.parts) == CASES


def test_merge_writes_over_nothing_that_is_needed(capsys):
    files = run_shards()
    accept_three_repeats()
    before = Path("golden/baseline.json").read_bytes()

    assert main(["merge", *files, "-o", files[0]]) == 3
    assert f"{files[0]}: this is one of the runs" in capsys.readouterr().err
    assert main(["merge", *files, "-o", "golden/baseline.json"]) == 4
    assert "this is the baseline" in capsys.readouterr().err
    assert main(["merge", *files, "-o", "merged.html"]) == 4
    assert main(["merge", *files, "-o", "gone/deep/merged.json"]) == 0
    assert Path("golden/baseline.json").read_bytes() == before
    assert load_run(files[0]).shard == "1/3"


def test_merge_in_python():
    runs = [load_run(file) for file in run_shards()]

    assert len(merge(runs).results) == CASES
    with pytest.raises(MergeError, match="2 shards are missing: 2/3, 3/3"):
        merge(runs[:1])
    with pytest.raises(MergeError, match="nothing to merge"):
        merge([])


VARYING = """
import itertools, hashlib

asked = {}

def answer(question):
    nth = asked[question] = asked.get(question, 0) + 1
    return "bad" if hashlib.sha256(f"SEED{question} {nth}".encode()).digest()[0] < RATE else f"good {nth}"
"""


def test_repeats_that_only_all_cases_ask_for_leave_the_verdict_undecided(capsys):
    write_golden(suite="", checks="{keywords: {all: [good], pass_rate: '>= 0.3'}}")
    write_app(app=VARYING.replace("RATE", "51"))
    assert run("--repeats", "10", "--out", "base.json") == 0
    assert main(["accept", "base.json"]) == 0
    write_app(app=VARYING.replace("RATE", "140").replace("SEED", "new"))
    files = run_shards(6)

    code, lines = read_verdict(capsys, "judge", *files)

    assert code in {1, 2}
    assert any("would have been run again by one machine" in line for line in lines)
    assert main(["merge", *files, "-o", "merged.json"]) == 0
    assert main(["compare", "golden/baseline.json", "merged.json"]) in {1, 2}
    fixed = run_shards(6, "--repeats", "10")
    assert not any("would have been run again" in line for line in read_verdict(capsys, "judge", *fixed)[1])
