"""An option is declared once; the file, the API, answers, messages and what is stored follow from that."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from im_callback.provider_mock.delivery.ledger import StoredApp
from im_callback.provider_mock.server import option, options
from im_callback.provider_mock.server import settings as checked
from im_callback.provider_mock.server.config import BadConfig, read
from im_callback.provider_mock.server.errors import Objection
from im_callback.provider_mock.server.models import Rules
from im_callback.provider_mock.server.option import Option
from im_callback.provider_mock.server.options import AppSettings
from im_callback.provider_mock.server.service import Service

from tests.provider_mock_server.app_tables import APP, configured, table
from tests.provider_mock_server.served import served

ROOT = Path(__file__).parents[2]
KEYS = [one.name for one in option.in_file(AppSettings)]
NAMES = [one.name for one in option.declared(AppSettings)]
TEXTS = st.text() | st.text().map("http://h:1/".__add__) | st.characters(categories=["Cs"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
)
HIDDEN = "cannot be used (its value is not shown: it may be a secret)"
Open = Callable[..., Service]

ADDED = """
    colour: Annotated[
        str | None,
        Option("give a colour of up to {maxLength} letters", "What it is painted in.", {"maxLength": 5}),
    ] = None
"""
WITH_IT = """
import sys
from importlib import import_module, util

name = "im_callback.provider_mock.server.options"
spec = util.find_spec(name)
module = util.module_from_spec(spec)
sys.modules[name] = module
exec(compile(open(sys.argv[1]).read(), spec.origin, "exec"), module.__dict__)
setattr(import_module("im_callback.provider_mock.server"), "options", module)

from tests.provider_mock_server.test_options import paint

paint(sys.argv[2])
"""


def paint(folder: str) -> None:
    """Print what becomes of the option `colour`, where it is declared."""
    place = Path(folder)
    said: dict[str, Any] = {}
    said["file"] = read(configured(place, table(colour="green"))).apps["a"].colour  # type: ignore[attr-defined]
    with pytest.raises(BadConfig) as caught:
        read(configured(place, table(colour="violet")))
    said["refused by the file"] = caught.value.lines[0].split(": ", 1)[1]
    with served(place / "server") as server:
        document = server.session.get(f"{server.url}/openapi.json", timeout=30).json()["components"]["schemas"]
        said["document"] = [document[name]["properties"]["colour"] for name in ("AppSettings", "NewApp", "App")]
        answer = server.ask("PUT", "/apps/a", {**APP, "colour": "violet"})
        said["refused by the API"] = [answer.status_code, *answer.json()["errors"]]
        said["answer"] = server.ask("PUT", "/apps/a", {**APP, "colour": "green"}).json()["colour"]
        said["without"] = server.ask("PUT", "/apps/b", APP).json()["colour"]
        said["stored"] = [one.options["colour"] for one in server.service._ledger.apps()]
    with served(place / "server") as server:
        said["again"] = [one["colour"] for one in server.ask("GET", "/apps").json()["items"]]
    print(json.dumps(said))


def test_one_edit(tmp_path: Path) -> None:
    """A field more in `AppSettings`, and nothing else, is an option everywhere."""
    source = Path(options.__file__).read_text(encoding="utf-8")
    (model,) = [one for one in ast.parse(source).body if getattr(one, "name", "") == "AppSettings"]
    last = max(one.end_lineno or 0 for one in model.body if isinstance(one, ast.AnnAssign))  # type: ignore[attr-defined]
    lines = source.splitlines(keepends=True)
    (tmp_path / "options.py").write_text("".join([*lines[:last], ADDED, *lines[last:]]), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", WITH_IT, str(tmp_path / "options.py"), str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert 0 == done.returncode, done.stderr
    asked = {"type": "string", "maxLength": 5, "description": "What it is painted in."}
    assert json.loads(done.stdout) == {
        "file": "green",
        "refused by the file": "apps.a.colour is 'violet'; give a colour of up to 5 letters",
        "document": [asked, asked, {"type": ["string", "null"]}],
        "refused by the API": [
            422,
            {"field": "/colour", "problem": "it is too long", "fix": "give at most 5 characters"},
        ],
        "answer": "green",
        "without": None,
        "stored": ["green", None],
        "again": ["green", None],
    }


@dataclass(frozen=True, slots=True, repr=False)
class Model:
    """A model with every kind of option."""

    needed: Annotated[str, Option("give needed")]
    count: Annotated[int, Option("give {minimum} to {maximum}", "How many.", {"minimum": 1, "maximum": 9})] = 3
    share: Annotated[float | None, Option("give a share up to {maximum}", limits={"maximum": 0.5})] = None
    sizes: Annotated[tuple[Annotated[int, Option("give a size")], ...] | None, Option("give sizes", kept=True)] = None
    places: Annotated[
        Mapping[
            Annotated[str, Option("name it in small letters", limits={"pattern": "^[a-z]+$"})],
            Annotated[str, Option("give a place", "Where.", {"minLength": 2})],
        ]
        | None,
        Option("write a table of places", kept=True),
    ] = None
    word: Annotated[str | None, Option("give the word", limits={"minLength": 3}, secret=True)] = None
    words: Annotated[
        Mapping[str, Annotated[str, Option("give a word", secret=True)]] | None,
        Option("write a table of words", secret=True),
    ] = None

    def __repr__(self) -> str:
        return option.shown(self)


class TestProblems:
    """What is wrong with values, whoever made them: place, value and fix."""

    @pytest.mark.parametrize(
        ("given", "problem"),
        [
            ({"needed": None}, Objection("/needed", "is None and not text", "give needed")),
            ({"count": 0}, Objection("/count", "is 0", "give 1 to 9")),
            ({"count": True}, Objection("/count", "is true and not a whole number", "give 1 to 9")),
            ({"count": None}, Objection("/count", "is None and not a whole number", "give 1 to 9")),
            ({"share": 0.6}, Objection("/share", "is 0.6", "give a share up to 0.5")),
            ({"share": float("inf")}, Objection("/share", "is inf", "give a share up to 0.5")),
            ({"sizes": 7}, Objection("/sizes", "is 7 and not a list", "give sizes")),
            ({"sizes": (1, "x" * 99)}, Objection("/sizes/1", f"is '{'x' * 78}… and not a whole number", "give a size")),
            ({"places": {"a": "x"}}, Objection("/places/a", "is 'x'", "give a place")),
            ({"places": {"A/B": "xy"}}, Objection("/places/A~1B", "has a name that cannot be used", "name it in small letters")),
            ({"word": "ab"}, Objection("/word", HIDDEN, "give the word")),
            ({"word": 77}, Objection("/word", HIDDEN, "give the word")),
            ({"words": "hush"}, Objection("/words", HIDDEN, "write a table of words")),
            ({"words": {"x": 77}}, Objection("/words/x", HIDDEN, "give a word")),
        ],
        ids=str,
    )  # fmt: skip
    def test_told(self, given: dict[str, Any], problem: Objection) -> None:
        """Each by itself."""
        assert [problem] == option.problems(Model(**{"needed": "x", **given}))

    def test_all(self) -> None:
        """All that is wrong is told."""
        found = option.problems(Model("x", count=0, share=1, word=""))
        assert ["/count", "/share", "/word"] == [one.field for one in found]

    def test_none(self) -> None:
        """What is left out, and what is right, is no problem."""
        assert [] == option.problems(Model("x"))
        whole = Model("x", 9, 0.5, (1, 2), {"a": "xy"}, "abc", {"x": "y"})
        assert [] == option.problems(whole)


class TestFollows:
    """What follows from a declaration."""

    def test_api(self) -> None:
        """The fix is for the file; secrets are write-only."""
        needed, others = option.of_api(Model)
        assert {"needed": {"type": "string"}} == needed
        assert others["count"] == {
            "type": "integer",
            "minimum": 1,
            "maximum": 9,
            "default": 3,
            "description": "How many.",
        }
        assert others["places"] == {
            "type": "object",
            "propertyNames": {"pattern": "^[a-z]+$"},
            "additionalProperties": {"type": "string", "minLength": 2, "description": "Where."},
        }
        assert {"type": "string", "writeOnly": True, "minLength": 3} == others["word"]

    def test_no_secret_comes_out(self) -> None:
        """Neither in answers nor in a repr, of a mapping the names alone."""
        model = Model("x", word="hush-77", words={"gate": "hush-78"})
        assert "word" not in option.of_answers(Model)
        found = option.answered(model)
        assert (["gate"], False) == (found["words"], "word" in found)
        assert "hush" not in json.dumps(found) + repr(model) + repr(option.masked(model))
        assert (None, {"gate": "***"}) == (option.masked(model).word, option.masked(model).words)

    def test_answers(self) -> None:
        """What can be left out can be null, unless it is kept then."""
        found = option.of_answers(Model)
        assert {"type": ["number", "null"]} == found["share"]

    def test_there_and_back(self) -> None:
        """What is stored becomes what it was; 2.0 is a whole number to JSON."""
        model = Model("x", 4, 0.25, (1, 2), {"a": "xy"})
        assert model == option.restored(Model, json.loads(json.dumps(option.stored(model))))
        assert Model("x", 2, sizes=(3,)) == option.given(Model, {"needed": "x", "count": 2.0, "sizes": [3.0]})

    def test_kept(self) -> None:
        """What is kept where it is left out, and only that."""
        before = Model("x", 4, 0.25, (1,), {"a": "xy"})
        assert Model("y", sizes=(1,), places={}) == option.kept(Model("y", places={}), before)
        assert Model("y", sizes=(), places={}) == option.kept(Model("y"), None)


class TestApp:
    """The options of an app."""

    @pytest.mark.parametrize("key", KEYS)
    def test_documented(self, key: str) -> None:
        """Every key of the file is on the server's page."""
        page = (ROOT / "docs" / "server.md").read_text(encoding="utf-8")
        assert re.search(rf"^\| .*`{key}`.* \|", page, re.MULTILINE)

    def test_filled_in(self) -> None:
        """No fix has a limit that is not filled in."""
        texts = re.findall(r'"description": "(.*?)"[,}]', json.dumps(option.of_file(AppSettings)))
        assert len(texts) > len(KEYS)
        assert [] == [text for text in texts if re.search(r"\{[a-zA-Z]+\}", text)]

    def test_stored_form(self, open_service: Open) -> None:
        """It is as it was in earlier versions: they read what we write."""
        service = open_service()
        given = AppSettings(**APP, policy="reliable", options={"retries": 3}, headers={"X": "1"}, faults=("delay",))
        service.apps.put("a", given)
        service.apps.put("b", AppSettings(**APP, rate=2.5, give_up_hours=1))
        a, b = service._ledger.apps()
        rest = {"proxy": None, "rate": None, "give_up_hours": None, "api_secret_ref": None, "api_feeds": None}
        rest |= {"previous_secret_ref": None, "previous_api_secret_ref": None, "overlap_until": None}
        held = {
            "endpoints": {},
            "options": {"retries": 3},
            "concurrency": 64,
            "headers": {"X": "1"},
            "faults": ["delay"],
            **rest,
        }
        assert a == StoredApp("a", "commsease", "test-key", "config:test", APP["endpoint"], "reliable", held)
        bare = {"endpoints": {}, "options": {}, "concurrency": 64, "headers": {}, "faults": [], "proxy": None}
        assert b.options == {**bare, **rest, "rate": 2.5, "give_up_hours": 1}

    @pytest.mark.parametrize(
        ("held", "due"),
        [
            ({}, AppSettings(**APP, app_key="k", policy="normal")),
            (
                {"options": {"pause_after": 1}, "concurrency": 7, "headers": {"X": "1"}, "faults": ["delay"]},
                AppSettings(
                    **APP,
                    app_key="k",
                    policy="normal",
                    options={"pause_after": 1},
                    concurrency=7,
                    headers={"X": "1"},
                    faults=("delay",),
                ),
            ),
            (
                {"colour": "green", "app_secret": "x", "endpoint": "http://elsewhere/", "ca_file": "/x"},
                AppSettings(**APP, app_key="k", policy="normal"),
            ),
        ],
        ids=["first version", "whole", "what is none of its options"],
    )
    def test_read_again(self, held: dict[str, Any], due: AppSettings, open_service: Open) -> None:
        """What earlier and later versions stored."""
        service = open_service()
        service._ledger.save_app(StoredApp("a", "commsease", "k", "config:test", APP["endpoint"], "normal", held))
        service.close()
        entry = open_service().apps.entry("a")
        assert (due, None) == (entry.settings, entry.not_ready)

    @pytest.mark.parametrize(
        ("held", "why"),
        [
            ({"concurrency": "many"}, "concurrency is 'many' and not a whole number"),
            ({"concurrency": None}, "concurrency is None and not a whole number"),
            ({"concurrency": 0}, "concurrency is 0"),
            ({"options": {"retries": -1}}, "options/retries is -1"),
            ({"options": {"retry": 1}}, "options/retry is unknown"),
            ({"headers": {"X": ["hush-77"]}}, f"headers/X {HIDDEN}"),
            ([], "options is [] and not a table"),
        ],
        ids=str,
    )
    def test_broken(self, held: Any, why: str, open_service: Open, monkeypatch: pytest.MonkeyPatch) -> None:
        """What nobody can use says what and why."""
        service = open_service()
        good = StoredApp("a", "commsease", "k", "config:test", APP["endpoint"], "normal", {})
        with monkeypatch.context() as patched:
            patched.setattr("im_callback.provider_mock.delivery.ledger.ledger.to_text", lambda _: json.dumps(held))
            service._ledger.save_app(good)
        service.close()
        shown = open_service().apps.get("a")
        assert f"what is stored of it cannot be used ({why}); replace it, or remove it" == shown.not_ready

    @given(endpoint=TEXTS, held=st.dictionaries(st.sampled_from(NAMES), VALUES))
    @settings(deadline=None)
    def test_whatever_it_is(self, endpoint: str, held: dict[str, Any]) -> None:
        """Whatever is on record, it is said what is wrong, and nothing raises; what is right can be shown and stored."""
        made = option.restored(AppSettings, {**held, "provider": "commsease", "endpoint": endpoint})
        for one in checked.problems("a", made, Rules()):
            assert str(one).encode()
        if not option.problems(made):
            json.dumps([option.answered(option.kept(made, None)), option.stored(made)], allow_nan=False)

    @pytest.mark.parametrize("value", ["2020-01-01", "07:32:00", "2020-01-01T00:00:00Z", "nan", "[2020-01-01]"])
    @pytest.mark.parametrize("key", KEYS)
    def test_beyond_json(self, key: str, value: str, tmp_path: Path) -> None:
        """TOML has values that JSON has not."""
        lines = [line for line in table().splitlines() if not line.startswith(f"{key} =")]
        with pytest.raises(BadConfig) as caught:
            read(configured(tmp_path, "\n".join([*lines, f"{key} = {value}"])))
        (told,) = caught.value.lines
        assert told.startswith(f"{tmp_path / 'mock.toml'}: apps.a.{key}")
