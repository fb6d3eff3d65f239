"""tables in databases with their real servers: mail by a virtual alias, the server's death in the middle, its return (S-INT-08, S-DB-01, S-DB-03, S-DB-08, S-DB-12, S-TABLE-21)"""
import signal

REDIS = "redis-server --port 6390 --bind 127.0.0.1 --save '' --requirepass secret --dir /tmp"
MEMCACHED = "memcached -u nobody -l 127.0.0.1 -p 11311"


def redis():
    daemon("redis", REDIS, "127.0.0.1:6390")
    quiet("redis-cli -p 6390 -a secret HSET aliases:redis.example virt alice@example.com")
    quiet("redis-cli -p 6390 -a secret -n 2 SADD list:team bob@example.com")


def memcached():
    daemon("memcached", MEMCACHED, "127.0.0.1:11311")
    quiet("python3 - <<'X'\nimport socket\ns = socket.create_connection(('127.0.0.1', 11311))\n"
          "s.sendall(b'set a:virt@memcache.example 0 0 17\\r\\nalice@example.com\\r\\n')\ns.recv(99)\nX")


slapd()
redis()
memcached()
file("/etc/postfix/ldap.cf", """
    server_host = ldap://127.0.0.1:3999 ldap://127.0.0.1:3389
    search_base = dc=example,dc=com
    query_filter = mail=%s
    result_attribute = maildrop
    domain = virtual.example
    timeout = 2
""", mode=0o600)
file("/etc/postfix/redis.cf", "hosts = 127.0.0.1:6390\npassword = secret\nquery = HGET aliases:%d %u\ntimeout = 1\n", mode=0o600)
file("/etc/postfix/team.cf", "hosts = 127.0.0.1:6390\npassword = secret\ndbname = 2\nquery = SMEMBERS list:%u\nresult_format = <%s>\n")
file("/etc/postfix/wrong.cf", "hosts = 127.0.0.1:6390\npassword = wrong\n")
file("/etc/postfix/memcache.cf", "memcache = inet:127.0.0.1:11311\nkey_format = a:%s\nmax_try = 1\ndomain = memcache.example\n")
check(quiet("postmap -q team redis:/etc/postfix/team.cf").stdout == "<bob@example.com>\n", "a list from another database number")
check(quiet("postmap -q nosuch redis:/etc/postfix/team.cf").returncode == 1, "nothing there is no error")
wrong = quiet("postmap -q x redis:/etc/postfix/wrong.cf")
check(wrong.returncode == 1 and "WRONGPASS" in wrong.stderr, "a wrong password is said in the server's words")

main("""
    virtual_alias_domains = virtual.example redis.example memcache.example
    virtual_alias_maps = ldap:/etc/postfix/ldap.cf, redis:/etc/postfix/redis.cf, memcache:/etc/postfix/memcache.cf
""")
start()


def rcpt(address):
    return ask(f"HELO c\nMAIL FROM:<s@example.org>\nRCPT TO:<{address}>\nQUIT", src="192.0.2.13")[3]


for name, server, back in (("virtual", "slapd", slapd), ("redis", "redis", redis), ("memcache", "memcached", memcached)):
    address = f"virt@{name}.example"
    mail("s@example.org", address, f"Subject: by {name}\n\nx\n")
    settle()
    check(f"Subject: by {name}\n" in open("/var/mail/alice").read(), f"{server}: mail arrives by the table")
    check(rcpt(f"nosuch@{name}.example").startswith("550"), f"{server}: an unknown recipient is refused")
    end(server, signal.SIGKILL)
    reply = rcpt(address)
    check(reply.startswith("451"), f"{server}: killed, so mail is to be sent again later: {reply}")
    what = {"slapd": "dict_ldap_connect.*3389", "redis": "redis server 127.0.0.1:6390", "memcached": "127.0.0.1:11311"}[server]
    check(grep(f"proxymap: warning: .*{what}", wait=5), f"{server}: the log names it")
    back()
    check(rcpt(address).startswith("250"), f"{server}: back, so the table answers again")
check(not grep("proxymap.*(fatal|panic)"), "proxymap lived through it all")
nolog()
