"""A correctly signed but broken request must not take the receiver down."""

from __future__ import annotations

import json
from collections.abc import Sequence

from conformance.check import check
from conformance.judge import Effects
from conformance.run import Run
from conformance.samples import speaking_event
from conformance.verdict import Failed
from provider_mock.contract import Event, NoReply
from provider_mock.history import Shot

DEPTH = 10_000
DUE = "an answer in time, no effect, and the next valid delivery acknowledged"
FIX = "Catch what the parser raises, answer 400, and record nothing."


def survives(run: Run, shots: Sequence[Shot]) -> None:
    """Send broken requests, a valid one after each; fail if the receiver does not answer, records it, or is gone."""
    for shot in shots:
        (attempt,) = run.send(shot)
        if isinstance(attempt.reply, NoReply):
            raise Failed(DUE, f"{shot.note}: {attempt.reply.detail}", [attempt])
        after = run.deliver(run.event(), note=f"a valid delivery after {shot.note}")
        if not after.acked:
            raise Failed(DUE, f"the valid delivery after {shot.note}: {after.judgement.rule}", [attempt, after])
        run.must_show([after], f"the valid delivery after {shot.note}")
    effects = run.effects() if run.handled else Effects()
    for shot in shots:
        shown = [one for one in run.occurrences(*shot.events) if effects.count(one)]
        if set(shown) & run.forbidden(run.binding):
            raise Failed(DUE, f"{shot.note}: the effects show {shown[0]}", [])


@check(
    "Broken JSON does no harm",
    topic="payload",
    every="should",
    why="One body that kills a worker, or is repeated a thousand times, takes all the others with it.",
    fix=FIX,
)
def check_malformed_json(run: Run) -> None:
    def body_of(event: Event) -> bytes:
        return run.shot(event).request.body

    said = "broken here"
    cut, mangled = run.event(), speaking_event(run, said)
    whole = body_of(mangled)
    # Bytes that no UTF-8 text holds, inside what somebody said, so that the identity stays whole.
    at = whole.index(said.encode() if said.encode() in whole else b'":"') + 3
    wrong_top = b'{"unexpected":{}}' if run.provider.batches else b"[]"
    survives(
        run,
        [
            run.raw(body_of(cut)[:-2], events=[cut], note="truncated JSON"),
            run.raw(whole[:at] + b"\xff\xfe" + whole[at:], events=[mangled], note="invalid UTF-8"),
            run.raw(b"null", note="null"),
            run.raw(b"7", note="a number"),
            run.raw(json.dumps("text").encode(), note="a string"),
            run.raw(wrong_top, note="an object for an array" if run.provider.batches else "an array for an object"),
            run.raw(b'[[1],null,"x"]', note="an array of other things"),
            run.raw(b'{"a":NaN}', note="NaN"),
            run.raw(b"[" * DEPTH + b"]" * DEPTH, note=f"arrays {DEPTH} deep"),
            run.raw(b'{"a":1,"a":2}', note="duplicate keys"),
        ],
    )


@check(
    "An empty body does no harm",
    topic="payload",
    every="should",
    why="Health checks and broken gateways send them.",
    fix=FIX,
)
def check_empty_body(run: Run) -> None:
    survives(run, [run.raw(b"", note="an empty body")])


@check(
    "The receiver is still alive at the end",
    topic="transport",
    every="must",
    last=True,
    why="After everything that was sent, real deliveries go on.",
    fix="See what was sent last; look into the receiver's log.",
)
def check_still_alive(run: Run) -> None:
    attempt = run.deliver(run.event(), note="a valid delivery at the very end")
    run.must_ack([attempt], "a valid delivery at the very end")
    run.must_show([attempt], "a valid delivery at the very end")
