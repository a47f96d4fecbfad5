"""What becomes of a run whose worker has ended."""

from ceae_core.sweep.policy import BAD, BUSY, DIED, DIVERGED, DONE, MEMORY, MOST_RESUMES, Account, Ending


def fate(*hows: str) -> tuple[list[str | None], Account]:
    account = Account()
    return [account.next(Ending(how)) for how in hows], account


def test_what_is_done_or_wrong_in_itself_is_never_repeated():
    for how in (DONE, DIVERGED, BAD):
        assert fate(how)[0] == [None]


def test_a_worker_that_dies_has_three_successors():
    found, account = fate(*[DIED] * 4)
    assert MOST_RESUMES == 3 and found == ["again"] * 3 + [None] and account.attempts == 4


def test_what_does_not_fit_into_memory_is_tried_once_alone():
    found, account = fate(MEMORY, MEMORY)
    assert found == ["again", None] and account.alone
    assert fate(DIED, MEMORY, DIED, DIED, MEMORY)[0] == ["again", "again", "again", "again", None]


def test_a_run_in_work_elsewhere_is_waited_for_without_end():
    found, account = fate(*[BUSY] * 20, DONE)
    assert found == ["later"] * 20 + [None] and account.attempts == 1
