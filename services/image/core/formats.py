"""Whether an image's content is what it claims to be, and safe to open for the programs behind us."""

from __future__ import annotations

from dataclasses import dataclass

from common.errors import Unsupported

# fmt: off
FITTING: dict[str, frozenset[frozenset[str]]] = {
    # declared -> what may be found, all at once; "gpt" is the inspector's word for any boot sector, GPT or MBR
    "raw":   frozenset({frozenset({"raw"})}),
    "gpt":   frozenset({frozenset({"gpt"})}),
    "iso":   frozenset({frozenset({"iso"}), frozenset({"iso", "gpt"})}),  # bootable from a stick too
    "qcow2": frozenset({frozenset({"qcow2"})}),
    "vmdk":  frozenset({frozenset({"vmdk"})}),
    "vdi":   frozenset({frozenset({"vdi"})}),
    "vhd":   frozenset({frozenset({"vhd"})}),
    "vhdx":  frozenset({frozenset({"vhdx"})}),
    "ploop": frozenset({frozenset({"raw"})}),  # nobody here knows it; at least it is nothing else
    "ami":   frozenset({frozenset({"raw"}), frozenset({"gpt"})}),
    "ari":   frozenset({frozenset({"raw"})}),
    "aki":   frozenset({frozenset({"raw"}), frozenset({"gpt"})}),  # a Linux kernel begins like a boot sector
}
BARE = ("bare", "ami", "ari", "aki")
WRAPPED: dict[str, frozenset[frozenset[str]]] = {
    # container -> the same for its outside
    "ova":        frozenset({frozenset({"ova"})}),
    "docker":     frozenset({frozenset({"docker"})}),
    "compressed": frozenset({frozenset({"compressed"})}),  # by a program known here; nobody here unpacks it
    "ovf":        frozenset({frozenset({"raw"})}),  # a description without its disks, or what else no program here opens
}
# fmt: on


@dataclass(frozen=True, slots=True)
class Finding:
    """What the inspection saw."""

    formats: frozenset[str]
    virtual_size: int
    problems: tuple[str, ...]  # why it must not be opened: "has a backing file"


def judged(finding: Finding, *, disk_format: str | None, container_format: str | None) -> int:
    """The virtual size of an image that may be kept.  Unsupported with the reason otherwise"""
    if finding.problems:
        raise Unsupported(f"The image was refused: it {' and it '.join(finding.problems)}.", problems=finding.problems)
    wrapped = container_format not in BARE
    fitting = WRAPPED.get(container_format or "") if wrapped else FITTING.get(disk_format or "")
    if finding.formats not in (fitting or ()):
        found = " and ".join(sorted(finding.formats))
        claimed = f"container_format {container_format}" if wrapped else f"disk_format {disk_format}"
        raise Unsupported(f"The image was refused: its content is {found}, which {claimed} does not allow.")
    return finding.virtual_size
