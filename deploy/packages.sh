#!/bin/bash
# Install the Debian packages that Pileus needs, for `make setup`.  With nothing missing it is done at once.
#
#   packages.sh           install what is missing
#   packages.sh --check   only say what is missing; exit status 1 when something is
set -euo pipefail
export LC_ALL=C DEBIAN_FRONTEND=noninteractive

# One line for each purpose.
PACKAGES="
  python3 python3-venv python3-dev gcc pkg-config libvirt-dev
  libvirt-daemon-system libvirt-clients qemu-system-x86 qemu-utils ovmf genisoimage
  rabbitmq-server postgresql
  linux-image-cloud-amd64 busybox-static dropbear-bin kmod cpio openssl
  e2fsprogs xfsprogs fdisk dosfstools mtools syslinux syslinux-common grub-efi-amd64-bin grub-common shim-signed grub-efi-amd64-signed
  novnc spice-html5 node-xterm esbuild chromium fonts-dejavu-core
  ca-certificates git make iproute2 procps socat util-linux openssh-client strace
  swift-proxy swift-account swift-container swift-object python3-swift
  mmdebstrap
"
# what the lines are for: Python and its libvirt binding; hosts; the distributed mode; the guest image's contents and
# its making; the consoles' pages, and the browser that tests them; the scripts and tests; an S3 server, and
# what installs a whole Debian for a guest, both for tests alone

POLICY=/usr/sbin/policy-rc.d
APT=(apt-get --quiet --yes -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3)

say() { echo "packages: $*"; }
fail() { echo "packages: $*" >&2; exit 1; }

missing() {
  local package
  # shellcheck disable=SC2086  # a list of words
  for package in $PACKAGES; do echo "$package"; done | sort |
    comm -23 - <(dpkg-query --show --showformat '${db:Status-Status} ${Package}\n' | awk '$1 == "installed" {print $2}' | sort -u)
}

# Where nothing supervises daemons, a package must not start its own: RabbitMQ and PostgreSQL would take their ports.
forbid_daemons() {
  [ ! -d /run/systemd/system ] && [ ! -e "$POLICY" ] || return 0
  trap 'rm -f "$POLICY"' EXIT
  printf '#!/bin/sh\nexit 101\n' >"$POLICY"
  chmod 755 "$POLICY"
}

install_packages() { "${APT[@]}" install --no-install-recommends "$@"; }

main() {
  command -v dpkg-query >/dev/null || fail "this is no Debian: install what the list in $0 names by your own means"
  local needed
  mapfile -t needed < <(missing)
  [ ${#needed[@]} -gt 0 ] || exit 0
  [ "${1:-}" != --check ] || fail "missing: ${needed[*]}"
  [ "$(id -u)" = 0 ] ||
    fail "some are missing, and only root can install them; do: sudo apt-get install --no-install-recommends ${needed[*]}"

  say "installing ${needed[*]}"
  forbid_daemons
  # the lists at hand will do most of the time; when they are absent or out of date, fetch them once
  install_packages "${needed[@]}" || { "${APT[@]}" update && install_packages "${needed[@]}"; } ||
    fail "apt-get could not install them: see its words above; then run this again"
  say "done"
}

main "$@"
