#!/bin/bash
# Build a disk with an ordinary Debian 12 on it (systemd, cloud-init, sshd, Debian's own kernel and initramfs) out of Debian's
# packages, as a guest to try the platform with.  Takes minutes, needs root and apt's mirror.
#
#   build.sh OUT.qcow2
set -euo pipefail
export LC_ALL=C

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR source=../../../deploy/guest-image/parts/disk.sh
source "$HERE/../../../deploy/guest-image/parts/disk.sh"

# what disk.sh asks for
BOOT_MIB=64
ROOT_MIB=1200
BORN=1704067200
ROOT_LABEL=debian-root
COMMAND_LINE="root=LABEL=$ROOT_LABEL ro console=tty0 console=ttyS0,115200n8 mitigations=off tsc=unstable no_timer_check"
GRUB_MODULES=/nonexistent # BIOS is enough

PACKAGES=systemd-sysv,udev,dbus,cloud-init,cloud-guest-utils,fdisk,openssh-server,sudo,ifupdown,iproute2,linux-image-cloud-amd64

say() { echo "debian guest: $*"; }

main() {
  OUT=$1
  WORK=$(mktemp -d --tmpdir=/var/tmp)
  trap 'rm -rf "$WORK" "$OUT.part"' EXIT
  chmod 755 "$WORK"
  say "installing packages"
  mmdebstrap --quiet --mode=root --variant=minbase --include="$PACKAGES" --dpkgopt=force-unsafe-io \
    --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' --aptopt='Acquire::Retries "3"' bookworm "$WORK/root"
  settle "$WORK/root"
  say "writing the disk"
  KERNEL=$(echo "$WORK"/root/boot/vmlinuz-*)
  make_root_partition "$WORK/root" "$WORK/root.part"
  make_boot_partition "$(echo "$WORK"/root/boot/initrd.img-*)" "$WORK/boot.part"
  make_disk "$WORK/boot.part" "$WORK/root.part" "$WORK/disk.raw"
  qemu-img convert -q -O qcow2 -c -o compression_type=zstd "$WORK/disk.raw" "$OUT.part"
  mv "$OUT.part" "$OUT"
  say "ready: $OUT, $(du -h "$OUT" | cut -f1)"
}

# As the images of Debian's cloud team are before their first boot.
settle() {
  local tree=$1
  : >"$tree/etc/machine-id"
  rm -f "$tree"/etc/ssh/ssh_host_* "$tree"/var/lib/dbus/machine-id
  echo "LABEL=$ROOT_LABEL / ext4 defaults 0 1" >"$tree/etc/fstab"
  echo localhost >"$tree/etc/hostname"
  printf '127.0.0.1 localhost\n' >"$tree/etc/hosts"
  echo "datasource_list: [ConfigDrive, OpenStack, None]" >"$tree/etc/cloud/cloud.cfg.d/90-datasources.cfg"
}

[ $# = 1 ] || { say "usage: build.sh OUT.qcow2" >&2; exit 1; }
main "$1"
