"""`pileus image`: bring large files into the cloud, or out of it, with a bar; what broke off goes on where it was."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import click

from cli.places import data_option


@click.group("image")
def command() -> None:
    """Bring images into the cloud and out of it.  Everything else about them: `openstack image`."""


@command.command("upload")
@data_option
@click.option("--cloud", "user", default="pileus", show_default=True, help="Whose image: an entry of clouds.yaml.")
@click.option("--name", help="The image's name; the file's by default.")
@click.option("--disk-format", default="qcow2", show_default=True)
@click.option("--container-format", default="bare", show_default=True)
@click.option("--store", help="Where its bytes go, if not into the default store.")
@click.option("--resume", metavar="ID", help="Go on with an upload that was broken off.")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def upload(
    data: Path,
    user: str,
    name: str | None,
    disk_format: str,
    container_format: str,
    store: str | None,
    resume: str | None,
    file: Path,
) -> None:
    """Make an image of FILE and print its id.  A connection that breaks is taken up again where it was.

    If the cloud refuses the bytes, the image that was made for them is removed again.
    """
    from cli.cloud_client import log_in
    from cli.image_transfer import Upload
    from cli.places import Places
    from cli.progress import note, say
    from common.errors import PlatformError, Unavailable

    cloud = log_in(Places.existing(data), user)
    asked = {"name": name or file.name, "disk_format": disk_format, "container_format": container_format}
    image_id = resume or str(cloud.post("/image/v2/images", asked)["id"])
    sending = Upload(cloud, image_id, file, store)
    try:
        sending.run()
    except KeyboardInterrupt:
        note(sending.go_on)
        raise
    except PlatformError as error:
        if resume is None and not isinstance(error, Unavailable):
            with suppress(PlatformError):  # why the upload failed is the better thing to be told
                cloud.delete(f"/image/v2/images/{image_id}")
        raise
    say(image_id)


@command.command("download")
@data_option
@click.option("--cloud", "user", default="pileus", show_default=True, help="Who asks: an entry of clouds.yaml.")
@click.argument("image")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def download(data: Path, user: str, image: str, file: Path) -> None:
    """Write the bytes of IMAGE, a name or an id, to FILE, and check them.

    What FILE.part has of an earlier try is kept.
    """
    from cli.cloud_client import log_in
    from cli.image_transfer import Download
    from cli.places import Places

    Download(log_in(Places.existing(data), user), image, file).run()
