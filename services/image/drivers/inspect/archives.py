"""Look into images that are tar archives: container images and OVA appliances.  Nothing is ever unpacked.

Facts: OCI image-spec (image-layout.md, image-index.md, manifest.md), the moby project's image-spec v1.2 for what
`docker save` writes, DMTF DSP0243 (OVF 2.1) sections 5 and 7.  Runs only in the bounded process of `child`.
"""

from __future__ import annotations

import hashlib
import json
import os
import posixpath
import re
import tarfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

MOST_MEMBERS = 20_000
LONGEST_NAME = 1024
LARGEST_DOCUMENT = 4 << 20
MOST_DOCUMENTS = 200
DEEPEST_INDEX = 3
DIGEST = re.compile(r"sha256:([0-9a-f]{64})")
ENDS_OF_OVF = (".ovf", ".mf", ".cert")
# fmt: off
COMPRESSED = (  # where the mark of each program stands: gzip, bzip2, xz, zstd, lz4, zip, lha
    (0, b"\x1f\x8b"), (0, b"BZh"), (0, b"\xfd7zXZ\0"), (0, b"\x28\xb5\x2f\xfd"), (0, b"\x04\x22\x4d\x18"),
    (0, b"PK\x03\x04"), (2, b"-lh"),
)
# fmt: on


class Refused(Exception):
    """The end of a sentence that begins with "it"."""


@dataclass(frozen=True, slots=True)
class Part:
    """A file in the archive: where its bytes are."""

    name: str
    at: int
    size: int


class Archive:
    """The files of one archive by their names; every header is looked at before any file is.  Refused"""

    def __init__(self, file: int, size: int, *, links: bool) -> None:
        self._file, self._size = file, size
        self._links: dict[str, str] = {}
        self.parts: dict[str, Part] = {}
        self.first: str | None = None
        with os.fdopen(os.dup2(file, 0), "rb", closefd=False) as stream:
            try:
                with tarfile.open(fileobj=stream, mode="r:") as tar:
                    self._take(tar, links)
            except (tarfile.TarError, EOFError, ValueError, RecursionError, OverflowError) as error:
                raise Refused("is no tar archive, or a damaged one") from error
        if not self.parts:
            raise Refused("is an empty archive")

    def _take(self, tar: tarfile.TarFile, links: bool) -> None:
        names: set[str] = set()
        for count, member in enumerate(tar):
            name = _plain(member.name)
            if count >= MOST_MEMBERS:
                raise Refused(f"has more than {MOST_MEMBERS} files in its archive")
            if name in names:
                raise Refused("has two files of one name in its archive")
            names.add(name)
            self._take_one(member, name, links)
        if any(os.pread(self._file, tarfile.BLOCKSIZE, tar.offset)):  # what is no header ends it for some readers only
            raise Refused("is no tar archive, or a damaged one")

    def _take_one(self, member: tarfile.TarInfo, name: str, links: bool) -> None:
        if member.isdir():
            return
        if links and (member.issym() or member.islnk()):
            self._links[name] = _target(name, member)
        elif not member.isreg() or member.issparse():
            raise Refused("has a link, a device or a sparse file in its archive")
        elif member.size < 0 or member.offset_data + member.size > self._size:
            raise Refused("is no tar archive, or a damaged one")
        else:
            self.first = self.first or name
            self.parts[name] = Part(name, member.offset_data, member.size)

    def part(self, name: str) -> Part | None:
        """By way of one link at most."""
        return self.parts.get(self._links.get(name, name))

    def document(self, name: str) -> bytes:
        """All of a small file.  Refused"""
        part = self.part(name)
        if part is None:
            raise Refused(f"lacks the file '{_short(name)}' in its archive")
        if part.size > LARGEST_DOCUMENT:
            raise Refused(f"has too large a file '{_short(name)}' in its archive")
        return os.pread(self._file, part.size, part.at)

    def table(self, name: str) -> Any:
        """What a JSON file holds.  Refused"""
        try:
            return json.loads(self.document(name))
        except (ValueError, RecursionError) as error:
            raise Refused(f"has a file '{_short(name)}' in its archive that is not JSON") from error


def _plain(name: str) -> str:
    """Refused unless the name leads nowhere but down"""
    name = name.removeprefix("./").rstrip("/") or "."
    if not (
        len(name) <= LONGEST_NAME
        and not name.startswith("/")
        and ".." not in name.split("/")
        and "\\" not in name
        and name.isprintable()
    ):
        raise Refused("has a file in its archive whose name leads outside")
    return name


def _target(name: str, member: tarfile.TarInfo) -> str:
    """Of a link that stays inside.  Refused"""
    link = member.linkname
    if link.startswith("/") or member.islnk():
        return _plain(link)
    return _plain(posixpath.normpath(f"./{name.rpartition('/')[0]}/{link}"))


def _short(name: str) -> str:
    return name[:80] if name.isprintable() else "?"


# ---------------------------------------------------------------- container images


def container_image(file: int, size: int, _: Any) -> int:
    """Bytes of the archive, for one in order.  Refused"""
    archive = Archive(file, size, links=True)
    saved, layout = "manifest.json" in archive.parts, "oci-layout" in archive.parts
    if not saved and not layout:
        raise Refused("is neither what `docker save` writes nor an OCI layout")
    if saved:
        _must_be_saved(archive)
    if layout:
        _must_be_layout(archive, partial=saved)
    return size


def _must_be_saved(archive: Archive) -> None:
    images = archive.table("manifest.json")
    if not isinstance(images, list) or not 1 <= len(images) <= MOST_DOCUMENTS:
        raise Refused("has a manifest.json that names no images")
    for image in images:
        config, layers = (image.get("Config"), image.get("Layers")) if isinstance(image, dict) else (None, None)
        if not isinstance(config, str) or not isinstance(layers, list) or not layers:
            raise Refused("has a manifest.json that names no layers")
        if not isinstance(archive.table(_plain(config)), dict):
            raise Refused("has no configuration of its image")
        for layer in layers:
            if not isinstance(layer, str) or archive.part(_plain(layer)) is None:
                raise Refused("lacks a layer that its manifest.json names")


def _must_be_layout(archive: Archive, *, partial: bool) -> None:
    about = archive.table("oci-layout")
    if not isinstance(about, dict) or about.get("imageLayoutVersion") != "1.0.0":
        raise Refused("is of an unsupported version of the OCI layout")
    if not _Walk(archive, partial).of_index(archive.table("index.json"), 0):
        raise Refused("has no image that is whole in its archive")


class _Walk:
    """From the index of a layout down to its layers."""

    def __init__(self, archive: Archive, partial: bool) -> None:
        self._archive, self._partial, self._left = archive, partial, MOST_DOCUMENTS

    def of_index(self, index: Any, depth: int) -> int:
        """How many images are whole; only a nested index may name some that are not here.  Refused"""
        entries = index.get("manifests") if isinstance(index, dict) else None
        if not isinstance(entries, list) or index.get("schemaVersion") != 2 or depth > DEEPEST_INDEX:
            raise Refused("has an index that names no images")
        return sum(self._of_entry(entry, depth) for entry in entries)

    def _of_entry(self, entry: Any, depth: int) -> int:
        part = self._found(entry, may_be_absent=depth > 0 or self._partial)
        if part is None:
            return 0
        self._left -= 1
        if self._left < 0:
            raise Refused("has too many images in its archive")
        data = self._archive.document(part.name)
        if f"sha256:{hashlib.sha256(data).hexdigest()}" != entry["digest"]:
            raise Refused("has a manifest that does not match its digest")
        inner = self._archive.table(part.name)
        if isinstance(inner, dict) and "manifests" in inner:
            return self.of_index(inner, depth + 1)
        return self._of_manifest(inner)

    def _of_manifest(self, manifest: Any) -> int:
        layers = manifest.get("layers") if isinstance(manifest, dict) else None
        if not isinstance(layers, list) or len(layers) > MOST_DOCUMENTS:
            raise Refused("has a manifest that names no layers")
        for one in (manifest.get("config"), *layers):
            self._found(one, may_be_absent=False)
        return 1

    def _found(self, entry: Any, *, may_be_absent: bool) -> Part | None:
        digest = DIGEST.fullmatch(str(entry.get("digest"))) if isinstance(entry, dict) else None
        if digest is None:
            raise Refused("names a part of the image without its digest")
        if entry.get("urls"):
            raise Refused("refers to layers elsewhere")
        part = self._archive.part(f"blobs/sha256/{digest[1]}")
        if part is None and not may_be_absent:
            raise Refused("lacks a part that its manifest names")
        if part is not None and part.size != entry.get("size"):
            raise Refused("has a part of another size than its manifest says")
        return part


# ---------------------------------------------------------------- appliances

Inner = Callable[[Part], tuple[list[str], int, list[str]]]  # formats, virtual size and problems of a part


def appliance(file: int, size: int, inspected: Inner) -> int:
    """Bytes of all its disks, for one in order.  Refused"""
    archive = Archive(file, size, links=False)
    described = [name for name in archive.parts if name.lower().endswith(".ovf")]
    if len(described) != 1 or archive.first != described[0] or "/" in described[0]:
        raise Refused("does not begin with its one OVF descriptor")
    disks = _disks(archive.document(described[0]), archive)
    found = {name: _inner(part, inspected) for name, part in archive.parts.items() if not _is_text(name)}
    if nameless := [name for name in disks if name not in found]:
        raise Refused(f"lacks the disk '{_short(nameless[0])}' in its archive")
    return sum(found[name] for name in disks)


def _is_text(name: str) -> bool:
    return name.lower().endswith(ENDS_OF_OVF)


def _inner(part: Part, inspected: Inner) -> int:
    formats, virtual_size, problems = inspected(part)
    if problems:
        raise Refused(f"holds a file '{_short(part.name)}' that {problems[0]}")
    if len(formats) != 1 and formats != ["gpt", "iso"]:
        raise Refused(f"holds a file '{_short(part.name)}' that is {' and '.join(formats)} at once")
    return virtual_size


def _disks(text: bytes, archive: Archive) -> set[str]:
    """Names of the files that are disks.  Refused"""
    if b"<!" in text.replace(b"<!--", b""):  # DOCTYPE, ENTITY: what could unfold or refer elsewhere
        raise Refused("has an OVF descriptor with definitions of its own")
    try:
        envelope = ElementTree.fromstring(text)
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise Refused("has an OVF descriptor that is not XML") from error
    if _local(envelope.tag) != "Envelope":
        raise Refused("has an OVF descriptor that describes no appliance")
    files = dict(_files(envelope.iter(), archive))
    used = [_attributes(one).get("fileRef") for one in envelope.iter() if _local(one.tag) == "Disk"]
    if unknown := [one for one in used if one is not None and one not in files]:
        raise Refused(f"has a disk without a file: '{_short(unknown[0])}'")
    return {files[one] for one in used if one is not None}


def _files(elements: Iterator[Any], archive: Archive) -> Iterator[tuple[str, str]]:
    """Ids and names of those that the descriptor refers to."""
    for one in elements:
        if _local(one.tag) != "File":
            continue
        given = _attributes(one)
        name = given.get("href", "")
        if name not in archive.parts:
            raise Refused(f"refers to '{_short(name)}' outside of its archive")
        if given.get("compression", "identity") not in ("", "identity") or "chunkSize" in given:
            raise Refused("keeps its files compressed or in pieces")
        yield given.get("id", ""), name


def _local(tag: Any) -> str:
    return str(tag).rpartition("}")[2]


def _attributes(element: Any) -> Mapping[str, str]:
    return {_local(name): value for name, value in element.attrib.items()}


def compressed(file: int, size: int, inspected: Inner) -> int:
    """Whoever gives it out packed must have packed it: nobody here looks inside.  Refused"""
    begins = os.pread(file, 8, 0)
    if not any(begins[at : at + len(mark)] == mark for at, mark in COMPRESSED):
        raise Refused("is not compressed by any program known here")
    return size


ARCHIVES: dict[str, Callable[[int, int, Inner], int]] = {
    "ova": appliance,
    "docker": container_image,
    "compressed": compressed,
}
