"""Where a job can be, and which event leads from where to where. Knows nothing of files and processes.

A job that waits for a device begins as ``queued``, any other as ``starting``. Its worker tells ``turn``, ``work``,
``finish``, ``obey`` (it has ended because it was asked to) and ``fail``; a person tells ``stop`` and ``resume``;
``vanish`` is seen by whoever looks: the worker is gone without a last word (killed, or the machine was restarted).
"""

QUEUED, STARTING, RUNNING, STOPPING = "queued", "starting", "running", "stopping"
STOPPED, FINISHED, FAILED, INTERRUPTED = "stopped", "finished", "failed", "interrupted"
LIVE = frozenset({QUEUED, STARTING, RUNNING, STOPPING})
RESUMABLE = frozenset({STOPPED, FAILED, INTERRUPTED})

TURN, WORK, STOP, OBEY, FINISH, FAIL, VANISH, RESUME, RESTART = (
    "turn", "work", "stop", "obey", "finish", "fail", "vanish", "resume", "restart",
)  # fmt: skip

TRANSITIONS: dict[str, dict[str, str]] = {
    QUEUED: {TURN: STARTING, STOP: STOPPING, FAIL: FAILED, VANISH: INTERRUPTED},
    STARTING: {WORK: RUNNING, STOP: STOPPING, FINISH: FINISHED, FAIL: FAILED, VANISH: INTERRUPTED},
    RUNNING: {STOP: STOPPING, FINISH: FINISHED, FAIL: FAILED, VANISH: INTERRUPTED},
    # Its last step may be done before the stop is heard; and who asked for an end has got it, whoever made it.
    STOPPING: {OBEY: STOPPED, FINISH: FINISHED, FAIL: FAILED, VANISH: STOPPED},
    FINISHED: {},
    **{ended: {RESUME: QUEUED, RESTART: STARTING} for ended in (STOPPED, FAILED, INTERRUPTED)},
}
"""State → event → next state. ``resume`` waits for the device again, ``restart`` is for jobs that need none."""


class IllegalTransition(RuntimeError):
    """An event that cannot happen to a job where it is: a fault of the program, or a worker that comes too late."""


def after(status: str, event: str) -> str:
    """The state an event leads to.

    Raises:
        IllegalTransition: it cannot happen in this state.
    """
    try:
        return TRANSITIONS[status][event]
    except KeyError:
        raise IllegalTransition(f"{event!r} cannot happen to a job that is {status!r}") from None


def leads(status: str, wanted: str) -> bool:
    """Whether a single event leads from ``status`` to ``wanted``, or they are the same."""
    return status == wanted or wanted in TRANSITIONS.get(status, {}).values()
