"""Options of the compute service: section `[compute]` of `pileus.toml`.  Agents have a section of their own."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field, SecretStr

from common.settings import Section
from services.compute.core.quotas import FIXED
from services.compute.core.weighers import Weights


class ComputeSettings(Section):
    """Everything that an operator may set here."""

    section: ClassVar[str] = "compute"

    database_url: str = Field(description="sqlite:///FILE or postgresql+psycopg://USER:PASSWORD@HOST/NAME")
    listen: str = Field("127.0.0.1:8774", description="HOST:PORT when the compute API is a process of its own")
    placement_listen: str = Field(
        "127.0.0.1:8778", description="HOST:PORT when placement's API is a process of its own"
    )
    service_username: str = Field("compute", description="This service's user in project 'service'")
    service_password: SecretStr = Field(description="Password of that user")

    default_zone: str = Field("nova", description="Availability zone of hosts that name none")
    service_down_s: float = Field(60, description="A service or host that was not heard of for this long is down", gt=0)
    list_limit: int = Field(1000, description="Rows that one page of a list holds at most", ge=1)
    key_bits: int = Field(2048, description="Length of the RSA keys that are generated for users", ge=2048)

    quota_instances: int = Field(10, description="Servers a project may have unless it is given another limit", ge=-1)
    quota_cores: int = Field(20, description="vCPUs of all servers of a project; -1: any number", ge=-1)
    quota_ram: int = Field(51_200, description="MiB of memory of all servers of a project; -1: any amount", ge=-1)
    quota_key_pairs: int = Field(100, description="Key pairs one user may have", ge=-1)
    quota_metadata_items: int = Field(128, description="Metadata items one server may have", ge=-1)
    quota_server_groups: int = Field(10, description="Server groups a project may have", ge=-1)
    quota_server_group_members: int = Field(10, description="Servers one group may have of each user", ge=-1)

    cpu_allocation_ratio: float = Field(4.0, description="Times that a new host's vCPUs may be claimed", gt=0)
    memory_allocation_ratio: float = Field(1.0, description="Times that a new host's memory may be claimed", gt=0)
    disk_allocation_ratio: float = Field(1.0, description="Times that a new host's disk may be claimed", gt=0)
    memory_weight: float = Field(1.0, description="Counts for a host with much memory left; below 0: against it")
    vcpu_weight: float = Field(1.0, description="Counts for a host with many vCPUs left; below 0: against it")
    disk_weight: float = Field(1.0, description="Counts for a host with much disk left; below 0: against it")
    io_weight: float = Field(-1.0, description="Counts for a host where much is being done; below 0: against it")
    soft_group_weight: float = Field(10.0, description="Counts for a host that a server group's soft policy wants")
    config_drive_always: bool = Field(True, description="Give each server a config drive, asked for or not")
    vendor_data_file: Path | None = Field(None, description="JSON file that every guest is shown as vendor_data.json")
    vendor_data_targets: dict[str, str] = Field(
        default_factory=dict,
        description="Name -> URL that is asked for a guest's part of that name in vendor_data2.json",
    )
    vendor_data_timeout_s: float = Field(5, description="Each of them has this long for its whole answer", gt=0)
    vendor_data_required: bool = Field(False, description="A guest whose vendor data can't be had is not started")
    default_ephemeral_format: str | None = Field(
        None,
        description="File system of ephemeral disks that ask for none; unset: ext4, and vfat where os_type is windows",
        pattern="^(ext2|ext3|ext4|vfat|xfs)$",
    )
    max_local_block_devices: int = Field(
        3,
        description="Disks on its host, the root included, that a request may name for one server; -1: any number",
        ge=-1,
    )
    stop_patience_s: float = Field(60, description="A guest has this long to shut down before the plug is pulled", ge=0)
    reclaim_instance_interval_s: float = Field(
        0, description="A deleted server can be restored for this long; 0: it is gone at once", ge=0
    )
    resize_confirm_window_s: float = Field(
        0, description="A resize that nobody confirmed for this long is confirmed by itself; 0: never", ge=0
    )
    shelved_offload_time_s: float = Field(
        0,
        description="A shelved server leaves its host after so long; 0: at once, -1: only when an administrator says so",
        ge=-1,
    )
    allowed_image_properties: dict[str, list[str]] = Field(
        default_factory=dict,
        description="Image property -> values that servers may be made with, * for any text; others may have any value known",
    )
    non_inheritable_image_properties: list[str] = Field(
        ["cache_in_nova", "bittorrent"], description="Properties of an image that snapshots of its servers do not get"
    )
    grace_s: float = Field(20, description="After a start or loss of the bus, hosts have this long to be heard", ge=0)
    keep_history_days: float = Field(30, description="Days that timelines and deleted servers are kept", gt=0)

    keep_usage_days: float = Field(400, description="Days that usage reports know deleted servers", gt=0)

    console_listen: str = Field("127.0.0.1:6080", description="HOST:PORT when the consoles are a process of their own")
    console_token_s: float = Field(600, description="A console's address is good for this long, and once", gt=0)
    console_origins: tuple[str, ...] = Field(
        (),
        description="Web sites that may show consoles besides the public address, for example https://dashboard.example.org",
    )
    console_url_form: str = Field(
        "fragment",
        description='Where a console\'s address carries its token: "fragment", which no server or log ever sees, or "query" '
        "for programs that open the websocket by themselves",
        pattern="^(fragment|query)$",
    )
    console_viewers: int = Field(16, description="Open consoles that one server may have at once", ge=1)

    worker_threads: int = Field(64, description="Sagas that one worker process runs at once", ge=1)

    def weights(self) -> Weights:
        return Weights(
            memory=self.memory_weight,
            vcpus=self.vcpu_weight,
            disk=self.disk_weight,
            io=self.io_weight,
            group=self.soft_group_weight,
        )

    def quotas(self) -> dict[str, int]:
        """Resource -> what a project may have of it by default; also of what only old clients ask for."""
        return FIXED | {name.removeprefix("quota_"): value for name, value in self if name.startswith("quota_")}


class AgentSettings(Section):
    """Section `[agent]`: one host, or with the simulated driver any number of them."""

    section: ClassVar[str] = "agent"

    host: str = Field(default_factory=socket.gethostname, description="This host's name in the API and on the bus")
    address: str = Field("127.0.0.1", description="Address of this host that the API shows")
    driver: str = Field(
        "libvirt", description='"libvirt", or "simulated" for scale tests', pattern="^(libvirt|simulated)$"
    )
    storage: Path = Field(description="Directory of guests' disks, console logs and cached images")
    libvirt_uri: str = Field("qemu:///system", description="Which libvirt")
    virt_type: str = Field(
        "auto", description='"kvm", "qemu", or "auto": what is proved to work', pattern="^(auto|kvm|qemu)$"
    )
    config_drive_format: str = Field(
        "iso9660", description='File system of config drives: "iso9660" or "vfat"', pattern="^(iso9660|vfat)$"
    )
    screens: tuple[Literal["vnc", "spice"], ...] = Field(
        ("vnc", "spice"), description="Ways to a new guest's screen, of those that this host's qemu has"
    )
    memory_reserved_mib: int = Field(512, description="MiB of memory kept for the host itself", ge=0)
    cpu_mode: str = Field(
        "auto",
        description='Which processor guests see: "host-model", "host-passthrough", "maximum" (all that is emulated), "custom" '
        '(see cpu_models), "none" (the hypervisor\'s default), or "auto": host-model with hardware acceleration, else maximum',
        pattern="^(auto|host-model|host-passthrough|maximum|custom|none)$",
    )
    cpu_models: list[str] = Field(
        [],
        description="libvirt's names of processors for cpu_mode custom; a guest gets the first that has what it asks for",
    )
    cpu_model_extra_flags: list[str] = Field([], description='Features that guests see besides, or with "-" do not see')
    cpu_dedicated_set: str | None = Field(
        None,
        description="Processors of this host for guests that have some of their own (hw:cpu_policy), for example 2-7,^4; "
        "no others then but those of cpu_shared_set",
    )
    cpu_shared_set: str | None = Field(
        None,
        description="Processors of this host that all other guests share; unset: all, or none if some are dedicated",
    )
    image_cache_gib: int = Field(20, description="GiB that cached images may take while no guest uses them", ge=0)
    image_cache_idle_s: float = Field(
        7 * 86400, description="A cached image that no guest uses and nobody wanted for this long is removed", gt=0
    )
    threads: int = Field(64, description="Calls that one host answers at the same time", ge=1)

    simulated_hosts: int = Field(1, description="How many hosts the simulated driver plays: sim-1, sim-2, ...", ge=1)
    simulated_prefix: str = Field("sim-", description="What their names begin with")
    simulated_pcpus: int = Field(0, description="Processors of each for guests that have some of their own", ge=0)
    simulated_vcpus: int = Field(16, description="vCPUs of each simulated host", ge=1)
    simulated_memory_mib: int = Field(65_536, description="MiB of memory of each simulated host", ge=1)
    simulated_disk_gib: int = Field(1024, description="GiB of disk of each simulated host", ge=1)

    console_listen: str | None = Field(
        None,
        description="HOST:PORT where the control plane fetches consoles, by TLS; port 0: any that is free; unset: a unix "
        "socket of this user's own, for a cloud in one process",
        pattern=r"^\S+:\d{1,5}$",
    )

    heartbeat_s: float = Field(5, description="Seconds between two signs of life", gt=0)
    reconcile_s: float = Field(60, description="Seconds between two comparisons with the control plane", gt=0)

    service_username: str = Field("compute-agent", description="The agents' user in project 'service'")
    service_password: SecretStr = Field(description="Password of that user")
