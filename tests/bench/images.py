"""Lists of images: how much longer a page takes with 100 000 images in the database than with 100."""

from __future__ import annotations

from sqlalchemy import delete

from common.db.database import Database
from services.image.db.tables import ImageRow
from tests.bench.load import Request
from tests.bench.load import measure as load
from tests.bench.report import Figure, within
from tests.bench.seed_images import seed
from tests.harness.clouds import Cloud

FEW, MANY = 100, 100_000

LISTS = {
    "newest images": "limit=25",
    "a later page": "limit=25&marker={marker}",
    "a page of 100 by name": "limit=100&sort=name:asc",
    "a later page of what is largest": "limit=25&sort=size:desc&marker={marker}",
    "a later page by format": "limit=25&sort=disk_format:desc&marker={marker}",
    "public images": "visibility=public",
    "an image found by name": "name=seed-000050",
    "images with a rare tag": "tag=rare",
    "images with a common property": "os_distro=distro-3",
    "an image found by a property": "serial=77",
}


def measure(cloud: Cloud) -> list[Figure]:
    few, many = after_seeding(cloud, FEW), after_seeding(cloud, MANY)
    return [
        within(f"{what}, p50, 100 000 images to 100", many[what] / few[what], 2, "x", f" ({many[what]:.3g} ms)")
        for what in LISTS
    ]


def after_seeding(cloud: Cloud, count: int) -> dict[str, float]:
    """What each list takes the cloud's administrator with so many images."""
    admin = cloud.sdk("pileus-admin")
    project = admin.current_project_id
    cloud.pileus("down")
    [file] = cloud.data.rglob("image.sqlite")
    database = Database(f"sqlite:///{file}")
    with database.transaction() as session:
        session.execute(delete(ImageRow))
    seed(database, project, count)
    database.close()
    cloud.pileus("up", "--listen", cloud.listen, "--detach")
    headers = {"x-auth-token": cloud.sdk("pileus-admin").authorize()}
    marker = [one.id for one in admin.image.images(limit=60, paginated=False)][50]
    return {
        what: load(cloud.url, headers, getting(f"/image/v2/images?{query.format(marker=marker)}")).p50_ms
        for what, query in LISTS.items()
    }


def getting(path: str) -> Request:
    return lambda client: client.get(path)
