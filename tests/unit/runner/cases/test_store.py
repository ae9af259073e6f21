"""Shares of workers, leases that are taken over, and shared results."""

from __future__ import annotations

import multiprocessing

import pytest

from pytest_llmops.records import CaseResult, Output
from pytest_llmops.runner.cases.store import SharedStore

CASES = [f"golden/a.yaml::case-{number}" for number in range(200)]


@pytest.fixture
def stores(tmp_path):
    return [SharedStore(folder=tmp_path, worker=worker, workers=2) for worker in range(2)]


def test_each_case_belongs_to_one_worker_and_each_worker_has_its_share(stores):
    shares = [{case for case in CASES if store.is_mine(case)} for store in stores]
    assert shares[0] | shares[1] == set(CASES)
    assert not shares[0] & shares[1]
    assert min(map(len, shares)) > 60


def test_a_lease_is_given_once_and_again_when_it_ends(stores):
    first, second = stores
    with first.lease("a") as mine:
        assert mine
        with second.lease("a") as theirs, second.lease("b") as other:
            assert not theirs
            assert other
    with second.lease("a") as again:
        assert again


def _hold_and_die(folder, ready):
    store = SharedStore(folder=folder, worker=0, workers=2)
    alive = store.announce("g")
    with store.lease("a"):
        ready.set()
        ready_to_die = multiprocessing.Event()
        ready_to_die.wait(60)
    alive.release()


def test_the_lease_of_a_killed_process_is_free_at_once(stores, tmp_path):
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    process = context.Process(target=_hold_and_die, args=(tmp_path, ready))
    process.start()
    assert ready.wait(30)
    store = stores[1]
    assert store.is_working(0, "g")
    with store.lease("a") as granted:
        assert not granted
    process.kill()
    process.join()
    assert not store.is_working(0, "g")
    with store.lease("a") as granted:
        assert granted


def test_a_worker_that_never_began_is_not_working(stores):
    assert not stores[1].is_working(0, "g")
    assert stores[1].is_working(1, "g")


def test_results_are_shared_whole(stores):
    result = CaseResult(case="a", input_hash="x", outputs=(Output(text="hello"),))
    again = CaseResult(case="a", input_hash="x", outputs=(Output(text="hello"), Output(text="ho", repeat=1)))
    assert stores[1].read("a") is None
    stores[0].write("a", result)
    assert stores[1].read("a") == result
    assert stores[1].read("a@2") is None
    stores[1].write("a@2", again)
    assert stores[0].read("a@2") == again
    assert stores[0].read("a") == result
    assert sorted(stores[1].read_all(), key=lambda each: len(each.outputs)) == [result, again]
    assert not list(stores[0].folder.glob("*.part"))


def test_tries_are_counted_across_processes(stores):
    assert [store.count_try("a") for store in (*stores, stores[0])] == [1, 2, 3]
