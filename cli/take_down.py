"""Stops the processes of a cloud, and removes all that it ever made on this machine."""

from __future__ import annotations

import shutil
from pathlib import Path

from cli import distributed_processes
from cli.places import Places
from cli.progress import note, say, step
from cli.remove_guests import remove_guests
from cli.running import owner, stop
from cli.settings_file import CloudSettings
from common.errors import PlatformError
from common.settings import PlatformSettings
from services.compute.settings import AgentSettings


def stop_all(places: Places) -> None:
    """Return when nothing of this cloud runs but its guests.  Unavailable if a process does not end."""
    if CloudSettings.read(places.settings).mode == "distributed":
        distributed_processes.stop_all(places)
        return
    running = owner(places)
    if running is None:
        say(f"The cloud in {places.data} does not run.")
        return
    with step(f"Stop process {running.pid}"):
        stop(running)


def purge(places: Places) -> None:
    """Remove the cloud's guests with their disks, and then its directory.  It must be stopped."""
    cloud_id = PlatformSettings.read(places.settings).cloud_id
    storage = AgentSettings.read(places.settings).storage
    try:
        with step("Remove its guests") as progress:
            for name in remove_guests(places):
                progress(name)
    except PlatformError as error:
        note(f"Guests may be left, and so the files stay: {error.message}")
        raise
    distributed_processes.wipe(places)
    for folder in (storage, places.data):
        _remove(folder, cloud_id)
    say(f"{places.data} is gone.")


def _remove(folder: Path, cloud_id: str) -> None:
    """Delete a directory that is surely this cloud's."""
    if folder.name == cloud_id or (folder / "pileus.toml").exists() or folder.name == "guests":
        shutil.rmtree(folder, ignore_errors=True)
