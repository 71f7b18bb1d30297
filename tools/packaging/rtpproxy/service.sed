# rtpproxy.service is rtpxd.service with rtpproxy's user, directories and options. Its drop-in rtpx.conf
# has the other lines.
/^# systemd unit/,/^# elsewhere/c\
# Made from rtpxd.service. Options belong into /etc/default/rtpproxy.
s/^Description=.*/Description=rtpx media relay in the place of rtpproxy/
s/^Documentation=.*/Documentation=man:rtpproxy(1)\
Conflicts=rtpxd.service/
s/^User=.*/User=rtpproxy/
s/^Group=.*/Group=rtpproxy/
/^Environment="RTPXD_CONTROL/c\
Environment=CONTROL_SOCK=unix:/run/rtpproxy/rtpproxy.sock
/^Environment="RTPXD_OPTIONS/d
s,^EnvironmentFile=.*,EnvironmentFile=-/etc/default/rtpproxy,
s,^ExecStart=.*,ExecStart=/usr/bin/rtpproxy -f -D -d info -s $CONTROL_SOCK -p /run/rtpproxy/rtpproxy.pid $EXTRA_OPTS $OPTIONS,
s/^RuntimeDirectory=rtpx/RuntimeDirectory=rtpproxy/
s/^StateDirectory=.*/StateDirectory=rtpproxy/
s,/var/lib/rtpx,/var/lib/rtpproxy,
/^# Make the directory of pins/,/^ExecStartPre=/d
/^ReadWritePaths=/d
/^RuntimeDirectoryPreserve=/d
/^RestartKillSignal=/d
/^FileDescriptorStoreMax=/d
/^LimitNOFILE=/d
/^LimitMEMLOCK=/d
/^AmbientCapabilities=/d
