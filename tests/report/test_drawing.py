"""Pictures of deliveries: what is drawn, what is left out and counted, and how times and texts are written."""

from __future__ import annotations

import re
from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest
from im_callback.provider_mock.drawing import style
from im_callback.provider_mock.drawing.bars import Bar, bars, place
from im_callback.provider_mock.drawing.bars import told as bars_told
from im_callback.provider_mock.drawing.svg import lines, span, wide
from im_callback.provider_mock.drawing.timeline import Shown, Step, Timeline, drawn, lettered, overlaps, picked, told

SVG = "{http://www.w3.org/2000/svg}"
STEP = Step(0, "a login", "acked", "200", 3.5, 5000, "login 1")


def texts(svg: str) -> list[str]:
    """Return the lines of text in a picture."""
    return ["".join(one.itertext()) for one in ET.fromstring(svg).iter(f"{SVG}text")]


class TestSpan:
    """Tests for `span`."""

    @pytest.mark.parametrize(
        ("expected", "milliseconds"),
        [
            ("0 ms", 0),
            ("3.5 ms", 3.51),
            ("100 ms", 100.4),
            ("999 ms", 999),
            ("1 s", 1000),
            ("1.2 s", 1234),
            ("119 s", 119_000),
            ("5 min", 300_000),
            ("2.5 h", 9_000_000),
            ("4 d", 345_600_000),
        ],
    )
    def test_units(self, expected: str, milliseconds: float) -> None:
        """The unit is the one in which the number is short."""
        assert expected == span(milliseconds)


class TestLines:
    """Tests for `lines`."""

    @pytest.mark.parametrize(
        "text",
        ["", "word", "some words that are too many for a line of this width", "x" * 200, "微信" * 60, " \n a \t b "],
    )
    def test_fit(self, text: str) -> None:
        """No line is wider than asked for, no more come than asked for, and what is missing is said."""
        found = lines(text, 120, 12, 3)
        assert len(found) <= 3
        assert all(wide(line, 12) <= 120 for line in found)
        whole = "".join(text.split())
        shown = "".join(found).replace(" ", "")
        assert shown == whole if not shown.endswith("…") else whole.startswith(shown[:-1])

    def test_words(self) -> None:
        """A line ends between words where it can."""
        assert ["one two", "three"] == lines("one two three", wide("one two t", 12), 12, 2)


class TestPicked:
    """Tests for `picked`."""

    def test_few(self) -> None:
        """Few steps are all drawn."""
        steps = [replace(STEP, at=at, label=f"{at}") for at in range(7)]
        assert steps == picked(steps)

    def test_many(self) -> None:
        """Of many the first and the last are drawn, and what is wrong; the others are counted where they are."""
        steps = [replace(STEP, at=at, label=f"{at}") for at in range(20)]
        steps[10] = replace(steps[10], wrong="late")
        found = picked(steps)
        assert (steps[0], steps[-1]) == (found[0], found[-1])
        assert steps[10] in found
        assert 20 == sum(one if isinstance(one, int) else 1 for one in found)
        assert 6 == sum(not isinstance(one, int) for one in found)

    def test_alike(self) -> None:
        """Of steps that are alike two are drawn, and the last."""
        steps = [replace(STEP, at=at) for at in range(16)]
        assert [steps[0], steps[1], 13, steps[15]] == picked(steps)


class TestTimeline:
    """Tests for the picture and its words."""

    def test_whole(self) -> None:
        """Lanes, times, answers, deadline, repeats and what shows stand in the picture; its words say the same."""
        again = replace(STEP, at=12.0, label="the same again", wrong="it had an effect")
        late = Step(400_000, "a retry", "timed out", "no answer", 5000, 5000)
        shown = (Shown("one effect", "due"), Shown("two effects", "wrong"), Shown("id 7", head="effect 1 of 2"))
        timeline = Timeline((late, again, STEP), shown, more=3)
        svg = drawn(timeline, "p", "What happened")
        said = texts(svg)
        for expected in (
            *(
                "provider",
                "receiver",
                "deadline 5 s",
                "0 ms",
                "+12 ms",
                "+6.7 min",
                "6.7 min later",
                "3 more are not drawn",
            ),
            *("a login", "200, acked, after 3.5 ms", "no answer (5 s)", "it had an effect"),
            *("expected", "one effect", "what there is", "two effects", "effect 1 of 2", "id 7"),
        ):
            assert expected in said
        assert 2 == said.count("A")
        root = ET.fromstring(svg)
        assert "What happened" == root.findtext(f"{SVG}title")
        assert " ".join(told(timeline)) == root.findtext(f"{SVG}desc")
        assert "p-title p-desc" == root.get("aria-labelledby")
        assert [
            "0 ms: a login (event A): 200, acked, after 3.5 ms.",
            "+12 ms: the same again (event A): 200, acked, after 3.5 ms. This is wrong: it had an effect.",
            "+6.7 min: a retry: no answer (5 s).",
            "3 more.",
            "expected: one effect",
            "what there is: two effects",
            "effect 1 of 2: id 7",
        ] == told(timeline)

    def test_inside(self) -> None:
        """Whatever it is given, no line of text begins or ends outside of the picture."""
        long = "a very long text without an end " * 20
        step = Step(0, long, "unreachable", long, 10, 20, long, long)
        svg = drawn(Timeline((step, replace(step, at=1.0)), (Shown(long, "wrong"), Shown(long, head=long))), "p", long)
        root = ET.fromstring(svg)
        height = float(root.get("height", "0"))
        for one in root.iter(f"{SVG}text"):
            x, width = float(one.get("x", "0")), wide(one.text or "", 11)
            left = x - {"start": 0, "middle": width / 2, "end": width}[one.get("text-anchor", "start")]
            assert -1 <= left, one.text
            assert left + width <= 361, one.text
            assert 0 < float(one.get("y", "0")) < height

    def test_escaped(self) -> None:
        """Text stays text."""
        evil = "</text><script>\"&'"
        svg = drawn(Timeline((replace(STEP, label=evil, answer=evil),), (Shown(evil, head=evil),)), 'i"d', evil)
        assert evil in texts(svg)
        assert {"svg", "title", "desc", "line", "rect", "path", "text", "circle"} >= {
            one.tag.removeprefix(SVG) for one in ET.fromstring(svg).iter()
        }

    def test_overlaps(self) -> None:
        """Steps that are under way at the same time are told apart from those that follow each other."""
        first, second, third = STEP, replace(STEP, at=2.0), replace(STEP, at=5.0)
        assert [True, True, False] == [overlaps(one, (first, second, third)) for one in (first, second, third)]

    def test_letters(self) -> None:
        """One step needs no letter, and too many events have none."""
        assert {} == lettered([STEP])
        assert {"x": "A", "y": "B"} == lettered([replace(STEP, event=one) for one in ("x", "y", "x", "")])
        assert {} == lettered([replace(STEP, event=f"{one}") for one in range(27)])

    def test_empty(self) -> None:
        """A timeline without steps is a picture too."""
        assert ["provider", "receiver"] == texts(drawn(Timeline(()), "p", ""))


class TestBars:
    """Tests for the bars."""

    COUNTED = (Bar(1, 0), Bar(10, 700), Bar(100, 1), Bar(1000, 2))

    def test_whole(self) -> None:
        """What was counted stands above its bar, however low that is; what came too late has a colour of its own."""
        svg = bars(self.COUNTED, 100, "b", "Times")
        assert {"700", "1", "2", "deadline 100 ms"} <= set(texts(svg))
        heights = [float(high) for high in re.findall(r'<rect[^>]* height="([\d.]+)"', svg)]
        assert 3 == len(heights)
        assert min(heights) >= 3
        assert 1 == svg.count("dr-bar-late")

    def test_place(self) -> None:
        """The deadline stands at the edge of a bar, or within it by its logarithm."""
        assert [1.0, 3.0, 4.0] == [round(place(one, self.COUNTED), 3) for one in (1, 100, 5000)]
        assert 2.5 == pytest.approx(place(10**1.5, self.COUNTED))

    def test_told(self) -> None:
        """The words say what the bars show."""
        assert [
            "The deadline is 100 ms.",
            "700 took 1 ms to 10 ms.",
            "1 took 10 ms to 100 ms.",
            "2 took 100 ms to 1 s.",
        ] == bars_told(self.COUNTED, 100)


def test_without_style() -> None:
    """Where a page may have no style, lines are lines, and no box hides what stands in it."""
    svg = drawn(Timeline((STEP, replace(STEP, at=9.0, wrong="x"))), "p", "") + bars(TestBars.COUNTED, 100, "b", "")
    shapes = re.findall(r"<(?:rect|line|path|circle)[^>]*>", svg)
    assert len(shapes) > 10
    assert [] == [one for one in shapes if 'fill="none" stroke="currentColor"' not in one]


def test_style() -> None:
    """Every class that is drawn has a rule, and nothing is loaded from elsewhere."""
    step = Step(0, "x", "declined", "200", 9, 10, "e", "wrong")
    steps = (
        step,
        *(replace(step, at=3000.0 + n, outcome=one) for n, one in enumerate(("acked", "refused", "timed out"))),
    )
    svg = drawn(Timeline(steps, (Shown("x"), Shown("x", "due"), Shown("x", "wrong")), more=1), "p", "")
    svg += bars(TestBars.COUNTED, 100, "b", "")
    used = {name for names in re.findall(r'class="([^"]+)"', svg) for name in names.split()}
    assert {"dr-label", "dr-plain", "dr-plain-text"} >= used - set(re.findall(r"\.(dr[\w-]*)", style()))
    assert "url(" not in style()
    assert "@import" not in style()
