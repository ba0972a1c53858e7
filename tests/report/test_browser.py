"""The page in Chromium: read by people with and without eyes, on paper and on the phone, and attacked."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.report.conftest import Written

pytestmark = pytest.mark.long

SAME = "commsease.deduplication.same-request-again"
WIDTHS = (390, 800, 1440)
OPEN_ALL = "document.querySelectorAll('details').forEach((one) => { one.open = true; })"
MARKUP = {
    *("html", "head", "meta", "title", "style", "body", "script"),
    *("a", "article", "header", "main", "nav", "section"),
    *("div", "h1", "h2", "h3", "h4", "h5", "li", "mark", "ol", "p", "pre", "span", "strong", "ul"),
    *("code", "dd", "details", "dl", "dt", "figcaption", "figure", "summary", "table", "tbody", "td", "th", "tr"),
    *("button", "form", "input", "label", "option", "output", "select"),
    *("circle", "desc", "line", "path", "rect", "svg", "text"),
}


def fits(page: Page, width: int) -> bool:
    """Return whether nothing stands out of the page's width."""
    page.set_viewport_size({"width": width, "height": 900})
    return bool(page.evaluate("document.documentElement.scrollWidth") == width)


class TestAttacked:
    """A receiver that writes script, marks and escapes wherever it can."""

    def test_nothing_gets_out(self, page: Page, attacked: Written) -> None:
        """Its words are text: they run nothing, ask for nothing, add no element, and stay in their place."""
        page.goto(attacked.url)
        page.evaluate(OPEN_ALL)
        assert page.evaluate("window.owned") is None
        tags = set(page.evaluate("[...document.querySelectorAll('*')].map((one) => one.tagName.toLowerCase())"))
        assert tags <= MARKUP
        assert 1 == page.evaluate("document.scripts.length")
        names = set(page.evaluate("[...document.querySelectorAll('*')].flatMap((one) => one.getAttributeNames())"))
        assert [] == [name for name in names if name.startswith("on") or name in ("src", "style", "srcdoc")]
        links = page.evaluate("[...document.links].map((one) => one.getAttribute('href'))")
        assert [] == [one for one in links if not one.startswith("#")]
        assert all(fits(page, width) for width in WIDTHS)
        text = page.inner_text("main")
        assert "<script>window.owned=1</script>" in text
        assert "{{ 7*7 }}" in text
        assert "\\x1b]0;owned" in text
        assert "\x1b" not in text
        assert "\u202e" not in text

    def test_stays_in_its_box(self, page: Page, attacked: Written) -> None:
        """Records, bodies and pictures paint nothing outside of themselves."""
        page.goto(attacked.url)
        page.evaluate(OPEN_ALL)
        boxes = "[...document.querySelectorAll('pre')].map((one) => getComputedStyle(one).contain)"
        assert {"paint"} == set(page.evaluate(boxes))
        clipped = "[...document.querySelectorAll('svg')].map((one) => getComputedStyle(one).overflow)"
        assert {"hidden"} == set(page.evaluate(clipped))

    def test_policy(self, browser: Browser, attacked: Written) -> None:
        """Were something to get out, the browser would not run it, nor load it."""
        context = browser.new_context()
        page = context.new_page()
        said: list[str] = []
        page.on("console", lambda message: said.append(message.text))
        page.goto(attacked.url)
        page.evaluate(
            "document.body.insertAdjacentHTML('beforeend', '<img src=http://127.0.0.1:9/ onerror=window.owned=1>');"
            "document.body.append(Object.assign(document.createElement('script'), {textContent: 'window.owned=1'}))"
        )
        assert page.evaluate("window.owned") is None
        blocked = ("Executing inline event handler", "Executing inline script", "'img-src'")
        assert [1] * 3 == [sum(one in text for text in said) for one in blocked], said
        context.close()


class TestRead:
    """The page of a naive receiver, as people read it."""

    @pytest.mark.parametrize("width", WIDTHS)
    def test_width(self, width: int, page: Page, naive: Written) -> None:
        """Nothing stands out of the page, on a phone and on a wide screen, closed and open."""
        page.goto(naive.url)
        assert fits(page, width)
        page.evaluate(OPEN_ALL)
        assert fits(page, width)

    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_axe(self, scheme: str, page: Page, naive: Written) -> None:
        """Axe finds nothing, in the light and in the dark, with everything open."""
        page.emulate_media(color_scheme=scheme)
        page.goto(naive.url)
        page.evaluate(OPEN_ALL)
        found = Axe().run(page)
        assert 0 == found.violations_count, found.generate_report()

    def test_schemes_differ(self, page: Page, naive: Written) -> None:
        """Paper is light, whatever the screen is."""
        page.goto(naive.url)
        seen = []
        for scheme, media in (("light", "screen"), ("dark", "screen"), ("dark", "print")):
            page.emulate_media(color_scheme=scheme, media=media)
            seen.append(page.evaluate("getComputedStyle(document.body).color"))
        assert seen[0] == seen[2] != seen[1]

    def test_at_a_glance(self, page: Page, naive: Written) -> None:
        """The verdict, the counts and a list of what is wrong stand on top; each cause has its fix and a picture."""
        page.goto(naive.url)
        assert "FAIL" == page.inner_text("h1")
        causes = naive.document["causes"]
        assert [one["title"] for one in causes] == page.locator(".contents a").all_inner_texts()
        for cause, card in zip(causes, page.locator("article.cause").all(), strict=True):
            told = card.inner_text()
            assert all(cause[name] in told for name in ("title", "expected", "fix", "level"))
            assert f"provider-mock explain {cause['id']}" in told
            assert cause["checks"] == card.locator(".ids a").all_inner_texts()
            assert 1 == card.locator("svg").count()

    def test_offending_step(self, page: Page, naive: Written) -> None:
        """A picture marks what is wrong, by words and by a sign of its own, not by colour alone."""
        page.goto(f"{naive.url}#{SAME}")
        drawn = page.locator(f"[id='{SAME}'] svg").first
        expect(drawn.locator(".dr-wrong-row")).to_have_count(1)
        expect(drawn.locator(".dr-cross")).to_have_count(2)
        expect(drawn.locator("text", has_text="the same again")).to_be_visible()
        assert "This is wrong" in (drawn.locator("desc").text_content() or "")

    def test_print(self, page: Page, naive: Written) -> None:
        """On paper everything that did not pass is open, and what was opened for it is closed again."""
        page.goto(naive.url)
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        wanted = "details.check:is(.fail, .could-not-run)"
        assert page.locator(wanted).count() == page.locator(f"{wanted}[open]").count() > 0
        assert 0 == page.locator("details.check.pass[open]").count()
        page.evaluate("dispatchEvent(new Event('afterprint'))")
        assert 0 == page.locator("details.check[open]").count()
        assert page.pdf().startswith(b"%PDF")


class TestFound:
    """Filter, search and links."""

    def test_filter(self, page: Page, naive: Written) -> None:
        """Verdict, level, family and words narrow the checks down; how many are left is said."""
        page.goto(naive.url)
        checks = naive.document["checks"]
        shown = page.locator("details.check:visible")
        expect(page.get_by_role("status")).to_have_text(f"{len(checks)} of {len(checks)}")
        page.get_by_label("Verdict").select_option("fail")
        failed = [one for one in checks if one["verdict"] == "fail"]
        expect(shown).to_have_count(len(failed))
        page.get_by_label("Level").select_option("must")
        page.get_by_label("Family").select_option("signature")
        left = [one for one in failed if one["level"] == "must" and ".signature." in one["id"]]
        expect(shown).to_have_count(len(left))
        expect(page.get_by_role("status")).to_have_text(f"{len(left)} of {len(checks)}")
        page.get_by_label("Search").fill("nothing of the kind")
        expect(page.get_by_text("No check is like that.")).to_be_visible()
        expect(page.get_by_role("heading", name="signature", exact=True)).to_be_hidden()

    def test_search(self, page: Page, naive: Written) -> None:
        """All words must be there, in whatever case: of id, title or what is said of it."""
        page.goto(naive.url)
        page.get_by_label("Search").fill("RETRY spelling")
        shown = page.locator("details.check:visible .id")
        expect(shown).to_have_text(["commsease.deduplication.retry-reformatted"])

    def test_deep_link(self, page: Page, naive: Written) -> None:
        """A link with the id of a check opens it, even where a filter hides it, and again where it was closed."""
        page.goto(f"{naive.url}#{SAME}")
        opened = page.locator("details.check[open] .id")
        expect(opened).to_have_text([SAME])
        expect(page.locator(f"[id='{SAME}']")).to_be_in_viewport()
        page.get_by_label("Verdict").select_option("pass")
        page.get_by_role("button", name="Close all").click()
        page.locator(f".cause a[href='#{SAME}']").first.click()
        expect(opened).to_have_text([SAME])
        expect(page.get_by_label("Verdict")).to_have_value("")

    def test_keyboard(self, page: Page, naive: Written) -> None:
        """The first key leads past the head, the next through what is wrong; a check opens by Enter."""
        page.goto(naive.url)
        page.keyboard.press("Tab")
        skip = page.get_by_role("link", name="To what is wrong")
        expect(skip).to_be_focused()
        expect(skip).to_be_in_viewport()
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        expect(page.locator(".contents a").first).to_be_focused()
        page.locator("details.check summary").first.focus()
        page.keyboard.press("Enter")
        expect(page.locator("details.check").first).to_have_attribute("open", "")

    def test_copy(self, browser: Browser, naive: Written) -> None:
        """What sends it again is copied whole."""
        context = browser.new_context(permissions=["clipboard-read", "clipboard-write"])
        page = context.new_page()
        page.goto(f"{naive.url}#{SAME}")
        again = page.locator(f"[id='{SAME}'] details.again")
        again.locator("summary").click()
        again.get_by_role("button").click()
        expect(again.get_by_role("button")).to_have_text("Copied")
        (due,) = (one["send_again"] for one in naive.document["checks"] if one["id"] == SAME)
        assert due == page.evaluate("navigator.clipboard.readText()")
        context.close()


def test_without_script(browser: Browser, naive: Written) -> None:
    """Without script everything can be read: nothing is hidden, and a link to a check opens it all the same."""
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{naive.url}#{SAME}")
    expect(page.locator("#filter")).to_be_hidden()
    expect(page.locator("details.check")).to_have_count(len(naive.document["checks"]))
    expect(page.locator(f"[id='{SAME}'] h4").first).to_be_visible()
    context.close()
