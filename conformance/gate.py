"""A run of checks against one receiver, whoever asks for it: opened, run check by check, concluded, written, closed.

pytest's plugin and `provider-mock check` are doors to it; nothing here knows either.
"""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from im_callback.conformance import network, options
from im_callback.conformance.around.command import Occupied, ReceiverError
from im_callback.conformance.around.downstream import DownstreamError
from im_callback.conformance.around.surroundings import Surroundings
from im_callback.conformance.check import Check, all_checks
from im_callback.conformance.effects import EffectsError, ReadEffects, Records, mapped
from im_callback.conformance.given import BadOption, Given
from im_callback.conformance.overlap import Overlap
from im_callback.conformance.preflight import handles
from im_callback.conformance.report.masking import Masking
from im_callback.conformance.report.result_json import acks, document
from im_callback.conformance.report.text import acks_line, block, folded, summary
from im_callback.conformance.report.visible import visible
from im_callback.conformance.run import Run
from im_callback.conformance.runner import Conclusion, ExitStatus, blank, conclude, fold, task
from im_callback.conformance.verdict import Result, Verdict

LOGGERS = ("urllib3.connectionpool", "urllib3.util.retry")
"""Loggers that name addresses, with what stands in their queries."""
HIDDEN = "at the end of the run records of its own stood among those from before it, which had been passed over"


class Masked(logging.Filter):
    """Takes secrets out of what a library logs."""

    def __init__(self, mask: Masking) -> None:
        super().__init__()
        self.mask = mask

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record pass, without the secrets."""
        record.msg, record.args = self.mask(record.getMessage()), ()
        return True


class Gate:
    """A run. Making one reads the options, and raises `BadOption`; nothing is sent before `open`.

    `spelled` puts what is told of options into the words of the door: it is given texts that say `--receiver-…`.
    """

    def __init__(self, given: Given, spelled: Callable[[str], str] | None = None) -> None:
        settings = options.settings(given)
        self.given = given
        self.mask = replace(Masking.of(settings, given.one("effects"), settings.command), spelled=spelled)
        self.run = Run(settings, options.effects(given, settings))
        self.around = Surroundings(settings)
        self.checks = options.chosen_checks(given, settings.provider, settings.arriving)
        self.results: dict[str, Result] = {}
        """By id, in the order in which they ended: a check has one result, however often it is asked for."""
        self.conclusion: Conclusion | None = None
        self.trouble = ""
        """What other than the receiver is wrong."""
        self._marked = False
        self._overlap: Overlap[str, Result] = Overlap(())
        self._outputs: list[options.Output] = []
        self._filter = Masked(self.mask)
        for name in LOGGERS:
            logging.getLogger(name).addFilter(self._filter)

    def take_outputs(self) -> None:
        """Try where the results are to be written; raises `BadOption`. The last thing that can be wrong with the options."""
        self._outputs = options.outputs(self.given)

    def close(self) -> None:
        """Let go of everything that outlives a run."""
        self._overlap.close()
        with network.allowed():
            self.around.close()
        for name in LOGGERS:
            logging.getLogger(name).removeFilter(self._filter)
        for output in self._outputs:
            output.file.close()
        if isinstance(self.run.read_effects, Records):
            self.run.read_effects.close()

    def told(self, text: str) -> str:
        """Return a text as it may be shown: without secrets and control characters, in the words of the door."""
        return visible(self.mask(text))

    def header(self) -> list[str]:
        """Say what is checked, and how to run the same again."""
        settings = self.run.settings
        feeds = "" if self.given.one("feed") else " (the default; choose with --receiver-feed)"
        chosen = "" if self.given.one("provider") else " (the default; choose with --receiver-provider)"
        return [
            self.told(line)
            for line in (
                f"receiver: {settings.url}",
                f"provider: {settings.provider.name}{chosen}, app key {settings.credentials.app_key}",
                f"{'feeds' if self.run.several else 'feed'}: {', '.join(one.name for one in self.run.feeds)}{feeds}",
                f"checks: {len(self.checks)}, level {settings.level.value}, seed {settings.seed}, run {settings.tag}",
                *self.around.lines(),
            )
        ]

    def clear_outputs(self) -> None:
        """Take earlier results away: whatever becomes of this run, they shall not be taken for its own."""
        for output in self._outputs:
            output.file.clear()

    def open(self) -> None:
        """Open the proxy, start the receiver or wait for it; raises `BadOption`.

        A receiver that does not come up is for preflight to tell.
        """
        with network.allowed():
            try:
                self.around.open_downstream()
                self.around.start_receiver()
            except DownstreamError as error:
                raise BadOption(f"--receiver-downstream-port: {error}; give another port, or none") from None
            except Occupied as error:
                raise BadOption(self.told(f"--receiver-command: {error.reason}. {error.fix}")) from None
            except ReceiverError as error:
                self.run.not_started = error.reason
        self.run.receiver, self.run.downstream = self.around.receiver, self.around.downstream

    def plan(self, checks: Iterable[Check]) -> None:
        """Take the checks that will be asked for, in their order: they overlap while they wait."""
        self._overlap = Overlap([task(check, self.run) for check in checks])
        self.run.shared.pause, self.run.shared.gather = self._overlap.pause, self._overlap.gather

    def result(self, check: Check) -> Result:
        """Return what a check comes to; it runs once.

        Looking back over the run, a second time it would see what the first has done, and a failure that happens
        every other time is one.
        """
        name = check.id(self.run.provider)
        if name not in self.results:
            with network.allowed():
                self._mark_effects()
                found = self._overlap.result(name)
            fold(found, self.run)
            self.results[name] = found
        return self.results[name]

    def use_effects(self, read: Callable[[], Any]) -> None:
        """Read the effects by a function of the user's, which returns a list of records."""
        self.run.read_effects = mapped(read, self.given.one("effects-map"), self.given.folder)

    def no_effects(self, reason: str, fix: str) -> None:
        """Say why the effects cannot be read, whenever they are needed."""
        self.run.read_effects = _unreadable(reason, fix)

    def finish(self, planned: Iterable[Check], unrun: tuple[str, str]) -> Conclusion:
        """Judge the run, of which these checks were to run, and write the results. What is wrong with us is told.

        `unrun` says why one of them may not have run, and what to do then.
        """
        try:
            self._note_unrun(planned, *unrun)
            self._note_hidden()
            self.conclusion = self._concluded()
            self._write(self.conclusion)
        except Exception as error:  # noqa: BLE001 - Whatever is wrong with us is no verdict about the receiver.
            self.fail("our own error at the end", error)
        assert self.conclusion is not None
        return self.conclusion

    def fail(self, what: str, error: Exception) -> None:
        """Note that something other than the receiver is wrong."""
        self.trouble = f"{what}: {error!r}"
        sys.stderr.write(self.told("".join(traceback.format_exception(error)) + self.trouble) + "\n")
        if self.conclusion is None:
            self.conclusion = Conclusion("error", ExitStatus.OUR_ERROR)
        self.conclusion.status = ExitStatus.OUR_ERROR

    def block(self, result: Result, *, verbose: bool) -> str:
        """Return what is printed for a result that is no pass: little where another one shows the same."""
        if result.folded_into in self.results and not verbose:
            return folded(result)
        return block(result, self.run.settings, self.mask)

    def excuse(self, result: Result) -> str:
        """Return why a failure does not fail the run, or nothing where it does."""
        settings = self.run.settings
        if result.id in settings.baseline:
            return settings.baseline[result.id]
        if result.newer:
            return "newer than --receiver-checks-as-of"
        return "" if result.level.gates(settings.level) else f"below --receiver-level={settings.level.value}"

    def closing(self, *, verbose: bool) -> Sequence[str]:
        """Return the lines at the end: what could not run, what failed without failing the run, and the verdict."""
        assert self.conclusion is not None
        results = list(self.results.values())
        lines: list[str] = []
        for result in results:
            if result.verdict is Verdict.FAIL and self.excuse(result):
                lines += [self.block(result, verbose=verbose), ""]
        if self.run.models:
            lines.append(f"records: {','.join(handles(self.run))}")
        lines += [self.told(note) for note in self.run.notes]
        if self.run.history:
            lines.append(acks_line(acks(self.run)))
        lines += summary(results, self.conclusion, self.run.settings, self.mask)
        if self.trouble:
            lines.append(self.told(self.trouble))
        return lines

    def _concluded(self) -> Conclusion:
        settings = self.run.settings
        if not self.results:
            return Conclusion("error", ExitStatus.BAD_OPTIONS, ["no check was selected: look at -k, -m, --deselect"])
        ids = [
            check.id(settings.provider) for check in all_checks(explored=True) if check.among(settings.provider.feeds)
        ]
        results = list(self.results.values())
        return conclude(results, settings.level, settings.baseline, ids, allow_incomplete=settings.allow_incomplete)

    def _write(self, conclusion: Conclusion) -> None:
        if not self._outputs:
            return
        result = document(self.run, list(self.results.values()), conclusion, self.mask)
        unwritten = [str(error) for output in self._outputs if (error := output.write(result)) is not None]
        if unwritten:
            self.trouble = f"our own trouble: the result in {'; '.join(unwritten)}; what is printed here stands"
            conclusion.status = ExitStatus.OUR_ERROR

    def _note_unrun(self, planned: Iterable[Check], reason: str, fix: str) -> None:
        """Hold nothing for passed that was selected and did not run."""
        for check in planned:
            if check.id(self.run.provider) not in self.results:
                unrun = blank(check, self.run)
                unrun.verdict, unrun.reason, unrun.fix = Verdict.COULD_NOT_RUN, reason, fix
                self.results[unrun.id] = unrun

    def _note_hidden(self) -> None:
        """Hold no judgement by effects that were read in part, unless the whole shows the same."""
        with network.allowed():
            if not self._marked or not self.run.was_hidden():
                return
        needing = {one.id(self.run.provider) for one in self.checks if one.effects}
        for result in self.results.values():
            if result.id in needing and result.verdict in (Verdict.PASS, Verdict.FAIL):
                result.verdict, result.reason = Verdict.COULD_NOT_RUN, HIDDEN
                result.fix = "Let --receiver-effects-query list this run's records alone, with :run"

    def _mark_effects(self) -> None:
        """Note what the application has recorded before anything is sent."""
        if not self._marked and isinstance(self.run.read_effects, Records):
            self.run.read_effects.mark()
        self._marked = True


def _unreadable(reason: str, fix: str) -> ReadEffects:
    def read() -> list[Any]:
        raise EffectsError(reason, fix)

    return read
