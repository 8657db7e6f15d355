# shellcheck shell=bash
# What the image is made from: programs and kernel of this machine, and the hash over all of it.

# A file that only this package brings -> the package.
# fmt: file package
PACKAGES="
/bin/busybox                          busybox-static
/usr/bin/cpio                         cpio
/usr/sbin/dropbear                    dropbear-bin
/sbin/mke2fs                          e2fsprogs
/sbin/sfdisk                          fdisk
/sbin/mkfs.vfat                       dosfstools
/sbin/modprobe                        kmod
/usr/bin/mcopy                        mtools
/usr/bin/openssl                      openssl
/usr/bin/qemu-img                     qemu-utils
/usr/bin/syslinux                     syslinux
/usr/lib/syslinux/mbr/mbr.bin         syslinux-common
"
GRUB_MODULES=/usr/lib/grub/x86_64-efi   # grub-efi-amd64-bin and grub-common; without them the image boots by BIOS only
SHIM=/usr/lib/shim/shimx64.efi.signed   # shim-signed and grub-efi-amd64-signed; without them UEFI does not boot it securely
SIGNED_GRUB=/usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed

KERNEL_VERSION=$(find /lib/modules -maxdepth 1 -name '*-cloud-amd64' -printf '%f\n' 2>/dev/null | sort -V | tail -n 1)
KERNEL=/boot/vmlinuz-$KERNEL_VERSION

require_packages() {
  local missing=() file package
  while read -r file package; do
    [ -z "$file" ] || [ -e "$file" ] || missing+=("$package")
  done <<<"$PACKAGES"
  [ -n "$KERNEL_VERSION" ] || missing+=(linux-image-cloud-amd64)
  [ ${#missing[@]} = 0 ] || fail "these packages are missing; do: apt-get install --no-install-recommends ${missing[*]}"
}

require_kernel() {
  [ -n "$KERNEL_VERSION" ] ||
    fail "the kernel for the guest is missing; do: apt-get install --no-install-recommends linux-image-cloud-amd64"
  [ -r "$KERNEL" ] || fail "cannot read $KERNEL: build as root, or make that file readable"
}

# Sources, their modes, and the exact kernel: Debian keeps the file name when it updates a kernel within one ABI.
content_key() {
  {
    (cd "$HERE" && find . -type f ! -name '*.md' -perm /100 -print0 | sort -z | tr '\0' '\n')
    (cd "$HERE" && find . -type f ! -name '*.md' -print0 | sort -z | xargs -0 sha256sum)
    echo "$KERNEL_VERSION"
    stat -c %s "$KERNEL"
    sha256sum "$KERNEL"
    for file in "$SHIM" "$SIGNED_GRUB"; do [ ! -e "$file" ] || sha256sum "$file"; done
  } | sha256sum | cut -c 1-12
}

# Path of the QEMU guest agent: installed, or fetched from Debian now; nothing when neither can be had.
guest_agent() {
  local installed
  installed=$(command -v qemu-ga) && { echo "$installed"; return; }
  mkdir -p "$WORK/agent"
  (
    cd "$WORK/agent"
    timeout 60 apt-get -qq -o Acquire::Retries=1 -o APT::Sandbox::User=root download qemu-guest-agent
    dpkg-deb --extract qemu-guest-agent_*.deb .
  ) >"$WORK/agent.log" 2>&1 || return 0
  echo "$WORK/agent/usr/sbin/qemu-ga"
}
