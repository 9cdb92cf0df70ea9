#!/bin/sh
# Becomes the systemd of a box. Run by box.py, as the first process of namespaces of their own.
#   boot.sh HOME PACKED PACKAGES SITE
# HOME is an empty folder to mount things on; nothing of that is seen outside. PACKED is copied over
# the box's root, and PACKAGES is mounted on SITE in there.
set -eu
home=$1 packed=$2 packages=$3 site=$4

# The machine's own files, and whatever is written over them goes with the box.
mount --make-rprivate /
mount -t tmpfs tmpfs "$home"
mkdir "$home/upper" "$home/work" "$home/root"
mount -t overlay -o "lowerdir=/,upperdir=$home/upper,workdir=$home/work" overlay "$home/root"
cd "$home/root"
cp -R "$packed/." .
mount --bind "$packages" "./$site"

# None of the machine's units may start in here but the journal. The others are put aside, for tests
# that want one of them.
mv usr/lib/systemd/system usr/lib/systemd/stock
rm -rf etc/systemd/system usr/lib/systemd/system-generators usr/lib/tmpfiles.d \
  usr/lib/systemd/system-environment-generators
mkdir -p etc/systemd/system etc/systemd/journald.conf.d usr/lib/systemd/system
cp usr/lib/systemd/stock/systemd-journald.service usr/lib/systemd/stock/systemd-journald.socket \
  usr/lib/systemd/system
# It keeps to the box: no kernel's messages, nothing on a disk, and no rate that drops any.
printf '[Journal]\nStorage=volatile\nReadKMsg=no\nAudit=no\nRateLimitBurst=0\n' \
  >etc/systemd/journald.conf.d/box.conf
for target in sysinit basic sockets multi-user shutdown umount final timers paths local-fs \
  network network-online; do
  printf '[Unit]\nDescription=%s\nDefaultDependencies=no\n' "$target" \
    >"usr/lib/systemd/system/$target.target"
done
printf '[Unit]\nDescription=boot\nDefaultDependencies=no\nRequires=basic.target %s\n' \
  systemd-journald.service >usr/lib/systemd/system/boot.target

mount -t tmpfs -o mode=755 tmpfs dev
for device in null zero full random urandom tty; do cp -a "/dev/$device" dev; done
mkdir dev/pts dev/shm dev/mqueue dev/hugepages
ln -s pts/ptmx dev/ptmx
mount -t devpts -o newinstance,ptmxmode=666 devpts dev/pts
mount -t tmpfs -o mode=1777 tmpfs dev/shm
ln -s /proc/self/fd dev/fd
mount -t tmpfs tmpfs run
mount -t tmpfs -o mode=1777 tmpfs tmp
mount -t proc proc proc
mount -t sysfs sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
pivot_root . mnt
umount -l /mnt

ip link set lo up
mount --make-rshared /
cd /
exec env -i container=box HOME=/ PATH=/usr/sbin:/usr/bin:/sbin:/bin \
  /usr/lib/systemd/systemd --system --unit=boot.target --log-target=journal --show-status=0
