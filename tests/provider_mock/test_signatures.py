"""Signing and verifying: against the documents' own vectors, against an independent oracle, and under every change."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from im_callback.provider_mock import providers
from im_callback.provider_mock.contract import Credentials, Event, Parameter, Provider, Request, Stamp, with_query
from im_callback.provider_mock.history import Shot
from im_callback.provider_mock.providers import commsease, rongcloud, tencent
from im_callback.provider_mock.providers.commsease import signing as commsease_signing
from im_callback.provider_mock.providers.rongcloud import signing as rongcloud_signing
from im_callback.provider_mock.providers.tencent import signing as tencent_signing
from im_callback.provider_mock.wire import Wire

from tests.provider_mock import oracle
from tests.provider_mock.strategies import app_keys, bodies, credentials, nonces, repeatable, secrets, stamps, wires

PROVIDERS = [providers.load(name) for name in ("commsease", "rongcloud", "tencent")]
PARAMETERS = [
    pytest.param(one, parameter, id=f"{one.name}-{parameter.name}")
    for one in PROVIDERS
    for parameter in one.feeds[0].parameters
]
URL = "https://example.com/callback?tenant=7"
NOW = 1_700_000_000_000
STAMP = Stamp(NOW, "14314")
each_provider = pytest.mark.parametrize("provider", PROVIDERS, ids=lambda one: one.name)


def signed(provider: Provider, body: bytes = b'{"a":1}', stamp: Stamp = STAMP) -> Request:
    """Return a request signed with the provider's test credentials."""
    return provider.feeds[0].sign(body, "C2C.CallbackAfterSendMsg", URL, provider.defaults, stamp)


class TestCommsEaseFormula:
    """Tests for CommsEase's `checksum`: sha1(AppSecret + MD5 + CurTime)."""

    @pytest.mark.parametrize(
        ("checksum", "secret", "md5", "time"),
        [
            # The values of "Request header settings", whose CheckSum the page does not print.
            (
                "ea00b7e0c8f8335394ae7e6f0f2ced979b963c8f",
                "90u757h67n87",
                "9894907e4ad9de4678091277509361f7",
                "1440570500855",
            ),
            (
                "76f7afe98e2e1f3659e42d19af316b41aedaea8c",
                "90u757h67n87",
                "99914b932bd37a50b983c5e7c90ae93b",
                "1440570500855",
            ),
        ],
    )
    def test_vectors(self, checksum: str, secret: str, md5: str, time: str) -> None:
        """The documented inputs give what coreutils give."""
        assert checksum == commsease_signing.checksum(secret, md5, time)
        assert checksum == oracle.digest("sha1", f"{secret}{md5}{time}".encode())

    @pytest.mark.parametrize("md5", ["9894907e4ad9de4678091277509361f7", "99914b932bd37a50b983c5e7c90ae93b"])
    def test_published_checksum_is_no_vector(self, md5: str) -> None:
        """The CheckSum printed in every sample of the documents belongs to none of their secrets and bodies."""
        assert "001511b8435e0b28044ca50a78e8f983026c5e01" != commsease_signing.checksum(
            "90u757h67n87", md5, "1440570500855"
        )

    def test_published_sample_is_refused(self) -> None:
        """The sample request of the documents, as printed, does not verify."""
        sample = Request(
            URL,
            (
                ("AppKey", "test-key"),
                ("CurTime", "1440570500855"),
                ("MD5", "99914b932bd37a50b983c5e7c90ae93b"),
                ("CheckSum", "001511b8435e0b28044ca50a78e8f983026c5e01"),
            ),
            b"{}",
        )
        problem = commsease.PROVIDER.feeds[0].verify(sample, Credentials("test-key", "90u757h67n87"), NOW)
        assert "the CheckSum is not sha1(AppSecret + MD5 + CurTime)" == problem

    def test_probe(self) -> None:
        """The console's probe is `{}`, signed, with an extra `charset` header."""
        probe = commsease.PROVIDER.feeds[0].probe(URL, commsease.PROVIDER.defaults, Stamp(1608110108512, ""))
        assert probe is not None
        assert b"{}" == probe.body
        assert URL == probe.url
        assert [
            ("Content-Type", "application/json"),
            ("charset", "utf-8"),
            ("AppKey", "test-key"),
            ("CurTime", "1608110108512"),
            ("MD5", "99914b932bd37a50b983c5e7c90ae93b"),
            ("CheckSum", oracle.digest("sha1", b"test-secret99914b932bd37a50b983c5e7c90ae93b1608110108512")),
        ] == list(probe.headers)
        assert commsease.PROVIDER.feeds[0].verify(probe, commsease.PROVIDER.defaults, NOW) is None

    @pytest.mark.parametrize("provider", [rongcloud.PROVIDER, tencent.PROVIDER], ids=lambda one: one.name)
    def test_others_have_no_probe(self, provider: Provider) -> None:
        """The documents of RongCloud and Tencent describe no handshake, so there is none."""
        assert provider.feeds[0].probe(URL, provider.defaults, STAMP) is None


class TestRongCloudFormula:
    """Tests for `rongcloud.signature`: sha1(AppSecret + Nonce + Timestamp)."""

    @pytest.mark.parametrize(
        ("signature", "secret", "nonce", "time"),
        [
            # The older edition of "Server Callback Signature": the only printed sample that verifies.
            ("30be0bbca9c9b2e27578701e9fda2358a814c88f", "Y1W2MeFwwwRxa0", "14314", "1408710653000"),
            # The inputs of the current edition, with a secret of ours.
            ("5b2deb955c3f258de551cc876347ea48022da30c", "test-secret", "14314", "1408710653491"),
            ("dd11a264276f438b045b3b236a2741ddc89d48df", "Y1W2MeFwwwRxa0", "14314", "1408710653491"),
        ],
    )
    def test_vectors(self, signature: str, secret: str, nonce: str, time: str) -> None:
        """The documented inputs give what coreutils give."""
        assert signature == rongcloud_signing.signature(secret, nonce, time)
        assert signature == oracle.digest("sha1", f"{secret}{nonce}{time}".encode())

    @pytest.mark.parametrize(
        "published", ["45beb7cc7307889a8e711219a47b7cf6a5b000e8", "890b422b75c1c5cb706e4f7921df1d94e69c17f4"]
    )
    def test_published_signatures_are_no_vectors(self, published: str) -> None:
        """The signatures that the documents print next to these inputs do not belong to them."""
        url = with_query(
            URL,
            [("appKey", "uwd1c0sxdlx2"), ("timestamp", "1408710653491"), ("nonce", "14314"), ("signature", published)],
        )
        problem = rongcloud.PROVIDER.feeds[0].verify(
            Request(url, (), b"[]"), Credentials("uwd1c0sxdlx2", "Y1W2MeFwwwRxa0"), NOW
        )
        assert "the signature is not sha1(AppSecret + nonce + timestamp)" == problem

    def test_where_the_published_one_comes_from(self) -> None:
        """The current sample was made with the application's key for the secret, and with other seconds."""
        assert "45beb7cc7307889a8e711219a47b7cf6a5b000e8" == rongcloud_signing.signature(
            "uwd1c0sxdlx2", "14314", "1408706337"
        )

    def test_legacy_name(self) -> None:
        """Until 2021 the time was called signTimestamp; only the name differs, and the current rule misses it."""
        old = rongcloud.PROVIDER.feeds[0].sign(
            b"[]", "", URL, rongcloud.PROVIDER.defaults, STAMP, Wire(legacy_names=True)
        )
        assert signed(rongcloud.PROVIDER).url.replace("timestamp=", "signTimestamp=") == old.url
        assert "timestamp is given 0 times in the query, not once" == rongcloud.PROVIDER.feeds[0].verify(
            old, rongcloud.PROVIDER.defaults, NOW
        )


class TestTencentFormula:
    """Tests for `tencent.sign`: sha256(Token + RequestTime)."""

    @pytest.mark.parametrize(
        ("sign", "token"),
        [
            # "Webhook authentication" on trtc.io and the China console page.
            ("17773bc39a671d7b9aa835458704d2a6db81360a5940292b587d6d760d484061", "xxxxyyyy"),
            ("e78a85473bed2cdc8d6fa8c4d5a4ba4735fd64156e15a99516b9890293e135de", "xxxyyy"),
        ],
    )
    def test_vectors(self, sign: str, token: str) -> None:
        """The documented inputs give what coreutils give."""
        assert sign == tencent_signing.sign(token, "1669872112")
        assert sign == oracle.digest("sha256", f"{token}1669872112".encode())

    def test_published_with_the_wrong_token(self) -> None:
        """The international page prints the hash of `xxxxyyyy` next to the token `xxxyyy`."""
        url = with_query(
            URL,
            [
                ("SdkAppid", "1"),
                ("Sign", "17773bc39a671d7b9aa835458704d2a6db81360a5940292b587d6d760d484061"),
                ("RequestTime", "1669872112"),
            ],
        )
        found = tencent.PROVIDER.feeds[0].verify(Request(url, (), b"{}"), Credentials("1", "xxxyyy"), 1669872112_000)
        assert "the Sign is not sha256(token + RequestTime)" == found

    @pytest.mark.parametrize(
        ("problem", "now"),
        [
            (None, NOW),
            (None, NOW + 60_000),
            (None, NOW - 60_000),
            ("RequestTime '1700000000' is more than 60 s from now", NOW + 60_001),
            ("RequestTime '1700000000' is more than 60 s from now", NOW - 60_001),
        ],
    )
    def test_freshness(self, problem: str | None, now: int) -> None:
        """A Sign is good for one minute, either way."""
        assert problem == tencent.PROVIDER.feeds[0].verify(signed(tencent.PROVIDER), tencent.PROVIDER.defaults, now)

    @pytest.mark.parametrize(
        "time", ["soon", "", "-1", "1e9", "٣", "9" * 400, "9" * 5000], ids=lambda time: f"{time[:9]}-{len(time)}"
    )
    def test_time_that_is_none(self, time: str) -> None:
        """A RequestTime that is no number of seconds, or an absurd one, is refused even when it is signed."""
        sign = oracle.digest("sha256", f"test-token{time}".encode())
        url = with_query(URL, [("SdkAppid", "1400000001"), ("Sign", sign), ("RequestTime", time)])
        found = tencent.PROVIDER.feeds[0].verify(Request(url, (), b"{}"), tencent.PROVIDER.defaults, NOW)
        assert f"RequestTime {time!r} is more than 60 s from now" == found

    def test_no_token(self) -> None:
        """Without a token nothing is signed, and the application is all that can be checked."""
        bare = Credentials("1400000001", None)
        request = tencent.PROVIDER.feeds[0].sign(
            b"{}", "C2C.CallbackAfterSendMsg", "https://example.com/cb", bare, STAMP
        )
        assert (
            "https://example.com/cb?SdkAppid=1400000001&CallbackCommand=C2C.CallbackAfterSendMsg"
            "&contenttype=json&ClientIP=127.0.0.1&OptPlatform=iOS"
        ) == request.url
        assert tencent.PROVIDER.feeds[0].verify(request, bare, NOW) is None
        assert "SdkAppid is ['1400000001'], not '1400000002'" == tencent.PROVIDER.feeds[0].verify(
            request, Credentials("1400000002", None), NOW
        )
        doubled = tencent.PROVIDER.feeds[0].parameter("key").given(request, "1400000001", "1400000001")
        assert tencent.PROVIDER.feeds[0].verify(doubled, bare, NOW) is not None


class TestSign:
    """Tests for `Provider.sign` and `Provider.request`: the exact request."""

    def test_commsease(self) -> None:
        """Four headers in the documented order and case; the address stays as it is."""
        request = signed(commsease.PROVIDER)
        md5 = oracle.digest("md5", b'{"a":1}')
        assert (
            Request(
                URL,
                (
                    ("Content-Type", "application/json"),
                    ("AppKey", "test-key"),
                    ("CurTime", "1700000000000"),
                    ("MD5", md5),
                    ("CheckSum", oracle.digest("sha1", f"test-secret{md5}1700000000000".encode())),
                ),
                b'{"a":1}',
            )
            == request
        )

    def test_rongcloud(self) -> None:
        """Four parameters after those that the address has already."""
        sign = oracle.digest("sha1", b"test-secret143141700000000000")
        assert Request(
            f"{URL}&appKey=test-key&timestamp=1700000000000&nonce=14314&signature={sign}",
            (("Content-Type", "application/json"),),
            b'{"a":1}',
        ) == signed(rongcloud.PROVIDER)

    def test_tencent(self) -> None:
        """The documented query, then Sign and RequestTime, in seconds."""
        sign = oracle.digest("sha256", b"test-token1700000000")
        assert Request(
            f"{URL}&SdkAppid=1400000001&CallbackCommand=C2C.CallbackAfterSendMsg&contenttype=json"
            f"&ClientIP=127.0.0.1&OptPlatform=iOS&Sign={sign}&RequestTime=1700000000",
            (("Content-Type", "application/json"),),
            b'{"a":1}',
        ) == signed(tencent.PROVIDER)

    @pytest.mark.parametrize("provider", [commsease.PROVIDER, tencent.PROVIDER], ids=lambda one: one.name)
    def test_one_event_a_request(self, provider: Provider) -> None:
        """Where a request carries one event, several are refused, and none too."""
        event = Event("x.y", {})
        for events in ([event, event], []):
            with pytest.raises(ValueError, match="values to unpack"):
                provider.feeds[0].request(events, URL, provider.defaults, STAMP)

    def test_batch(self) -> None:
        """RongCloud sends an array, also for one event."""
        events = [Event("x.y", {"n": 1}), Event("x.y", {"n": 2})]
        assert (
            b'[{"n":1},{"n":2}]'
            == rongcloud.PROVIDER.feeds[0].request(events, URL, rongcloud.PROVIDER.defaults, STAMP).body
        )
        assert (
            b'[{"n":1}]'
            == rongcloud.PROVIDER.feeds[0].request(events[:1], URL, rongcloud.PROVIDER.defaults, STAMP).body
        )

    def test_command_from_payload(self) -> None:
        """Tencent repeats the payload's CallbackCommand in the query."""
        event = Event("x.y", {"CallbackCommand": "C2C.Callback&?=1"})
        request = tencent.PROVIDER.feeds[0].request([event], "http://h/", tencent.PROVIDER.defaults, STAMP)
        assert "&CallbackCommand=C2C.Callback%26%3F%3D1&" in request.url

    @each_provider
    def test_is_pure(self, provider: Provider) -> None:
        """The same input gives the same request."""
        assert signed(provider) == signed(provider)


class TestAgainstOracle:
    """What we sign, an independent verifier accepts."""

    @each_provider
    @settings(repeatable, max_examples=15)
    @given(body=bodies, who=credentials, stamp=stamps)
    def test_accepted(self, provider: Provider, body: bytes, who: Credentials, stamp: Stamp) -> None:
        """For any body, secret and time."""
        request = provider.feeds[0].sign(body, "C", URL, who, stamp)
        assert who.app_secret is not None
        now = stamp.millis / 1000
        assert oracle.accepts(provider.name, request.url, request.headers, body, who.app_key, who.app_secret, now)

    @each_provider
    @settings(repeatable, max_examples=5)
    @given(body=bodies, who=credentials, other=secrets, stamp=stamps)
    def test_other_secret(self, provider: Provider, body: bytes, who: Credentials, other: str, stamp: Stamp) -> None:
        """With another secret both say no."""
        assume(other != who.app_secret)
        request = provider.feeds[0].sign(body, "C", URL, who, stamp)
        now = stamp.millis / 1000
        assert not oracle.accepts(provider.name, request.url, request.headers, body, who.app_key, other, now)
        assert provider.feeds[0].verify(request, Credentials(who.app_key, other), stamp.millis) is not None


class TestVerify:
    """Tests for `Provider.verify`: nothing about what it signed itself, something about every change."""

    @each_provider
    @repeatable
    @given(body=bodies, who=credentials, stamp=stamps, wire=wires)
    def test_round_trip(self, provider: Provider, body: bytes, who: Credentials, stamp: Stamp, wire: Wire) -> None:
        """What is signed verifies, however it is written."""
        assert (
            provider.feeds[0].verify(provider.feeds[0].sign(body, "C", URL, who, stamp, wire), who, stamp.millis)
            is None
        )

    @repeatable
    @given(body=bodies.filter(bool), stamp=stamps, data=st.data())
    def test_changed_byte(self, body: bytes, stamp: Stamp, data: st.DataObject) -> None:
        """CommsEase covers the body: any byte that changes is found."""
        provider = commsease.PROVIDER
        place = data.draw(st.integers(0, len(body) - 1))
        flipped = bytes([body[place] ^ data.draw(st.integers(1, 255))])
        request = provider.feeds[0].sign(body, "", URL, provider.defaults, stamp)
        changed = Request(request.url, request.headers, body[:place] + flipped + body[place + 1 :])
        problem = provider.feeds[0].verify(changed, provider.defaults, stamp.millis)
        assert problem is not None
        assert problem.startswith("the header MD5 is ")

    @pytest.mark.parametrize("body", [b"", b'{"a":1}\n', b'{"a": 1}', b'{"a":1.0}', b"\xef\xbb\xbf" + b'{"a":1}'])
    def test_rewritten_body(self, body: bytes) -> None:
        """The raw bytes count: another spelling of the same JSON is found."""
        request = signed(commsease.PROVIDER)
        changed = Request(request.url, request.headers, body)
        assert commsease.PROVIDER.feeds[0].verify(changed, commsease.PROVIDER.defaults, NOW) is not None

    @pytest.mark.parametrize("provider", [rongcloud.PROVIDER, tencent.PROVIDER], ids=lambda one: one.name)
    def test_uncovered_body(self, provider: Provider) -> None:
        """RongCloud and Tencent do not cover the body: another one verifies all the same."""
        request = signed(provider)
        assert provider.feeds[0].verify(Request(request.url, request.headers, b"other"), provider.defaults, NOW) is None

    @pytest.mark.parametrize(("provider", "parameter"), PARAMETERS)
    @repeatable
    @given(data=st.data())
    def test_changed_parameter(self, provider: Provider, parameter: Parameter, data: st.DataObject) -> None:
        """Any other value of any parameter is found."""
        request = signed(provider)
        (value,) = parameter.values(request)
        other = data.draw(st.text(max_size=50) | st.just(value.upper()) | st.just(value + "0") | st.just(value[:-1]))
        assume(other != value)
        assert provider.feeds[0].verify(parameter.given(request, other), provider.defaults, NOW) is not None

    @pytest.mark.parametrize(("provider", "parameter"), PARAMETERS)
    def test_missing(self, provider: Provider, parameter: Parameter) -> None:
        """A parameter that is not there is found and named."""
        found = provider.feeds[0].verify(parameter.given(signed(provider)), provider.defaults, NOW)
        assert f"{parameter.name} is given 0 times in the {parameter.place}, not once" == found

    @pytest.mark.parametrize(("provider", "parameter"), PARAMETERS)
    def test_doubled(self, provider: Provider, parameter: Parameter) -> None:
        """A parameter that is there twice is found, also when both values are right."""
        request = signed(provider)
        (value,) = parameter.values(request)
        for values in ((value, value), (value, "x"), ("x", value)):
            found = provider.feeds[0].verify(parameter.given(request, *values), provider.defaults, NOW)
            assert f"{parameter.name} is given 2 times in the {parameter.place}, not once" == found

    @pytest.mark.parametrize(("provider", "parameter"), PARAMETERS)
    def test_empty(self, provider: Provider, parameter: Parameter) -> None:
        """A parameter without a value is found."""
        assert provider.feeds[0].verify(parameter.given(signed(provider), ""), provider.defaults, NOW) is not None

    @each_provider
    def test_no_text(self, provider: Provider) -> None:
        """A value that is no UTF-8, as from a command line, is a wrong value and no crash."""
        request = signed(provider)
        for parameter in provider.feeds[0].parameters:
            if parameter.place == "header":
                changed = parameter.given(request, "\udcff")
                assert provider.feeds[0].verify(changed, provider.defaults, NOW) is not None

    @each_provider
    def test_nothing_at_all(self, provider: Provider) -> None:
        """A bare request is told what it lacks first."""
        found = provider.feeds[0].verify(Request("http://h/", (), b""), provider.defaults, NOW)
        assert (
            f"{provider.feeds[0].parameters[0].name} is given 0 times in the {provider.feeds[0].parameters[0].place}, not once"
            == found
        )


class TestSecrets:
    """The secret stays where it is."""

    @each_provider
    @repeatable
    @given(who=credentials, other=secrets, stamp=stamps, body=bodies, tampered=app_keys)
    def test_never_shown(
        self, provider: Provider, who: Credentials, other: str, stamp: Stamp, body: bytes, tampered: str
    ) -> None:
        """No message of `verify`, no repr of credentials, requests or shots contains it."""
        assert who.app_secret is not None
        request = provider.feeds[0].sign(body, "C", URL, who, stamp)
        assert who.app_secret not in repr(who)
        assert who.app_secret not in repr(Shot(provider.feeds[0], request, request, (), who))
        assert other not in (provider.feeds[0].verify(request, Credentials(who.app_key, other), stamp.millis) or "")
        for parameter in provider.feeds[0].parameters:
            for values in ((), ("",), (tampered,), (tampered, tampered)):
                message = provider.feeds[0].verify(parameter.given(request, *values), who, stamp.millis) or ""
                assert who.app_secret not in message

    def test_defaults_open_nothing(self) -> None:
        """The default credentials are for tests, and say so."""
        assert {
            "commsease": ("test-key", "test-secret"),
            "rongcloud": ("test-key", "test-secret"),
            "tencent": ("1400000001", "test-token"),
        } == {one.name: (one.defaults.app_key, one.defaults.app_secret) for one in PROVIDERS}


class TestShell:
    """Tests for `Provider.shell`: the expressions in the `curl` that a report prints."""

    @each_provider
    def test_signs_the_same(self, provider: Provider, tmp_path: Path) -> None:
        """A POSIX shell computes what `sign` computes for the same second and body."""
        body = '{"a":"中文"}'.encode()
        (tmp_path / "body.json").write_bytes(body)
        names = [
            parameter.name for parameter in provider.feeds[0].parameters if parameter.name in provider.feeds[0].shell()
        ]
        lines = [f"{name}={expression}" for name, expression in provider.feeds[0].shell().items()]
        lines += [f'printf "%s\\n" "${name}"' for name in names]
        environment = {"PATH": "/usr/bin:/bin", "NOW": "1700000000", "SECRET": str(provider.defaults.app_secret)}
        done = subprocess.run(
            ["sh", "-c", "\n".join(lines)], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
        )
        printed = dict(zip(names, done.stdout.split(), strict=True))
        nonce = printed.get("nonce", "")
        request = provider.feeds[0].sign(body, "C", URL, provider.defaults, Stamp(NOW, nonce))
        expected = {one.name: one.values(request)[0] for one in provider.feeds[0].parameters if one.role != "key"}
        assert expected == printed


class TestNonce:
    """RongCloud's nonce takes part in the signature."""

    @repeatable
    @given(one=nonces, other=nonces)
    def test_counts(self, one: str, other: str) -> None:
        """Another nonce, another signature."""
        assume(one != other)
        assert rongcloud_signing.signature("s", one, "1700000000000") != rongcloud_signing.signature(
            "s", other, "1700000000000"
        )
