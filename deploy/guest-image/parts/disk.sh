# shellcheck shell=bash
# From trees to a disk: MBR, a FAT partition that BIOS and UEFI boot from, and last the root, so that it can grow.

COMMAND_LINE="console=tty0 console=ttyS0,115200n8 quiet loglevel=3 panic=10 mitigations=off nowatchdog
  tsc=unstable no_timer_check rcupdate.rcu_expedited=1"
COMMAND_LINE=$(echo $COMMAND_LINE)     # on one line
ROOT_LABEL=pileus-root                 # what initramfs/init looks for
ROOT_UUID=70696c65-7573-4000-8000-000000000001
DISK_ID=0x70696c65

make_root_partition() {
  local tree=$1 image=$2
  truncate -s "${ROOT_MIB}M" "$image"
  # resize= keeps room for the descriptors of 100 GiB: beyond what is reserved, growing while mounted is refused
  E2FSPROGS_FAKE_TIME=$BORN mke2fs -q -t ext4 -L "$ROOT_LABEL" -U "$ROOT_UUID" -m 0 -O ^metadata_csum_seed \
    -E "root_owner=0:0,resize=26214400,lazy_itable_init=1,hash_seed=$ROOT_UUID" -d "$tree" "$image"
  E2FSPROGS_FAKE_TIME=$BORN debugfs -w -f - "$image" >/dev/null 2>&1 <<'COMMANDS'
set_inode_field /home/pileus uid 1000
set_inode_field /home/pileus gid 1000
set_inode_field /bin/busybox mode 0104755
COMMANDS
}

make_boot_partition() {
  local initrd=$1 image=$2
  export MTOOLS_SKIP_CHECK=1 SOURCE_DATE_EPOCH=$BORN
  truncate -s "${BOOT_MIB}M" "$image"
  mkfs.vfat --invariant -F 16 -n PILEUSBOOT "$image" >/dev/null
  cat >"$WORK/syslinux.cfg" <<CONFIG
DEFAULT pileus
LABEL pileus
 KERNEL /vmlinuz
 INITRD /initrd.img
 APPEND $COMMAND_LINE
CONFIG
  syslinux --install "$image"
  mcopy -m -i "$image" "$KERNEL" ::vmlinuz
  mcopy -m -i "$image" "$initrd" ::initrd.img
  mcopy -m -i "$image" "$WORK/syslinux.cfg" ::syslinux.cfg
  [ ! -d "$GRUB_MODULES" ] || add_uefi_loader "$image"
}

# With secure boot the firmware starts only what Microsoft signed, and that only what Debian did: shim, GRUB, the kernel.
add_uefi_loader() {
  cat >"$WORK/grub.cfg" <<CONFIG
search --no-floppy --set=root --file /vmlinuz
linux /vmlinuz $COMMAND_LINE
initrd /initrd.img
boot
CONFIG
  mmd -i "$1" ::EFI ::EFI/BOOT ::EFI/debian
  if can_be_secure; then
    mcopy -m -i "$1" "$SHIM" ::EFI/BOOT/BOOTX64.EFI
    mcopy -m -i "$1" "$SIGNED_GRUB" ::EFI/BOOT/grubx64.efi
    mcopy -m -i "$1" "$WORK/grub.cfg" ::EFI/debian/grub.cfg
    return
  fi
  grub-mkimage -O x86_64-efi -p /EFI/BOOT -c "$WORK/grub.cfg" -o "$WORK/BOOTX64.EFI" \
    part_msdos part_gpt fat normal linux search search_fs_file boot
  mcopy -m -i "$1" "$WORK/BOOTX64.EFI" ::EFI/BOOT/
}

can_be_secure() { [ -e "$SHIM" ] && [ -e "$SIGNED_GRUB" ]; }

make_disk() {
  local boot=$1 root=$2 disk=$3
  local boot_sectors=$((BOOT_MIB * 2048))
  truncate -s "$((1 + BOOT_MIB + ROOT_MIB))M" "$disk"
  sfdisk -q "$disk" <<TABLE
label: dos
label-id: $DISK_ID
start=2048, size=$boot_sectors, type=ef, bootable
start=$((2048 + boot_sectors)), type=83
TABLE
  dd if=/usr/lib/syslinux/mbr/mbr.bin of="$disk" bs=440 count=1 conv=notrunc status=none
  dd if="$boot" of="$disk" bs=1M seek=1 conv=notrunc,sparse status=none
  dd if="$root" of="$disk" bs=1M seek="$((1 + BOOT_MIB))" conv=notrunc,sparse status=none
}
