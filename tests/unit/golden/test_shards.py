from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pytest_llmops.golden.shards import cases_of
from pytest_llmops.records import Case, Golden
from pytest_llmops.setting_values import read_setting

names = st.text(min_size=1, max_size=8)
cases = st.dictionaries(names, st.sampled_from(["", "", "first", "second", "é"]), max_size=30)
counts = st.integers(1, 40)


def make(groups: dict[str, str], path: str = "golden/shop.yaml") -> Golden:
    return Golden(
        path=path, cases=tuple(Case(id=id_, input=id_, group=group) for id_, group in groups.items())
    )


def split(golden: Golden, count: int) -> list[list[str]]:
    return [[case.id for case in cases_of(golden, f"{number}/{count}")] for number in range(1, count + 1)]


@given(cases, counts)
def test_every_case_is_in_exactly_one_shard(groups: dict[str, str], count: int) -> None:
    shards = split(make(groups), count)

    assert sorted(case for shard in shards for case in shard) == sorted(groups)


@given(cases, counts)
def test_a_group_is_in_one_shard(groups: dict[str, str], count: int) -> None:
    shards = split(make(groups), count)

    for group in {*groups.values()} - {""}:
        members = {case for case, own in groups.items() if own == group}
        assert sum(bool(members & {*shard}) for shard in shards) == 1


@given(cases, cases, counts)
def test_other_cases_move_none(groups: dict[str, str], more: dict[str, str], count: int) -> None:
    before = split(make(groups), count)
    after = split(make({**more, **groups}), count)

    assert [[case for case in shard if case in groups] for shard in after] == [
        [case for case in {**more, **groups} if case in {*shard}] for shard in before
    ]


@given(cases)
def test_a_run_of_no_shard_has_all_cases(groups: dict[str, str]) -> None:
    assert cases_of(make(groups), None) == make(groups).cases


def test_shards_are_of_like_size() -> None:
    sizes = [len(shard) for shard in split(make({f"c{at}": "" for at in range(1000)}), 8)]

    assert min(sizes) > 90
    assert max(sizes) < 160


def test_the_shard_of_a_case_is_the_same_on_every_machine() -> None:
    """A changed hash would hand a case to two machines of unlike versions, or to none."""
    golden = make({"returns": "", "refund": "", "window": "", "a": "g", "b": "g"})

    assert split(golden, 3) == [["window"], ["refund"], ["returns", "a", "b"]]


@given(st.integers(1, 9999).flatmap(lambda count: st.tuples(st.integers(1, count), st.just(count))))
def test_a_shard_is_read_as_it_is_written(shard: tuple[int, int]) -> None:
    number, count = shard

    assert read_setting("shard", f" {number:02}/{count} ") == f"{number}/{count}"
