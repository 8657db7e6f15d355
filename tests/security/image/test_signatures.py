"""Signed images: only bytes that were signed with the named certificate's key become active, where a site asks for that."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from services.image.drivers.inspect.inspector import Inspector
from tests.unit.image.world import World, a_world

MIB = 1 << 20
DATA = b"bytes of a signed image" * 100_000


@cache
def key_of(key_type: str) -> Any:
    if key_type == "RSA-PSS":
        return rsa.generate_private_key(65537, 2048)
    if key_type == "DSA":
        return dsa.generate_private_key(2048)
    return ec.generate_private_key({"521": ec.SECP521R1(), "384": ec.SECP384R1()}[key_type[8:11]])


def signed(key_type: str, data: bytes, method: Any) -> bytes:
    key = key_of(key_type)
    if key_type == "RSA-PSS":
        return bytes(key.sign(data, padding.PSS(padding.MGF1(method), padding.PSS.MAX_LENGTH), method))
    return bytes(key.sign(data, method) if key_type == "DSA" else key.sign(data, ec.ECDSA(method)))


def certify(
    directory: Path, key_type: str, *, begins_in_days: int = -1, ends_in_days: int = 1, form: Encoding = Encoding.PEM
) -> UUID:
    """The id of a new certificate in the directory."""
    key, name, now = key_of(key_type), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "signer")]), datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now + timedelta(days=begins_in_days))
        .not_valid_after(now + timedelta(days=ends_in_days))
        .sign(key_of("RSA-PSS"), hashes.SHA256())
    )
    certificate_id = uuid4()
    (directory / str(certificate_id)).write_bytes(made.public_bytes(form))
    return certificate_id


@pytest.fixture
def certificates(tmp_path: Path) -> Path:
    made = tmp_path / "certificates"
    made.mkdir()
    return made


@pytest.fixture
def careful(tmp_path: Path, inspector: Inspector, certificates: Path) -> Iterator[World]:
    """A site that looks at signatures."""
    with a_world(tmp_path, inspector, verify_signatures=True, certificates=certificates) as made:
        yield made


def properties(
    certificate_id: object, key_type: str = "RSA-PSS", data: bytes = DATA, method: Any = None, word: str = "SHA-256"
) -> dict[str, Any]:
    return {
        "img_signature": base64.b64encode(signed(key_type, data, method or hashes.SHA256())).decode(),
        "img_signature_hash_method": word,
        "img_signature_key_type": key_type,
        "img_signature_certificate_uuid": str(certificate_id),
    }


def pieces() -> Iterator[bytes]:
    return (DATA[at : at + 100_000] for at in range(0, len(DATA), 100_000))


METHODS = {
    "SHA-224": hashes.SHA224(),
    "SHA-256": hashes.SHA256(),
    "SHA-384": hashes.SHA384(),
    "SHA-512": hashes.SHA512(),
}


@pytest.mark.parametrize("key_type", ["RSA-PSS", "DSA", "ECC_SECP521R1", "ECC_SECP384R1"])
@pytest.mark.parametrize("word", METHODS)
def test_an_image_that_was_signed_is_taken(careful: World, certificates: Path, key_type: str, word: str) -> None:
    method = METHODS[word]
    image_id = careful.create(**properties(certify(certificates, key_type), key_type, method=method, word=word))["id"]

    answer = careful.upload(image_id, pieces())

    assert answer.status_code == 204, answer.text
    assert careful.shown(image_id)["status"] == "active"


def test_a_signature_as_the_openstack_command_writes_it_is_taken(careful: World, certificates: Path) -> None:
    """It makes text of bytes as Python prints them."""
    given = properties(certify(certificates, "RSA-PSS"))
    image_id = careful.create(**given | {"img_signature": str(given["img_signature"].encode())})["id"]

    assert careful.upload(image_id, pieces()).status_code == 204


@pytest.mark.parametrize("key_type", ["RSA-PSS", "DSA", "ECC_SECP521R1"])
@pytest.mark.parametrize("by_import", [False, True], ids=["upload", "import"])
def test_other_bytes_than_were_signed_are_refused_and_gone(
    careful: World, certificates: Path, key_type: str, by_import: bool
) -> None:
    image_id = careful.create(**properties(certify(certificates, key_type), key_type))["id"]

    said = sent(careful, image_id, DATA[:-1] + b"!", by_import)

    assert "Signature verification failed" in said
    assert (careful.shown(image_id)["status"], careful.files()) == ("queued", [])
    assert careful.upload(image_id, DATA).status_code == 204


def sent(world: World, image_id: str, data: bytes, by_import: bool) -> str:
    """What the client is told in the end."""
    if not by_import:
        answer = world.upload(image_id, data)
        assert answer.status_code == 400
        return answer.text
    assert world.stage(image_id, data).status_code == 204
    world.imported(image_id)
    [task] = world.alice.get(f"/v2/images/{image_id}/tasks").json()["tasks"]
    assert task["status"] == "failure"
    return str(task["message"])


def outside(certificates: Path) -> UUID:
    """A certificate that lies beside the directory."""
    certificate_id = certify(certificates, "RSA-PSS")
    (certificates / str(certificate_id)).rename(certificates.parent / str(certificate_id))
    return certificate_id


def text_of(certificates: Path) -> UUID:
    certificate_id = uuid4()
    (certificates / str(certificate_id)).write_text("no certificate")
    return certificate_id


def other(at: Path, **changes: str) -> dict[str, Any]:
    """Properties of a signature in order, but for these."""
    return properties(certify(at, "RSA-PSS")) | {f"img_signature_{name}": value for name, value in changes.items()}


# fmt: off
REFUSED: dict[str, tuple[Callable[[Path], dict[str, Any]], str]] = {
    "expired":           (lambda at: properties(certify(at, "RSA-PSS", begins_in_days=-9, ends_in_days=-1)), "expired"),
    "not valid yet":     (lambda at: properties(certify(at, "RSA-PSS", begins_in_days=1, ends_in_days=9)), "not valid before"),
    "unknown":           (lambda _: properties(uuid4()), "there is no certificate"),
    "beside the others": (lambda at: properties(outside(at)), "there is no certificate"),
    "by way of a path":  (lambda at: properties(f"../{outside(at)}"), "not a UUID"),
    "of the host":       (lambda _: properties("/etc/ssl/certs/ca-certificates.crt"), "not a UUID"),
    "in another form":   (lambda at: properties("{" + str(certify(at, "RSA-PSS")) + "}"), "not a UUID"),
    "no certificate":    (lambda at: properties(text_of(at)), "cannot be read"),
    "of another kind":   (lambda at: properties(certify(at, "DSA")), "none of type RSA-PSS"),
    "of another curve":  (lambda at: properties(certify(at, "ECC_SECP384R1"), "ECC_SECP521R1"), "none of type ECC_SECP521R1"),
    "of another signer": (lambda at: properties(certify(at, "ECC_SECP384R1"), "RSA-PSS"), "none of type"),
    "outdated curve":    (lambda at: other(at, key_type="ECC_SECT571K1"), "no longer"),
    "unknown kind":      (lambda at: other(at, key_type="ROT13"), "must be one of"),
    "unknown hash":      (lambda at: other(at, hash_method="MD5"), "must be one of"),
    "another hash":      (lambda at: other(at, hash_method="SHA-512"), "failed"),
    "no base64":         (lambda at: properties(certify(at, "RSA-PSS")) | {"img_signature": "!"}, "not base64"),
    "empty":             (lambda at: properties(certify(at, "RSA-PSS")) | {"img_signature": ""}, "failed"),
    "half of it":        (lambda at: {"img_signature": properties(certify(at, "RSA-PSS"))["img_signature"]}, "has no"),
}
# fmt: on


@pytest.mark.parametrize("by_import", [False, True], ids=["upload", "import"])
@pytest.mark.parametrize("kind", REFUSED)
def test_a_signature_that_proves_nothing_is_refused_with_its_reason(
    careful: World, certificates: Path, kind: str, by_import: bool
) -> None:
    make, reason = REFUSED[kind]
    image_id = careful.create(**make(certificates))["id"]

    said = sent(careful, image_id, DATA, by_import)

    assert reason in said
    assert str(certificates) not in said
    assert (careful.shown(image_id)["status"], careful.files()) == ("queued", [])


@pytest.mark.parametrize("is_true", [True, False], ids=["true", "false"])
def test_an_upload_in_ranges_is_verified_as_a_whole(careful: World, certificates: Path, is_true: bool) -> None:
    image_id = careful.create(**properties(certify(certificates, "RSA-PSS")))["id"]
    data, half = DATA if is_true else DATA[:-1] + b"!", len(DATA) // 2
    total = len(DATA)

    first = careful.upload(image_id, data[:half], content_range=f"bytes 0-{half - 1}/{total}")
    last = careful.upload(image_id, data[half:], content_range=f"bytes {half}-{total - 1}/{total}")

    assert (first.status_code, last.status_code) == (202, 204 if is_true else 400)
    assert careful.shown(image_id)["status"] == ("active" if is_true else "queued")
    assert careful.files() == ([image_id] if is_true else [])


def test_a_signed_image_is_imported_and_never_converted(
    tmp_path: Path, inspector: Inspector, certificates: Path
) -> None:
    given: dict[str, Any] = {"verify_signatures": True, "certificates": certificates, "convert_imports_to": "qcow2"}
    with a_world(tmp_path, inspector, **given) as careful:
        image_id = careful.create(**properties(certify(certificates, "RSA-PSS", form=Encoding.DER)))["id"]
        careful.stage(image_id, DATA)

        image = careful.imported(image_id)

        assert (image["status"], image["disk_format"], image["size"]) == ("active", "raw", len(DATA))


def test_an_image_without_signature_is_taken_as_ever(careful: World) -> None:
    assert careful.active(DATA)["status"] == "active"


def test_a_site_that_does_not_look_at_signatures_takes_what_it_is_told(world: World) -> None:
    image = world.active(DATA, **properties(uuid4()) | {"img_signature": "nonsense"})

    assert image["img_signature"] == "nonsense"


def test_signed_bytes_are_verified_while_they_come_in_constant_memory(careful: World, certificates: Path) -> None:
    piece = os.urandom(MIB)
    data = piece * 64
    image_id = careful.create(**properties(certify(certificates, "RSA-PSS"), data=data))["id"]
    before = peak_kib()

    answer = careful.upload(image_id, (piece for _ in range(64)))

    assert answer.status_code == 204
    assert peak_kib() - before < 32 * 1024


def peak_kib() -> int:
    """Of this process, ever."""
    status = Path("/proc/self/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))
