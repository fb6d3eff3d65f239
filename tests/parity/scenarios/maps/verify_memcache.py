"""address_verify_map in memcache, with a backup behind proxywrite (S-DB-12)"""
daemon("memcached", "memcached -u nobody -l 127.0.0.1 -p 11211", "127.0.0.1:11211")
file("/etc/postfix/verify_memcache.cf", """
    memcache = inet:127.0.0.1:11211
    backup = proxy:btree:/var/lib/postfix/verify_backup
    key_format = verify:%s
""")
quiet("touch -d 2020-01-01 /etc/postfix/verify_memcache.cf")
MASK = "sed 's/[0-9][0-9]*:[0-9][0-9]*:/T:T:/'"
main("""
    relay_domains = example.org
    smtpd_recipient_restrictions = reject_unverified_recipient
    address_verify_map = memcache:/etc/postfix/verify_memcache.cf
    proxy_write_maps = proxy:btree:$data_directory/verify_backup
    address_verify_poll_delay = 1
    address_verify_poll_count = 5
    address_verify_cache_cleanup_interval = 0
""")
sink("mx1", "192.0.2.20:25", {"RCPT TO:<bad@": "550 5.1.1 no such user here", "RCPT TO:<later@": "450 4.2.0 later"})
start()


def ask(*names):
    smtp("HELO client.example.org\nMAIL FROM:<s@example.com>\n" + "".join(f"RCPT TO:<{n}@example.org>\n" for n in names) + "QUIT")
    settle()


ask("good", "bad")
# Before the reader opens its table, since Postfix's proxywrite keeps the file locked.
file("/etc/postfix/direct.cf", "memcache = inet:127.0.0.1:11211\n")
for name in ("good", "bad"):
    sh(f"postmap -q verify:{name}@example.org memcache:/etc/postfix/direct.cf | {MASK}")
sh("postmap -d verify:bad@example.org memcache:/etc/postfix/direct.cf")
ask("good", "bad")
sinks(sort=True)
stop()
sh(f"postmap -s btree:/var/lib/postfix/verify_backup | {MASK}", sort=True)
log(include="proxymap|/verify: |memcache")
