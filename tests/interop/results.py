"""Prints the results in a subunit stream as JSON.  Run by the Python that has Tempest: ours has no `subunit`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import subunit
from testtools import StreamToDict

LONGEST = 3000


def results(stream: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    collect = StreamToDict(lambda test: found.append(_result(test)))
    collect.startTestRun()
    with stream.open("rb") as file:
        subunit.ByteStreamToStreamResult(file, non_subunit_name="stdout").run(collect)
    collect.stopTestRun()
    return [one for one in found if one["test"] != "stdout" and one["status"] not in ("exists", "inprogress")]


def _result(test: dict[str, Any]) -> dict[str, Any]:
    began, ended = test["timestamps"]
    details = test["details"]
    told = next((details[name].as_text() for name in ("reason", "traceback") if name in details), "")
    told = told or "\n".join(part.as_text() for name, part in sorted(details.items()) if "traceback" in name)
    seconds = (ended - began).total_seconds() if began and ended else 0.0
    return {"test": test["id"], "status": test["status"], "told": told[-LONGEST:].strip(), "seconds": seconds}


if __name__ == "__main__":
    json.dump(results(Path(sys.argv[1])), sys.stdout)
