"""The page as text: whole for every way in which a run can end, with nothing in it that asks for anything."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import pytest
from im_callback.conformance.report.html import page
from im_callback.conformance.report.html.story import about, timeline, wrong_with
from im_callback.conformance.report.result_json import document
from im_callback.conformance.run import Run
from im_callback.conformance.runner import Conclusion, ExitStatus, conclude
from im_callback.conformance.verdict import Level, Record, Verdict
from im_callback.provider_mock import providers
from im_callback.provider_mock.contract import Request

from tests.conformance.little_server import Answer, serving, unused_url
from tests.conformance.test_report import failure, result_of, settings_for
from tests.report.documents import hostile

VOID = {"meta", "input", "link", "br"}


class Reader(HTMLParser):
    """Notes what a page has, and that every element ends where it should."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.text: list[str] = []
        self.feed(text)
        self.close()
        assert [] == self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        given = dict(attrs)
        self.ids += [given["id"] or ""] if "id" in given else []
        self.links += [given["href"] or ""] if "href" in given else []
        assert not {"src", "style", "action", "onclick"} & given.keys()

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element of SVG that holds nothing."""

    def handle_endtag(self, tag: str) -> None:
        assert tag == self.open.pop()

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def answer(request: Request) -> Answer:
    """Refuse what is not JSON, take everything else."""
    return (200, "application/json", b'{"ActionStatus":"OK","ErrorInfo":"","ErrorCode":0}')


@pytest.fixture(scope="module")
def run() -> Iterator[Run]:
    """Return a run in which something was delivered."""
    with serving(answer) as little:
        run = Run(settings_for(providers.load("tencent"), little.url))
        run.send(*(run.shot(run.event(), note=f"number {number}") for number in range(3)))
        yield run


def of(run: Run, *results: Any, baseline: dict[str, str] | None = None) -> dict[str, Any]:
    """Return the document of results."""
    ids = [one.id for one in results]
    return document(run, results, conclude(results, Level.SHOULD, baseline or {}, ids))


class TestWhole:
    """Every way in which a run can end."""

    def test_all(self, run: Run) -> None:
        """Checks of every verdict, with all that a check can have."""
        attempts = tuple(run.history)
        told = [
            failure(
                *attempts,
                id="tencent.deduplication.first",
                cause="doubled",
                details=("1. delivered", "2. again"),
                log=("it said this",),
                records=(Record("effect 1 of 2", {"id": 1, "a": "x"}), Record("effect 2 of 2", {"id": 1, "a": "y"})),
            ),
            failure(*attempts, id="tencent.deduplication.second", folded_into="tencent.deduplication.first"),
            failure(id="tencent.ordering.newer", newer=True, cause="other"),
            failure(id="tencent.ordering.known", cause="another"),
            failure(id="tencent.ordering.below", level=Level.MAY, cause="a third", actual="long " * 200),
            result_of(Verdict.COULD_NOT_RUN, id="tencent.payloads.a", reason="no effects", fix="give them"),
            result_of(Verdict.HARNESS_ERROR, id="tencent.payloads.b", reason="Traceback\n  line 1"),
            result_of(Verdict.NOT_APPLICABLE, id="tencent.signature.c", reason="not for it"),
            result_of(Verdict.PASS, id="tencent.signature.d", reason="a note on a pass"),
        ]
        run.notes[:] = ["a note <b>"]
        made = of(run, *told, baseline={"tencent.ordering.known": "ticket 7"})
        reader = Reader(page(made))
        text = " ".join(" ".join(reader.text).split())
        for expected in (
            *("ERROR", "it said this", "1. delivered", "number 2", "Traceback", "not for it", "a note on a pass"),
            *("ticket 7", "give them", "a note <b>", "The release that was asked for does not have this check"),
            *("the whole of it", "effect 2 of 2", "failed", "our own error", "curl -sS"),
        ):
            assert expected in text, expected
        assert len(reader.ids) == len(set(reader.ids))
        assert {one.id for one in told} <= set(reader.ids)
        assert {one[0] for one in reader.links} == {"#"}
        assert {one.removeprefix("#") for one in reader.links} <= set(reader.ids)

    @pytest.mark.parametrize(
        ("said", "results"),
        [
            ("Nothing is wrong as far as 1 check can see.", [result_of(Verdict.PASS)]),
            ("Nothing failed, but not everything could be judged.", [result_of(Verdict.COULD_NOT_RUN, reason="why")]),
            ("1 thing is wrong, shown by 1 of 1 check.", [failure()]),
        ],
    )
    def test_verdicts(self, said: str, results: list[Any], run: Run) -> None:
        """The first sentence says how it ended."""
        assert said in " ".join(" ".join(Reader(page(of(run, *results))).text).split())

    def test_nothing(self) -> None:
        """A run in which nothing was checked and nothing sent has a page as well."""
        run = Run(settings_for(providers.load("tencent"), unused_url()))
        made = document(run, [], Conclusion("error", ExitStatus.BAD_OPTIONS, ["no check was selected"]))
        text = " ".join(Reader(page(made)).text)
        assert "No valid delivery was acknowledged." in text
        assert "no check was selected" in text

    def test_hostile(self) -> None:
        """Words of the receiver are text wherever they stand: they end no element, and lead nowhere."""
        reader = Reader(page(hostile()))
        assert "<script>alert(1)</script>" in "".join(reader.text)
        assert {one[0] for one in reader.links} == {"#"}

    def test_same(self, run: Run) -> None:
        """The page is a function of the document."""
        made = of(run, failure(*run.history))
        assert page(made) == page(made)


class TestPolicy:
    """What the page allows the browser."""

    def test_digests(self, run: Run) -> None:
        """Nothing but the page's own style and script, each by its digest."""
        text = page(of(run, result_of(Verdict.PASS)))
        (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)
        digests = []
        for tag in ("style", "script"):
            (content,) = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
            digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
            digests.append(f"{tag}-src 'sha256-{digest}'")
        assert "; ".join(["default-src 'none'", *digests, "base-uri 'none'", "form-action 'none'"]) == policy

    def test_asks_for_nothing(self, run: Run) -> None:
        """No address stands in it but the receiver's, and that is text."""
        text = page(of(run, result_of(Verdict.PASS)))
        found = set(re.findall(r"\w+://[^\s\"'<,)]+", text))
        assert {run.settings.url, "http://www.w3.org/2000/svg"} >= found
        assert "url(" not in text


def exchange(**more: Any) -> dict[str, Any]:
    """Return an exchange of a document."""
    given = {"note": "", "sent_at": 0, "deadline_ms": 2000, "expected": "acknowledgement", "outcome": "acked"}
    return {**given, "rule": "r", "seconds": 0.01, "request": {}, "reply": {"status": 200}, **more}


class TestStory:
    """Which exchanges a picture shows, and what it marks."""

    @pytest.mark.parametrize(
        ("expected", "owed", "outcome"),
        [
            ("", "acknowledgement", "acked"),
            ("an acknowledgement was due", "acknowledgement", "declined"),
            ("an acknowledgement was due", "acknowledgement", "timed out"),
            ("a refusal was due", "refusal", "acked"),
            ("", "refusal", "declined"),
            ("a refusal was due", "refusal", "unreachable"),
            ("", "answer", "refused"),
            ("an answer was due", "answer", "timed out"),
            ("", "nothing", "unreachable"),
        ],
    )
    def test_wrong(self, expected: str, owed: str, outcome: str) -> None:
        """What is wrong by itself is told by what was owed."""
        assert expected == wrong_with(exchange(expected=owed, outcome=outcome))

    def test_about(self) -> None:
        """The story is about what the failure names: events, what is wrong by itself, or the type it names first."""
        one = exchange(events=["login (a)"], type="login/X")
        other = exchange(events=["logout (b)"], type="logout")
        bad = exchange(outcome="refused", type="logout")
        assert [one] == about([one, other], "2 effects of login (a)")
        assert [one, bad] == about([one, other, bad], "2 effects of login (a)")
        assert [other] == about([one, other], "logout: 3 after 4, and login too")
        assert [one, other] == about([one, other], "something else")

    def test_repeats(self) -> None:
        """Where an event had more than one effect, the deliveries after its first are marked."""
        check = {
            "id": "p.deduplication.x",
            "verdict": "fail",
            "expected": "one effect",
            "actual": "2 effects of login (a)",
        }
        exchanges = [exchange(events=["login (a)"], sent_at=at) for at in (5, 1, 9)]
        found = timeline({**check, "exchanges": exchanges})
        assert found is not None
        assert {1: False, 5: True, 9: True} == {step.at: bool(step.wrong) for step in found.steps}

    def test_batches(self) -> None:
        """Of several events in one delivery each counts."""
        check = {"id": "p.deduplication.x", "verdict": "fail", "expected": "one effect", "actual": "2 effects of b (2)"}
        exchanges = [exchange(events=events) for events in (["a (1)", "b (2)"], ["c (3)"], ["b (2)"])]
        found = timeline({**check, "exchanges": exchanges})
        assert found is not None
        assert [("a (1); b (2)", False), ("b (2)", True)] == [(step.event, bool(step.wrong)) for step in found.steps]

    def test_misplaced(self) -> None:
        """Where an older state won, its delivery is marked by what it shows as."""
        check = {"id": "p.ordering.x", "verdict": "fail", "expected": "order", "actual": "it steps back"}
        records = [
            {"what": "shown first", "record": {"who": "a", "at": 7}},
            {"what": "shown after it, and older", "record": {"data": [{"who": "a", "at": 6}]}},
        ]
        exchanges = [exchange(events=[f"login (a, {at})"], sent_at=9 - at) for at in (7, 6)]
        found = timeline({**check, "exchanges": exchanges, "records": records})
        assert found is not None
        assert ["", "shown after it, and older"] == [step.wrong for step in found.steps]
        assert ["who a, at 7" in one.text or "at 7" in one.text for one in found.shown] == [False, False, True, False]

    def test_left_out(self) -> None:
        """What is not drawn is counted, with what the document does not keep."""
        check = {"id": "p.f.x", "verdict": "fail", "expected": "e", "actual": "login (a)", "exchanges_left_out": 10}
        found = timeline({**check, "exchanges": [exchange(events=["login (a)"]), exchange(events=["login (b)"])]})
        assert found is not None
        assert (1, 11) == (len(found.steps), found.more)

    def test_none(self) -> None:
        """Without exchanges there is no picture."""
        assert timeline({"id": "p.f.x", "verdict": "fail", "exchanges": []}) is None
