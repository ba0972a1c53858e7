"""While a secret is changed, requests carry a signature of the old one and of the new one."""

from __future__ import annotations

from dataclasses import replace

from im_callback.conformance.check import check
from im_callback.conformance.run import Run
from im_callback.conformance.twins import OTHER_SECRET, accepted_like, must_reject
from im_callback.provider_mock.contract import Credentials, Feed, Request
from im_callback.provider_mock.history import Shot

UNKNOWN = "v9,c2lnbmVkLWluLWEtd2F5LXRoYXQtaXMtdG8tY29tZQ=="
"""A signature of a version that does not exist yet."""


def several(feed: Feed) -> bool:
    """Return whether a request can carry several signatures."""
    return any(one.role == "signature" and one.separator for one in feed.parameters)


def with_signatures(run: Run, note: str, *wanted: str, forged: bool = False) -> Shot:
    """Return a delivery with these signatures: `own`, `other` (made with another secret), or any text."""
    event, stamp, parameter = run.event(), run.stamp(), run.parameter("signature")
    wrong = Credentials(run.settings.credentials.app_key, OTHER_SECRET)
    (other,) = parameter.values(run.shot(event, stamp=stamp, credentials=wrong).signed)

    def change(request: Request) -> Request:
        (own,) = parameter.values(request)
        texts = {"own": own, "other": other}
        return parameter.given(request, parameter.separator.join(texts.get(one, one) for one in wanted))

    return replace(run.shot(event, stamp=stamp, change=change, forged=forged), note=note)


@check(
    "One fitting signature among several is enough",
    topic="signature",
    level="must",
    why="A secret is changed without a pause: for a day, each request carries one signature of the old and one of the new.",
    fix="Split the header at the spaces, and accept the request if any signature of a version that you know fits.",
    needs=several,
    remedies=("constant-time",),
)
def check_accepts_any_of_several(run: Run) -> None:
    """A delivery is accepted where one of its signatures fits, wherever that stands.

    A, as documented -> acknowledged
    B, with a fitting signature and another one -> acknowledged
    = B

    - The header is compared as a whole.
    - Only the first signature is looked at.
    """
    shots = [
        with_signatures(run, "the fitting signature first", "own", "other"),
        with_signatures(run, "the fitting signature last", "other", "own"),
        with_signatures(run, "after one of a version to come", UNKNOWN, "own"),
    ]
    accepted_like(run, shots, "a delivery with several signatures")


@check(
    "Several signatures of which none fits are refused",
    topic="signature",
    level="must",
    why="More than one signature is no reason to trust a request.",
    fix="Compare each of them whole; a signature of a version that you do not know never fits.",
    needs=several,
    remedies=("constant-time",),
)
def check_rejects_none_of_several(run: Run) -> None:
    """A delivery of whose signatures none fits is refused and leaves no effect; signed rightly, it is accepted.

    A, with two signatures that do not fit -> refused
    = nothing of A
    A -> acknowledged
    = A

    - Several signatures are taken without a look at them.
    """
    must_reject(
        run,
        [
            with_signatures(run, "two of other secrets", "other", "other", forged=True),
            with_signatures(run, "one of another secret, one of a version to come", "other", UNKNOWN, forged=True),
        ],
    )
