#!/bin/sh
# A systemd of its own, in namespaces, that runs examples/systemd from a checkout, and beside it a script. Nothing of the machine is
# changed: what is written goes to file systems in memory that end with the namespaces.
#
#   _boot_systemd.sh CHECKOUT NODE PORT FOLDER
#
# FOLDER has the script, and gets what it says (`out`) and the log of the server (`log`).
set -e
if [ "${IN_NAMESPACES:-}" = '' ]; then
  # A control group of its own, so that this systemd finds nobody else in its root.
  group=$(awk '$(NF - 2) == "cgroup2" { print $5; exit }' /proc/self/mountinfo)/latchkey-test-$$
  mkdir "$group"
  status=0
  sh -c 'echo 0 >"$1/cgroup.procs"; shift; export IN_NAMESPACES=1
    exec unshare --pid --mount --cgroup --ipc --uts --fork --kill-child "$@"' sh "$group" "$0" "$@" || status=$?
  find "$group" -depth -type d -exec rmdir {} +
  exit "$status"
fi

checkout=$1 node=$2 port=$3 folder=$4
mount --make-rprivate /
mount -t proc proc /proc
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t tmpfs tmpfs /mnt
mkdir /mnt/etc /mnt/etc-work /mnt/var /mnt/var-work
mount -t overlay overlay -o lowerdir=/etc,upperdir=/mnt/etc,workdir=/mnt/etc-work /etc
mount -t overlay overlay -o lowerdir=/var,upperdir=/mnt/var,workdir=/mnt/var-work /var
mount -t tmpfs tmpfs /opt
mkdir -p /opt/latchkey /opt/node
mount --bind "$checkout" /opt/latchkey
mount --bind "$(dirname "$node")" /opt/node
mount -t tmpfs tmpfs /run
# As it is on a machine: systemd hands credentials on by mounting them.
mount --make-rshared /

rm -rf /etc/systemd/system/*
echo 00000000000000000000000000000001 >/etc/machine-id
mkdir -p /etc/latchkey
cp "$checkout/examples/systemd/latchkey.env" /etc/latchkey/
echo "LATCHKEY_PORT=$port" >>/etc/latchkey/latchkey.env
(umask 077 && openssl rand -base64 32 | tr '+/' '-_' | tr -d = >/etc/latchkey/secret)
# The package is the checkout. Its targets are those of a whole machine, and there is no journal.
for file in latchkey latchkey.service; do
  sed "s#/opt/latchkey/node_modules/.bin/node#/opt/node/node#; s#/opt/latchkey/node_modules/latchkey/#/opt/latchkey/#
    s/^Wants=.*//; s/^After=.*/DefaultDependencies=no/; s#^Type=exec#&\nStandardOutput=append:$folder/log\nStandardError=inherit#" \
    "$checkout/examples/systemd/$file" >"/run/$file"
done
chmod 755 /run/latchkey
mv /run/latchkey.service /etc/systemd/system/
cat >/etc/systemd/system/script.service <<X
[Unit]
DefaultDependencies=no
[Service]
Type=oneshot
ExecStart=/bin/sh $folder/script
ExecStopPost=/bin/systemctl --no-block exit
StandardOutput=append:$folder/out
StandardError=inherit
X
exec env -i container=test PATH=/usr/sbin:/usr/bin:/sbin:/bin \
  /lib/systemd/systemd --system --unit=script.service --log-target=null --show-status=no
