"""myhostname, mydomain, myorigin, mydestination and mynetworks as they follow from the host's name and addresses"""
# S-ID-01 S-ID-02 S-ID-13 S-TRAP-19
sh("mkdir /tmp/c; cp /etc/postfix/master.cf /tmp/c; ip -6 addr flush scope link")
for host, text in (("w.x.test", ""), ("box", "mydomain = foo.test"), ("box", ""), ("a.b.example.com", ""), ("a.b.example.com", "mydomain = example.net"),
                   ("w.x.test", "myhostname = mail.ny.example.com"), ("w.x.test", "myhostname = short"), ("w.x.test", "myhostname = short\\nmydomain = y.test"),
                   ("w.x.test", "myorigin = $mydomain\\nmydestination = $myhostname, www.$mydomain")):
    sh(f"hostname {host}; printf 'compatibility_level = 3.6\\n{text}\\n' > /tmp/c/main.cf; postconf -c /tmp/c -x myhostname mydomain myorigin mydestination")
sh("hostname mail.example.com")
for text in ("", "mynetworks_style = subnet", "mynetworks_style = class", "mynetworks_style = host", "mynetworks_style = subnet\\ninet_interfaces = loopback-only",
             "mynetworks_style = subnet\\ninet_interfaces = 192.0.2.1\\ninet_protocols = ipv4", "mynetworks_style = subnet\\nmynetworks = 10.0.0.0/8", "mynetworks_style = x"):
    sh(f"printf 'compatibility_level = 3.6\\n{text}\\n' > /tmp/c/main.cf; postconf -c /tmp/c mynetworks")
sh("printf 'mynetworks_style = host\\n' > /tmp/c/main.cf; postconf -c /tmp/c -h mynetworks; printf '' > /tmp/c/main.cf; postconf -c /tmp/c -h mynetworks relay_domains; "
   "printf 'compatibility_level = 2\\n' > /tmp/c/main.cf; postconf -c /tmp/c -h mynetworks relay_domains")
