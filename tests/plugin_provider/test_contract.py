"""Acme's contract by itself: the published signature, several secrets, what follows which reply."""

from __future__ import annotations

import pytest
from im_callback.provider_mock import providers
from im_callback.provider_mock.contract import (
    Credentials,
    NextAttempt,
    NoReply,
    Outcome,
    Provider,
    Reply,
    Request,
    Stamp,
    Tried,
)
from im_callback.provider_mock.delivery import faults
from im_callback.provider_mock.traffic.world import tell
from im_callback.schemas import load

from tests.plugin_provider.installed import SOURCE

URL = "http://127.0.0.1/hooks"
BODY = b'{"test": 2432232314}'
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
MILLIS = 1_614_265_330_000
PUBLISHED = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
"""The signature of the body at that time under the id below, as the libraries of the specification test it."""
IDENTITY = "p5jXN8AQM9LWM0D4loKWxJek"


def signed(provider: Provider, credentials: Credentials, **changes: object) -> Request:
    """Return the published request, with another stamp if given."""
    stamp = Stamp(MILLIS, "1", IDENTITY)._replace(**changes)
    return provider.feeds[0].sign(BODY, "", URL, credentials, stamp)


def refused(status: int, *headers: tuple[str, str]) -> Tried:
    """Return an attempt that was answered so."""
    return Tried(Outcome.REFUSED, Reply(status, headers, b"", 0.1))


class TestSignature:
    """Over id, time and body."""

    def test_published(self, acme: Provider) -> None:
        """It is the one that everybody's libraries are tested with."""
        request = signed(acme, Credentials("", SECRET))
        assert (
            ("Content-Type", "application/json"),
            ("webhook-id", f"msg_{IDENTITY}"),
            ("webhook-timestamp", "1614265330"),
            ("webhook-signature", PUBLISHED),
        ) == request.headers
        assert acme.feeds[0].verify(request, Credentials("", SECRET), MILLIS + 299_000) is None

    def test_several_secrets(self, acme: Provider) -> None:
        """Typed with a space between them, all are signed with; who knows any of them can verify."""
        both = acme.credentials("app", f"whsec_bmV3 {SECRET}")
        assert ("whsec_bmV3", SECRET) == both.secrets
        request = signed(acme, both)
        (signatures,) = acme.feeds[0].parameter("signature").values(request)
        assert [28 + 19, PUBLISHED] == [len(signatures.split(" ")[0]), signatures.split(" ")[1]]
        for one in (both, Credentials("", SECRET), Credentials("", "whsec_bmV3")):
            assert acme.feeds[0].verify(request, one, MILLIS) is None
        assert "no signature" in str(acme.feeds[0].verify(request, Credentials("", "another"), MILLIS))

    @pytest.mark.parametrize("secret", ["plain", "", "whsec_not base64", "whsec_é"])
    def test_other_secrets(self, secret: str, acme: Provider) -> None:
        """Any text can be signed with, so that wrong secrets can be tried."""
        credentials = Credentials("", secret)
        assert acme.feeds[0].verify(signed(acme, credentials), credentials, MILLIS) is None
        assert acme.feeds[0].verify(signed(acme, credentials), Credentials("", SECRET), MILLIS) is not None

    def test_constant_id(self, acme: Provider) -> None:
        """A later attempt has the id of the first, and a time and a signature of its own."""
        first, later = (
            dict(signed(acme, acme.defaults, **changes).headers)
            for changes in ({}, {"millis": MILLIS + 5000, "number": 2, "nonce": "2"})
        )
        assert {"webhook-timestamp", "webhook-signature"} == {name for name in first if first[name] != later[name]}

    @pytest.mark.parametrize("seconds", [-301, 301])
    def test_stale(self, seconds: int, acme: Provider) -> None:
        """Five minutes are the limit."""
        said = acme.feeds[0].verify(signed(acme, acme.defaults), acme.defaults, MILLIS + seconds * 1000)
        assert "more than 300 s from now" in str(said)


class TestNextAttempt:
    """What follows an attempt."""

    @pytest.mark.parametrize(
        ("expected", "attempts"),
        [
            (NextAttempt("retry", 5.0), [refused(500)]),
            (NextAttempt("retry", 300.0), [refused(500)] * 2),
            (NextAttempt("retry", 1800.0), [refused(500)] * 3),
            (NextAttempt("dropped"), [refused(500)] * 4),
            (NextAttempt("dropped"), [refused(410)]),
            (NextAttempt("retry", 60.0), [refused(503, ("Retry-After", "60"))]),
            (NextAttempt("retry", 60.0), [refused(429, ("retry-after", "60"))]),
            (NextAttempt("retry", 5.0), [refused(429, ("Retry-After", "2"))]),
            (NextAttempt("retry", 5.0), [refused(400, ("Retry-After", "60"))]),
            (NextAttempt("retry", 5.0), [refused(503, ("Retry-After", "soon"))]),
            (
                NextAttempt("retry", 90.0),
                [
                    refused(
                        503,
                        ("Date", "Fri, 13 Mar 2026 10:00:00 GMT"),
                        ("Retry-After", "Fri, 13 Mar 2026 10:01:30 GMT"),
                    )
                ],
            ),
            (NextAttempt("retry", 5.0), [Tried(Outcome.TIMED_OUT, NoReply("timed-out", "", 15.0))]),
            (NextAttempt("retry", 5.0), [Tried(Outcome.UNREACHABLE)]),
            (NextAttempt("done"), [refused(500), Tried(Outcome.ACKED, Reply(204, (), b"", 0.1))]),
        ],
    )
    def test_follows(self, expected: NextAttempt, attempts: list[Tried], acme: Provider) -> None:
        """The schedule, but never earlier than asked for, and never after 410."""
        (feed,) = acme.feeds
        assert expected == feed.next_attempt(attempts, feed.policies["documented"])

    @pytest.mark.parametrize(
        ("outcome", "status"), [("acked", 200), ("acked", 299), ("refused", 301), ("refused", 199)]
    )
    def test_judge(self, outcome: str, status: int, acme: Provider) -> None:
        """Any 2xx acknowledges."""
        assert outcome == acme.feeds[0].judge(Reply(status, (), b"", 1.0)).outcome.value


class TestTogether:
    """What the package adds."""

    def test_schemas(self) -> None:
        """They are of the dialect, and their samples are valid."""
        found = load(SOURCE / "acme_hooks" / "schemas")
        assert {"acme.message-created", "acme.presence-changed"} == {one.name for one in found}
        for one in found:
            assert one.examples
            assert [] == [problem for sample in one.examples for problem in one.problems(sample)]
            assert {one.name} == {found.identify(sample).name for sample in one.examples}

    def test_story(self, acme: Provider) -> None:
        """It is told by its entry point: who writes is online; versions and sequences rise by one."""
        from random import Random

        versions: dict[str, int] = {}
        online: set[str] = set()
        told = tell(acme, Random(7), MILLIS)
        kinds = set()
        for (event,) in (next(told) for _ in range(500)):
            data = event.payload["data"]
            kinds.add((event.type, acme.catalogue[event.type].variant_of(event.payload)))
            scope, number = (
                (data["user"], data["version"])
                if event.type == "acme.presence-changed"
                else (data["conversation"], data["sequence"])
            )
            assert number == versions.get(scope, 0) + 1
            versions[scope] = number
            if event.type == "acme.message-created":
                assert data["sender"] in online
            else:
                (online.add if data["state"] == "online" else online.discard)(data["user"])
        assert {(one.name, variant) for one in acme.catalogue for variant in one.variants} == kinds

    def test_listed(self, acme: Provider) -> None:
        """The provider stands after ours, the fault beside ours."""
        assert acme.name == providers.names()[-1]
        assert {} == providers.unusable()
        assert 2.5 == faults.parse("clock-drift:seconds=2.5").seconds
