"""The state machine: every event in every state either leads where it should or is refused."""

import pytest

from core import lifecycle
from core.lifecycle import IllegalTransition

STATES = ["queued", "starting", "running", "stopping", "stopped", "finished", "failed", "interrupted"]
EVENTS = ["turn", "work", "stop", "obey", "finish", "fail", "vanish", "resume", "restart"]
LEGAL = {
    ("queued", "turn"): "starting",
    ("starting", "work"): "running",
    ("queued", "stop"): "stopping",
    ("starting", "stop"): "stopping",
    ("running", "stop"): "stopping",
    ("stopping", "obey"): "stopped",
    ("starting", "finish"): "finished",
    ("running", "finish"): "finished",
    ("stopping", "finish"): "finished",
    ("queued", "fail"): "failed",
    ("starting", "fail"): "failed",
    ("running", "fail"): "failed",
    ("stopping", "fail"): "failed",
    ("queued", "vanish"): "interrupted",
    ("starting", "vanish"): "interrupted",
    ("running", "vanish"): "interrupted",
    ("stopping", "vanish"): "stopped",
    ("stopped", "resume"): "queued",
    ("failed", "resume"): "queued",
    ("interrupted", "resume"): "queued",
    ("stopped", "restart"): "starting",
    ("failed", "restart"): "starting",
    ("interrupted", "restart"): "starting",
}


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("event", EVENTS)
def test_every_event_in_every_state(state: str, event: str) -> None:
    if (state, event) in LEGAL:
        assert lifecycle.after(state, event) == LEGAL[state, event]
        assert lifecycle.leads(state, LEGAL[state, event])
    else:
        with pytest.raises(IllegalTransition):
            lifecycle.after(state, event)


def test_the_table_knows_every_state_and_no_other() -> None:
    assert set(lifecycle.TRANSITIONS) == set(STATES)
    assert {event for events in lifecycle.TRANSITIONS.values() for event in events} == set(EVENTS)
    assert set(STATES) - lifecycle.LIVE == lifecycle.RESUMABLE | {"finished"}


def test_nothing_leads_out_of_finished_nor_from_one_end_to_another() -> None:
    ends = set(STATES) - lifecycle.LIVE
    assert not any(lifecycle.leads(one, other) for one in ends for other in ends if one != other)
    assert not any(lifecycle.leads("finished", other) for other in STATES if other != "finished")
