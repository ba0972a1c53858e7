"""A run of checks against one receiver, whoever asks for it: opened, run check by check, concluded, written, closed.

pytest's plugin and `provider-mock check` are doors to it; nothing here knows either.
"""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from importlib.metadata import version
from typing import Any

from im_callback.conformance import baseline, ci, network, options
from im_callback.conformance.around.command import Occupied, ReceiverError
from im_callback.conformance.around.downstream import DownstreamError
from im_callback.conformance.around.surroundings import Surroundings
from im_callback.conformance.check import Check
from im_callback.conformance.effects import EffectsError, ReadEffects, Records, mapped
from im_callback.conformance.given import BadOption, Given
from im_callback.conformance.overlap import Overlap
from im_callback.conformance.report.masking import Masking
from im_callback.conformance.report.outputs import Document
from im_callback.conformance.report.progress import Progress
from im_callback.conformance.report.result_json import document
from im_callback.conformance.report.screen import WIDTH, Mark, plain, screen
from im_callback.conformance.report.text import block
from im_callback.conformance.report.visible import no_command
from im_callback.conformance.resultfile import ResultFile, Unwritable
from im_callback.conformance.run import Run
from im_callback.conformance.runner import Conclusion, ExitStatus, blank, conclude, fold, task
from im_callback.conformance.verdict import Result, Verdict
from im_callback.provider_mock.visible import visible

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
        self.progress = Progress(())
        """How far the run is."""
        self.conclusion: Conclusion | None = None
        self.trouble = ""
        """What other than the receiver is wrong."""
        self._marked = False
        self._overlap: Overlap[str, Result] = Overlap(())
        self._outputs: list[options.Output] = []
        self._baseline: ResultFile | None = None
        """The file of known failures, where it is to be written anew."""
        self._update: baseline.Update | None = None
        self._document: Document | None = None
        self._filter = Masked(self.mask)
        for name in LOGGERS:
            logging.getLogger(name).addFilter(self._filter)

    def take_outputs(self, more: Iterable[tuple[str, str, str]] = ()) -> None:
        """Try where the results are to be written; raises `BadOption`. The last thing that can be wrong with the options.

        `more` are files that the door has options of its own for, as `options.outputs` takes them.
        """
        self._baseline = options.baseline_file(self.given)
        self._outputs = options.outputs(self.given, more)

    def close(self) -> None:
        """Let go of everything that outlives a run."""
        self._overlap.close()
        with network.allowed():
            self.around.close()
        for name in LOGGERS:
            logging.getLogger(name).removeFilter(self._filter)
        for file in (*(output.file for output in self._outputs), self._baseline):
            if file is not None:
                file.close()
        if isinstance(self.run.read_effects, Records):
            self.run.read_effects.close()

    def told(self, text: str) -> str:
        """Return a text as it may be shown: without secrets, and nothing that a terminal or a CI system obeys.

        What it tells of options is in the words of the door.
        """
        return no_command(visible(self.mask(text)))

    def header(self) -> list[str]:
        """Say what is checked, and how to run the same again."""
        settings = self.run.settings
        named = [f"--receiver-{name}" for name in ("provider", "feed") if not self.given.one(name)]
        choose = f" (choose with {', '.join(named)})" if named else ""
        feeds = f"{'feeds' if self.run.several else 'feed'} {', '.join(one.name for one in self.run.feeds)}"
        again = f"level {settings.level.value}, seed {settings.seed}, run {settings.tag}"
        lines = (
            f"receiver: {settings.url}",
            f"provider: {settings.provider.name}, {feeds}{choose}, app key {settings.credentials.app_key}",
            f"checks: {len(self.checks)}, {again}, version {version('im-callback-conformance')}",
            *self.around.lines(),
        )
        return list(map(self.told, lines))

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
        planned = list(checks)
        self.progress = Progress(planned)
        self._overlap = Overlap([task(check, self.run) for check in planned])
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

    def block(self, result: Result) -> str:
        """Return all that is told of a result that is no pass."""
        return no_command(block(result, self.run.settings, self.mask))

    def excuse(self, result: Result) -> str:
        """Return why a failure does not fail the run, or nothing where it does."""
        settings = self.run.settings
        if result.id in settings.baseline:
            return settings.baseline[result.id]
        if result.newer:
            return "newer than --receiver-checks-as-of"
        return "" if result.level.gates(settings.level) else f"below --receiver-level={settings.level.value}"

    def closing(self, width: int = WIDTH, mark: Mark = plain) -> list[str]:
        """Return the lines at the end, on one screen; `mark` colours them."""
        lines = []
        if self._document is not None:
            lines += screen(self._document, width, lambda kind, line: mark(kind, self.told(line)))
        if self.trouble:
            lines.append(mark("bad", self.told(self.trouble)))
        return lines

    def annotations(self) -> Sequence[str]:
        """Return the lines that mark the job, where it runs on GitHub Actions; they are to be printed as they are."""
        return ci.annotation_lines(self._document) if self._document is not None else ()

    def _concluded(self) -> Conclusion:
        settings = self.run.settings
        if not self.results:
            return Conclusion("error", ExitStatus.BAD_OPTIONS, ["no check was selected: look at -k, -m, --deselect"])
        results, known = list(self.results.values()), settings.baseline
        ids = baseline.check_ids() if known or self._baseline is not None else set()
        update = baseline.updated(known, results, settings.level, ids)
        if self._baseline is not None:
            # What has come is no excuse yet: a job that updates each time would be green whatever fails.
            known = {name: reason for name, reason in known.items() if name in update.known}
        conclusion = conclude(results, settings.level, known, ids, allow_incomplete=settings.allow_incomplete)
        if self._baseline is not None and conclusion.verdict != "error":
            self._update = update
            self.run.notes.extend(update.lines(self._baseline.path.name))
        return conclusion

    def _write(self, conclusion: Conclusion) -> None:
        result = self._document = document(self.run, list(self.results.values()), conclusion, self.mask)
        unwritten = [str(error) for output in self._outputs if (error := output.write(result)) is not None]
        if self._baseline is not None and self._update is not None:
            try:
                self._baseline.write(self._update.text)
            except Unwritable as error:
                unwritten.append(str(error))
        if unwritten:
            self.trouble = f"our own trouble: the result in {'; '.join(unwritten)}; what is printed here stands"
            conclusion.status = ExitStatus.OUR_ERROR
        self.trouble = self.trouble or ci.add_summary(result)

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
