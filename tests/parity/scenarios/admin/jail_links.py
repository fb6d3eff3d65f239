"""copies of system files in a chroot: a hard link is as good as a copy, a symbolic link leads nowhere (S-ADMIN-10)"""
append("/etc/services", "mailx 2525/tcp\n")
sink("mx1", "192.0.2.20:2525")
main("""
    transport_maps = inline:{ {port.example=smtp:[192.0.2.20]:mailx} }
    relay_domains = port.example
    minimal_backoff_time = 1000s
    maximal_backoff_time = 1000s
""")
master("relay unix - - y - - smtp")
master("smtp  unix - - y - - smtp")
etc = "/var/spool/postfix/etc"
quiet(f"mkdir -p {etc} && rm -f {etc}/* && cp /etc/resolv.conf /etc/nsswitch.conf {etc}/")
quiet(f"ln /etc/services {etc}/services")
start()
sh(f"stat -c '%h %F' {etc}/services")
quiet("sendmail -f '' hard@port.example", "Subject: x\n\nx\n")
wait_empty()
stop()
# A chrooted process finds the link itself behind this name.
quiet(f"ln -sf /etc/services {etc}/services")
sh(f"stat -c '%F' {etc}/services")
sh("postfix check")
start()
quiet("sendmail -f '' soft@port.example", "Subject: x\n\nx\n")
wait_log("unknown service")
sh("postqueue -p | grep -c soft@")
sinks()
# Postfix's process ends there, and the message waits; here its delivery is deferred.
quiet("grep -o 'unknown service: .*' /var/log/maillog | sort -u > /tmp/service")
cat("/tmp/service")
log(include="status=sent")
