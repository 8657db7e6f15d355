"""Takes an embedded cloud from nothing to ready: settings, libvirt, guest image, the process itself, its first contents."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

from rich.markup import escape

from cli import clouds_file, furnish, guest_image, guest_storage, libvirt_daemons, settings_file
from cli.cloud_client import CloudClient, failing, is_ready, log_in
from cli.guest_image import GuestImage
from cli.places import Places
from cli.progress import bytes_bar, note, say, step
from cli.running import Running, owner, wait_until
from cli.servers import address, listening
from cli.settings_file import DEFAULT_LISTEN, CloudSettings
from common.errors import Conflict, InvalidInput, PlatformError, Unavailable
from common.settings import PlatformSettings

START_S = 120
HOST_S = 60
LONGEST_LOG = 50 << 20
WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}


def in_background(places: Places, *, listen: str | None, public_url: str | None) -> None:
    """Return when the cloud is ready.  Unavailable with the end of its log when it does not get there."""
    running = owner(places)
    if running is None:
        image = prepare(places, listen=listen, public_url=public_url)
        with step("Start the cloud"):
            _see_that_address_is_free(places)
            _wait(places, _launch(places))
    else:
        _same_address(places, listen)
        say(f"The cloud in {places.data} runs already, process {running.pid}.")
        image = built_image()
    finish(places, image)
    explain(places)


def in_foreground(places: Places, *, listen: str | None, public_url: str | None) -> None:
    """Run the cloud in this process until it is told to stop."""
    from cli import embedded

    if (running := owner(places)) is not None:
        raise Conflict(f"The cloud in {places.data} runs already, process {running.pid}")
    image = prepare(places, listen=listen, public_url=public_url)
    trouble: list[PlatformError] = []

    def ready() -> None:
        try:
            finish(places, image)
            explain(places)
        except PlatformError as error:
            trouble.append(error)
            os.kill(os.getpid(), signal.SIGTERM)

    embedded.run(places, ready=ready)
    if trouble:
        raise trouble[0]


def prepare(places: Places, *, listen: str | None, public_url: str | None) -> GuestImage:
    """All that must be there before the cloud starts.  Safe to do again."""
    places.make()
    _settings(places, listen, public_url)
    with step("Start libvirt, if it does not run"):
        libvirt_daemons.ensure()
    return built_image()


def finish(places: Places, image: GuestImage, *, simulated: int = 0) -> None:
    """Give the running cloud its flavors and its guest image, and wait for its hosts: one, and the simulated beside it."""
    cloud = log_in(places, clouds_file.ADMIN)
    with step("Flavors"):
        furnish.flavors(cloud, is_mixed=simulated > 0)
    with bytes_bar("Guest image in the image service", image.file.stat().st_size) as progress:
        furnish.image(cloud, image, progress)
    with step("Hosts that take guests"):
        if not wait_until(lambda: hosts_up(cloud) > simulated, HOST_S):
            raise Unavailable(
                f"The cloud answers, but not all its hosts take guests. What is wrong: pileus doctor --data {places.data}"
            )


def hosts_up(cloud: CloudClient) -> int:
    """Agents that are alive and take work."""
    services = cloud.get("/compute/v2.1/os-services?binary=nova-compute")["services"]
    return sum(one["state"] == "up" and one["status"] == "enabled" for one in services)


def explain(places: Places) -> None:
    """Where things are and what to type next."""
    platform = PlatformSettings.read(places.settings)
    say(f"""
[bold]The cloud is ready:[/bold] {platform.public_url}

  Boot a server and watch:     pileus demo --data {escape(str(places.data))}
  Use any OpenStack client:    {escape(clouds_file.export_line(places))}
                               openstack server list
  As the administrator:        OS_CLOUD={clouds_file.ADMIN} openstack hypervisor list
  How it is, what is wrong:    pileus status --data {escape(str(places.data))}, pileus doctor --data {escape(str(places.data))}
  Stop it (guests go on):      pileus down --data {escape(str(places.data))}
""")


def _settings(places: Places, listen: str | None, public_url: str | None) -> None:
    """Make pileus.toml, or put the new address into it; clouds.yaml follows."""
    if places.settings.exists():
        cloud = CloudSettings.read(places.settings)
        if cloud.mode != "embedded":
            raise InvalidInput(
                f"The cloud in {places.data} is a distributed one. Start it with: pileus distributed up --data {places.data}"
            )
        if listen is not None:
            url = public_url or url_of(listen)
            settings_file.change(places, {"gateway": {"listen": listen}, "platform": {"public_url": url}})
        elif public_url is not None:
            settings_file.change(places, {"platform": {"public_url": public_url}})
    else:
        listen, cloud_id = listen or DEFAULT_LISTEN, settings_file.new_cloud_id()
        sections = settings_file.embedded(
            places,
            cloud_id=cloud_id,
            listen=listen,
            public_url=public_url or url_of(listen),
            storage=guest_storage.choose(places, cloud_id),
        )
        settings_file.write(places, sections)
    clouds_file.write(places, PlatformSettings.read(places.settings), CloudSettings.read(places.settings))


def url_of(listen: str) -> str:
    """What a client on this machine calls that address.  InvalidInput"""
    host, port = address(listen)
    shown = WILDCARDS.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{shown}:{port}"


def built_image() -> GuestImage:
    with step("Guest image") as progress:
        return guest_image.ensure(progress)


def _see_that_address_is_free(places: Places) -> None:
    """Whoever has the address would seem to be our cloud, and ready.  Unavailable"""
    from api_gateway.settings import GatewaySettings

    listening(GatewaySettings.read(places.settings).listen, "gateway").close()


def _launch(places: Places) -> Running:
    """The cloud as a process of its own, with its log in the data directory."""
    if places.log.exists() and places.log.stat().st_size > LONGEST_LOG:
        places.log.replace(places.log.with_suffix(".log.1"))
    descriptor = os.open(places.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", "cli.main", "up", "--data", str(places.data), "--only-run"],
            stdin=subprocess.DEVNULL,
            stdout=descriptor,
            stderr=descriptor,
            start_new_session=True,
        )
    finally:
        os.close(descriptor)
    threading.Thread(target=process.wait, daemon=True).start()
    return Running.of(process.pid) or Running(process.pid, "")


def _wait(places: Places, child: Running) -> None:
    url = local_url(places)
    wait_until(lambda: not child.is_alive() or is_ready(url), START_S)
    if child.is_alive() and is_ready(url):
        return
    said = last_lines(places.log)
    if not child.is_alive():
        raise Unavailable(f"The cloud ended while it was starting. The end of {places.log}:\n{said}")
    reasons = "; ".join(f"{name}: {why}" for name, why in _failing(url).items())
    child.send(signal.SIGTERM)
    raise Unavailable(f"The cloud was not ready within {START_S} s ({reasons}). The end of {places.log}:\n{said}")


def local_url(places: Places) -> str:
    """The cloud's address as seen from this machine, whatever its public one is."""
    from api_gateway.settings import GatewaySettings

    settings = GatewaySettings.read(places.settings)
    url = url_of(settings.listen)
    return url.replace("http://", "https://", 1) if settings.tls_certificate else url


def last_lines(path: Path, count: int = 15) -> str:
    try:
        lines = path.read_text(errors="replace").splitlines()[-count:]
    except OSError:
        return "(no log)"
    return "\n".join(f"  {line[:300]}" for line in lines)


def _failing(url: str) -> dict[str, str]:
    try:
        return failing(url)
    except PlatformError as error:
        return {"gateway": error.message}


def _same_address(places: Places, listen: str | None) -> None:
    from api_gateway.settings import GatewaySettings

    current = GatewaySettings.read(places.settings).listen
    if listen is not None and listen != current:
        note(f"It goes on listening on {current}. To change that: pileus down, then pileus up --listen {listen}")
