"""Which extra specs of flavors are known, and what their values look like; checked since microversion 2.86.

A name without a namespace, or in one that nobody knows, is its operator's own and may hold anything.
Source: Compute's configuration guide, "Flavors, extra specs".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from common.errors import InvalidInput

Check = Callable[[str], str | None]
"""What is wrong with a value; None if nothing is."""

TRUTHS = ("1", "t", "true", "on", "y", "yes", "0", "f", "false", "off", "n", "no")


def anything(value: str) -> str | None:
    return None


def truth(value: str) -> str | None:
    return None if value.strip().lower() in TRUTHS else f"'{value}' is not a valid boolean-like value."


def whole(least: int | None = None, most: int | None = None) -> Check:
    def check(value: str) -> str | None:
        if re.fullmatch(r"\s*[+-]?\d{1,18}\s*", value, re.ASCII) is None:
            return f"'{value}' is not a valid integer value."
        if most is not None and int(value) > most:
            return f"'{value}' is greater than the max value of '{most}'."
        if least is not None and int(value) < least:
            return f"'{value}' is less than the min value of '{least}'."
        return None

    return check


def one_of(*words: str) -> Check:
    return lambda value: None if value in words else f"'{value}' is not one of: {', '.join(words)}."


def form(pattern: str) -> Check:
    known = re.compile(pattern)
    return lambda value: None if known.fullmatch(value) else f"'{value}' is not of the format '{pattern}'."


NOT_NEGATIVE, POSITIVE = whole(0), whole(1)
CPUS = form(r"\^?\d+(-\d+)?(,\^?\d+(-\d+)?)*")  # 0-3,^1
BYTES, GROUP = r"(large|small|any|\d+([kKMGT]i?)?(b|bit|B)?)", r"([a-zA-Z0-9_-]{1,64})?"
ASKED = one_of("required", "forbidden")
CLASSES = (
    "VCPU|PCPU|MEMORY_MB|DISK_GB|PCI_DEVICE|SRIOV_NET_VF|NUMA_SOCKET|NUMA_CORE|NUMA_THREAD|NUMA_MEMORY_MB|IPV4_ADDRESS|"
    "VGPU|VGPU_DISPLAY_HEAD|FPGA|PGPU|MEM_ENCRYPTION_CONTEXT|NET_BW_EGR_KILOBIT_PER_SEC|NET_BW_IGR_KILOBIT_PER_SEC|"
    "NET_PACKET_RATE_KILOPACKET_PER_SEC|NET_PACKET_RATE_EGR_KILOPACKET_PER_SEC|NET_PACKET_RATE_IGR_KILOPACKET_PER_SEC|"
    "CUSTOM_[A-Z0-9_]+"
)


def _each(check: Check, prefix: str, names: Iterable[str]) -> dict[str, Check]:
    return {re.escape(prefix + name): check for name in names}


# fmt: off
KNOWN: dict[str, Check] = {  # form of the name -> check of the value
    "group_policy":                              one_of("isolate", "none"),
    "hide_hypervisor_id":                        truth,
    "accel:device_profile":                      anything,
    "aggregate_instance_extra_specs:.+":         anything,
    r"capabilities:[\w.\-]+(:[\w.\-]+)*":        anything,
    "os:secure_boot":                            one_of("disabled", "required"),
    r"pci_passthrough:alias":                    form(r"[^:]+:\d+( *, *[^:,]+:\d+)*"),
    "hw_rng:allowed":                            truth,
    "hw_rng:rate_bytes":                         NOT_NEGATIVE,
    "hw_rng:rate_period":                        NOT_NEGATIVE,
    "hw_video:ram_max_mb":                       NOT_NEGATIVE,
    "vmware:hw_version":                         anything,
    "vmware:storage_policy":                     anything,
    rf"resources{GROUP}:({CLASSES})":            NOT_NEGATIVE,
    rf"trait{GROUP}:[A-Z][A-Z0-9_]*":            ASKED,
    "hw:cpu_policy":                             one_of("dedicated", "shared", "mixed"),
    "hw:cpu_thread_policy":                      one_of("prefer", "isolate", "require"),
    "hw:emulator_threads_policy":                one_of("isolate", "share"),
    "hw:cpu_realtime_mask":                      CPUS,
    "hw:cpu_dedicated_mask":                     CPUS,
    "hw:mem_page_size":                          form(BYTES),
    "hw:numa_nodes":                             POSITIVE,
    r"hw:numa_cpus\.\d+":                        CPUS,
    r"hw:numa_mem\.\d+":                         POSITIVE,
    "hw:pci_numa_affinity_policy":               one_of("required", "preferred", "legacy", "socket"),
    "hw:mem_encryption_model":                   one_of("amd-sev", "amd-sev-es", "amd-sev-snp"),
    "hw:pmem":                                   form(r"[a-zA-Z0-9_]+(,[a-zA-Z0-9_]+)*"),
    "hw:serial_port_count":                      NOT_NEGATIVE,
    "hw:tpm_model":                              one_of("tpm-tis", "tpm-crb"),
    "hw:tpm_version":                            one_of("1.2", "2.0"),
    "hw:tpm_secret_security":                    one_of("user", "host", "deployment"),
    "hw:watchdog_action":                        one_of("none", "pause", "poweroff", "reset", "disabled"),
    "hw:viommu_model":                           one_of("intel", "smmuv3", "virtio", "auto"),
    "hw:redirected_usb_ports":                   whole(0, 15),
    "hw:maxphysaddr_mode":                       one_of("passthrough", "emulate"),
    "hw:maxphysaddr_bits":                       POSITIVE,
    "hw:sound_model":                           one_of("sb16", "es1370", "pcspk", "ac97", "ich6", "ich9", "usb", "virtio"),
    "hw:usb_model":                             one_of("none", "nec-xhci", "qemu-xhci"),
    "hw:ephemeral_encryption_format":            anything,
    r"quota:(cpu|disk|memory|disk_io|vif)_(shares|limit|reservation|period)": NOT_NEGATIVE,
    "quota:cpu_quota":                           whole(),
    r"quota:(cpu|disk|memory|disk_io|vif)_shares_level": one_of("custom", "high", "normal", "low"),
    r"quota:(cpu|disk|memory|disk_io|vif)_shares_share": NOT_NEGATIVE,
    r"quota:disk_(read|write|total)_(bytes|iops)_sec(_max|_max_length)?": NOT_NEGATIVE,
    r"quota:vif_(inbound|outbound)_(average|peak|burst)": NOT_NEGATIVE,
} | _each(
    truth, "hw:", (
        "cpu_realtime", "hide_hypervisor_id", "locked_memory", "boot_menu", "vif_multiqueue_enabled", "mem_encryption",
        "pmu", "virtio_packed_ring", "ephemeral_encryption",
    ),
) | _each(
    POSITIVE, "hw:", ("cpu_sockets", "cpu_cores", "cpu_threads", "cpu_max_sockets", "cpu_max_cores", "cpu_max_threads"),
)
# fmt: on
_FORMS = [(re.compile(name), check) for name, check in KNOWN.items()]
NAMESPACES = re.compile(
    rf"accel|aggregate_instance_extra_specs|capabilities|hw|hw_rng|hw_video|os|pci_passthrough|quota|vmware|(resources|trait){GROUP}"
)


def must_be_valid(name: str, value: str) -> None:
    """InvalidInput for a value that its spec can't have, and for a name that its namespace does not have."""
    for known, check in _FORMS:
        if known.fullmatch(name):
            if wrong := check(value):
                raise InvalidInput(f"Validation failed; {wrong}")
            return
    namespace, colon, _ = name.partition(":")
    if colon and NAMESPACES.fullmatch(namespace):
        raise InvalidInput(f"Validation failed; extra spec '{name}' does not appear to be a valid extra spec.")
