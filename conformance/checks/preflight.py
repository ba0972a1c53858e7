"""What can be judged at all."""

from __future__ import annotations

from im_callback.conformance.check import check
from im_callback.conformance.preflight import Preflight
from im_callback.conformance.run import Run


@check(
    "The receiver answers",
    topic="transport",
    level="must",
    preflight=True,
    why="Without an HTTP answer nothing else can be judged.",
    fix="Start the receiver and give --receiver-url the address that callbacks are posted to.",
)
def check_reachable(run: Run) -> None:
    Preflight(run).reachable()


@check(
    "A documented sample, correctly signed, is accepted",
    topic="signature",
    level="must",
    preflight=True,
    why="A receiver that refuses everything would pass every check for refusals.",
    fix="Compare provider, app key and secret with the receiver's own; verify over the raw body.",
)
def check_accepts_valid(run: Run) -> None:
    Preflight(run).accepts_valid()


@check(
    "The effects answer",
    topic="transport",
    level="must",
    preflight=True,
    effects=True,
    why="Only effects show deduplication, ordering and loss.",
    fix="Give --receiver-effects=URL of an endpoint in your test mode that lists what was recorded as a JSON array.",
)
def check_effects_answer(run: Run) -> None:
    Preflight(run).effects_answer()


@check(
    "The effects show what was just delivered",
    topic="payload",
    level="must",
    preflight=True,
    effects=True,
    why="Effects that show nothing would make every loss invisible.",
    fix="Let each record carry the identity fields of its event type (provider-mock events lists them), "
    "rename fields with --receiver-effects-map, or raise --receiver-settle.",
)
def check_effects_show_delivery(run: Run) -> None:
    Preflight(run).effects_show_delivery()


@check(
    "The receiver records the event types it is said to handle",
    topic="payload",
    level="must",
    preflight=True,
    effects=True,
    why="Checks of types that are not recorded would not apply, and a gate would pass without them.",
    fix="Record the missing types, or take them out of --receiver-handles.",
)
def check_records(run: Run) -> None:
    Preflight(run).records()
