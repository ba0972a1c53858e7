"""Options: where they may come from, which one wins, and what is said to a value that cannot be used."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from im_callback.conformance import effects, options, session
from im_callback.conformance.check import all_checks
from im_callback.conformance.given import Given
from im_callback.conformance.option_table import FLAGS, OPTIONS, REPEATABLE
from im_callback.conformance.runner import ExitStatus
from im_callback.conformance.settings import Fixed, Settings
from im_callback.conformance.verdict import Level
from im_callback.provider_mock import providers
from im_callback.provider_mock.wire import Wire

from tests.conformance.little_server import serving, unused_url

pytest_plugins = ["pytester"]
# Pytester forgets what is imported first while it runs; nothing of this may be there twice.
PRELOADED = (
    session,
    effects.sources(),
    all_checks(),
    [providers.load(n) for n in providers.names()],
)

URL = "http://127.0.0.1:1/callbacks"


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave no option of the outer environment."""
    for name in list(os.environ):
        if name.startswith("RECEIVER_"):
            monkeypatch.delenv(name)


@pytest.fixture
def config(pytester: pytest.Pytester) -> Callable[..., Given]:
    """Return a function that makes the options of a run in an empty folder."""

    def make(*arguments: str, ini: str = "") -> Given:
        pytester.makeini(f"[pytest]\n{ini}\n")
        return session.given(pytester.parseconfig("-p", "no:xdist", f"--receiver-url={URL}", *arguments))

    return make


@pytest.fixture
def refusal(pytester: pytest.Pytester) -> Callable[..., str]:
    """Return a function that runs pytest in an empty folder, and returns the one line with which it refuses."""

    def run(*arguments: str) -> str:
        ended = pytester.runpytest_inprocess("-p", "no:xdist", "-p", "no:hypothesispytest", *arguments)
        assert ExitStatus.BAD_OPTIONS == ended.ret
        errors = [line for line in ended.errlines if line.strip()]
        assert 1 == len(errors), errors
        assert errors[0].startswith("ERROR: ")
        return errors[0].removeprefix("ERROR: ")

    return run


def wire_name(settings: Settings) -> str:
    """Return the name of a wire."""
    return next(name for name, one in settings.provider.wires.items() if one.wire == settings.wire)


def archive(own: str) -> str:
    """Return a HAR file with one login that has a field of its own."""
    (login, *_) = providers.load("commsease").catalogue["commsease.login"].examples
    posted = {"text": json.dumps({**login, "own": own})}
    request = {"method": "POST", "url": "http://h/", "headers": [], "postData": posted}
    entry = {"startedDateTime": "2026-11-29T21:00:00Z", "time": 1, "request": request}
    return json.dumps({"log": {"entries": [entry]}})


LAST = {
    "provider": ("tencent", "rongcloud", "commsease", lambda s: s.provider.name),
    "feed": ("third-party", "rtc", "neroom", lambda s: ", ".join(one.name for one in s.feeds)),
    "app-key": ("from-ini", "from-env", "from-line", lambda s: s.credentials.app_key),
    "app-secret": ("from-ini", "from-env", "from-line", lambda s: s.credentials.app_secret),
    "handles": (
        "commsease.login",
        "commsease.logout",
        "commsease.login, commsease.signal",
        lambda s: ", ".join(s.handles or ()),
    ),
    "accounts": ("ini-{n}", "env-{n}", "line-{n}", lambda s: s.accounts(1).replace("1", "{n}")),
    "rate": ("1.5", "2.5", "3.5", lambda s: str(s.rate)),
    "wire": ("ascii", "java-hashmap", "spaces", wire_name),
    "effects-unordered": ("no", "yes", "", lambda s: "yes" if s.unordered else "no"),
    "set": ("/accid=ini", "/accid=env", "/accid=line", lambda s: f"{s.fixed[0].pointer}={s.fixed[0].value}"),
    "level": ("must", "should", "may", lambda s: s.level.value),
    "seed": ("1", "2", "3", lambda s: str(s.seed)),
    "settle": ("1.5", "2.5", "3.5", lambda s: str(s.settle)),
    "ca": ("ini.pem", "env.pem", "line.pem", lambda s: s.ca_file.name),
    "samples": ("ini.har", "env.har", "line.har", lambda s: s.provider.catalogue["commsease.login"].examples[0]["own"]),
    "baseline": ("ini.json", "env.json", "line.json", lambda s: s.baseline["from"]),
    "command": ("ini", "env", "line", lambda s: s.command),
    "downstream": (
        "ini:1",
        "[::1]:2",
        "line:3",
        lambda s: ("{}:{}" if s.downstream[0] != "::1" else "[{}]:{}").format(*s.downstream),
    ),
    "wait": ("1.5", "2.5", "3.5", lambda s: str(s.wait)),
    "downstream-port": ("1", "2", "3", lambda s: str(s.downstream_port)),
    "dedupe-distance": ("1", "2", "3", lambda s: str(s.dedupe_distance)),
    "header": ("A: ini", "A: env", "A: line", lambda s: ": ".join(s.headers[0])),
}
"""By option: its value in the ini file, the environment and the command line, and how it shows in the settings."""
ELSEWHERE = {
    "effects",
    "effects-map",
    "effects-query",
    "json",
    "report",
    "markdown",
    "junit",
    "sarif",
    "baseline-update",
    "check",
    "allow-incomplete",
    "checks-as-of",
    "explore",
    "replay",
}
"""Options that are no part of the settings, or for which there are no three values."""


class TestPrecedence:
    """The command line wins, then the environment, then the ini file."""

    def test_every_option(self) -> None:
        """The tables of this module name every option."""
        assert LAST.keys() | ELSEWHERE == {name for name, *_ in (*OPTIONS, *REPEATABLE, *FLAGS)}

    @pytest.mark.parametrize("name", LAST)
    def test_settings(
        self,
        name: str,
        config: Callable[..., Given],
        pytester: pytest.Pytester,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """Each option's value comes from the place that wins."""
        in_ini, in_environment, on_line, shown = LAST[name]
        for value in (in_ini, in_environment, on_line):
            if value.endswith((".pem", ".json")):
                Path(value).write_text(json.dumps({"from": value}), encoding="utf-8")
            elif value.endswith(".har"):
                Path(value).write_text(archive(value), encoding="utf-8")
        plain = name.replace("-", "_")
        ini = f"receiver_{plain} = {in_ini}"
        assert in_ini == shown(options.settings(config(ini=ini)))
        monkeypatch.setenv(f"RECEIVER_{plain.upper()}", in_environment)
        assert in_environment == shown(options.settings(config(ini=ini)))
        if on_line:
            assert on_line == shown(options.settings(config(f"--receiver-{name}={on_line}", ini=ini)))
        else:
            monkeypatch.delenv(f"RECEIVER_{plain.upper()}")
            assert in_environment == shown(options.settings(config(f"--receiver-{name}", ini=ini)))

    @pytest.mark.parametrize("name", ["effects", "effects-map", "json", "report", "provider"])
    def test_option(self, name: str, config: Callable[..., Given], monkeypatch: pytest.MonkeyPatch) -> None:
        """Any option's value comes from the place that wins; nothing, in any place, is not given."""
        plain = name.replace("-", "_")
        ini = f"receiver_{plain} = from-ini"
        assert config().one(name) is None
        assert "from-ini" == config(ini=ini).one(name)
        monkeypatch.setenv(f"RECEIVER_{plain.upper()}", "from-env")
        assert "from-env" == config(ini=ini).one(name)
        assert "from-line" == config(f"--receiver-{name}=from-line", ini=ini).one(name)
        assert config(f"--receiver-{name}=", ini=ini).one(name) is None
        monkeypatch.setenv(f"RECEIVER_{plain.upper()}", "")
        assert "from-ini" == config(ini=ini).one(name)
        assert config().one(name) is None

    def test_repeatable(self, config: Callable[..., Given], monkeypatch: pytest.MonkeyPatch) -> None:
        """Repeatable options are given several times, or one to a line; those of one place count."""
        ini = "receiver_check =\n  a\n  b"
        assert [] == config().many("check")
        assert ["a", "b"] == config(ini=ini).many("check")
        monkeypatch.setenv("RECEIVER_CHECK", "c\n\n  d \n")
        assert ["c", "d"] == config(ini=ini).many("check")
        assert ["e", "f"] == config("--receiver-check=e", "--receiver-check=f", ini=ini).many("check")
        monkeypatch.setenv("RECEIVER_CHECK", "")
        assert ["a", "b"] == config(ini=ini).many("check")

    @pytest.mark.parametrize(
        ("expected", "value"),
        [
            (True, "1"),
            (True, "true"),
            (True, "Yes"),
            (True, "ON"),
            (False, "0"),
            (False, "false"),
            (False, "No"),
            (False, "off"),
            (False, ""),
        ],
    )
    def test_switch(
        self, expected: bool, value: str, config: Callable[..., Given], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A switch is on or off in the ini file and the environment, and on where it is given."""
        ini = f"receiver_allow_incomplete = {value}"
        assert expected is options.settings(config(ini=ini)).allow_incomplete
        monkeypatch.setenv("RECEIVER_ALLOW_INCOMPLETE", value)
        assert expected is options.settings(config()).allow_incomplete
        assert options.settings(config("--receiver-allow-incomplete", ini=ini)).allow_incomplete

    def test_environment_off(self, config: Callable[..., Given], monkeypatch: pytest.MonkeyPatch) -> None:
        """The environment can switch off what the ini file switches on."""
        monkeypatch.setenv("RECEIVER_ALLOW_INCOMPLETE", "no")
        assert not options.settings(config(ini="receiver_allow_incomplete = yes")).allow_incomplete


class TestDefaults:
    """Tests for `settings` where little is given."""

    @pytest.mark.parametrize(
        ("provider", "key", "secret"),
        [
            ("commsease", "test-key", "test-secret"),
            ("rongcloud", "test-key", "test-secret"),
            ("tencent", "1400000001", "test-token"),
        ],
    )
    def test_credentials(self, provider: str, key: str, secret: str, config: Callable[..., Given]) -> None:
        """Each provider has its documented test credentials."""
        made = options.settings(config(f"--receiver-provider={provider}"))
        assert (provider, key, secret) == (made.provider.name, made.credentials.app_key, made.credentials.app_secret)

    def test_rest(self, config: Callable[..., Given]) -> None:
        """Everything else has its documented default."""
        made = options.settings(config())
        assert ("commsease", URL) == (made.provider.name, made.url)
        assert (None, (), None, Wire(), False) == (made.accounts, made.fixed, made.rate, made.wire, made.unordered)
        assert (5.0, Level.SHOULD, None, (), None, False, {}) == (
            made.settle,
            made.level,
            made.handles,
            made.headers,
            made.ca_file,
            made.allow_incomplete,
            made.baseline,
        )
        assert options.settings(config()).seed != options.settings(config()).seed

    def test_no_token(self, config: Callable[..., Given]) -> None:
        """`none` is no token, for Tencent."""
        made = options.settings(config("--receiver-provider=tencent", "--receiver-app-secret=none"))
        assert made.credentials.app_secret is None

    def test_headers(self, config: Callable[..., Given]) -> None:
        """Headers may come several times, and hold colons and nothing."""
        made = options.settings(
            config("--receiver-header=A:b:c", "--receiver-header= X-Y : z ", "--receiver-header=E:")
        )
        assert (("A", "b:c"), ("X-Y", "z"), ("E", "")) == made.headers

    def test_no_effects(self, config: Callable[..., Given]) -> None:
        """Without a source there are no effects."""
        made = config()
        assert options.effects(made, options.settings(made)) is None

    @pytest.mark.parametrize("url", ["https://h/", "http://[::1]:80/x", "http://u:p@h:1/x?a=b"])
    def test_url(self, url: str, config: Callable[..., Given]) -> None:
        """Any address with a scheme and a host will do."""
        assert url == options.settings(config(f"--receiver-url={url}")).url

    def test_port_of_our_own(self, config: Callable[..., Given]) -> None:
        """Where we start the receiver port 0 stands for a free one, which the address of the effects may name."""
        with serving(lambda request: (200, "application/json", b"[]")) as little:
            made = config(
                "--receiver-url=http://127.0.0.1:0/x",
                "--receiver-command=serve {port}",
                f"--receiver-effects={little.url}/{{port}}",
            )
            found = options.settings(made)
            assert found.url.startswith("http://127.0.0.1:")
            port = found.url.removeprefix("http://127.0.0.1:").removesuffix("/x")
            assert int(port) > 1024
            assert "serve {port}" == found.command
            read = options.effects(made, found)
            assert read is not None
            read()
        assert [f"{little.url}/{port}"] == [one.url for one in little.got]

    def test_url_beyond_ascii(self, config: Callable[..., Given]) -> None:
        """It is written as it goes over the wire, as `provider-mock send` does."""
        made = options.settings(config("--receiver-url=http://h/回调?名=值"))
        assert "http://h/%E5%9B%9E%E8%B0%83?%E5%90%8D=%E5%80%BC" == made.url

    def test_source(self, config: Callable[..., Given]) -> None:
        """Effects are read with the headers of the run, and renamed."""
        with serving(lambda request: (200, "application/json", b'[{"who":"ann"}]')) as little:
            made = config(
                f"--receiver-effects={little.url}/e", "--receiver-effects-map={accid: who}", "--receiver-header=A: b"
            )
            read = options.effects(made, options.settings(made))
            assert read is not None
            assert [{"accid": "ann"}] == list(read())
        assert ("A", "b") in little.got[0].headers


class TestTold:
    """What is told of the receiver's world, as the settings have it."""

    def test_pattern(self, config: Callable[..., Given]) -> None:
        """A pattern numbers the accounts; other braces are no pattern's business."""
        made = options.settings(config("--receiver-accounts=u{n}-{x}-{n}"))
        assert made.accounts is not None
        assert ["u1-{x}-1", "u2-{x}-2"] == [made.accounts(1), made.accounts(2)]

    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
    def test_file(self, encoding: str, config: Callable[..., Given], pytester: pytest.Pytester) -> None:
        """A file lists them, one a line, with or without a byte order mark; they are taken in turn, again and again."""
        (pytester.path / "accounts.txt").write_bytes("ann\r\n\r\n 张三 \nbob b\n".encode(encoding))
        made = options.settings(config("--receiver-accounts=file:accounts.txt"))
        assert made.accounts is not None
        assert ["ann", "张三", "bob b", "ann", "张三"] == [made.accounts(n) for n in range(1, 6)]

    @pytest.mark.parametrize(
        ("expected", "content"),
        [
            ("it names no account", b"\xef\xbb\xbf\n \n"),
            ("it is not UTF-8", b"\xff\xff"),
            ("the account 'a\\x00b' holds control characters", b"a\x00b"),
        ],
    )
    def test_bad_file(
        self, expected: str, content: bytes, refusal: Callable[..., str], pytester: pytest.Pytester
    ) -> None:
        """What is no list of accounts is said to be none."""
        (pytester.path / "accounts.txt").write_bytes(content)
        message = refusal(f"--receiver-url={URL}", "--receiver-accounts=file:accounts.txt")
        assert message.startswith(f"--receiver-accounts=file:accounts.txt: {expected}")

    @pytest.mark.parametrize(
        ("expected", "provider", "assignments"),
        [
            ([Fixed(None, "/accid", "7")], "commsease", ["/accid=7"]),
            ([Fixed("commsease.login", "/accid", "a=b:/c")], "commsease", ["commsease.login:/accid=a=b:/c"]),
            ([Fixed("commsease.login", "/extra", "x")], "commsease", ["commsease.login:/extra=x"]),
            (
                [Fixed("commsease.read-receipt", "/toAccount", "bot")],
                "commsease",
                ["commsease.read-receipt:/toAccount=bot"],
            ),
            (
                [Fixed("tencent.c2c-after-send", "/To_Account", "bot")],
                "tencent",
                ["tencent.c2c-after-send:/To_Account=bot"],
            ),
            ([Fixed(None, "/UnreadMsgNum", 0)], "tencent", ["/UnreadMsgNum=0"]),
            (
                [
                    Fixed("tencent.c2c-after-send", "/From_Account", "ann"),
                    Fixed("tencent.c2c-after-send", "/To_Account", "bot"),
                ],
                "tencent",
                ["tencent.c2c-after-send:/From_Account=ann", "tencent.c2c-after-send:/To_Account=bot"],
            ),
            ([Fixed(None, "/chatroomId", "room")], "rongcloud", ["/chatroomId=room"]),
        ],
    )
    def test_set(
        self, expected: list[Fixed], provider: str, assignments: list[str], config: Callable[..., Given]
    ) -> None:
        """A field is of one event type or of all, and has the type that the samples give it."""
        given = [f"--receiver-set={one}" for one in assignments]
        assert expected == list(options.settings(config(f"--receiver-provider={provider}", *given)).fixed)

    @pytest.mark.parametrize(
        "handled",
        [
            ("commsease.conversation/TEAM/TEXT",),
            ("commsease.conversation/*/TEXT", "commsease.login"),
            ("commsease.conversation/*/CUSTOM_*",),
            ("commsease.conversation/TEAM/*", "commsease.conversation/P*/TEXT"),
        ],
    )
    def test_handles(self, handled: tuple[str, ...], config: Callable[..., Given]) -> None:
        """Variants can be named, and patterns of them."""
        assert handled == options.settings(config(f"--receiver-handles={', '.join(handled)}")).handles

    def test_wires(self, config: Callable[..., Given]) -> None:
        """Several wires add up, and a provider has its own."""
        made = options.settings(config("--receiver-provider=rongcloud", "--receiver-wire=legacy-names, ascii"))
        assert Wire(legacy_names=True, escapes="unicode") == made.wire

    def test_rate(self, config: Callable[..., Given]) -> None:
        """A rate may be below one a second."""
        assert 0.25 == options.settings(config("--receiver-rate=0.25")).rate

    @pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
    def test_baseline(self, encoding: str, config: Callable[..., Given], pytester: pytest.Pytester) -> None:
        """A baseline may begin with a byte order mark."""
        (pytester.path / "known.json").write_bytes('{"a.b.c": "票 7"}'.encode(encoding))
        assert {"a.b.c": "票 7"} == options.settings(config("--receiver-baseline=known.json")).baseline


class TestRefused:
    """A value that cannot be used ends the run with status 4 and one line: the option, and what to do."""

    @pytest.mark.parametrize(
        ("expected", "argument"),
        [
            (
                "--receiver-provider=nobody: no provider is called 'nobody'; choose one of: commsease, ",
                "provider=nobody",
            ),
            ("--receiver-level=high: there is no such level; choose one of: must, should, may", "level=high"),
            ("--receiver-level=MUST: there is no such level; did you mean 'must'?", "level=MUST"),
            ("--receiver-settle=soon: give seconds, from 0 to an hour", "settle=soon"),
            ("--receiver-settle=-1: give seconds", "settle=-1"),
            ("--receiver-settle=nan: give seconds", "settle=nan"),
            ("--receiver-settle=inf: give seconds", "settle=inf"),
            ("--receiver-settle=3600: give seconds", "settle=3600"),
            ("--receiver-seed=x: give a whole number", "seed=x"),
            ("--receiver-seed=1.5: give a whole number", "seed=1.5"),
            ("--receiver-url=127.0.0.1:80: give the whole address, as in http://", "url=127.0.0.1:80"),
            ("--receiver-url=localhost: give the whole address", "url=localhost"),
            ("--receiver-url=: give the whole address", "url="),
            ("--receiver-url=ftp://h/: give the whole address", "url=ftp://h/"),
            ("--receiver-url=http://: give the whole address", "url=http://"),
            ("--receiver-url=http://h:port/: give the whole address", "url=http://h:port/"),
            ("--receiver-url=http://h..i/: give the whole address", "url=http://h..i/"),
            ("--receiver-url=http://h:99999/: give the whole address", "url=http://h:99999/"),
            ("--receiver-url=http://[::1/: give the whole address", "url=http://[::1/"),
            ("--receiver-url=http://h/a b: give the whole address", "url=http://h/a b"),
            (
                "--receiver-handles=login: commsease has no event type 'login'; did you mean 'commsease.login'?",
                "handles=login",
            ),
            (
                "--receiver-handles=tencent.c2c-after-send: commsease has no event type 'tencent.c2c-",
                "handles=tencent.c2c-after-send",
            ),
            (
                "--receiver-handles=commsease.conversation/TEAM: commsease.conversation has no variant 'TEAM'; did you mean 'TEAM/*'? it has ",
                "handles=commsease.conversation/TEAM",
            ),
            (
                "--receiver-handles=commsease.conversation/*/SONG: commsease.conversation has no variant '*/SONG'; ",
                "handles=commsease.conversation/*/SONG",
            ),
            (
                "--receiver-handles=commsease.login/x: commsease.login has no variant 'x'; it has none: give its name alone",
                "handles=commsease.login/x",
            ),
            (
                "--receiver-accounts=user: it has no {n}; give a pattern such as user-{n}, or file:PATH with",
                "accounts=user",
            ),
            ("--receiver-accounts={n}\x1b: it holds control characters; give a pattern", "accounts={n}\x1b"),
            (
                "--receiver-accounts=file:none.txt: it cannot be read (No such file or directory); give a file",
                "accounts=file:none.txt",
            ),
            ("--receiver-accounts=file:.: it cannot be read (Is a directory)", "accounts=file:."),
            ("--receiver-accounts=file:/dev/null: it names no account; write one a line", "accounts=file:/dev/null"),
            ("--receiver-url: port 0 is for a receiver that --receiver-command starts", "url=http://127.0.0.1:0/"),
            ("--receiver-downstream=5432: give host and port of the store, as in 127.0.0.1:5432", "downstream=5432"),
            ("--receiver-downstream=db:: it has no port from 1 to 65535", "downstream=db:"),
            ("--receiver-downstream=::1:5432: give host and port", "downstream=::1:5432"),
            ("--receiver-downstream=tcp://db:1: give host and port", "downstream=tcp://db:1"),
            ("--receiver-downstream-port=0: give a port, from 1 to 65535", "downstream-port=0"),
            ("--receiver-rate=0: give deliveries per second, a number above 0", "rate=0"),
            ("--receiver-rate=-1: give deliveries per second", "rate=-1"),
            ("--receiver-rate=inf: give deliveries per second", "rate=inf"),
            ("--receiver-rate=60/m: give deliveries per second", "rate=60/m"),
            (
                "--receiver-wire=legacy-names: no wire is called 'legacy-names'; provider-mock events --wires lists them",
                "wire=legacy-names",
            ),
            (
                "--receiver-wire=ascii,escaped-slashes: escaped-slashes and ascii exclude each other; give one of them",
                "wire=ascii,escaped-slashes",
            ),
            ("--receiver-set=accid: give it as [EVENT-TYPE:]/POINTER=VALUE", "set=accid"),
            ("--receiver-set=accid=7: pointer 'accid': it does not begin with '/'; write '/accid'", "set=accid=7"),
            ("--receiver-set=/nowhere=7: no documented sample of commsease has /nowhere; name the", "set=/nowhere=7"),
            (
                "--receiver-set=commsease.logins:/accid=7: commsease has no event type 'commsease.logins'; did you mean 'commsease.login'?",
                "set=commsease.logins:/accid=7",
            ),
            (
                "--receiver-set=commsease.call-ended-2:/accid=7: commsease.call-ended-2 has no documented sample",
                "set=commsease.call-ended-2:/accid=7",
            ),
            (
                "--receiver-set=commsease.login:/clientType=X: this is no valid commsease.login: /clientType: ",
                "set=commsease.login:/clientType=X",
            ),
            (
                "--receiver-set=commsease.login:/a/b=X: pointer '/a/b': there is no /a; set the parent first",
                "set=commsease.login:/a/b=X",
            ),
            ("--receiver-set=/accid=\\udcff: it is not UTF-8; give it in UTF-8", "set=/accid=\udcff"),
            ("--receiver-header: give it as NAME:VALUE", "header=X-Token"),
            ("--receiver-header: give it as NAME:VALUE", "header=:x"),
            ("--receiver-header: give it as NAME:VALUE", "header=X Token: s3cret"),
            ("--receiver-header: Content-length says where the body ends", "header=Content-length: 3"),
            ("--receiver-header: CheckSum is a header by which commsease names the", "header=CheckSum: s3cret"),
            ("--receiver-header: proxy-X is about the connection", "header=proxy-X: s3cret"),
            ("--receiver-header: host is made from the address; leave it out", "header=host:s3cret"),
            ("--receiver-header: the value of X-Token holds a line break", "header=X-Token: s3cret\nX: y"),
            ("--receiver-ca=none.pem: there is no file ", "ca=none.pem"),
            ("--receiver-ca=.: there is no file ", "ca=."),
            ("--receiver-baseline=none.json: there is no file ", "baseline=none.json"),
            ("--receiver-checks-as-of=0.0.1: no release is called '0.0.1'; choose one of: 0.1.0", "checks-as-of=0.0.1"),
            (
                "--receiver-effects='ftp://h/': no source of effects is called 'ftp'; choose one of: ",
                "effects=ftp://h/",
            ),
            ("--receiver-effects='rows.json': no source of effects is called", "effects=rows.json"),
            ("--receiver-effects-map='{a: ' is not JMESPath: ", "effects-map={a: "),
            ("--receiver-json=none/result.json: there is no folder ", "json=none/result.json"),
            ("--receiver-json=.: it is a folder; give a file in it", "json=."),
            ("--receiver-report=.: it is a folder; give a file in it", "report=."),
            ("--receiver-app-secret: commsease always signs; give it", "app-secret=none"),
            (
                "--receiver-check=tencent.* matches no check of commsease (data-sync); list them with: pytest",
                "check=tencent.*",
            ),
        ],
    )
    def test_table(self, expected: str, argument: str, refusal: Callable[..., str]) -> None:
        """The line begins with the option and the value, says what is wrong, and what to give."""
        message = refusal(f"--receiver-url={URL}", f"--receiver-{argument}")
        assert message.startswith(expected)
        assert "s3cret" not in message

    def test_rongcloud_secret(self, refusal: Callable[..., str]) -> None:
        """Only Tencent can send without a signature."""
        given = (f"--receiver-url={URL}", "--receiver-provider=rongcloud", "--receiver-app-secret=none")
        assert "rongcloud always signs" in refusal(*given)

    def test_set_elsewhere(self, refusal: Callable[..., str]) -> None:
        """A value that has to be JSON, and is none, is named."""
        given = (f"--receiver-url={URL}", "--receiver-provider=tencent", "--receiver-set=/MsgTime=soon")
        assert "--receiver-set=/MsgTime=soon: /MsgTime holds no text; give the value as JSON" == refusal(*given)

    @pytest.mark.parametrize(
        ("expected", "content"),
        [
            ("not JSON", b"a.b.c: known"),
            ("not JSON", b"\xff\xfe"),
            ("not JSON", b""),
            ("give an object from check id to a reason", b"[]"),
            ("give an object from check id to a reason", b'{"a.b.c": ""}'),
            ("give an object from check id to a reason", b'{"a.b.c": "  "}'),
            ("give an object from check id to a reason", b'{"a.b.c": null}'),
            ("without commsease.preflight.reachable nothing is judged", b'{"commsease.preflight.reachable": "down"}'),
        ],
    )
    def test_baseline(
        self, expected: str, content: bytes, refusal: Callable[..., str], pytester: pytest.Pytester
    ) -> None:
        """A baseline gives a reason for each of its checks."""
        (pytester.path / "known.json").write_bytes(content)
        message = refusal(f"--receiver-url={URL}", "--receiver-baseline=known.json")
        assert message.startswith("--receiver-baseline=known.json: ")
        assert expected in message

    @pytest.mark.parametrize(
        ("variable", "value", "expected"),
        [
            ("RECEIVER_LEVEL", "high", "--receiver-level=high"),
            (
                "RECEIVER_ALLOW_INCOMPLETE",
                "perhaps",
                "--receiver-allow-incomplete: 'perhaps' is neither true nor false",
            ),
            ("RECEIVER_CHECK", "*.reachable\nnothing", "--receiver-check=nothing matches no check"),
            ("RECEIVER_HEADER", "X", "--receiver-header: give it as NAME:VALUE"),
        ],
    )
    def test_environment(
        self, variable: str, value: str, expected: str, refusal: Callable[..., str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A bad value in the environment is refused as well, by the option's name."""
        monkeypatch.setenv(variable, value)
        assert refusal(f"--receiver-url={URL}").startswith(expected)

    def test_paths(self, refusal: Callable[..., str], pytester: pytest.Pytester) -> None:
        """Paths beside --receiver-url are refused."""
        pytester.makepyfile("def test_x(): pass")
        message = refusal(f"--receiver-url={URL}", "test_paths.py")
        assert "leave out the paths (test_paths.py), and choose checks with --receiver-check=GLOB" in message

    def test_map_without_effects(self, refusal: Callable[..., str]) -> None:
        """An expression is looked at also where a fixture gives the effects."""
        assert "--receiver-effects-map='['" in refusal(f"--receiver-url={URL}", "--receiver-effects-map=[")


class TestChosenChecks:
    """Tests for `chosen_checks` and `list_checks`."""

    def test_all(self, config: Callable[..., Given]) -> None:
        """Without a choice these are all that hold for the provider."""
        provider = providers.load("tencent")
        ids = [one.id(provider) for one in options.chosen_checks(config(), provider, provider.feeds)]
        assert len(set(ids)) == len(ids) > 30
        assert "tencent.signature.rejects-altered-nonce" not in ids

    def test_globs(self, config: Callable[..., Given]) -> None:
        """Several globs add up."""
        provider = providers.load("tencent")
        made = config("--receiver-check=*.reachable", "--receiver-check=tencent.preflight.acc*")
        assert ["tencent.preflight.reachable", "tencent.preflight.accepts-valid"] == [
            one.id(provider) for one in options.chosen_checks(made, provider, provider.feeds)
        ]

    @pytest.mark.parametrize(
        ("typed", "meant"),
        [
            ("signature.rejects-tampered-body", "'commsease.signature.rejects-tampered-body'"),
            ("rejects-tamperd-body", "'commsease.signature.rejects-tampered-body'"),
            ("commsease.signature", "'commsease.signature.*'"),
            ("signatures", "'commsease.signature.*'"),
            ("*.signatures.*", "'*.signature.*'"),
        ],
    )
    def test_meant(self, typed: str, meant: str, config: Callable[..., Given]) -> None:
        """What reports call a check, or a family, is not taken for an id, but understood."""
        provider = providers.load("commsease")
        with pytest.raises(options.BadOption) as error:
            options.chosen_checks(config(f"--receiver-check={typed}"), provider, provider.feeds[:1])
        assert f"--receiver-check={typed} matches no check of commsease (data-sync); did you mean {meant}? list" in str(
            error.value
        )

    def test_list(self, config: Callable[..., Given], capsys: pytest.CaptureFixture[str]) -> None:
        """The list has id, level, title and source of each check, of all providers or of one."""
        options.list_checks(config())
        rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
        assert {4} == {len(row) for row in rows}
        assert set(providers.names()) == {row[0].partition(".")[0] for row in rows}
        assert {"must", "should", "may"} >= {row[1] for row in rows}
        assert all(all(row) for row in rows)
        options.list_checks(config("--receiver-provider=rongcloud"))
        assert [row for row in rows if row[0].startswith("rongcloud.")] == [
            line.split("\t") for line in capsys.readouterr().out.splitlines()
        ]

    def test_list_some(self, config: Callable[..., Given], capsys: pytest.CaptureFixture[str]) -> None:
        """The list can be narrowed, over all providers."""
        options.list_checks(config("--receiver-check=tencent.*.reachable"))
        assert capsys.readouterr().out.startswith("tencent.preflight.reachable\tmust\t")


def test_nothing_is_sent(refusal: Callable[..., str], pytester: pytest.Pytester) -> None:
    """Bad options are found before anything is sent, and leave an earlier result alone."""
    (pytester.path / "result.json").write_text("earlier", encoding="utf-8")
    with serving(lambda request: (200, "application/json", b"")) as little:
        refusal(f"--receiver-url={little.url}", "--receiver-json=result.json", "--receiver-level=high")
    assert [] == little.got
    assert "earlier" == (pytester.path / "result.json").read_text(encoding="utf-8")


def test_unreachable_in_process(pytester: pytest.Pytester) -> None:
    """A run within this process ends as one of its own would."""
    ended = pytester.runpytest_inprocess(
        "-p", "no:xdist", f"--receiver-url={unused_url()}", "--receiver-check=*.reachable"
    )
    assert ExitStatus.FAILED == ended.ret
