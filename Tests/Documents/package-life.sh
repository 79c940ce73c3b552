# On a clean host with systemd, after a purge: what the package must survive.
expect() { "$@" || { echo "not so: $*"; journalctl -u raftkvd -n 30 --no-pager; exit 1; }; }
gone() { [ ! -e "$1" ] && [ ! -L "$1" ]; }
eventually() { for _ in $(seq 150); do "$@" && return; sleep 0.2; done; echo "never: $*"; exit 1; }
bootstrap() {
  systemctl set-environment RAFTKVD_FLAGS=-bootstrap
  systemctl start raftkvd
  systemctl unset-environment RAFTKVD_FLAGS
}
has_value() { [ "$(curl -s 'http://127.0.0.1:8079/key?key=kept')" = "$1" ]; }
process() { systemctl show -P MainPID raftkvd; }
is_another_than() { [ "$(process)" != "$1" ] && [ "$(process)" != 0 ]; }
failed_with() {
  [ "$(systemctl show -P ActiveState raftkvd)" = failed ] && \
    [ "$(systemctl show -P ExecMainStatus raftkvd)" = "$1" ]
}

# The purge before this has left nothing.
for path in /etc/raftkvd /etc/default/raftkvd /var/lib/raftkvd /var/lib/private/raftkvd /usr/bin/raftkvd; do
  expect gone "$path"
done

# Installing starts nothing; removing keeps the data, and installing again finds it, and the unit enabled.
apt-get install -y ./raftkvd_0.1.0_*.deb
expect [ "$(systemctl is-active raftkvd)" = inactive ]
expect [ "$(systemctl is-enabled raftkvd)" = disabled ]
sed -i 's/localhost/127.0.0.1/; s/^# \(raddr\|haddr\)/\1/' /etc/raftkvd/raftkvd.conf
bootstrap
systemctl enable raftkvd
curl -X PUT "http://127.0.0.1:8079/key?key=kept" --data-binary before
apt-get remove -y raftkvd
expect [ -e /var/lib/private/raftkvd/identity ]
expect gone /usr/bin/raftkvd
apt-get install -y ./raftkvd_0.1.0_*.deb
expect [ "$(systemctl is-enabled raftkvd)" = enabled ]
expect grep -q '^raddr = 127.0.0.1:8080' /etc/raftkvd/raftkvd.conf
systemctl start raftkvd
eventually has_value before

# An upgrade restarts a node that runs, and only that.
earlier=$(process)
apt-get install -y ./raftkvd_0.2.0_*.deb
expect is_another_than "$earlier"
eventually has_value before
systemctl stop raftkvd
apt-get install -y --allow-downgrades ./raftkvd_0.1.0_*.deb
expect [ "$(systemctl is-active raftkvd)" = inactive ]

# A crash is restarted. So is a loop that stands still, by the watchdog, which is shortened for this.
systemctl start raftkvd
earlier=$(process)
kill -KILL "$earlier"
eventually is_another_than "$earlier"
eventually has_value before
mkdir -p /run/systemd/system/raftkvd.service.d
printf '[Service]\nWatchdogSec=2\n' > /run/systemd/system/raftkvd.service.d/watchdog.conf
systemctl daemon-reload
systemctl restart raftkvd
earlier=$(process)
sleep 5
expect [ "$(process)" = "$earlier" ]
kill -STOP "$earlier"
eventually is_another_than "$earlier"
eventually has_value before
rm -r /run/systemd/system/raftkvd.service.d
systemctl daemon-reload

# A wrong configuration and damaged data are not started again and again.
systemctl stop raftkvd
echo 'heartbeat = never' >> /etc/raftkvd/raftkvd.conf
! systemctl start raftkvd
expect failed_with 64
sed -i '/never/d' /etc/raftkvd/raftkvd.conf
printf damage | dd of=/var/lib/raftkvd/identity bs=1 seek=20 conv=notrunc status=none
! systemctl start raftkvd
expect failed_with 73

# An instance has a name, a file, a directory and a user of its own.
printf 'raddr = 127.0.0.1:8280\nhaddr = 127.0.0.1:8279\n' > /etc/raftkvd/blue.conf
systemctl set-environment RAFTKVD_FLAGS=-bootstrap
systemctl start raftkvd@blue
systemctl unset-environment RAFTKVD_FLAGS
eventually curl -L -X PUT "http://127.0.0.1:8279/key?key=kept" --data-binary blue
expect [ -e /var/lib/raftkvd@blue/identity ]
earlier=$(systemctl show -P MainPID raftkvd@blue)
apt-get install -y ./raftkvd_0.2.0_*.deb
expect [ "$(systemctl show -P MainPID raftkvd@blue)" != "$earlier" ]

# A purge stops everything, asks nothing and leaves nothing, except what others have written.
rm /etc/raftkvd/blue.conf
apt-get purge -y raftkvd
expect [ "$(systemctl is-active raftkvd@blue)" = inactive ]
for path in /etc/raftkvd /etc/default/raftkvd /var/lib/raftkvd /var/lib/private/raftkvd \
  /var/lib/raftkvd@blue /var/lib/private/raftkvd@blue; do
  expect gone "$path"
done
