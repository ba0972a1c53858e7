"""Markdown: rendered by GitHub's own renderer, in which a receiver's words are words."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import cmarkgfm
import pytest
from cmarkgfm.cmark import Options
from hypothesis import given
from hypothesis import strategies as st
from im_callback.conformance.report.markdown import LARGEST, code, markdown, text

from tests.report.documents import HOSTILE, check, document, failed, hostile

CAUSE = {
    "id": "commsease.signature.bad",
    "title": "The signature is not verified",
    "checks": ["commsease.signature.bad", "commsease.signature.worse"],
    "level": "must",
    "gated": True,
    "expected": "refused",
    "actual": "acknowledged",
    "fix": "Verify it.",
}
MIXED = document(
    failed("signature.bad"),
    failed("signature.worse"),
    failed("payloads.small", level="may", gated=False),
    failed("payloads.known", reason="ticket 7"),
    check("ordering.unseen", "could-not-run"),
    check("ordering.other", "could-not-run"),
    check("signature.good"),
    causes=[
        CAUSE,
        {**CAUSE, "id": "commsease.payloads.known", "checks": ["commsease.payloads.known"], "gated": False},
        {
            **CAUSE,
            "id": "commsease.payloads.small",
            "title": "Emoji",
            "checks": ["commsease.payloads.small"],
            "level": "may",
            "gated": False,
        },
    ],
    notes=["2 records fit nothing"],
)


class Page(HTMLParser):
    """A rendered page: its elements with their attributes, and the text outside of code and within."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.plain = ""
        self.code: list[str] = []
        self.open: list[str] = []
        self.feed(cmarkgfm.github_flavored_markdown_to_html(source, Options.CMARK_OPT_UNSAFE))
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}
        self.open.append(tag)
        if tag == "code":
            self.code.append("")

    def handle_endtag(self, tag: str) -> None:
        assert tag == self.open.pop()

    def handle_data(self, data: str) -> None:
        if "code" in self.open:
            self.code[-1] += data
        else:
            self.plain += data


class TestMarkdown:
    """Tests for `markdown`."""

    def test_whole(self) -> None:
        """The verdict, the causes with their fix, what could not run, the times, and the failures folded away."""
        shown, _, folded = markdown(MIXED).partition("<details>")
        assert shown == (
            "## ❌ FAIL: commsease (data-sync)\n\n"
            "7 checks: 2 fail the gate; 1 fails below the gate; 1 is a known failure; 2 in the gate could not run.\n\n"
            "Receiver `http://127.0.0.1:8080/callbacks`, level should, seed 7.\n\n"
            "### What to mend\n\n"
            "1. **The signature is not verified** (must): `commsease.signature.bad` and 1 other check\n"
            "   - expected: `refused`\n"
            "   - actual: `acknowledged`\n"
            "   - fix: Verify it.\n\n"
            "### Below the gate\n\n"
            "1. **Emoji** (may): `commsease.payloads.small`\n"
            "   - expected: `refused`\n"
            "   - actual: `acknowledged`\n"
            "   - fix: Verify it.\n\n"
            "### Could not run\n\n"
            "- 2 checks (`commsease.ordering.unseen`, `commsease.ordering.other`): no effects were given. "
            "Give them with --receiver-effects\n\n"
            "812 deliveries were acknowledged: half of them within 2.1 ms, 95 % within 8.5 ms, the slowest after 40.0 ms; the deadline is 5000 ms.\n\n"
            "2 records fit nothing\n\n"
        )
        assert (
            "<summary>4 failed checks</summary>\n\n"
            "| check | level | requirement | counts |\n"
            "| --- | --- | --- | --- |\n"
            "| `commsease.signature.bad` | must | Title of signature.bad | yes |\n"
        ) in folded
        assert "| `commsease.payloads.small` | may | Title of payloads.small | no |\n" in folded
        assert "| Title of payloads.known | no, known: ticket 7 |\n" in folded
        assert (
            "<summary><code>commsease.signature.bad</code> in full</summary>\n\n```text\ncommsease.signature.bad: "
            in folded
        )

    def test_rendered(self) -> None:
        """GitHub's renderer makes lists, a table and folded parts of it, and nothing else."""
        page = Page(markdown(MIXED))
        assert {"h2", "h3", "p", "ol", "ul", "li", "strong", "code", "pre", "details", "summary"} | {
            *("table", "thead", "tbody", "tr", "th", "td")
        } == set(page.tags)
        assert 4 == page.tags.count("details")

    def test_many(self) -> None:
        """What is said of a cause belongs to it, also from the tenth on; a long story is cut, as its block has it."""
        given = document(*(failed(f"payloads.n{n}", actual="x" * 500) for n in range(12)))
        page = Page(markdown(given))
        assert (1, 12, 12 * 4) == (page.tags.count("ol"), page.tags.count("ul"), page.tags.count("li"))
        assert 12 == page.code.count(f"{'x' * 400}…")

    def test_green(self) -> None:
        """A green run is short."""
        assert markdown(document(check("signature.good"))).startswith(
            "## ✅ PASS: commsease (data-sync)\n\n1 check: nothing failed.\n\n"
        )

    def test_problems(self) -> None:
        """What fails the run besides the checks is said."""
        given = document(check("signature.good"), verdict="fail", exit_status=1, baseline=["a.b.c: it passes again"])
        assert "\n- a.b.c: it passes again\n" in markdown(given)

    def test_our_error(self) -> None:
        """Of our own error the last line is shown."""
        given = document(check("signature.odd", "harness-error", reason="Traceback\n  x\nValueError: y\n", fix=""))
        assert "- `commsease.signature.odd`: ValueError: y\n" in markdown(given)


class TestSize:
    """What is too large for a summary."""

    def test_largest(self) -> None:
        """A summary is no larger than GitHub takes, says that it is cut, and leaves nothing open."""
        long = "x" * 4000
        given = document(*(failed(f"payloads.n{n}", actual=long, expected=long) for n in range(400)))
        shown = markdown(given)
        assert LARGEST - 20_000 < len(shown.encode()) <= LARGEST
        assert shown.endswith("Read the report, or the JSON result._\n")
        Page(shown)

    @pytest.mark.parametrize("largest", range(0, 3000, 100))
    def test_any(self, largest: int) -> None:
        """Whatever is left of it, it is not more than that."""
        shown = markdown(MIXED, largest)
        assert len(shown.encode()) <= largest
        Page(shown)


class TestHostile:
    """A receiver's words mean nothing."""

    def test_contained(self) -> None:
        """No element, attribute or link comes from a receiver, and nobody is called."""
        page, calm = Page(markdown(hostile())), Page(markdown(calmed()))
        assert calm.tags == page.tags
        assert calm.attributes == page.attributes
        assert not re.search(r"[@#]\w|\bwww\.|://|GH-\d", page.plain)

    def test_every_word(self) -> None:
        """They are all there to be read."""
        page = Page(markdown(hostile()))
        assert " ".join(HOSTILE.split()) in page.code
        for line in HOSTILE.splitlines():
            assert any(line in one for one in page.code)

    @given(st.text(alphabet="`|*_<>&@#\\[]()!:/ \nabw.~$-1", max_size=40))
    def test_text(self, words: str) -> None:
        """Any text stays in its cell, and in its paragraph."""
        page = Page(
            f"| a | b |\n| --- | --- |\n| {text(words)} | {code(words).replace('|', 'I')} |\n\n{text(words)} end\n"
        )
        assert ["table", "thead", "tr", "th", "th", "tbody", "tr", "td", "td", "code", "p"] == page.tags
        plain = " ".join(words.split())
        assert f"{plain} end".strip() == page.plain.replace("\u2060", "").strip().rpartition("\n")[2]
        assert plain.replace("|", "I") == page.code[0].strip()


def calmed() -> dict[str, Any]:
    """Return the hostile document with harmless words in the same places."""
    calm = re.sub(r"[^\w\n ]", "x", HOSTILE)

    def changed(value: Any) -> Any:
        if isinstance(value, str):
            return value.replace(HOSTILE, calm)
        if isinstance(value, dict):
            return {name: changed(one) for name, one in value.items()}
        return [changed(one) for one in value] if isinstance(value, list) else value

    made: dict[str, Any] = changed(hostile())
    return made
