#!/bin/sh
# The first process of a machine (machine.py): builds what the machine sees, says "ready", and lives
# until its standard input is closed. When it ends, the kernel ends every process of the machine.
#
#   machine.sh NAME STAGE [DIRECTORY MOUNT-POINT]...
#
# Runs in namespaces of its own. The machine sees this computer's file system with its own changes
# on top, kept in memory; STAGE is an empty directory for that. Each DIRECTORY is a disk: it is
# shown at its MOUNT-POINT, and is there still when the machine is gone.
set -eu

name=$1 stage=$2
shift 2

mount --make-rprivate /
mount -t tmpfs -o mode=755 "$name" "$stage"
mkdir "$stage/changes" "$stage/work" "$stage/root"
mount -t overlay -o "lowerdir=/,upperdir=$stage/changes,workdir=$stage/work" "$name" "$stage/root"
cd "$stage/root"
mount -t proc proc proc
mount --rbind /dev dev
for private in root run tmp; do
    mount -t tmpfs -o mode=755 "$name" "$private"
done
chmod 1777 tmp
while [ $# -gt 0 ]; do
    mkdir -p ".$2"
    mount --rbind "$1" ".$2"
    shift 2
done
mkdir run/before
pivot_root . run/before
cd /
umount -l /run/before
hostname "$name"
ip link set lo up
: >/etc/resolv.conf

echo ready
cat # not exec: a shell reaps the orphans that come to the first process
exit 0
