"""A script that was played as lines for people: numbered steps with times, what was answered, what shows and what is due."""

from __future__ import annotations

from im_callback.conformance.explore.judging import Fact, Wrong
from im_callback.conformance.explore.play import Played
from im_callback.conformance.explore.script import Script
from im_callback.conformance.judge import Effects
from im_callback.conformance.report.steps import step

WIDTH = 12


def timeline(played: Played, facts: list[Fact], effects: Effects, wrong: Wrong) -> list[str]:
    """Return the lines: the things, what happened, what shows and what is due."""
    lines = ["what happens:"]
    for number, fact in enumerate(facts):
        thing = played.script.things[number]
        called = ", ".join(dict.fromkeys(str(one) for one in fact.ones))
        scope = f", scope {thing.scope + 1}" if _scopes(played.script) > 1 and fact.rule else ""
        lines.append(f"  {fact.name}{scope}: {called or played.events[number].type}")
    lines.append("how it is delivered:")
    lines += [step(entry.step, entry.at, entry.what, entry.said) for entry in played.entries]
    lines.append("what the effects show:")
    names = {one: fact.name.partition(",")[0] for fact in facts for one in fact.ones}
    shown = [names[one] for one in effects.order if one in names]
    lines.append(f"  in this order: {', '.join(shown)}" if shown else "  nothing of it")
    lines += ["what is due:", f"  {wrong.due}", "what there is:", f"  {wrong.found}"]
    return lines


def _scopes(script: Script) -> int:
    return len({one.scope for one in script.things})
