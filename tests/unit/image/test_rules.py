"""Plain rules: listings, patches, ranges, formats."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from common.errors import InvalidInput, PlatformError, Unsupported
from services.image.api.faults import preferred
from services.image.core.formats import FITTING, Finding, judged
from services.image.core.images import DISK_FORMATS, Status
from services.image.core.listing import SORT_KEYS, as_uuid, read_listing
from services.image.core.patches import V20, V21, patched, read_patch
from services.image.core.ranges import RangeNotSatisfiable, wanted_part
from services.image.drivers.inspect.inspector import Inspector
from tests.harness.waiting import until

alike = settings(derandomize=True, database=None, deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""Every run asks the same, however long it takes."""

known = st.sampled_from(
    ["limit", "marker", "sort", "sort_key", "sort_dir", "name", "size_min", "created_at", "tag", "id"]
)
texts = st.one_of(st.text(), st.sampled_from(["in:", 'in:"', "gt:2020", "name:asc", "-1", "1e9", "all"]))
queries = st.lists(st.tuples(st.one_of(known, st.text()), texts), max_size=6)


@alike
@given(query=queries)
def test_any_query_is_a_listing_or_an_invalid_input(query: list[tuple[str, str]]) -> None:
    try:
        listing = read_listing(query)
    except InvalidInput:
        return

    assert 0 <= listing.limit <= 1000
    assert {one.attribute for one in listing.sorts} <= set(SORT_KEYS)
    assert listing.sorts[-1].attribute == "id" or "id" in {one.attribute for one in listing.sorts}


values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(), st.sampled_from(["add", "/a", "/id", "/name"])),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.sampled_from(["op", "path", "value", "add", "x"]), inner, max_size=4),
    ),
    max_leaves=12,
)


@alike
@given(body=values, media_type=st.sampled_from([V20, V21]))
def test_any_patch_document_is_applied_or_refused_with_a_reason(body: object, media_type: str) -> None:
    try:
        patched({"name": "n"}, read_patch(body, media_type), status=Status.QUEUED, settable={"name"})
    except PlatformError as error:
        assert error.message


@alike
@given(header=st.text(alphabet="bytes=-0123456789, ", max_size=30), size=st.integers(0, 1 << 40))
def test_any_range_header_means_a_part_of_the_image_or_all_of_it(header: str, size: int) -> None:
    try:
        part = wanted_part(header, size)
    except RangeNotSatisfiable:
        return

    assert part is None or 0 <= part[0] <= part[1] < size


@alike
@given(text=st.text())
def test_only_canonical_ids_are_ids(text: str) -> None:
    found = as_uuid(text)

    assert found is None or str(found) == text.lower()


def test_an_id_may_be_spelled_in_capitals() -> None:
    chosen = uuid4()

    assert as_uuid(str(chosen).upper()) == chosen
    assert as_uuid(chosen.hex) is None
    assert as_uuid("{" + str(chosen) + "}") is None
    assert as_uuid(str(UUID(int=0))) == UUID(int=0)


@alike
@given(accept=st.text())
def test_any_accept_header_has_an_answer(accept: str) -> None:
    assert preferred(accept) in ("html", "json", "text")


@pytest.mark.parametrize("disk_format", DISK_FORMATS)
def test_every_format_on_offer_has_a_rule_and_none_takes_what_has_problems(disk_format: str) -> None:
    fitting = next(iter(FITTING[disk_format]))

    assert judged(Finding(fitting, 7, ()), disk_format=disk_format, container_format="bare") == 7
    with pytest.raises(Unsupported, match="it has a backing file"):
        problems = ("has a backing file",)
        judged(Finding(fitting, 7, problems), disk_format=disk_format, container_format="bare")


def test_the_inspecting_process_ends_when_it_is_idle() -> None:
    inspector = Inspector(idle_s=0.2)
    first = inspector.inspect(Path(__file__))
    [process] = inspector._idle

    until(lambda: process.poll() is not None, what="the end of the idle process")

    assert inspector.inspect(Path(__file__)) == first
    inspector.close()
