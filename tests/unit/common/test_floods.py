"""Of a flood some lines are written, and the next one says how many were not."""

from __future__ import annotations

import logging

from common.floods import Calm, Flood


def test_a_burst_passes_and_then_so_many_a_second() -> None:
    flood = Flood(burst=3, per_s=2)

    at_once = [flood.passes(10.0) for _ in range(5)]
    later = [flood.passes(11.0) for _ in range(3)]

    assert at_once == [True, True, True, False, False]
    assert later == [True, True, False]


def test_what_was_left_out_is_told_once() -> None:
    flood = Flood(burst=1, per_s=1)

    passed = [flood.passes(10.0) for _ in range(4)]

    assert passed == [True, False, False, False]
    assert flood.facts() == {"left_out": 3} and flood.facts() == {}


def test_a_calm_logger_keeps_its_errors() -> None:
    calm = Calm()
    record = logging.makeLogRecord({"msg": "no HTTP", "levelno": logging.WARNING})
    broken = logging.makeLogRecord({"msg": "broken", "levelno": logging.ERROR})

    assert sum(calm.filter(record) for _ in range(500)) < 150
    assert calm.filter(broken)
