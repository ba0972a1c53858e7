"""Who is let into the console, and what another site cannot have a browser do there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from im_callback.provider_mock.server.console.door import LONGEST_LOGIN, Door
from im_callback.provider_mock.server.tokens import DEFAULT, Token, Tokens, TokenSettings
from itsdangerous import TimestampSigner

from tests.provider_mock_server.served import TOKEN, Served, served, written

LOGIN = "/console/login"
PAGES = ("/", "/console/apps", "/console/send", "/console/runs", "/console/deliveries/1", "/console/changes")


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Serve with a token, to somebody who has none."""
    with served(tmp_path_factory.mktemp("locked"), token=TOKEN) as found:
        yield found


@pytest.fixture
def session(locked: Served) -> Iterator[requests.Session]:
    """Return somebody who has logged in."""
    with requests.Session() as session:
        session.trust_env = False
        answer = post(locked, LOGIN, {"token": TOKEN, "next": "/console/apps"}, session)
        assert (303, "/console/apps") == (answer.status_code, answer.headers["Location"])
        yield session


def entered(file: Path, text: str) -> tuple[Door, Token]:
    """Return a door, and the token that opens it."""
    door = Door(Tokens({DEFAULT: TokenSettings(written(file, text))}))
    token = door.open(text)
    assert isinstance(token, Token)
    return door, token


def post(
    locked: Served, path: str, form: dict[str, str] | None = None, session: requests.Session | None = None, **more: str
) -> requests.Response:
    """Return the answer to a form that a page of the console, or of another site, sends."""
    headers = {"Origin": locked.url, **more}
    asks = (session or requests).post
    return asks(f"{locked.url}{path}", data=form or {}, headers=headers, allow_redirects=False, timeout=30)


def get(locked: Served, path: str, session: requests.Session | None = None, **more: str) -> requests.Response:
    """Return the answer to a browser that goes to a page."""
    asks = (session or requests).get
    return asks(f"{locked.url}{path}", headers=more, allow_redirects=False, timeout=30)


class TestIn:
    """The token opens the door, and a cookie keeps it open."""

    @pytest.mark.parametrize("path", PAGES)
    def test_closed(self, path: str, locked: Served) -> None:
        """Without a session every page leads to the form, which knows where to go on."""
        answer = get(locked, path)
        assert 303 == answer.status_code
        assert answer.headers["Location"].startswith(f"{LOGIN}?next=/")
        assert TOKEN not in answer.text

    def test_cookie(self, locked: Served) -> None:
        """The cookie is out of reach for scripts and other sites, and is not the token."""
        cookie = post(locked, LOGIN, {"token": TOKEN}).headers["Set-Cookie"]
        assert all(word in cookie for word in ("HttpOnly", "SameSite=Strict", "Path=/", "Max-Age="))
        assert TOKEN not in cookie

    def test_open(self, locked: Served, session: requests.Session) -> None:
        """Who is in sees the pages; the API still wants the token."""
        assert 200 == get(locked, "/", session).status_code
        assert 401 == get(locked, "/api/v1/apps", session).status_code
        assert 401 == get(locked, "/metrics", session).status_code

    def test_wrong(self, locked: Served) -> None:
        """Another token is refused without a cookie, and is not repeated."""
        answer = post(locked, LOGIN, {"token": "another-token-1"})
        assert 403 == answer.status_code
        assert "Set-Cookie" not in answer.headers
        assert "another-token-1" not in answer.text

    def test_out(self, locked: Served, session: requests.Session) -> None:
        """Who logs out is out."""
        assert 303 == post(locked, "/console/logout", None, session).status_code
        assert 303 == get(locked, "/", session).status_code

    @pytest.mark.parametrize(
        "to", ["//evil.example/", "https://evil.example/", "/\\evil.example", "/api/v1/apps", "/\t/x"]
    )
    def test_inside(self, to: str, locked: Served) -> None:
        """The way in leads nowhere else."""
        assert "/" == post(locked, LOGIN, {"token": TOKEN, "next": to}).headers["Location"]

    def test_part(self, locked: Served) -> None:
        """A part of a page that is asked for when the session is over has the whole page go to the form."""
        answer = get(locked, "/", **{"HX-Request": "true"})
        assert (401, LOGIN) == (answer.status_code, answer.headers["HX-Redirect"])

    def test_forged(self, tmp_path: Path) -> None:
        """A cookie of another token, an old one, or one of somebody's own making opens nothing."""
        door, token = entered(tmp_path / "token", TOKEN)
        port = {"HOST": "localhost:8600"}
        for value in (
            Door.session(*entered(tmp_path / "other", "another-token-of-1")),
            f"{DEFAULT}.x.y",
            f"{DEFAULT}..",
            TOKEN,
            "",
            TimestampSigner(TOKEN).sign(DEFAULT).decode(),
        ):
            assert door.visitor({**port, "COOKIE": f"provider-mock-8600={value}"}) is None
        assert token == door.visitor({**port, "COOKIE": f"provider-mock-8600={door.session(token)}"})
        assert door.visitor({**port, "COOKIE": f"provider-mock-8601={door.session(token)}"}) is None

    def test_other_server(self, tmp_path: Path) -> None:
        """Another server that has the same token knows the session."""
        door, token = entered(tmp_path / "token", TOKEN)
        other, _ = entered(tmp_path / "other", TOKEN)
        assert token == other.visitor({"COOKIE": f"provider-mock-session={door.session(token)}"})


class TestAddresses:
    """What people write into the address."""

    @pytest.mark.parametrize(
        ("path", "status"),
        [
            ("/?q=%00&state=lost&before=x&outcome=none", 200),
            ("/console/deliveries/7", 404),
            ("/console/deliveries/99999999999999999999", 404),
            ("/console/apps/none", 404),
            ("/console/send?app=none", 404),
            ("/console/send?like=7", 200),
            ("/console/nothing", 404),
        ],
    )
    def test_wrong(self, path: str, status: int, locked: Served, session: requests.Session) -> None:
        """It is answered, and is no error of ours."""
        assert status == get(locked, path, session).status_code


class TestOtherSites:
    """Pages of other sites can have a browser send forms, and show ours inside of theirs."""

    @pytest.mark.parametrize(
        "told",
        [
            {"Origin": "https://evil.example"},
            {"Origin": "null"},
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site"},
            {"Sec-Fetch-Site": "none"},
        ],
    )
    def test_forms(self, told: dict[str, str], locked: Served, session: requests.Session) -> None:
        """Nothing is changed for them, whatever the cookie says; nobody is logged in by them either."""
        for path in ("/console/apps/shop/faults", "/console/send", "/console/logout", LOGIN):
            assert 403 == post(locked, path, {"token": TOKEN}, session, **told).status_code

    def test_no_origin(self, locked: Served, session: requests.Session) -> None:
        """What does not say where it comes from changes nothing."""
        url = f"{locked.url}/console/logout"
        assert 403 == session.post(url, timeout=30, allow_redirects=False).status_code

    def test_frames(self, locked: Served, session: requests.Session) -> None:
        """No site can show a page inside of its own, and pages load nothing of others'; payloads are not kept."""
        for path in ("/", LOGIN, "/console/static/console.js"):
            headers = get(locked, path, session).headers
            assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
            assert "default-src 'self'" in headers["Content-Security-Policy"]
            assert "unsafe" not in headers["Content-Security-Policy"]
            assert "DENY" == headers["X-Frame-Options"]
        assert "no-store" == get(locked, "/", session).headers["Cache-Control"]

    def test_long_form(self, locked: Served) -> None:
        """Who has not shown a token yet sends no more than one."""
        assert 413 == post(locked, LOGIN, {"token": "x" * LONGEST_LOGIN}).status_code

    def test_without_token(self, tmp_path_factory: pytest.TempPathFactory) -> None:
        """Without a token the console is this machine's own, and still of no other page."""
        with served(tmp_path_factory.mktemp("open")) as found:
            assert 200 == get(found, "/").status_code
            assert "Log out" not in get(found, "/").text
            assert 403 == get(found, "/", Host="evil.example").status_code
            assert 403 == get(found, "/console/changes", Origin="https://evil.example").status_code
            assert 403 == post(found, "/console/send", Origin="https://evil.example").status_code
            assert 403 == found.session.post(f"{found.url}/console/send", timeout=30).status_code
