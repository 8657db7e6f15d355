"""The real cloud-init, on a copy of this machine's file system that vanishes afterwards.

Debian's package is unpacked, never installed: where it is installed it takes the machine over at the next start.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from tests.conftest import ROOT, missing

CACHE = ROOT / ".cache/cloud-init"
PACKAGES = (
    "cloud-init", "python3-configobj", "python3-jinja2", "python3-markupsafe", "python3-jsonpatch", "python3-json-pointer",
    "python3-yaml", "python3-requests", "python3-urllib3", "python3-idna", "python3-certifi", "python3-chardet",
    "python3-charset-normalizer", "python3-oauthlib", "python3-jsonschema", "python3-attr", "python3-pyrsistent",
    "python3-netifaces",
)  # fmt: skip

SETTINGS = """\
datasource_list: [ConfigDrive]
network: {config: disabled}
users: [default]
system_info: {distro: debian, default_user: {name: cumulus, lock_passwd: true, shell: /bin/sh}}
ssh_deletekeys: false
ssh_genkeytypes: []
cloud_init_modules: [write-files, set_hostname, users-groups, ssh]
"""

# In namespaces of its own: the root it sees is an overlay in memory, and setting the host's name changes nobody's.
RUN = """\
set -e
mount -t tmpfs none "$1"
mkdir "$1/upper" "$1/work" "$1/root"
cp -a "$2/usr" "$2/etc" "$1/upper/"
mount -t overlay none -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/root"
rm -rf "$1/root/var/lib/cloud" "$1/root/etc/cloud/cloud.cfg.d" "$1/root/config-drive"
cp "$4" "$1/root/etc/cloud/cloud.cfg"
cp -r "$3" "$1/root/config-drive"
mount -t proc none "$1/root/proc"
mount -t tmpfs none "$1/root/run"
mount -t tmpfs none "$1/root/dev"
for device in null zero full random urandom; do
  touch "$1/root/dev/$device"
  mount --bind "/dev/$device" "$1/root/dev/$device"
done
for mode in "init --local" init; do
  chroot "$1/root" /usr/bin/python3 /usr/bin/cloud-init $mode </dev/null >"$1/said" 2>&1 || { cat "$1/said"; exit 1; }
done
hostname > "$1/upper/hostname-now"
tar -C "$1/upper" -cf "$5" .
"""


@dataclass(frozen=True, slots=True)
class Booted:
    """What cloud-init wrote, below a directory."""

    changes: Path

    def read(self, path: str) -> str:
        return (self.changes / path.lstrip("/")).read_text()


def unpacked() -> Path:
    """Where the package and what it needs lie; fetched once."""
    tree = CACHE / "tree"
    if not tree.exists():
        if shutil.which("apt-get") is None or not Path("/usr/bin/python3").exists():
            missing("Debian, whose cloud-init is tried")
        CACHE.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=CACHE) as scratch:
            done = subprocess.run(
                ["apt-get", "download", *PACKAGES], cwd=scratch, capture_output=True, text=True, check=False
            )
            if done.returncode:
                missing(f"cloud-init: {done.stderr[-200:]}")
            for package in Path(scratch).glob("*.deb"):
                subprocess.run(["dpkg-deb", "-x", package, f"{scratch}/tree"], check=True)
            Path(scratch, "tree").rename(tree)
    return tree


def unpack_drive(image: Path, into: Path) -> None:
    """What a guest would see of a config drive, whichever file system that has."""
    into.mkdir()
    if image.read_bytes()[0x8001:0x8006] != b"CD001":
        subprocess.run(["mcopy", "-s", "-i", image, "::*", f"{into}/"], check=True)
        return
    listed = subprocess.run(["isoinfo", "-R", "-f", "-i", image], check=True, capture_output=True, text=True).stdout
    for name in sorted(listed.splitlines()):
        path = into / PurePosixPath(name).relative_to("/")
        if path.suffix or path.parent.name == "content" or path.name in ("user_data", "user-data"):
            path.parent.mkdir(parents=True, exist_ok=True)
            found = subprocess.run(["isoinfo", "-R", "-x", name, "-i", image], check=True, capture_output=True)
            path.write_bytes(found.stdout)


@contextmanager
def first_boot(drive: Path) -> Iterator[Booted]:
    """After cloud-init found this config drive on a machine that it had never seen."""
    tree = unpacked()
    with TemporaryDirectory(prefix="cloud-init-") as folder:
        place = Path(folder)
        unpack_drive(drive, place / "drive")
        (place / "cloud.cfg").write_text(SETTINGS)
        for name in ("scratch", "changes"):
            (place / name).mkdir()
        arguments = (place / "scratch", tree, place / "drive", place / "cloud.cfg", place / "changes.tar")
        spaces = ("--mount", "--uts", "--pid", "--net", "--ipc", "--fork", "--propagation", "private")
        done = subprocess.run(
            ["unshare", *spaces, "bash", "-c", RUN, "run", *arguments],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
        subprocess.run(["tar", "-C", place / "changes", "-xf", place / "changes.tar", "--exclude=./usr"], check=True)
        yield Booted(place / "changes")
