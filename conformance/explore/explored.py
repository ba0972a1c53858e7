"""No sequence of deliveries that the provider may make has an effect that it must not have.

These checks stand at the end of a run, and only where one is asked for: with --receiver-explore sequences are searched
for, with --receiver-replay one is played again. The first of them does the work for all at its feed.
"""

from __future__ import annotations

from functools import partial
from importlib.metadata import version

from im_callback.conformance import needs
from im_callback.conformance.around.command import ReceiverError
from im_callback.conformance.check import check
from im_callback.conformance.explore.finding import Recorded, written
from im_callback.conformance.explore.judging import Invariant
from im_callback.conformance.explore.search import COPIES, Explored, Failing, explore, replay
from im_callback.conformance.explore.stock import Unusable
from im_callback.conformance.resultfile import ResultFile, Unwritable
from im_callback.conformance.run import Run
from im_callback.conformance.verdict import CouldNotRun, Failed, NotApplicable, Outside
from im_callback.conformance.words import counted

MOST_COPIES = 25
CAUSES: dict[Invariant, str] = {"doubled": "doubled", "stale": "stale", "out-of-order": "out of order", "lost": "lost"}
"""By invariant, how the cause of an ordinary check's failure begins that shows the same."""


def explored(run: Run) -> Explored:
    """Return what the search, or the replay, came to at the run's feed; it is done once."""
    run.must_be_there()
    if run.found.explored is None:
        try:
            run.found.explored = _replayed(run) if run.settings.replay is not None else _searched(run)
        except Outside as ended:
            run.found.explored = ended
        except ReceiverError as error:
            run.found.explored = CouldNotRun(error.reason, error.fix)
    if isinstance(run.found.explored, Outside):
        raise run.found.explored
    found: Explored = run.found.explored
    return found


def _searched(run: Run) -> Explored:
    kept = [feed for feed in run.feeds if any(one.name in run.models for one in feed.event_types)]
    found = explore(run, (run.settings.explore or 0.0) / max(1, len(kept)))
    run.notes.append(_told(run, found))
    if found.doubts:
        run.notes.append(
            f"explored: {counted(found.doubts, 'sequence', 'sequences')} of {run.feed.name} failed once and never again, "
            "and so not reported"
        )
    return found


def _told(run: Run, found: Explored) -> str:
    return (
        f"explored: {counted(found.tried, 'sequence', 'sequences')} of {run.feed.name}, "
        f"{counted(found.deliveries, 'delivery', 'deliveries')} in {found.seconds:.0f} s, "
        f"{counted(len(found.findings), 'finding', 'findings')}"
    )


def _replayed(run: Run) -> Explored:
    recorded = run.settings.replay
    assert recorded is not None
    if recorded.feed != run.feed.name:
        raise NotApplicable(f"the sequence is of the feed {recorded.feed}")
    script = recorded.script
    if script.needs_command and run.receiver is None:
        raise CouldNotRun("the sequence restarts the receiver", "Give --receiver-command=CMD")
    if script.needs_store and run.downstream is None:
        raise CouldNotRun("the sequence disturbs the receiver's store", "Give --receiver-downstream=HOST:PORT")
    # What failed now and then is played more often.
    copies = min(MOST_COPIES, max(COPIES, round(3 * recorded.of / recorded.failed)))
    try:
        found = replay(run, script, copies)
    except Unusable as error:
        raise CouldNotRun(str(error), "Play it against a receiver that records these event types") from error
    run.notes.append(f"replayed: a sequence of {run.feed.name}, {copies} times")
    return found


def invariant_holds(run: Run, invariant: Invariant) -> str:
    """Fail if the search or the replay has found a sequence that breaks the invariant; else say how many were tried."""
    found = explored(run)
    failing = found.findings.get(invariant)
    if failing is not None:
        raise _failed(run, invariant, failing)
    if run.settings.replay is not None:
        return f"the sequence was played {counted(found.tried, 'time', 'times')}"
    if not found.could_show[invariant]:
        raise NotApplicable(
            f"nothing that was tried ({counted(found.tried, 'sequence', 'sequences')}) could have shown it: "
            "the receiver records nothing that is of the kind"
        )
    tried = counted(found.tried, "sequence was tried", "sequences were tried")
    return f"{tried}, {found.could_show[invariant]} of which could have shown it"


def _failed(run: Run, invariant: Invariant, failing: Failing) -> Failed:
    again = f"{failing.failed} of {counted(failing.of, 'time', 'times')}"
    shown = [head for cause, (head, _) in run.causes.items() if cause.startswith(CAUSES.get(invariant, "?"))]
    also = f"; {shown[0]} fails too, perhaps for the same reason" if shown else ""
    where = "" if run.settings.replay is not None else f"; {_kept(run, invariant, failing)}"
    return Failed(
        failing.wrong.due,
        f"{failing.wrong.found}, {again} after the sequence below ({counted(failing.script.deliveries, 'delivery', 'deliveries')}){also}{where}",
        failing.attempts,
        details=failing.timeline,
    )


def _kept(run: Run, invariant: Invariant, failing: Failing) -> str:
    """Write the finding to its file; return where it is, or why it is not."""
    recorded = Recorded(run.provider.name, run.feed.name, invariant, failing.script, failing.failed, failing.of)
    path = run.settings.findings / recorded.name
    made_by = f"im-callback-conformance {version('im-callback-conformance')}"
    try:
        ResultFile(path).write(written(recorded, seed=run.settings.seed, made_by=made_by, timeline=failing.timeline))
    except Unwritable as error:
        return f"it could not be kept: {error}"
    return f"play it again with --receiver-replay={path.name}"


WHY = "A provider repeats, delays and reorders deliveries as the network has it; nobody has a test for each way."
explored_check = partial(check, level="should", effects=True, last=True, alone=True, needs=needs.tells, why=WHY)


@explored_check(
    "No sequence of deliveries loses what was acknowledged",
    topic="ack",
    fix="Acknowledge once it is stored, and remember an event as known only together with its effect.",
    remedies=("commit-then-ack", "unique-key"),
)
def check_lost(run: Run) -> str:
    """Nothing that was acknowledged is missing in the end.

    ... a sequence that was made up: deliveries, repeats, retries, cut-off bodies, restarts
    = all that was acknowledged

    - An event is remembered as known before it is stored: when that fails, its retry is taken for a repeat.
    """
    return invariant_holds(run, "lost")


@explored_check(
    "No sequence of deliveries shows one event twice",
    topic="duplicates",
    fix="Keep the identity of what you recorded under a unique key, in the same store and for as long as the record.",
    remedies=("unique-key",),
)
def check_doubled(run: Run) -> str:
    """No event has two effects in the end.

    ... a sequence that was made up: deliveries, repeats, retries, cut-off bodies, restarts
    = everything once

    - What has been seen is forgotten at a restart, after a removal, or after some time.
    """
    return invariant_holds(run, "doubled")


@explored_check(
    "No sequence of deliveries lets an older state win",
    topic="order",
    fix="Keep the time or version with the state, and with its removal too; compare and store in one step.",
    remedies=("upsert-by-version", "keep-removals"),
)
def check_stale(run: Run) -> str:
    """What is shown last of a scope is the newest that was acknowledged, or newer.

    ... a sequence that was made up: deliveries, repeats, retries, cut-off bodies, restarts
    = of each scope the newest last

    - The version goes with the row when the state is removed.
    """
    return invariant_holds(run, "stale")


@explored_check(
    "No sequence of deliveries puts a list out of order",
    topic="order",
    fix="Sort by the documented fields when you show, not by arrival.",
    remedies=("sort-when-shown",),
)
def check_out_of_order(run: Run) -> str:
    """A list is shown in its own order.

    ... a sequence that was made up: deliveries, repeats, retries, cut-off bodies, restarts
    = each list in the documented order

    - A list is shown as it arrived.
    """
    return invariant_holds(run, "out-of-order")


@explored_check(
    "No sequence of deliveries shows what never arrived whole",
    topic="transport",
    fix="Record nothing of a body before all of it is there and verified.",
    remedies=("whole-body",),
)
def check_phantom(run: Run) -> str:
    """What was only ever sent in part has no effect.

    ... a sequence that was made up: deliveries, repeats, retries, cut-off bodies, restarts
    = nothing of what never arrived whole

    - What is there of a cut-off body is recorded.
    """
    return invariant_holds(run, "phantom")


@explored_check(
    "No sequence of deliveries ends the receiver, or its answers",
    topic="ack",
    fix="Its log says what was not caught, or what waits for what.",
    remedies=("commit-then-ack", "store-limit"),
)
def check_crash(run: Run) -> str:
    """Each delivery gets an answer that is no error, at once or when it is tried again.

    ... a sequence that was made up: deliveries, repeats, retries, cut-off bodies, restarts
    A -> acknowledged, at once or when tried again

    - Two deliveries wait for each other, or one leaves a lock behind.
    """
    return invariant_holds(run, "crash")
