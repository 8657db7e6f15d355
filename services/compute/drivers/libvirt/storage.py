"""The directory that an agent keeps guests' files in, and what else of the host guests' accounts must reach.

Each guest's qemu runs under an account of its own, which is nobody's friend and in no group: every directory on the way to
its files must let everybody pass.
"""

from __future__ import annotations

import logging
import stat
from contextlib import suppress
from pathlib import Path

from common.errors import InvalidInput
from services.compute.drivers.libvirt.options import LibvirtOptions

log = logging.getLogger(__name__)

# Where libvirtd keeps sockets of each guest; Debian makes it 0750 for the one account that all guests would share
LIBVIRT_STATE = (
    Path("/var/lib/libvirt/qemu"),
    Path("/var/lib/libvirt/qemu/channel"),
    Path("/var/lib/libvirt/qemu/channel/target"),
)
KVM = Path("/dev/kvm")


def check_storage(path: Path) -> None:
    """InvalidInput, naming the directory in the way, if guests could not reach files under `path`."""
    for directory in (path, *path.parents):
        if directory.exists() and not directory.stat().st_mode & stat.S_IXOTH:
            raise InvalidInput(
                f"Guests could not reach {path}: {directory} lets only its owner pass; "
                f"choose another place, or allow it with: chmod o+x {directory}",
                path=str(directory),
            )


def prepare_storage(options: LibvirtOptions) -> None:
    check_storage(options.storage.absolute())
    options.storage.mkdir(mode=0o711, parents=True, exist_ok=True)
    for directory, mode in ((options.disks, 0o711), (options.copies, 0o711), (options.consoles, 0o700)):
        directory.mkdir(mode=mode, exist_ok=True)
        directory.chmod(mode)


def open_libvirt_state() -> None:
    """Let guests' accounts pass through libvirt's own directories, to those below that are theirs alone."""
    for directory in LIBVIRT_STATE:
        with suppress(FileNotFoundError, PermissionError):
            mode = directory.stat().st_mode
            if not mode & stat.S_IXOTH:
                directory.chmod(stat.S_IMODE(mode) | stat.S_IXOTH)
                log.info("opened a directory of libvirt's for guests to pass", extra={"path": str(directory)})


def open_kvm() -> None:
    """Let guests' accounts use KVM, as systemd's own rules do.

    The other way, its group for all guests, would let one guest's qemu reach sockets of another's.
    """
    with suppress(FileNotFoundError, PermissionError):
        mode = stat.S_IMODE(KVM.stat().st_mode)
        if mode & 0o666 != 0o666:
            KVM.chmod(mode | 0o666)
            log.info("opened KVM for guests", extra={"path": str(KVM)})
