"""The console in Chromium: used by somebody who has never seen it, with and without eyes, on the phone, and attacked."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from click.testing import CliRunner
from im_callback.provider_mock.cli import main
from im_callback.provider_mock.recording.exchange import from_line
from playwright.sync_api import Browser, Page, Route, expect

from tests.provider_mock_console.conftest import SHOP, Console
from tests.provider_mock_server.served import TOKEN, Served
from tests.report.hostile import ATTACK

pytestmark = pytest.mark.long

WIDTHS = (390, 1440)
OPEN_ALL = "document.querySelectorAll('details').forEach((one) => { one.open = true; })"
SEND = "/console/send?app=shop&type=commsease.conversation"
MARKUP = {
    *("html", "head", "meta", "title", "link", "body", "script"),
    *("a", "caption", "dd", "details", "div", "dl", "dt", "figcaption", "figure", "h1", "h2", "h3", "header", "main"),
    *("code", "li", "nav", "ol", "p", "pre", "section", "span", "strong", "summary", "ul", "progress"),
    *("button", "fieldset", "form", "input", "label", "legend", "optgroup", "option", "select", "textarea"),
    *("table", "tbody", "td", "th", "thead", "tr", "circle", "desc", "line", "path", "rect", "svg", "text"),
}


def fits(page: Page, width: int) -> bool:
    """Return whether nothing stands out of the page's width."""
    page.set_viewport_size({"width": width, "height": 900})
    return bool(page.evaluate("document.documentElement.scrollWidth") == width)


def delivered(served: Served, *types: str, state: str = "acked", **more: object) -> list[int]:
    """Return the ids of deliveries that have come to a state."""
    ids = served.accept("shop", *types, **more)
    served.settled(ids, state)
    return ids


class TestFirstTime:
    """Somebody sends a message with a fault, finds why it failed, mends it and sends it again, in the console alone."""

    @pytest.mark.parametrize("width", WIDTHS)
    def test_story(self, width: int, console: Console) -> None:
        """Every step is found by what is written on the page."""
        page = console.open()
        page.set_viewport_size({"width": width, "height": 900})
        page.get_by_role("link", name="Send", exact=True).click()
        page.get_by_label("Event type").select_option("commsease.conversation")
        expect(page.get_by_label("Variant")).to_be_visible()
        page.get_by_label("Variant").select_option("TEAM/TEXT")
        expect(page.get_by_label("convType")).to_have_value("TEAM")
        page.get_by_label("msgTimestamp").fill("yesterday")
        problems = page.locator("#problems")
        expect(problems).to_contain_text("/msgTimestamp")
        expect(page.get_by_label("msgTimestamp")).to_have_attribute("aria-invalid", "true")
        page.get_by_label("msgTimestamp").fill("1767225600000")
        expect(problems).to_contain_text("what the documents describe")
        expect(page.get_by_label("msgTimestamp")).not_to_have_attribute("aria-invalid", "true")
        page.get_by_text("Choose from").click()
        page.get_by_label("tamper-body", exact=True).check()
        page.get_by_role("button", name="Send", exact=True).click()

        expect(page.get_by_role("heading", level=1)).to_contain_text("commsease.conversation")
        why = page.locator("section.why")
        expect(why).to_contain_text("refused")
        expect(why).to_contain_text("tamper-body: it was disturbed on purpose")
        expect(page.get_by_text("the MD5 is not that of the body")).to_be_visible()
        expect(page.get_by_text("A fault made this body")).to_be_visible()
        expect(page.locator("svg .dr-wrong-row")).to_have_count(1)

        page.get_by_role("link", name="Change and send as a new one").click()
        expect(page.get_by_label("convType")).to_have_value("TEAM")
        page.get_by_label("body", exact=True).fill("mended <b>today</b>")
        page.get_by_role("button", name="Send", exact=True).click()
        expect(page.locator("section.why")).to_contain_text("The receiver has taken it")
        expect(page.get_by_label("Body of request 1, one value a line")).to_contain_text("mended <b>today</b>")
        assert fits(page, width)

    def test_again(self, console: Console) -> None:
        """Sent again, what was disturbed goes without its fault; the page shows the attempt when it is there."""
        (one,) = delivered(console.served, "commsease.login", state="dropped", faults=["tamper-body"])
        page = console.open(f"/console/deliveries/{one}")
        page.get_by_text("The picture in words").click()
        page.get_by_role("button", name="Send again").click()
        expect(page.locator("section.why")).to_contain_text("The receiver has taken it")
        expect(page.get_by_text("Attempt 2", exact=True)).to_be_visible()
        expect(page.get_by_text("Attempt 1", exact=True)).to_be_visible()


class TestSend:
    """The form for an event."""

    def test_json(self, console: Console) -> None:
        """The payload can be written as JSON, and is told what is wrong with it as it is typed."""
        page = console.open(SEND)
        page.get_by_role("button", name="Show as JSON").click()
        text = page.get_by_label("Payload, as JSON")
        payload = text.input_value()
        text.fill(payload.replace('"convType"', '"convtype"'))
        expect(page.locator("#problems")).to_contain_text("convType")
        text.fill("{")
        expect(page.locator("#problems")).to_contain_text("is no JSON")
        page.get_by_role("button", name="Send", exact=True).click()
        expect(page.locator("#problems")).to_contain_text("is no JSON")
        expect(text).to_have_value("{")
        text.fill(payload)
        page.get_by_role("button", name="Show as fields").click()
        expect(page.get_by_label("convType")).to_have_value("PERSON")

    def test_fault_settings(self, console: Console) -> None:
        """A fault is sent with its settings, and a wrong one is named."""
        page = console.open(SEND)
        page.get_by_text("Choose from").click()
        page.get_by_label("duplicate", exact=True).check()
        page.get_by_text("Settings of duplicate", exact=True).click()
        times = page.locator("[name='attribute:duplicate:times']")
        times.fill("many")
        expect(page.locator("#problems")).to_contain_text("times")
        times.fill("2")
        expect(page.locator("#problems")).to_contain_text("what the documents describe")
        page.get_by_role("button", name="Send", exact=True).click()
        expect(page.locator("section.why")).to_contain_text("duplicate:times=2")


class TestList:
    """The list of deliveries."""

    def test_live(self, console: Console) -> None:
        """What is accepted shows without anybody asking for it, unless updates are paused."""
        page = console.open("/?type=commsease.logout")
        expect(page.locator("html")).to_have_attribute("data-live", "yes")
        (first,) = delivered(console.served, "commsease.logout")
        expect(page.locator(f"#d-{first}")).to_be_visible()
        page.locator(f"#d-{first}").focus()
        page.get_by_role("button", name="Pause updates").click()
        (second,) = delivered(console.served, "commsease.logout")
        assert 0 == page.locator(f"#d-{second}").count()
        page.get_by_role("button", name="Pause updates").click()
        expect(page.locator(f"#d-{second}")).to_be_visible()

    def test_focus_stays(self, console: Console) -> None:
        """Who has gone to a link by the keyboard is still there after the list was renewed."""
        (first,) = delivered(console.served, "commsease.logout")
        page = console.open("/?type=commsease.logout")
        expect(page.locator("html")).to_have_attribute("data-live", "yes")
        page.locator(f"#d-{first}").focus()
        (second,) = delivered(console.served, "commsease.logout")
        expect(page.locator(f"#d-{second}")).to_be_visible()
        expect(page.locator(f"#d-{first}")).to_be_focused()

    def test_filter(self, console: Console) -> None:
        """Filters and search stand in the address, alone, and going back takes them off."""
        (one,) = delivered(console.served, "commsease.heartbeat")
        (other,) = delivered(console.served, "commsease.login", state="dropped", faults=["tamper-body"])
        page = console.open()
        page.get_by_role("combobox", name="State", exact=True).select_option("dropped")
        page.wait_for_url("**/?state=dropped")
        expect(page.locator(f"#d-{one}")).to_have_count(0)
        expect(page.locator(f"#d-{other}")).to_be_visible()
        page.get_by_role("searchbox").fill(str(other))
        page.wait_for_url(f"**/?q={other}&state=dropped")
        page.go_back()
        page.wait_for_url("**/?state=dropped")
        expect(page.get_by_role("searchbox")).to_have_value("")
        expect(page.get_by_role("combobox", name="State", exact=True)).to_have_value("dropped")
        page.go_back()
        expect(page.locator(f"#d-{one}")).to_be_visible()
        expect(page.get_by_role("combobox", name="State", exact=True)).to_have_value("")

    def test_back_twice(self, console: Console) -> None:
        """Whoever goes back again before the first answer is there sees the second page, and it stays."""
        (one,) = delivered(console.served, "commsease.heartbeat")
        page = console.open()
        page.get_by_role("combobox", name="State", exact=True).select_option("dropped")
        page.wait_for_url("**/?state=dropped")
        page.get_by_role("searchbox").fill("nothing")
        page.wait_for_url("**/?q=nothing&state=dropped")
        held: list[Route] = []

        def hold(route: Route) -> None:
            held.append(route)

        page.route("**/?state=dropped", hold)
        with page.expect_request("**/?state=dropped"):
            page.evaluate("history.back()")
        with page.expect_event("requestfailed", lambda request: request.url.endswith("/?state=dropped")):
            page.evaluate("history.back()")
        assert 1 == len(held)
        expect(page.locator(f"#d-{one}")).to_be_visible()
        expect(page.get_by_role("combobox", name="State", exact=True)).to_have_value("")

    def test_keyboard(self, console: Console) -> None:
        """The first key leads past the navigation; a delivery is opened without a mouse."""
        (one,) = delivered(console.served, "commsease.login")
        page = console.open()
        page.keyboard.press("Tab")
        expect(page.get_by_text("Skip to the content")).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.locator("#main")).to_be_focused()
        page.locator(f"#d-{one}").press("Enter")
        expect(page.get_by_role("heading", level=1)).to_contain_text(f"Delivery {one}")

    def test_copy(self, console: Console, tmp_path: Path) -> None:
        """A delivery is copied as a sample: as a line of a recording, without the fault that it was sent with."""
        (one,) = delivered(console.served, "commsease.login", state="dropped", faults=["tamper-body"])
        page = console.open(f"/console/deliveries/{one}")
        page.get_by_role("button", name="Copy as a sample").click()
        expect(page.locator("#said")).to_have_text("Copied")
        text = page.evaluate("navigator.clipboard.readText()")
        payload = console.served.ask("GET", f"/deliveries/{one}").json()["payloads"][0]
        copied = from_line(text)
        assert ("commsease", ("commsease.login",)) == (copied.provider, copied.event_types)
        assert payload == json.loads(copied.request.body)
        recording = tmp_path / "copied.jsonl"
        recording.write_text(f"{text}\n", encoding="utf-8")
        done = CliRunner().invoke(main, ["validate", "commsease", "--recording", str(recording)])
        assert 0 == done.exit_code, done.output


class TestApp:
    """The page of an app."""

    def test_switch(self, console: Console) -> None:
        """Faults are switched on and off, and what cannot be is said."""
        page = console.open("/console/apps/shop")
        page.get_by_text("Choose from").click()
        page.locator("#standing-lose-ack").check()
        page.get_by_role("button", name="Set these faults").click()
        expect(page.get_by_text("is disturbed by lose-ack")).to_be_visible()
        assert ["lose-ack"] == console.served.ask("GET", "/apps/shop/faults").json()["faults"]
        page.locator("#standing-lose-ack").uncheck()
        page.get_by_role("button", name="Set these faults").click()
        expect(page.get_by_text("everything goes as it should")).to_be_visible()
        assert [] == console.served.ask("GET", "/apps/shop/faults").json()["faults"]

    def test_traffic(self, console: Console) -> None:
        """Traffic is started, seen to go on, and stopped."""
        page = console.open("/console/apps/shop")
        page.get_by_label("Deliveries a second").fill("fast")
        page.get_by_role("button", name="Start traffic").click()
        expect(page.get_by_role("alert")).to_contain_text("no number")
        page.get_by_label("Deliveries a second").fill("5")
        page.get_by_label("Seconds", exact=True).fill("3600")
        page.get_by_role("button", name="Start traffic").click()
        expect(page.locator(".run progress")).to_be_visible()
        expect(page.locator(".run").first).not_to_contain_text(" 0 of 18000 accepted")
        page.get_by_role("button", name="Stop run").click()
        page.wait_for_url("**/console/runs")
        expect(page.locator(".run").first).to_contain_text("stopped")

    def test_scenario(self, console: Console) -> None:
        """One of the configuration file is played, seen to go on, and stopped; what goes on is refused."""
        assert 201 == console.served.ask("PUT", "/apps/played", SHOP).status_code
        page = console.open("/console/apps/played")
        page.get_by_role("combobox", name="Scenario").select_option("bad-day")
        page.get_by_role("button", name="Play it").click()
        scenario = page.locator("[id^=scenario-]").first
        expect(scenario.locator("progress")).to_have_attribute("max", "3660")
        expect(scenario.locator("li").nth(0)).to_contain_text("a flood: 60 min, 5.0 a second (now)")
        expect(scenario.locator("li").nth(1)).to_contain_text("refuse")
        page.get_by_role("button", name="Play it").click()
        expect(page.get_by_role("alert")).to_contain_text("a scenario of played runs")
        page.get_by_role("button", name="Stop scenario").click()
        page.wait_for_url("**/console/runs")
        expect(page.locator("[id^=scenario-]").first).to_contain_text("stopped")

    def test_backlog(self, console: Console) -> None:
        """What is parked is shown, and sent by hand."""
        served = console.served
        reliable = {**SHOP, "policy": "reliable", "options": {"retries": 0}, "faults": ["tamper-body"]}
        assert 201 == served.ask("PUT", "/apps/store", reliable).status_code
        ids = served.accept("store", "commsease.login")
        served.settled(ids, "parked")
        page = console.open("/console/apps/store")
        expect(page.get_by_text("1 delivery waits")).to_be_visible()
        page.get_by_label("At most (empty: all)").fill("none")
        page.get_by_role("button", name="Synchronise the backlog").click()
        expect(page.get_by_role("alert")).to_contain_text("is no number")
        page.get_by_label("At most (empty: all)").fill("")
        page.get_by_role("button", name="Synchronise the backlog").click()
        served.settled(ids, "acked")
        expect(page.get_by_text("0 deliveries wait")).to_be_visible()

    def test_switched_off(self, console: Console) -> None:
        """What was given up is said, and sent for again by hand."""
        served = console.served
        given_up = {**SHOP, "policy": "reliable", "options": {"retries": 0}, "faults": ["tamper-body"]}
        assert 201 == served.ask("PUT", "/apps/given-up", {**given_up, "give_up_hours": 1e-9}).status_code
        for _ in range(2):
            served.settled(served.accept("given-up", "commsease.login"), "parked")
        page = console.open("/console/apps/given-up")
        expect(page.get_by_text("nothing but failures for too long")).to_be_visible()
        page.get_by_role("button", name="Send again now").click()
        expect(page.get_by_text("nothing but failures for too long")).not_to_be_visible()
        expect(page.get_by_role("button", name="Send again now")).not_to_be_visible()
        assert served.ask("GET", "/apps/given-up").json()["switched_off_at"] is None


class TestEverywhere:
    """Every page, for everybody."""

    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_axe(self, scheme: str, console: Console) -> None:
        """Axe finds nothing on any page, in the light and in the dark, with everything open; all fit each width."""
        (one,) = delivered(console.served, "commsease.conversation", state="dropped", faults=["tamper-body"])
        name = f"seen-{scheme}"
        assert 201 == console.served.ask("PUT", f"/apps/{name}", SHOP).status_code
        scenario = console.served.ask("POST", f"/apps/{name}/scenarios", {"scenario": "bad-day"}).json()["id"]
        page = console.page
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        paths = ("/", "/?q=nothing-like-it", f"/console/deliveries/{one}", SEND, "/console/apps", "/console/apps/shop")
        for path in (*paths, f"/console/apps/{name}", "/console/runs", "/console/login"):
            console.open(path)
            page.evaluate(OPEN_ALL)
            found = Axe().run(page)
            assert 0 == found.violations_count, f"{path}: {found.generate_report()}"
            assert all(fits(page, width) for width in WIDTHS), path
        assert console.served.service.scenarios.stop(scenario)

    def test_without_script(self, browser: Browser, server: Served) -> None:
        """Links and forms do all of it where the browser runs no script."""
        context = browser.new_context(java_script_enabled=False)
        page = context.new_page()
        page.goto(f"{server.url}/console/send")
        page.get_by_label("The server's token").fill(TOKEN)
        page.get_by_role("button", name="Log in").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Send an event")
        page.get_by_label("Event type").select_option("commsease.login")
        page.get_by_role("button", name="Show", exact=True).click()
        page.locator("[id='field:/timestamp']").fill("yesterday")
        page.get_by_role("button", name="Send", exact=True).click()
        expect(page.locator("#problems")).to_contain_text("/timestamp")
        page.locator("[id='field:/timestamp']").fill("1767225600000")
        page.get_by_role("button", name="Send", exact=True).click()
        expect(page.get_by_role("heading", level=1)).to_contain_text("commsease.login")
        page.get_by_role("link", name="Deliveries").first.click()
        page.get_by_role("combobox", name="Event type").select_option("commsease.login")
        page.get_by_role("button", name="Filter").click()
        expect(page.locator("table.deliveries tbody tr").first).to_contain_text("commsease.login")
        context.close()

    def test_hostile(self, entered: Callable[[Served], Console], attacked: Served) -> None:
        """What a receiver and a payload say is text: it runs nothing, asks for nothing, and adds no element."""
        sample = attacked.service.intake.sample("shop", "commsease.conversation")
        payload = {**sample, "fromNick": ATTACK[:120], "ext": ATTACK}
        body = {"events": [{"type": "commsease.conversation", "payload": payload}]}
        answer = attacked.ask("POST", "/apps/shop/events", body)
        assert 202 == answer.status_code, answer.text
        (one,) = answer.json()["deliveries"]
        attacked.settled([one], "dropped")
        assert 202 == attacked.ask("POST", "/apps/shop/scenarios", {"scenario": "bad-day"}).status_code
        console = entered(attacked)
        paths = ("/", f"/?q={ATTACK[:20]}", f"/console/deliveries/{one}", f"{SEND}&like={one}", "/console/apps/shop")
        for path in (*paths, "/console/runs", "/?app=%22%3E%3Cscript%3Ewindow.owned%3D1%3C/script%3E&state=x"):
            page = console.open(path)
            page.evaluate(OPEN_ALL)
            assert page.evaluate("window.owned") is None
            tags = set(page.evaluate("[...document.querySelectorAll('*')].map((one) => one.tagName.toLowerCase())"))
            assert tags <= MARKUP, tags - MARKUP
            assert 2 == page.evaluate("document.scripts.length")
            names = set(page.evaluate("[...document.querySelectorAll('*')].flatMap((one) => one.getAttributeNames())"))
            assert [] == [name for name in names if name.startswith("on") or name in ("style", "srcdoc")]
            assert all(fits(page, width) for width in WIDTHS), path
        page = console.open(f"/console/deliveries/{one}")
        page.evaluate(OPEN_ALL)
        text = page.inner_text("main")
        assert "<script>window.owned=1</script>" in text
        assert "{{ 7*7 }}" in text
        assert "\\x1b]0;owned" in text
        assert "\x1b" not in text
        assert "\u202e" not in text
