"""entries of master.cf that cannot run, and debugger_command, -o, stress (S-MASTER-13, S-MASTER-14, S-MASTER-15, S-DAEMON-01, S-RECIPE-78)"""
sink("mx1", "192.0.2.20:25")
main("""
    debugger_command = echo "$daemon_directory/$process_name $process_id" >> /tmp/debugged; echo "$config_directory" >> /tmp/debugged
    service_throttle_time = 60s
    transport_maps = texthash:/etc/postfix/transport
""")
names = ["crash", "exits", "missing", "noexec", "badopt", "nosign", "badval", "excess"]
file("/etc/postfix/transport", "".join(f"{n}.test {n}:\n" for n in names))
file("/usr/lib/postfix/sbin/crasher", "#!/bin/sh\nkill -11 $$\n", 0o755)
file("/usr/lib/postfix/sbin/exiter", "#!/bin/sh\nexit 3\n", 0o755)
file("/usr/lib/postfix/sbin/noexec", "#!/bin/sh\nexit 3\n", 0o644)
master("""
    10025 inet n - n - - smtpd -D
    10026 inet n - n - - smtpd -v
    10027 inet n - n - - smtpd -o { myhostname = with.braces.example } -o smtpd_banner=x$myhostname -o smtpd_delay_reject=yes
        -o {smtpd_helo_restrictions = reject_invalid_helo_hostname, permit}
    10028 inet n - n - 1 smtpd -o smtpd_banner=$myhostname${stress?{:stressed}}
    10029 inet n - n - 2 smtpd -o smtpd_banner=$myhostname${stress?{:stressed}}
    crash  unix - - n - - crasher
    exits  unix - - n - - exiter
    missing unix - - n - - missing
    noexec unix - - n - - noexec
    badopt unix - - n - - smtp -Q
    nosign unix - - n - - smtp -o nonsense
    badval unix - - n - - smtp -o smtp_connect_timeout=frob
    excess unix - - n - - smtp extra
""")
start()
smtp("EHLO c\nQUIT", port=10025)
sleep(0.5)
sh("sed 's/ [0-9][0-9]*$/ PID/' /tmp/debugged")
smtp("HELO c_;\nMAIL FROM:<s@example.org>\nRCPT TO:<alice@example.com>\nQUIT", port=10027)
for port in (10028, 10029):
    c = client(port=port)
    c.close()
    sleep(0.3)
c = client(port=10029)
d = client(port=10029)
c.close()
d.close()
for name in names:
    quiet(f"sendmail -f s@example.org x@{name}.test", "Subject: s\n\nx\n")
    sleep(0.3)
mailq()
smtp("EHLO c\nQUIT", port=10026)
sleep(0.5)
# S-MASTER-15: the dialogue is in the log.
sh("grep -c '[<>] client.example.org.192.0.2.10.: ' /var/log/maillog")
log(include="throttling|exit status|killed by|master_spawn|fatal|process limit", exclude="(missing|noexec) pid")
