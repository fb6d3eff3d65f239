"""proxywrite: changes by many at a time, its death in the middle, a large table that is written when the service goes (S-TABLE-09, S-TABLE-22)"""
SMALL, LARGE = "/var/lib/postfix/small", "/var/lib/postfix/large"
file(SMALL, "".join(f"key{n} value\n" for n in range(300)))
file(LARGE, "".join(f"key{n} a value that makes the file a large one\n" for n in range(40000)))
quiet(f"postmap btree:{SMALL}; postmap hash:{LARGE}; chown postfix: {SMALL}* {LARGE}*")
main(f"proxy_write_maps = proxy:btree:{SMALL} proxy:hash:{LARGE}\nproxy_read_maps = proxy:btree:{SMALL} proxy:unix:passwd.byname")
start()


def keys(spec):
    return {line.split()[0] for line in quiet(f"postmap -s {spec}").stdout.splitlines()}


# Eight at a time; what each was told is true.
quiet(f"seq 0 99 | xargs -P 8 -I N sh -c 'postmap -d keyN proxy:btree:{SMALL} && echo keyN >> /tmp/done'")
done = set(open("/tmp/done").read().split())
check(len(done) == 100, f"each key is deleted by whom it should be: {len(done)}")
left = keys(f"btree:{SMALL}")
check(len(left) == 200 and not left & done, f"and all are gone: {len(left)}")
check(quiet(f"postmap -q key7 proxy:btree:{SMALL}").returncode == 1, "the reading service sees it at once")
# Death in the middle: nothing that was answered is lost, the file is whole, the next process goes on.
quiet(f"rm /tmp/done; (sleep 0.3; kill -9 $(pgrep -f '[p]roxymap.*-n proxywrite')) & "
      f"seq 100 199 | xargs -P 4 -I N sh -c 'postmap -d keyN proxy:btree:{SMALL} 2>/dev/null && echo keyN >> /tmp/done'; wait")
done = set(open("/tmp/done").read().split())
check(grep("master: warning: process .*proxymap.* killed by signal 9", wait=5), "proxywrite was killed")
left = keys(f"btree:{SMALL}")
check(not left & done, f"what was answered is in the file: {left & done}")
check({f"key{n}" for n in range(200, 300)} <= left and len(done) >= 90, f"the rest is there: {len(left)}, {len(done)}")
# Others change the file too.
quiet(f"echo 'mine value' | postmap -i btree:{SMALL}")
quiet(f"postmap -d key200 proxy:btree:{SMALL}")
left = keys(f"btree:{SMALL}")
check("mine" in left and "key200" not in left, "what others write stays")
# A large table is written later, and at the end.
check(quiet(f"postmap -d key5 proxy:hash:{LARGE}").returncode == 0 and quiet(f"postmap -d key5 proxy:hash:{LARGE}").returncode == 1, "gone for all who ask the service")
reload()
sleep(3)
check("key5" not in keys(f"hash:{LARGE}"), "written when the service goes")
quiet(f"postmap -d key6 proxy:hash:{LARGE}")
sleep(3)
check("key6" not in keys(f"hash:{LARGE}"), "written after a while")
check(not grep("proxymap.*(fatal|panic)"), "no fatal error")
nolog()
