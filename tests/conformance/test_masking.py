"""Secrets are masked where they stand, in every form, and nothing else is touched."""

from __future__ import annotations

import base64
import html
import json
import re
from urllib.parse import quote, quote_plus

import pytest
from im_callback.conformance.report.masking import Masking, secrets_in
from im_callback.conformance.report.visible import body_text
from im_callback.conformance.settings import Settings
from im_callback.provider_mock import providers
from im_callback.provider_mock.contract import MASK, Credentials

SECRET = 's3cret/with+odd "characters" 键'


def masking(
    *addresses: str, url: str = "http://h/", secret: str | None = None, headers: tuple[tuple[str, str], ...] = ()
) -> Masking:
    """Return the masking of a run."""
    provider = providers.load("commsease")
    credentials = Credentials("test-key", secret) if secret else provider.defaults
    return Masking.of(Settings(url, provider, credentials, seed=1, headers=headers), *addresses)


class TestAppSecret:
    """The app secret, wherever it stands whole."""

    @pytest.mark.parametrize(
        "form",
        [
            SECRET,
            quote(SECRET, safe=""),
            quote_plus(SECRET),
            base64.b64encode(SECRET.encode()).decode(),
            base64.b64encode(SECRET.encode()).decode().rstrip("="),
            base64.urlsafe_b64encode(SECRET.encode()).decode(),
            html.escape(SECRET),
            re.sub("%..", lambda found: found[0].lower(), quote(SECRET, safe="")),
            json.dumps(SECRET)[1:-1],
            json.dumps(SECRET)[1:-1].replace("/", "\\/"),
            json.dumps(SECRET)[1:-1].replace("u952e", "u952E"),
            json.dumps(SECRET, ensure_ascii=False)[1:-1],
        ],
    )
    @pytest.mark.parametrize("around", ["{}", "x{}y", "secret={}&a=b", '{{"secret":"{}"}}', "密码{}。"])
    def test_forms(self, form: str, around: str) -> None:
        """Also percent-encoded, in base64 and in JSON, and glued to other text."""
        assert around.format(MASK) == masking(secret=SECRET)(around.format(form))

    @pytest.mark.parametrize(
        ("expected", "text"),
        [("***", "abc"), ("xabcx", "xabcx"), ("abc_1", "abc_1"), ("a ***.", "a abc."), ('{"s":"***"}', '{"s":"abc"}')],
    )
    def test_short(self, expected: str, text: str) -> None:
        """A short one is masked as a whole word alone."""
        assert expected == masking(secret="abc")(text)

    def test_default(self) -> None:
        """The documented default hides nothing and is not masked."""
        assert "test-secret" == masking()("test-secret")

    @pytest.mark.parametrize("at", range(1190, 1205))
    def test_cut(self, at: int) -> None:
        """A secret at the place where a body is cut leaves no part of itself."""
        body = b"x" * at + SECRET.encode() + b"y" * 100
        assert SECRET[:5] not in body_text(body, masking(secret=SECRET))

    def test_inside_another(self) -> None:
        """Of two secrets, one inside the other, the longer is masked whole."""
        mask = masking(secret="a-secret-1", headers=(("X-Token", "not-a-secret-12"),))
        assert f"{MASK} {MASK}" == mask("not-a-secret-12 a-secret-1")


class TestHeaders:
    """The values of --receiver-header."""

    @pytest.mark.parametrize(
        ("name", "value"),
        [("X-Env", "1"), ("X-Stage", "test"), ("X-Flag", "true"), ("X-Retry", "0"), ("Authorization", "a")],
    )
    def test_short(self, name: str, value: str) -> None:
        """A short value is masked behind its name; everything else stays."""
        mask = masking(headers=((name, value),))
        plain = f"it is true that test 1 failed with 0 a (HTTP/1.1 201): {{'a': 1}} {value}"
        assert plain == mask(plain)
        for text in (
            f"{name}: %s",
            f"{name.lower()}: %s",
            f'"{name}": "%s"',
            f"HTTP_{name.upper().replace('-', '_')}=%s",
        ):
            assert text % MASK == mask(text % value)
        assert f"{name}: {value}{value}x" == mask(f"{name}: {value}{value}x")

    @pytest.mark.parametrize(
        ("name", "value", "said"),
        [
            ("X-Gateway", "let-me-1n", "let-me-1n"),
            ("Authorization", "Bearer eyJhbGciOi.abc123", "eyJhbGciOi.abc123"),
            ("Authorization", "Basic " + base64.b64encode(b"me:pa55word").decode(), "pa55word"),
            ("Authorization", "Basic " + base64.b64encode(b"me:pa55word").decode(), "me:pa55word"),
            ("Cookie", "session=0123456789abcdef", "session=0123456789abcdef"),
            ("X-Api-Key", "0123456789abcdef01", "0123456789abcdef01"),
        ],
    )
    def test_telling(self, name: str, value: str, said: str) -> None:
        """What can be told from ordinary text is masked wherever it stands, the token also alone."""
        assert f"you said {MASK}!" == masking(headers=((name, value),))(f"you said {said}!")

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("Content-Type", "application/json;charset=utf-8"),
            ("Host", "staging-2.example.com"),
            ("X-Forwarded-Proto", "https"),
            ("User-Agent", "curl/8.5.0 on linux"),
            ("X-Tenant", "commsease"),
        ],
    )
    def test_ordinary(self, name: str, value: str) -> None:
        """What everyone may see is not taken out of other texts."""
        assert f"about {value}." == masking(headers=((name, value),))(f"about {value}.")

    def test_nothing(self) -> None:
        """An empty value hides nothing."""
        assert "X-Empty: a" == masking(headers=(("X-Empty", ""),))("X-Empty: a")


class TestAddresses:
    """User names, passwords and tokens in the receiver's address and in that of the effects."""

    @pytest.mark.parametrize(
        ("expected", "address"),
        [
            ("http://me:***@h:1/p?a=b", "http://me:pa55word@h:1/p?a=b"),
            ("http://me:***@h/", "http://me:x@h/"),
            ("http://***@h/", "http://t0ken-12@h/"),
            ("redis://:***@h/0", "redis://:p@h/0"),
            ("postgresql+psycopg://u:***@h:5432/d", "postgresql+psycopg://u:p%40ss@h:5432/d"),
            ("http://h/e?token=***&page=1", "http://h/e?token=abc&page=1"),
            ("http://h/e?page=1&access_token=***", "http://h/e?page=1&access_token=a%2Fb"),
            ("http://h/e?x=***&provider=commsease", "http://h/e?x=0123456789abcdef0123&provider=commsease"),
            ("mysql://h/d?user=u&password=***&ssl=1", "mysql://h/d?user=u&password=1&ssl=1"),
            ("command:PGPASSWORD=*** psql -U me -c 'select 1'", "command:PGPASSWORD=x psql -U me -c 'select 1'"),
            ("command:curl -s http://me:***@h/e", "command:curl -s http://me:x@h/e"),
            ("command:read --token *** --page 1", "command:read --token abc --page 1"),
            ("file:effects.jsonl", "file:effects.jsonl"),
            ("http://127.0.0.1:8080/effects?provider=commsease", "http://127.0.0.1:8080/effects?provider=commsease"),
            ("http://[::1]:80/a@b", "http://[::1]:80/a@b"),
        ],
    )
    def test_where_it_stands(self, expected: str, address: str) -> None:
        """The address is shown without its secrets, whichever option it is of, and decoded as well."""
        assert expected == masking(address)(address)
        assert f"GET {expected} failed" == masking(url=address)(f"GET {address} failed")

    def test_elsewhere(self) -> None:
        """What a short password looks like elsewhere is not touched; a telling one is masked there too."""
        assert "1 of 1" == masking("redis://:1@h/")("1 of 1")
        assert "no such user: ***" == masking("redis://:pa55word@h/")("no such user: pa55word")

    def test_basic(self) -> None:
        """In the header that a client makes of them they are masked."""
        header = "Authorization: Basic " + base64.b64encode(b"me:1").decode()
        assert f"Authorization: Basic {MASK}" == masking("http://me:1@h/")(header)

    def test_decoded(self) -> None:
        """A password is masked as it is typed, and as it is meant."""
        mask = masking("http://me:p%40ss@h/")
        assert "http://me:***@h/ http://me:***@h/" == mask("http://me:p%40ss@h/ http://me:p@ss@h/")

    @pytest.mark.parametrize("text", ["", "none", "a@b", "http://", "://@", "http://@/", "?a", "?=&", "token="])
    def test_none(self, text: str) -> None:
        """Where there is no secret there is nothing to hide."""
        assert ([], []) == secrets_in(text)
