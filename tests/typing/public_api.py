"""What a user's type checker sees of the public names; mypy reads this file, nothing runs it."""

from pathlib import Path
from typing import assert_type

from pytest_llmops import (
    Case,
    Golden,
    Output,
    Passage,
    Run,
    Score,
    Settings,
    ToolCall,
    compare,
    load_golden,
    load_run,
    load_settings,
    merge,
    metric,
    run_golden,
    scan,
    score,
    write_run,
)


@metric("polite", needs=["reference"], bound=">= 0.5")
def polite(output: Output) -> float:
    return float("please" in output.text)


def answer(question: str) -> Output:
    return Output(
        text=question,
        passages=(Passage(id="p1", text="text"),),
        tool_calls=(ToolCall(name="lookup", arguments={"order": "1"}),),
    )


golden = load_golden("golden/shop.yaml")
assert_type(golden.cases, tuple[Case, ...])
assert_type(Golden.from_records([{"input": "a"}], checks={"exact_match": True}, app="shop:answer"), Golden)
run = run_golden(golden, answer)
assert_type(run, Run)
assert_type(load_run("golden/baseline.json"), Run)
assert_type(load_settings(Path()), Settings)
shards = [run_golden(golden, answer, settings=Settings(shard=f"{number}/3")) for number in (1, 2, 3)]
assert_type(merge(shards), Run)
write_run(merge(shards), "run.json")
assert_type(compare(run, run).outcome == "passed", bool)
assert_type(polite(Output(text="please")), float)
(first,) = score("exact_match", [{"output": "a", "reference": "a"}])
if isinstance(first, Score):
    assert_type(first.value, float)
for finding in scan(["trace.json"]):
    assert_type((finding.path, finding.pointer, finding.start, finding.mask), tuple[str, str, int, str])
