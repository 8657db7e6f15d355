#!/bin/bash
# Build the small guest image that Pileus tries itself out with, from Debian packages that are already installed.
#
#   build.sh OUT.qcow2   make the image, saying what it does; the same sources make the same guest
#   build.sh --key       print the short hash of all that goes into it: <cache>/pileus-guest-<key>.qcow2
#
# Needs no root rights, no loop device and no mount.  README.md tells what is inside and how to log in.
set -euo pipefail
export LC_ALL=C

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR source=parts/sources.sh
source "$HERE/parts/sources.sh"
# shellcheck source-path=SCRIPTDIR source=parts/trees.sh
source "$HERE/parts/trees.sh"
# shellcheck source-path=SCRIPTDIR source=parts/disk.sh
source "$HERE/parts/disk.sh"

PASSWORD=pileus                # of root and pileus, taken on the consoles only: ssh wants a key
BOOT_MIB=24                    # FAT: kernel, initramfs and the boot loaders
ROOT_MIB=40                    # ext4: grows to the disk at boot
BORN=1704067200                # every file's time, so that a rebuild does not differ

say() { echo "guest image: $*"; }
fail() { echo "guest image: $*" >&2; exit 1; }

main() {
  case ${1:-} in
    --key) require_kernel; content_key; exit ;;
    '' | -*) fail "usage: build.sh OUT.qcow2 | build.sh --key" ;;
  esac
  OUT=$1
  require_packages
  require_kernel
  # Files must belong to root inside the image: a builder who is not root becomes it in a namespace of its own.
  [ "$(id -u)" = 0 ] || exec unshare --map-root-user "$0" "$OUT"

  WORK=$(mktemp -d)
  trap 'rm -rf "$WORK" "$OUT.part"' EXIT
  mkdir -p "$(dirname "$OUT")"

  say "kernel $KERNEL_VERSION, key $(content_key)"
  make_initramfs "$WORK/initramfs" "$WORK/initrd.img"
  say "initramfs of $(size_of "$WORK/initrd.img")"
  make_root_tree "$WORK/root"
  make_root_partition "$WORK/root" "$WORK/root.part"
  say "root file system of $(du -sh --apparent-size "$WORK/root" | cut -f1) on $ROOT_MIB MiB"
  make_boot_partition "$WORK/initrd.img" "$WORK/boot.part"
  say "boot partition for BIOS$([ -d "$GRUB_MODULES" ] && echo " and UEFI")$(can_be_secure && echo ", with secure boot")"
  make_disk "$WORK/boot.part" "$WORK/root.part" "$WORK/disk.raw"
  qemu-img convert -q -O qcow2 -c -o compression_type=zstd "$WORK/disk.raw" "$OUT.part"
  mv "$OUT.part" "$OUT"
  say "ready: $OUT, $(size_of "$OUT")"
}

size_of() { numfmt --to=iec-i --suffix=B "$(stat -c %s "$1")"; }

main "$@"
