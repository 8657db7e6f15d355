"""I1, I3, I4, I7 for images that are archives: container images and OVA appliances are looked into, never unpacked."""

from __future__ import annotations

import gzip
import lzma
import tarfile
from typing import Any

import pytest

from tests.security.image.crafted import (
    LAYER,
    a_header,
    a_layout,
    a_qcow2,
    a_saved_container,
    a_sparse_vmdk,
    a_tar,
    a_vmdk_descriptor,
    an_iso,
    an_ova,
    an_ovf,
)
from tests.unit.image.world import World

LINK, HARD, DEVICE = tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE
BOMB = b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><Envelope>&x;</Envelope>'
FOREIGN = {"urls": ["http://127.0.0.1/layer"]}
BACKED = a_qcow2(backing=b"/etc/passwd")
FLAT = a_sparse_vmdk(a_vmdk_descriptor(extent='RW 20480 SPARSE "/etc/hosts"'))

COMPRESSED = an_ovf("disk.vmdk", attributes='ovf:compression="gzip"')
IN_PIECES = an_ovf("disk.vmdk", attributes='ovf:chunkSize="1"')
TWO = an_ova(ovf=an_ovf("disk.vmdk", "b.qcow2"), more={"b.qcow2": a_qcow2(), "vm.mf": b"SHA256"})
BY_LINK = [{"Config": "c.json", "Layers": ["m/layer.tar"]}]
LINKED = {"m/layer.tar": a_header("m/layer.tar", LINK, "../l/layer.tar")}
REVERSED = a_tar({"disk.vmdk": a_sparse_vmdk(), "vm.ovf": an_ovf("disk.vmdk")})


def named(config: str, *layers: str) -> bytes:
    """A container image whose manifest names these."""
    return a_saved_container(manifest=[{"Config": config, "Layers": list(layers)}])


def linked(kind: bytes, target: str) -> bytes:
    return a_saved_container(more={"x": a_header("x", kind, target)})


# fmt: off
REFUSED: dict[str, tuple[str, bytes, str]] = {
    "ova that is none":                ("ova", b"a tar archive, for all we know", "no tar archive"),
    "ova of nothing":                  ("ova", a_tar({}), "empty archive"),
    "ova cut off":                     ("ova", an_ova()[:700_000], "no tar archive"),
    "ova with garbage between":        ("ova", an_ova(b"").replace(b"disk.vmdk\0", b"disk.vmdk\1", 1), "no tar archive"),
    "ova compressed":                  ("ova", gzip.compress(an_ova()), "no tar archive"),
    "ova that is a disk":              ("ova", a_qcow2(), "its content is qcow2"),
    "ova that is a container image":   ("ova", a_layout(), "OVF descriptor"),
    "ova without a descriptor":        ("ova", a_tar({"disk.vmdk": a_sparse_vmdk()}), "OVF descriptor"),
    "ova with two descriptors":        ("ova", an_ova(more={"other.ovf": an_ovf()}), "OVF descriptor"),
    "ova with its descriptor last":    ("ova", REVERSED, "OVF descriptor"),
    "ova with entities":               ("ova", an_ova(ovf=BOMB), "definitions of its own"),
    "ova with a broken descriptor":    ("ova", an_ova(ovf=b"<Envelope"), "not XML"),
    "ova with another descriptor":     ("ova", an_ova(ovf=b"<html/>"), "describes no appliance"),
    "ova with a disk of elsewhere":    ("ova", an_ova(ovf=an_ovf("/etc/passwd")), "outside of its archive"),
    "ova with a disk of the web":      ("ova", an_ova(ovf=an_ovf("http://127.0.0.1/disk")), "outside of its archive"),
    "ova with a disk without file":    ("ova", an_ova(ovf=an_ovf(more='<Disk ovf:fileRef="nowhere"/>')), "a disk without a file"),
    "ova with compressed disks":       ("ova", an_ova(ovf=COMPRESSED), "compressed or in pieces"),
    "ova with disks in pieces":        ("ova", an_ova(ovf=IN_PIECES), "compressed or in pieces"),
    "ova with a backing file":         ("ova", an_ova(BACKED), "'disk.vmdk' that has a backing file"),
    "ova with an extent elsewhere":    ("ova", an_ova(FLAT), "unsafe VMDK descriptor"),
    "ova with a disk nobody mentions": ("ova", an_ova(more={"second.img": BACKED}), "'second.img' that has a backing file"),
    "ova with a disk of two kinds":    ("ova", an_ova(a_qcow2()[:32768] + an_iso()[32768:]), "iso and qcow2 at once"),
    "ova with a link":                 ("ova", an_ova(more={"x": a_header("x", LINK, "/etc/passwd")}), "a link"),
    "ova with a device":               ("ova", an_ova(more={"x": a_header("x", DEVICE)}), "a device"),
    "ova that climbs":                 ("ova", an_ova(more={"../../etc/x": b""}), "leads outside"),
    "ova that is absolute":            ("ova", an_ova(more={"/etc/x": b""}), "leads outside"),
    "ova with an odd name":            ("ova", an_ova(more={"a\nb": b""}), "leads outside"),
    "ova with a name twice":           ("ova", an_ova(more={"./disk.vmdk": a_sparse_vmdk()}), "two files of one name"),
    "compressed that is not":          ("compressed", b"as it was", "not compressed by any program"),
    "compressed that is a disk":       ("compressed", BACKED, "backing file"),
    "container that is none":          ("docker", b"a layer", "no tar archive"),
    "container compressed":            ("docker", gzip.compress(a_layout()), "no tar archive"),
    "container that is an ova":        ("docker", an_ova(), "neither what"),
    "container that is a disk":        ("docker", BACKED, "backing file"),
    "container without images":        ("docker", a_saved_container(manifest=[]), "names no images"),
    "container with a list of text":   ("docker", a_saved_container(manifest=["x"]), "names no layers"),
    "container without layers":        ("docker", named("c.json"), "names no layers"),
    "container that lacks a layer":    ("docker", named("c.json", "x"), "lacks a layer"),
    "container with a layer outside":  ("docker", named("c.json", "../x"), "leads outside"),
    "container that lacks its config": ("docker", named("x", "l/layer.tar"), "lacks the file"),
    "container with a link outside":   ("docker", linked(LINK, "../../etc"), "leads outside"),
    "container with an absolute link": ("docker", linked(LINK, "/etc"), "leads outside"),
    "container with a hard link out":  ("docker", linked(HARD, "../x"), "leads outside"),
    "container with broken JSON":      ("docker", a_saved_container(more={"./manifest.json": b"["}), "two files of one name"),
    "container with deep JSON":        ("docker", a_tar({"manifest.json": b"[" * 2_000_000}), "not JSON"),
    "container with large JSON":       ("docker", a_tar({"manifest.json": bytes(5 << 20)}), "too large a file"),
    "container with countless files":  ("docker", a_tar({f"f{at}": b"" for at in range(20_002)}), "more than 20000"),
    "layout of another version":       ("docker", a_layout(about={"imageLayoutVersion": "9"}), "unsupported version"),
    "layout that is a list":           ("docker", a_layout(about=[]), "unsupported version"),
    "layout with layers elsewhere":    ("docker", a_layout(layer=FOREIGN), "refers to layers elsewhere"),
    "layout with an image elsewhere":  ("docker", a_layout(urls=FOREIGN["urls"]), "refers to layers elsewhere"),
    "layout that lacks a layer":       ("docker", a_layout(drop=LAYER.decode()), "lacks a part"),
    "layout with another layer":       ("docker", a_layout(layer={"size": 5}), "another size"),
    "layout with an odd digest":       ("docker", a_layout(digest="sha256:../../x"), "without its digest"),
}

TAKEN: dict[str, tuple[str, bytes, int]] = {
    "ova":                         ("ova", an_ova(), 20480 * 512),
    "ova of two disks":            ("ova", TWO, (20480 * 512) + (1 << 30)),
    "container, saved":            ("docker", a_saved_container(), 0),
    "container, saved with links": ("docker", a_saved_container(manifest=BY_LINK, more=LINKED), 0),
    "container, as a layout":      ("docker", a_layout(), 0),
    "compressed by gzip":          ("compressed", gzip.compress(BACKED), 0),
    "compressed by xz":            ("compressed", lzma.compress(b"a disk"), 0),
    "a description alone":         ("ovf", an_ovf(), 0),
}
# fmt: on


@pytest.mark.parametrize(("container", "content", "reason"), REFUSED.values(), ids=REFUSED.keys())
def test_an_archive_that_hides_or_refers_elsewhere_is_refused_with_its_reason(
    world: World, container: str, content: bytes, reason: str
) -> None:
    image_id = world.create(container_format=container)["id"]

    answer = world.upload(image_id, content)

    assert answer.status_code == 415, answer.text
    assert reason in answer.json()["message"].replace("&#x27;", "'")
    assert (world.shown(image_id)["status"], world.files()) == ("queued", [])


@pytest.mark.parametrize(("container", "content", "virtual_size"), TAKEN.values(), ids=TAKEN.keys())
def test_an_archive_in_order_is_taken(world: World, container: str, content: bytes, virtual_size: int) -> None:
    image = world.active(content, container_format=container, disk_format="vmdk" if container == "ova" else "raw")

    assert (image["status"], image["virtual_size"]) == ("active", virtual_size or len(content))


@pytest.mark.parametrize("content", [a_layout(), an_ova(), BACKED], ids=["container", "ova", "disk"])
def test_an_archive_is_looked_into_at_import_as_well(world: World, content: bytes) -> None:
    image_id = world.create(container_format="docker")["id"]
    world.stage(image_id, content)

    image = world.imported(image_id)

    [task] = world.alice.get(f"/v2/images/{image_id}/tasks").json()["tasks"]
    ended: tuple[Any, ...] = (image["status"], task["status"])
    assert ended == (("active", "success") if content == a_layout() else ("queued", "failure"))
    assert ("refused: it" in task["message"]) == (task["status"] == "failure")
