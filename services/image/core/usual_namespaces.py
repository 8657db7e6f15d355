"""The namespaces that clients expect at every site, written once when they are missing.

Names, types and values are those of the public catalogue; a row is `name: (title, type, values)`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

IMAGE, VOLUME, FLAVOR = "OS::Glance::Image", "OS::Cinder::Volume", "OS::Nova::Flavor"
AGGREGATE, SERVER = "OS::Nova::Aggregate", "OS::Nova::Server"
RESOURCE_TYPES = (VOLUME, IMAGE, AGGREGATE, FLAVOR, SERVER, "OS::Trove::Instance")

Row = tuple[str, str, Sequence[str]]
For = tuple[str, str | None, str | None]  # resource type, prefix, properties' target
BUSES = ("scsi", "virtio", "uml", "xen", "ide", "usb", "fdc", "sata", "lxc")
TRUTH, YES_NO = ("true", "false"), ("yes", "no")
ON_HARDWARE: tuple[For, ...] = ((IMAGE, "hw_", None), (VOLUME, "hw_", "image"), (FLAVOR, "hw:", None))


@dataclass(frozen=True, slots=True)
class Usual:
    name: str
    display_name: str
    description: str
    resource_types: tuple[For, ...]
    properties: Mapping[str, Row]


# fmt: off
USUAL_NAMESPACES: tuple[Usual, ...] = (
    Usual("OS::Compute::CPUMode", "CPU Mode", "Which processor a guest sees.",
          ((IMAGE, "hw_", None), (FLAVOR, "hw:", None)),
          {"cpu_mode": ("CPU Mode", "string", ("none", "host-model", "host-passthrough", "custom"))}),
    Usual("OS::Compute::CPUPinning", "CPU Pinning", "Whether a guest's vCPUs have physical ones to themselves.", ON_HARDWARE,
          {"cpu_policy":        ("CPU Pinning policy", "string", ("shared", "dedicated")),
           "cpu_thread_policy": ("CPU Thread Pinning Policy", "string", ("isolate", "prefer", "require"))}),
    Usual("OS::Compute::VirtCPUTopology", "Virtual CPU Topology", "How vCPUs form sockets, cores and threads.", ON_HARDWARE,
          {name: (title, "integer", ()) for name, title in (
              ("cpu_sockets", "vCPU Sockets"), ("cpu_cores", "vCPU Cores"), ("cpu_threads", "vCPU Threads"),
              ("cpu_max_sockets", "Max vCPU Sockets"), ("cpu_max_cores", "Max vCPU Cores"),
              ("cpu_max_threads", "Max vCPU Threads"))}),
    Usual("OS::Compute::GuestMemoryBacking", "Guest Memory Backing", "Which memory pages of the host back a guest.", ON_HARDWARE,
          {"mem_page_size": ("Size of memory page", "string", ())}),
    Usual("OS::Compute::Watchdog", "Watchdog Behavior", "What happens to a guest that hangs.", ON_HARDWARE,
          {"watchdog_action": ("Watchdog Action", "string", ("disabled", "reset", "poweroff", "pause", "none"))}),
    Usual("OS::Compute::GuestShutdownBehavior", "Shutdown Behavior", "How long a guest may take to stop by itself.",
          ((IMAGE, None, None),), {"os_shutdown_timeout": ("Shutdown timeout", "integer", ())}),
    Usual("OS::Compute::Hypervisor", "Hypervisor Selection", "Which hypervisors may run the image.", ((IMAGE, None, None),),
          {"hypervisor_type": ("Hypervisor Type", "string", ("baremetal", "hyperv", "kvm", "lxc", "powervm", "qemu", "uml",
                                                             "vmware", "vz", "xen")),
           "vm_mode":         ("VM Mode", "string", ("hvm", "xen", "uml", "exe"))}),
    Usual("OS::Compute::InstanceData", "Instance Config Data", "What a server made from the image is given at its start.",
          ((IMAGE, None, None), (VOLUME, None, "image")),
          {"img_config_drive":   ("Config Drive", "string", ("optional", "mandatory")),
           "os_require_quiesce": ("Require Quiescent File system", "string", YES_NO)}),
    Usual("OS::Compute::LibvirtImage", "libvirt Driver Options for Images", "Devices that libvirt gives a guest of the image.",
          ((IMAGE, None, None),),
          {"hw_cdrom_bus":              ("CD-ROM Bus", "string", BUSES),
           "hw_disk_bus":               ("Disk Bus", "string", BUSES),
           "hw_firmware_type":          ("Firmware Type", "string", ("bios", "uefi")),
           "hw_machine_type":           ("Machine Type", "string", ()),
           "hw_pointer_model":          ("Pointer Model", "string", ("usbtablet",)),
           "hw_qemu_guest_agent":       ("QEMU Guest Agent", "string", YES_NO),
           "hw_rng_model":              ("Random Number Generator Device model", "string", ()),
           "hw_scsi_model":             ("SCSI Model", "string", ()),
           "hw_video_model":            ("Video Model", "string", ("vga", "cirrus", "vmvga", "xen", "qxl", "virtio", "gop",
                                                                   "none", "bochs")),
           "hw_video_ram":              ("Max Video Ram", "integer", ()),
           "hw_vif_model":              ("Virtual Network Interface", "string", (
               "e1000", "e1000e", "ne2k_pci", "netfront", "pcnet", "rtl8139", "spapr-vlan", "virtio", "vmxnet3", "igb")),
           "hw_vif_multiqueue_enabled": ("Multiqueue Enabled", "string", TRUTH),
           "os_command_line":           ("Kernel Command Line", "string", ()),
           "os_type":                   ("OS Type", "string", ("linux", "windows"))}),
    Usual("OS::Compute::Libvirt", "libvirt Driver Options", "Devices of a guest that image or flavor may ask for.",
          ((IMAGE, "hw_", None), (FLAVOR, "hw:", None)),
          {"serial_port_count": ("Serial Port Count", "integer", ()),
           "boot_menu":         ("Boot Menu", "string", TRUTH),
           "mem_encryption":    ("Hardware Memory Encryption", "string", TRUTH)}),
    Usual("OS::Compute::RandomNumberGenerator", "Random Number Generator", "How much randomness a guest may take from its host.",
          ((FLAVOR, None, None),),
          {"hw_rng:allowed":     ("Random Number Generator Allowed", "boolean", ()),
           "hw_rng:rate_bytes":  ("Random number generator limits", "integer", ()),
           "hw_rng:rate_period": ("Random number generator read period", "integer", ())}),
    Usual("OS::Compute::Quota", "Flavor Quota", "Bounds on what guests of a flavor take of their host.", ((FLAVOR, None, None),),
          {f"quota:{name}": (title, "integer", ()) for name, title in (
              ("cpu_shares", "Quota: CPU Shares"), ("cpu_period", "Quota: CPU Period"), ("cpu_quota", "Quota: CPU Quota"),
              ("disk_read_bytes_sec", "Quota: Disk read bytes / sec"), ("disk_read_iops_sec", "Quota: Disk read IOPS / sec"),
              ("disk_write_bytes_sec", "Quota: Disk Write Bytes / sec"), ("disk_write_iops_sec", "Quota: Disk Write IOPS / sec"),
              ("disk_total_bytes_sec", "Quota: Disk Total Bytes / sec"), ("disk_total_iops_sec", "Quota: Disk Total IOPS / sec"),
              ("vif_inbound_average", "Quota: VIF Inbound Average"), ("vif_outbound_average", "Quota: VIF Outbound Average"))}),
    Usual("OS::Compute::TPM", "TPM Options", "The trusted platform module of a guest.",
          ((FLAVOR, "hw:", None), (IMAGE, "hw_", None)),
          {"tpm_model":   ("TPM model", "string", ("tpm-tis", "tpm-crb")),
           "tpm_version": ("TPM version", "string", ("1.2", "2.0"))}),
    Usual("OS::Compute::AggregateDiskFilter", "Disk Allocation per Host", "How far disks of an aggregate's hosts are promised.",
          ((AGGREGATE, None, None),), {"disk_allocation_ratio": ("Disk Subscription Ratio", "number", ())}),
    Usual("OS::Glance::CommonImageProperties", "Common Image Properties", "Properties that many images carry.", (),
          {name: (title, "string", ()) for name, title in (
              ("kernel_id", "Kernel ID"), ("ramdisk_id", "Ramdisk ID"), ("instance_uuid", "Instance ID"),
              ("architecture", "CPU Architecture"), ("os_distro", "OS Distro"), ("os_version", "OS Version"),
              ("description", "Image description"))}),
    Usual("OS::Glance::Signatures", "Image Signature Verification", "Who signed the image, and how.", ((IMAGE, None, None),),
          {"img_signature":                  ("Image Signature", "string", ()),
           "img_signature_certificate_uuid": ("Image Signature Certificate UUID", "string", ()),
           "img_signature_hash_method":      ("Image Signature Hash Method", "string", (
               "SHA-224", "SHA-256", "SHA-384", "SHA-512")),
           "img_signature_key_type":         ("Image Signature Key Type", "string", (
               "RSA-PSS", "DSA", "ECC_SECT571K1", "ECC_SECT409K1", "ECC_SECT571R1", "ECC_SECT409R1", "ECC_SECP521R1",
               "ECC_SECP384R1"))}),
    Usual("OS::OperatingSystem", "Common Operating System Properties", "What runs in the image.",
          ((IMAGE, None, None), (VOLUME, None, "image")),
          {"os_distro":     ("OS Distro", "string", ()),
           "os_version":    ("OS Version", "string", ()),
           "os_admin_user": ("OS Admin User", "string", ())}),
)
# fmt: on
