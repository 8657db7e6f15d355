# shellcheck shell=bash
# The two directory trees of the image: the initramfs, which finds the root, and the root itself.

# Loaded by the initramfs, always and in case the first two show no root.
BOOT_MODULES="virtio_pci virtio_blk virtio_scsi sd_mod ata_piix"
ROOT_MODULES="$BOOT_MODULES virtio_net virtio_rng virtio_balloon virtio_console virtio_mem virtiofs e1000 ahci
  sr_mod isofs vfat nls_cp437 nls_ascii nls_iso8859_1 nls_utf8 xfs button evdev i6300esb tpm_crb tpm_tis 8021q"

make_initramfs() {
  local tree=$1 archive=$2
  mkdir -p "$tree"/{bin,dev,proc,sys,root}
  install -m 755 /bin/busybox "$tree/bin/busybox"
  local applet
  for applet in sh mount modprobe findfs readlink basename cat dd blockdev usleep switch_root; do
    ln -s busybox "$tree/bin/$applet"
  done
  add_modules "$tree" "$BOOT_MODULES"
  install -m 755 "$HERE/initramfs/init" "$tree/init"
  set_times "$tree"
  (cd "$tree" && find . -print0 | sort -z | cpio --null --create --format newc --owner 0:0 --reproducible --quiet) |
    gzip -n -9 >"$archive"
}

make_root_tree() {
  local tree=$1
  mkdir -p "$tree"/{bin,dev,etc,home/pileus,mnt,proc,root,run,sbin,sys,tmp,usr/bin,usr/sbin,var/lib,var/log}
  add_applets "$tree"
  cp -r "$HERE/rootfs/." "$tree"
  add_program "$tree" /usr/sbin/dropbear
  add_program "$tree" /usr/bin/dropbearkey
  add_program "$tree" /sbin/resize2fs
  add_modules "$tree" "$ROOT_MODULES"
  add_guest_agent "$tree"
  ln -s /proc/mounts "$tree/etc/mtab"
  echo "BUILD_ID=$(content_key)" >>"$tree/etc/os-release"
  chmod -R u=rwX,go=rX "$tree"
  mkdir -p "$tree/etc/dropbear"
  write_passwords "$tree/etc/shadow"
  chmod 700 "$tree/root" "$tree/home/pileus"
  chmod 1777 "$tree/tmp"
  set_times "$tree"
}

add_guest_agent() {
  local agent
  agent=$(guest_agent)
  if [ -z "$agent" ]; then
    say "without the QEMU guest agent: not installed, and apt-get can not fetch it"
    return
  fi
  add_program "$1" "$agent" /usr/sbin/qemu-ga
}

# A fixed salt: the password is no secret, and a random one would make every build differ.
write_passwords() {
  local hash
  hash=$(openssl passwd -6 -salt pileusguest "$PASSWORD")
  printf '%s:%s:19000:0:99999:7:::\n' root "$hash" pileus "$hash" >"$1"
  chmod 600 "$1"
}

add_applets() {
  local applet
  install -m 755 /bin/busybox "$1/bin/busybox"
  for applet in $(/bin/busybox --list-full); do
    mkdir -p "$1/$(dirname "$applet")"
    [ -e "$1/$applet" ] || ln -s /bin/busybox "$1/$applet"
  done
}

# add_program TREE FILE [NAME]: a program and the libraries that it loads.
add_program() {
  local tree=$1 file=$2 library
  rm -f "$tree/${3:-$file}"
  install -D -m 755 "$file" "$tree/${3:-$file}"
  for library in $(ldd "$file" | grep -o '/[^ ]*\.so[^ ]*'); do
    [ -e "$tree/$library" ] || install -D -m 755 "$(readlink -f "$library")" "$tree/$library"
  done
}

# add_modules TREE NAMES: kernel modules with all they need; what this kernel has built in, or lacks, is no file.
add_modules() {
  local tree=$1 name file
  for name in $2; do
    modprobe --set-version "$KERNEL_VERSION" --show-depends "$name" 2>/dev/null || true
  done | awk '$1 == "insmod" {print $2}' | sort -u | while read -r file; do install -D -m 644 "$file" "$tree/$file"; done
  local folder=$tree/lib/modules/$KERNEL_VERSION
  cp "/lib/modules/$KERNEL_VERSION"/modules.{order,builtin,builtin.modinfo} "$folder/"
  depmod --basedir "$tree" "$KERNEL_VERSION"
  # busybox reads the text tables, line by line, at every modprobe: keep the two that it needs
  find "$folder" -maxdepth 1 -name 'modules.*' ! -name modules.dep ! -name modules.alias -delete
}

set_times() { find "$1" -print0 | xargs -0 touch --no-dereference --date "@$BORN"; }
