"""The results of a run as JUnit XML, in the form that CI systems agree on.

Who reads the file comes to the exit status's opinion: it holds a failure or an error exactly where that is not 0.
What fails without failing the run (known failures, checks below the gate) is skipped, with the reason. The names
of suite and classes begin with provider and feeds, so that files of several runs can lie in one folder.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from typing import Any

from im_callback.conformance.report.check_block import check_block

COUNTED = {"failure": "failures", "error": "errors", "skipped": "skipped"}


def junit(document: Mapping[str, Any]) -> str:
    """Return the document as JUnit XML."""
    name = f"{document['provider']}.{'+'.join(document['feeds'])}"
    cases = list(_cases(document, name))
    seconds = sum(check["seconds"] for check in document["checks"])
    counts = {
        "tests": str(len(cases)),
        **{counted: str(sum(case.find(tag) is not None for case in cases)) for tag, counted in COUNTED.items()},
        "time": f"{seconds:.3f}",
    }
    suites = ET.Element("testsuites", {"name": "receiver conformance", **counts})
    began = document["began"]
    started = (
        {}
        if began is None
        else {"timestamp": f"{datetime.fromtimestamp(began // 1000, timezone.utc):%Y-%m-%dT%H:%M:%S}"}
    )
    suite = ET.SubElement(suites, "testsuite", {"name": name, **counts, **started})
    suite.append(
        _properties({key: document[key] for key in ("receiver", "provider", "seed", "run", "level", "verdict")})
    )
    suite[0].extend(_properties({"feeds": ",".join(document["feeds"]), "exit-status": document["exit_status"]}))
    suite[0].extend(_properties({f"version {key}": value for key, value in document["versions"].items()}))
    suite.extend(cases)
    ET.indent(suites)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(suites, encoding="unicode")}\n'


def _cases(document: Mapping[str, Any], suite: str) -> Iterator[ET.Element]:
    wrong = False
    for check in document["checks"]:
        case = _case(f"{suite}.{check['id'].split('.')[1]}", check["id"], check["seconds"])
        case.append(_properties({key: check[key] for key in ("level", "source", "title")}))
        if (ended := _ended(check, document)) is not None:
            case.append(ended)
            wrong = wrong or ended.tag != "skipped"
        yield case
    status = document["exit_status"]
    if status and (document["baseline"] or not wrong):
        case = _case(f"{suite}.run", f"{document['provider']}.exit-status", 0)
        told = "; ".join(document["baseline"]) or "nothing in the gate could be judged"
        tag = "failure" if document["verdict"] == "fail" else "error"
        case.append(_told(tag, document["verdict"], f"exit status {status}: {told}", ""))
        yield case


def _ended(check: Mapping[str, Any], document: Mapping[str, Any]) -> ET.Element | None:
    """Return what stands in a check's test case; nothing where it passed."""
    verdict, reason, level = check["verdict"], check["reason"], check["level"]
    if verdict == "pass":
        return None
    block = check_block(check)
    if verdict == "harness-error":
        last = reason.rstrip().rpartition("\n")[2]
        return _told("error", verdict, f"our own error, not the receiver's: {last}", block)
    if verdict == "could-not-run" and check["gated"] and document["exit_status"]:
        return _told("error", verdict, f"could not run: {reason}", block)
    if verdict != "fail":
        return _told("skipped", verdict, f"{verdict.replace('-', ' ')}: {reason}", block)
    what = f"expected: {check['expected']}; actual: {check['actual']}; fix: {check['fix']}"
    if check.get("known"):
        return _told("skipped", "known", f"known: {reason}; {what}", block)
    if not check["gated"]:
        newer = "newer than the gate's release" if check.get("newer") else f"below the gate ({level})"
        return _told("skipped", "below-the-gate", f"fails, {newer}: {what}", block)
    return _told("failure", level, what, block)


def _case(classname: str, name: str, seconds: float) -> ET.Element:
    return ET.Element("testcase", {"classname": classname, "name": name, "time": f"{seconds:.3f}"})


def _told(tag: str, kind: str, message: str, text: str) -> ET.Element:
    element = ET.Element(tag, {"type": kind, "message": message})
    element.text = text
    return element


def _properties(values: Mapping[str, Any]) -> ET.Element:
    properties = ET.Element("properties")
    for name, value in values.items():
        ET.SubElement(properties, "property", {"name": name, "value": str(value)})
    return properties
