from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import monotonic

import pytest

from common.errors import HostFailed, NotFound
from services.compute.core.guests import PowerState
from services.compute.drivers.simulated import Faults, SimulatedHypervisor, SimulatedOptions
from tests.unit.compute.drivers.builders import a_spec

IMAGE = Path("/images/abc")


def a_host(
    state_file: Path | None = None, *, memory_mib: int = 4096, faults: Faults | None = None
) -> SimulatedHypervisor:
    options = SimulatedOptions(host="sim-1", state_file=state_file, memory_mib=memory_mib)
    return SimulatedHypervisor(options, faults or Faults())


def test_an_operation_fails_once_when_told_to() -> None:
    host, spec = a_host(), a_spec()
    host.faults.fail_next("create", HostFailed("no power"))

    with pytest.raises(HostFailed, match="no power"):
        host.create(spec, IMAGE)

    assert host.guests() == []
    assert host.create(spec, IMAGE) is PowerState.RUNNING


def test_an_answer_may_be_lost_after_the_work_was_done() -> None:
    host, spec = a_host(), a_spec()
    host.faults.fail_next("create", HostFailed("line cut"), afterwards=True)

    with pytest.raises(HostFailed):
        host.create(spec, IMAGE)

    assert host.state(spec.server_id) is PowerState.RUNNING


def test_an_operation_that_hangs_goes_on_when_released() -> None:
    host, spec = a_host(), a_spec()
    host.faults.hang_next("create")

    with ThreadPoolExecutor(1) as pool:
        creating = pool.submit(host.create, spec, IMAGE)
        with pytest.raises(TimeoutError):
            creating.result(timeout=0.1)
        host.faults.release()

        assert creating.result(timeout=60) is PowerState.RUNNING


def test_an_operation_takes_the_time_it_should() -> None:
    host, started = a_host(faults=Faults(takes_s={"create": 0.05})), monotonic()

    host.create(a_spec(), IMAGE)

    assert monotonic() - started >= 0.05


def test_guests_outlive_their_agent_with_a_state_file(tmp_path: Path) -> None:
    spec = a_spec()
    a_host(tmp_path / "state").create(spec, IMAGE)

    again = a_host(tmp_path / "state")

    assert again.state(spec.server_id) is PowerState.RUNNING
    assert b"booting" in again.console(spec.server_id, max_bytes=1000)
    again.destroy(spec.server_id)
    with pytest.raises(NotFound):
        a_host(tmp_path / "state").state(spec.server_id)


def test_a_full_host_takes_no_guest() -> None:
    host = a_host(memory_mib=1024)
    host.create(a_spec(memory_mib=1000), IMAGE)

    with pytest.raises(HostFailed, match="memory"):
        host.create(a_spec(memory_mib=100), IMAGE)

    assert len(host.guests()) == 1


def test_what_a_guest_does_by_itself_is_told() -> None:
    host, spec = a_host(), a_spec()
    host.create(spec, IMAGE)
    told: list[PowerState | None] = []
    host.watch(lambda _, state: told.append(state))

    host.happen(spec.server_id, PowerState.CRASHED)

    assert told == [PowerState.CRASHED]


def test_ten_thousand_hosts_fit_into_a_process() -> None:
    hosts = [SimulatedHypervisor(SimulatedOptions(host=f"sim-{number}")) for number in range(10_000)]

    assert {host.facts().host for host in hosts} == {f"sim-{number}" for number in range(10_000)}
