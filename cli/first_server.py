"""The server that `pileus demo` boots, seen through the public API by way of openstacksdk."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import openstack
from rich.markup import escape

from cli import clouds_file, guest_image
from cli.places import Places
from cli.progress import console, say
from common.errors import NotFound, PlatformError, Unavailable

FLAVOR = "pileus.nano"
LOOK_EVERY_S = 0.15
ACTIVE_S = 300
LOGIN_S = 300
LOGIN_PROMPT = "login:"
SIMULATED = "on a simulated host\n"  # what such a host's guests print, and all they ever do


def show(places: Places, *, name: str, delete: bool) -> None:
    """Boot it, show its timeline and its console.  Unavailable if it ends in ERROR, with the reason."""
    with plain_errors():
        cloud = connect(places)
        server = _create(cloud, name)
        try:
            _follow(cloud, server.id)
            _console(cloud, server.id)
            _next(places, cloud.compute.get_server(server.id))
        finally:
            if delete:
                _delete(cloud, server.id)


def connect(places: Places) -> Any:
    """openstacksdk's connection as the ordinary user, by this cloud's clouds.yaml and nothing else."""
    known = openstack.config.OpenStackConfig(config_files=[str(places.clouds)], load_envvars=False)
    return openstack.connection.Connection(config=known.get_one(clouds_file.ORDINARY))


@contextmanager
def plain_errors() -> Iterator[None]:
    """openstacksdk's errors as ours: one sentence."""
    try:
        yield
    except openstack.exceptions.SDKException as error:
        details = getattr(error, "details", None) or str(error)
        raise Unavailable(f"The cloud said: {str(details).strip()}") from error
    except Exception as error:
        if type(error).__module__.startswith("keystoneauth1"):
            raise Unavailable(f"The cloud does not answer: {error}. Is it up? pileus status") from error
        raise


def _create(cloud: Any, name: str) -> Any:
    image = cloud.image.find_image(guest_image.NAME)
    flavor = cloud.compute.find_flavor(FLAVOR)
    if image is None or flavor is None:
        raise NotFound("The demo's image or flavor is missing. 'pileus up' makes them again")
    started = time.monotonic()
    server = cloud.compute.create_server(name=name, image_id=image.id, flavor_id=flavor.id, networks="none")
    console.print(
        f"[bold]{escape(name)}[/bold] {server.id}: accepted after {(time.monotonic() - started) * 1000:.0f} ms"
    )
    return server


def _follow(cloud: Any, server_id: str) -> None:
    """Print each event of the server's timeline as it ends, until the server is ACTIVE."""
    told: set[tuple[str, str]] = set()
    until = time.monotonic() + ACTIVE_S
    while time.monotonic() < until:
        server = cloud.compute.get_server(server_id)
        _tell_events(cloud, server_id, told)
        if server.status == "ACTIVE":
            _tell_events(cloud, server_id, told)
            return
        if server.status == "ERROR":
            raise PlatformError(
                f"The server could not be made: {(server.fault or {}).get('message', 'no reason given')}"
            )
        time.sleep(LOOK_EVERY_S)
    raise Unavailable(
        f"The server was not ACTIVE within {ACTIVE_S} s. Its timeline: openstack server event list {server_id}"
    )


def _tell_events(cloud: Any, server_id: str, told: set[tuple[str, str]]) -> None:
    for action in _get(cloud, f"/servers/{server_id}/os-instance-actions")["instanceActions"]:
        path = f"/servers/{server_id}/os-instance-actions/{action['request_id']}"
        events = _get(cloud, path)["instanceAction"].get("events", [])
        for event in sorted(events, key=lambda one: one["start_time"]):
            key = (action["request_id"], event["event"])
            if event.get("finish_time") and key not in told:
                told.add(key)
                _tell(event)


def _get(cloud: Any, path: str) -> Any:
    answer = cloud.compute.get(path, microversion="2.51")
    openstack.exceptions.raise_from_response(answer)
    return answer.json()


def _tell(event: dict[str, Any]) -> None:
    took_s = (_time(event["finish_time"]) - _time(event["start_time"])).total_seconds()
    mark = "[green]✓[/green]" if event.get("result") == "Success" else "[red]✗[/red]"
    host = f" on {event['host']}" if event.get("host") else ""
    console.print(f"  {mark} {event['event']}{host} [dim]{took_s:.2f} s[/dim]")


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text.removesuffix("Z")).replace(tzinfo=UTC)


def _console(cloud: Any, server_id: str) -> None:
    """Print the console as it grows, until it asks for a login."""
    say("[bold]Its console:[/bold]")
    shown = ""
    until = time.monotonic() + LOGIN_S
    while time.monotonic() < until:
        output = _output(cloud, server_id)
        fresh = output[len(shown) :] if output.startswith(shown) else output
        if fresh:
            console.print(_printable(fresh), end="", markup=False)
            shown = output
        if LOGIN_PROMPT in output.rsplit("\n", 1)[-1] or SIMULATED in output:
            console.print()
            return
        time.sleep(LOOK_EVERY_S * 2)
    raise Unavailable(
        f"The guest showed no login prompt within {LOGIN_S} s. See: openstack console log show {server_id}"
    )


def _output(cloud: Any, server_id: str) -> str:
    return str(cloud.compute.get_server_console_output(server_id)["output"] or "").replace("\r", "")


def _printable(text: str) -> str:
    """Without what could move the cursor or change the terminal: a guest may print anything."""
    return "".join(letter for letter in text if letter in "\n\t" or letter.isprintable())


def _next(places: Places, server: Any) -> None:
    use = clouds_file.export_line(places)
    say(f"""
[bold]{escape(server.name)} is {server.status}.[/bold]  What to try next:

  {escape(use)}
  openstack server list
  openstack server event list {server.id}
  openstack console log show {server.id}
  openstack server reboot {server.id}
  virsh list
  openstack server delete --wait {server.id}     removes it again
""")


def _delete(cloud: Any, server_id: str) -> None:
    cloud.compute.delete_server(server_id, ignore_missing=True)
    server = cloud.compute.find_server(server_id, ignore_missing=True)
    if server is not None:
        cloud.compute.wait_for_delete(server, interval=LOOK_EVERY_S, wait=120)
    say(f"The server {server_id} is deleted.")
