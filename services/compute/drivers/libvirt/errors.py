"""libvirt's error numbers end here; the rest of the platform sees its own errors."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import libvirt

from common.errors import Conflict, HostFailed, InvalidInput, NotFound, PlatformError, Unavailable

# fmt: off
MEANING: dict[int, type[PlatformError]] = {
    # virErrorNumber, libvirt/virterror.h
    libvirt.VIR_ERR_NO_DOMAIN:           NotFound,
    libvirt.VIR_ERR_NO_STORAGE_POOL:     NotFound,
    libvirt.VIR_ERR_NO_STORAGE_VOL:      NotFound,
    libvirt.VIR_ERR_DOM_EXIST:           Conflict,
    libvirt.VIR_ERR_STORAGE_VOL_EXIST:   Conflict,
    libvirt.VIR_ERR_STORAGE_POOL_BUILT:  Conflict,
    libvirt.VIR_ERR_OPERATION_INVALID:   Conflict,
    libvirt.VIR_ERR_OPERATION_TIMEOUT:   Unavailable,
    libvirt.VIR_ERR_RESOURCE_BUSY:       Unavailable,
    libvirt.VIR_ERR_NO_CONNECT:          Unavailable,
    libvirt.VIR_ERR_INVALID_CONN:        Unavailable,
    libvirt.VIR_ERR_RPC:                 Unavailable,
    libvirt.VIR_ERR_NO_MEMORY:           HostFailed,
    libvirt.VIR_ERR_INTERNAL_ERROR:      HostFailed,
    libvirt.VIR_ERR_OPERATION_FAILED:    HostFailed,
    libvirt.VIR_ERR_OPERATION_DENIED:    HostFailed,
    libvirt.VIR_ERR_OPERATION_UNSUPPORTED: HostFailed,
    libvirt.VIR_ERR_CONFIG_UNSUPPORTED:  HostFailed,
    libvirt.VIR_ERR_SYSTEM_ERROR:        HostFailed,
    libvirt.VIR_ERR_NO_SUPPORT:          HostFailed,
    libvirt.VIR_ERR_INVALID_ARG:         InvalidInput,
}
# fmt: on

FULL = "No space left on device"  # strerror(3), in whatever libvirt says of it
_PATH = re.compile(r"(?<=')/[^']*(?=')|(?<=\")/[^\"]*(?=\")|(?<![^\s(=:])/[^\s'\",;:)]+")


@contextmanager
def plain_errors(**facts: object) -> Iterator[None]:
    """What libvirt raises in here leaves as an error of the platform, with `facts` for the log."""
    try:
        yield
    except libvirt.libvirtError as error:
        raise plain(error, **facts) from error


def plain(error: libvirt.libvirtError, **facts: object) -> PlatformError:
    kind = MEANING.get(error.get_error_code(), PlatformError)
    said = str(error.get_error_message())
    if FULL in said:
        return HostFailed(f"The disk of the host is full: {FULL.lower()}", said=said, **facts)
    return kind(without_paths(said), said=said, **facts)


def without_paths(said: str) -> str:
    """For owners of servers: what went wrong, not where this host keeps things."""
    return _PATH.sub("…", said)


def is_about(error: libvirt.libvirtError, *codes: int) -> bool:
    return error.get_error_code() in codes


@contextmanager
def ignoring(*codes: int) -> Iterator[None]:
    try:
        yield
    except libvirt.libvirtError as error:
        if not is_about(error, *codes):
            raise
