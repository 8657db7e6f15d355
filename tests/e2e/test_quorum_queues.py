"""The same cloud on quorum queues, as a cluster of brokers would have them."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

from tests.harness.clouds import distributed


def test_a_server_lives_and_dies_over_quorum_queues(tmp_path: Path) -> None:
    with distributed(tmp_path / "data", "--queue-type", "quorum") as cloud:
        name = f"quorum-{uuid4().hex[:6]}"

        created = cloud.openstack_json(
            "server",
            "create",
            "--wait",
            "--flavor",
            "pileus.simulated",
            "--image",
            "pileus-guest",
            "--nic",
            "none",
            name,
        )
        cloud.openstack("server", "delete", "--wait", name)

        assert created["status"] == "ACTIVE"
        assert cloud.openstack_json("server", "list") == []
        assert 'bus_queue_type = "quorum"' in (cloud.data / "pileus.toml").read_text()
