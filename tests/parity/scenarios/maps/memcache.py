"""memcache tables: keys and their format, domains, a backup that is copied, listing, deleting, a server that is down (S-DB-12)"""
daemon("memcached", "memcached -u nobody -l 127.0.0.1 -p 11211", "127.0.0.1:11211")


def table(name, text, server="inet:127.0.0.1:11211"):
    path = f"/etc/postfix/{name}.cf"
    file(path, f"memcache = {server}\n" + text.replace("; ", "\n"))
    # Postfix waits for files that were changed a moment ago, and reads them again.
    quiet(f"touch -d 2020-01-01 {path}")


def ask(name, *keys):
    for key in keys:
        sh(f"postmap -q '{key}' memcache:/etc/postfix/{name}.cf 2>&1 | sed 's/ error: .*/ error/'")


postmap("hash:/etc/postfix/back", "b@example.com back value\nonly here\nva@virtual.example alice@example.com\npre value\n")
table("plain", "")
table("backup", "backup = hash:/etc/postfix/back; ttl = 77; flags = 5")
table("format", "backup = hash:/etc/postfix/back; key_format = pre:%u/%d/%S/%1%%")
table("domain", "backup = hash:/etc/postfix/back; domain = example.com")
table("small", "data_size_limit = 5")
ask("plain", "a", "A b", "b@example.com")
ask("backup", "b@example.com", "nosuch", "only")
ask("plain", "b@example.com", "B@EXAMPLE.COM", "only")
ask("small", "only", "b@example.com")
ask("format", "b@example.com", "only")
ask("plain", "pre:b/example.com/b@example.com/com%")
ask("domain", "only", "@example.com", "b@example.com")
sh("postmap -d only memcache:/etc/postfix/plain.cf")
sh("postmap -d only memcache:/etc/postfix/plain.cf")
ask("plain", "only")
sh("postmap -d nosuch memcache:/etc/postfix/backup.cf")
sh("postmap -s memcache:/etc/postfix/backup.cf", sort=True)
sh("postmap -s memcache:/etc/postfix/plain.cf")
sh("postmap memcache:/etc/postfix/plain.cf")
sh("postmap -i memcache:/etc/postfix/plain.cf", "k v\n")
table("down", "", "inet:127.0.0.1:11299")
table("downback", "backup = hash:/etc/postfix/back", "inet:127.0.0.1:11299")
ask("down", "a")
ask("downback", "nosuch")
sh("postmap -q only memcache:/etc/postfix/downback.cf 2>/dev/null")
ask("nosuchfile", "a")
main("""
    foo_memcache = inet:127.0.0.1:11211
    virtual_alias_domains = virtual.example
    virtual_alias_maps = memcache:/etc/postfix/backup.cf, memcache:foo
""")
start()
mail("s@example.org", "va@virtual.example nosuch@virtual.example")
settle()
ask("plain", "va@virtual.example")
log(include="^postfix/", exclude="connect to 127|memcache server")
