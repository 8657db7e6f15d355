"""What processors can do, in the words of libvirt and in those of placement (os-traits, HW_CPU_X86_…)."""

from __future__ import annotations

from collections.abc import Iterable

import libvirt
from lxml import etree

from services.compute.core.hardware.fitting import HostCell
from services.compute.core.hardware.policies import HYPERTHREADING
from services.compute.core.hardware.processors import ADDRESS_TRAITS, CPU_TRAIT
from services.compute.drivers.libvirt.options import LibvirtOptions
from services.compute.drivers.libvirt.plans import Machine

SAME = (
    "3dnow", "abm", "avx", "avx2", "avx512bw", "avx512cd", "avx512dq", "avx512er", "avx512f", "avx512ifma", "avx512pf",
    "avx512vbmi", "avx512vbmi2", "avx512vl", "avx512vnni", "bmi2", "f16c", "fma4", "mmx", "mpx", "pdpe1gb", "sse", "sse2",
    "sse4a", "ssse3", "stibp", "svm", "tbm", "vmx", "xop", "sgx",
)  # fmt: skip
OTHER = {
    "aes": "AESNI", "amx-bf16": "AMXBF16", "amx-int8": "AMXINT8", "amx-tile": "AMXTILE", "avx512bitalg": "AVX512BITALG",
    "vaes": "AVX512VAES", "gfni": "AVX512GFNI", "vpclmulqdq": "AVX512VPCLMULQDQ", "avx512-vpopcntdq": "AVX512VPOPCNTDQ",
    "bmi1": "BMI", "pclmuldq": "CLMUL", "fma": "FMA3", "sha-ni": "SHA", "pni": "SSE3", "sse4.1": "SSE41", "sse4.2": "SSE42",
    "rtm": "TSX", "md-clear": "INTEL_MD_CLEAR", "pcid": "INTEL_PCID", "spec-ctrl": "INTEL_SPEC_CTRL", "ssbd": "INTEL_SSBD",
    "ibpb": "AMD_IBPB", "amd-no-ssb": "AMD_NO_SSB", "amd-ssbd": "AMD_SSBD", "virt-ssbd": "AMD_VIRT_SSBD",
}  # fmt: skip
TWICE = {"svm": "AMD_SVM", "vmx": "INTEL_VMX"}  # by an older and a newer name
TRAITS = {name: CPU_TRAIT + name.upper() for name in SAME} | {name: CPU_TRAIT + told for name, told in OTHER.items()}
FEATURES = {trait: name for name, trait in TRAITS.items()} | {CPU_TRAIT + told: name for name, told in TWICE.items()}
"""Trait -> libvirt's name."""


def processor_traits(
    connection: libvirt.virConnect, options: LibvirtOptions, machine: Machine, cells: Iterable[HostCell]
) -> tuple[str, ...]:
    """Of what this host's guests get to see."""
    if not machine.runs_qemu:
        return ()
    seen = _guest_features(connection, options, machine)
    traits = {trait for trait, name in FEATURES.items() if name in seen} | set(ADDRESS_TRAITS.values())
    if any(len(core) > 1 for cell in cells for core in cell.cores):
        traits.add(HYPERTHREADING)
    return tuple(sorted(traits))


def model_with(
    connection: libvirt.virConnect, machine: Machine, models: Iterable[str], traits: Iterable[str]
) -> str | None:
    """The first model that has what these traits say; None: none has."""
    wanted = {FEATURES[trait] for trait in traits if trait in FEATURES}
    return next((model for model in models if wanted <= _model_features(connection, machine, model)), None)


def _guest_features(connection: libvirt.virConnect, options: LibvirtOptions, machine: Machine) -> set[str]:
    if options.cpu_mode == "custom":
        found = set().union(*(_model_features(connection, machine, model) for model in options.cpu_models))
    elif options.cpu_mode == "host-passthrough":
        found = _named(etree.fromstring(connection.getCapabilities().encode()).find("host/cpu"))
    else:
        told = connection.getDomainCapabilities(
            machine.emulator, machine.architecture, machine.board, machine.virt_type
        )
        model = etree.fromstring(told.encode()).find("cpu/mode[@name='host-model']")
        found = _expanded(connection, machine, model)
    for flag in options.cpu_flags:
        (found.discard if flag.startswith("-") else found.add)(flag.lstrip("+-"))
    return found


def _model_features(connection: libvirt.virConnect, machine: Machine, model: str) -> set[str]:
    cpu = etree.Element("cpu")
    etree.SubElement(cpu, "model").text = model
    return _expanded(connection, machine, cpu)


def _expanded(connection: libvirt.virConnect, machine: Machine, cpu: etree._Element | None) -> set[str]:
    """With all that its model stands for; nothing for one that libvirt can't describe."""
    if cpu is None or cpu.find("model") is None:
        return set()
    asked = etree.Element("cpu")
    etree.SubElement(asked, "arch").text = machine.architecture
    for child in cpu:
        if child.tag in ("model", "vendor", "feature"):
            asked.append(child)
    try:
        told = connection.baselineHypervisorCPU(
            machine.emulator, machine.architecture, machine.board, machine.virt_type,
            [etree.tostring(asked, encoding="unicode")], libvirt.VIR_CONNECT_BASELINE_CPU_EXPAND_FEATURES,
        )  # fmt: skip
    except libvirt.libvirtError:  # an architecture, or a model, that it can't do that for
        return set()
    return _named(etree.fromstring(told.encode()))


def _named(cpu: etree._Element | None) -> set[str]:
    features = [] if cpu is None else cpu.findall("feature")
    return {str(one.get("name")) for one in features if one.get("policy") not in ("disable", "forbid")}
