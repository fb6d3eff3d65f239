"""docs/recipes/mx-hosts.md: a real name server with the zone of the page; the second host while the first is down (S-RECIPE-10, S-INT-19)"""
sink("mail2", "192.0.2.21:25", hostname="mail2.example.org")
recipe("mx-hosts")
file("/etc/nsd/nsd.conf", """
server:
  ip-address: 127.0.0.53
  username: ""
  chroot: ""
  pidfile: "/tmp/nsd.pid"
  database: ""
  zonelistfile: "/tmp/zone.list"
  xfrdfile: "/tmp/xfrd"
  xfrdir: "/tmp"
  verbosity: 1
remote-control:
  control-enable: no
zone:
  name: example.org
  zonefile: /etc/nsd/example.org.zone
""")
daemon("nsd", "nsd -d -c /etc/nsd/nsd.conf", "127.0.0.53:53")
file("/etc/resolv.conf", "nameserver 127.0.0.53\noptions timeout:1 attempts:1\n")
main("smtp_connection_cache_on_demand = no")
start()
sendmail("x@example.org", "Subject: the first is down\n\nx\n")
settle()
sink("mail1", "192.0.2.20:25", hostname="mail1.example.org")
sendmail("x@example.org", "Subject: both are up\n\nx\n")
settle()
sinks()
