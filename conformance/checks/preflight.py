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
    """A documented sample gets an HTTP answer, whatever it says.

    A, of each kind that is documented -> any answer

    - Nothing listens there: it is not started, or listens on another port or address.
    """
    Preflight(run).reachable()


@check(
    "A documented sample, correctly signed, is accepted",
    topic="signature",
    level="must",
    preflight=True,
    why="A receiver that refuses everything would pass every check for refusals.",
    fix="Compare provider, app key and secret with the receiver's own; verify over the raw body.",
    remedies=("raw-body", "constant-time", "ack-exactly"),
)
def check_accepts_valid(run: Run) -> None:
    """At least one of the documented samples, signed as documented, is acknowledged.

    A, of each kind that is documented -> acknowledged

    - Another app key or secret than the one that signs.
    - The signature is looked for where another service of the provider has it.
    - The answer is 201, an empty 200 where JSON is due, or a 200 whose own words say that it is an error.
    - One reader for query and form takes the message's field for the signature's parameter of the same name.
    """
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
    """What tells the effects can be read, and is a list of records.

    A, of each kind that is documented -> any answer
    = a list that can be read

    - They come as an object around the list, not as the list.
    - They take longer than anybody waits.
    """
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
    remedies=("keep-whole",),
)
def check_effects_show_delivery(run: Run) -> None:
    """At least one of the acknowledged samples shows in the effects.

    A, of each kind that is documented -> acknowledged
    = A, told by the fields of its identity

    - Everything is acknowledged and nothing kept.
    - The records show all of it, under names of their own.
    """
    Preflight(run).effects_show_delivery()


@check(
    "The receiver records the event types it is said to handle",
    topic="payload",
    level="must",
    preflight=True,
    effects=True,
    why="Checks of types that are not recorded would not apply, and a gate would pass without them.",
    fix="Record the missing types, or take them out of --receiver-handles.",
    remedies=("skip-unknown",),
)
def check_records(run: Run) -> None:
    """Each kind that --receiver-handles names shows in the effects.

    A, of each kind that is documented -> acknowledged
    = A, if its kind is named

    - A kind is acknowledged and not recorded, although it is said to be.
    """
    Preflight(run).records()
