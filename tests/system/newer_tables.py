"""tables as Postfix 3.11 has them: debug:, postmap -j, listing of cdb:, types of postconf -m; a table is rebuilt under its readers; owners and modes (S-TABLE-04, S-TABLE-11, S-TRAP-11)"""
import json
import os
import subprocess

# debug: logs each lookup and changes no answer.
found = quiet("postmap -q q debug:static:x")
check(found.stdout == "x\n" and 'static:x lookup: "q" = "x"' in found.stderr, f"debug: {found.stderr}")
check('lookup: "q" = "not_found"' in quiet("postmap -q q debug:inline:{a=1}").stderr, "debug: what is not there")
check('lookup: "q" = "error"' in quiet("postmap -q q debug:fail:x").stderr, "debug: a failure")

# JSON, one object on a line, whatever the key holds.
file("/tmp/j", '"a\\"b c" v1\nk2 v "2"\nk\\3 back\\slash\n')
quiet("postmap lmdb:/tmp/j")
entries = {'"a\\"b c"': "v1", "k2": 'v "2"', "k\\3": "back\\slash"}
lines = quiet("postmap -js lmdb:/tmp/j").stdout.splitlines()
check(len(lines) == 3 and dict(pair for line in lines for pair in json.loads(line).items()) == entries, f"postmap -js: {lines}")
check(quiet("postmap -jq k2 lmdb:/tmp/j").stdout == '{"k2": "v \\"2\\""}\n', "postmap -jq")
check(quiet("printf 'k2\\nnosuch\\nk\\\\3\\n' | postmap -jq - lmdb:/tmp/j").stdout.count("\n") == 2, "postmap -jq -")
file("/tmp/al", "team: alice, bob\n")
quiet("postalias lmdb:/tmp/al")
check(quiet("postalias -jq team lmdb:/tmp/al").stdout == '{"team": "alice, bob"}\n', "postalias -jq")
check(quiet("postmap -iq x lmdb:/tmp/j").returncode == 1, "-i and -q exclude one another")

# cdb: is listed in the order of its source.
quiet("cp /tmp/j /tmp/c; postmap cdb:/tmp/c")
check([tuple(line.split("\t")) for line in quiet("postmap -s cdb:/tmp/c").stdout.splitlines()] == list(entries.items()), "postmap -s cdb:")

types = quiet("postconf -m").stdout.split()
check({"debug", "cdb", "lmdb", "mongodb", "mysql", "pgsql", "sqlite", "ldap", "memcache"} <= set(types), f"postconf -m: {types}")
for kind in types:
    opened = quiet(f"postmap -q x {kind}:/nosuch")
    check("unsupported dictionary type" not in opened.stderr, f"{kind}: is listed, so it must be there: {opened.stderr}")
# A pattern file can be indexed, which is of no use and does no harm; the patterns are read from their source, with no more than a reload.
file("/etc/postfix/body", "/^x$/ REJECT\n")
check(quiet("postmap /etc/postfix/body && postmap -q x regexp:/etc/postfix/body").stdout == "REJECT\n", "S-TRAP-11: a pattern file that was indexed")

# What is made of a stranger's file is the stranger's; the new file has the rights of its source, and keeps them from then on.
quiet("mkdir /tmp/own; chown alice /tmp/own; echo 'a b' > /tmp/own/t; chown alice /tmp/own/t; chmod 640 /tmp/own/t")
for kind, name in (("hash", "t.db"), ("lmdb", "t.lmdb"), ("cdb", "t.cdb")):
    quiet(f"postmap {kind}:/tmp/own/t")
    check(quiet(f"stat -c '%U %a' /tmp/own/{name}").stdout == "alice 640\n", f"{kind}: owner and mode: " + quiet("ls -l /tmp/own").stdout)
    quiet(f"chmod 600 /tmp/own/{name}; postmap {kind}:/tmp/own/t")
    check(quiet(f"stat -c '%U %a' /tmp/own/{name}").stdout == "alice 600\n", f"{kind}: kept at a rebuild")
check(quiet("ls /tmp/own").stdout.split() == ["t", "t.cdb", "t.db", "t.lmdb"], "nothing else is left there")

# A long build shows on a terminal how far it has come, and in a pipe nothing.
with open("/tmp/big", "w") as out:
    out.writelines(f"user{i}@example{i % 97}.com box{i}\n" for i in range(3_000_000))
quiet("mkdir -p /dev/pts; mount -t devpts devpts /dev/pts -o newinstance,ptmxmode=666; ln -sf pts/ptmx /dev/ptmx")
ours, theirs = os.openpty()
building = subprocess.Popen(["postmap", "lmdb:/tmp/big"], stderr=theirs, env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})
os.close(theirs)
shown = ""
try:
    while part := os.read(ours, 4096):
        shown += part.decode(errors="replace")
except OSError:
    # The terminal is closed with its last user.
    pass
building.wait()
check("lmdb:/tmp/big [#" in shown and "%" in shown, f"a progress bar on a terminal: {shown[-200:]!r}")
piped = subprocess.run(["postmap", "lmdb:/tmp/big"], capture_output=True, text=True, env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})
check(piped.returncode == 0 and piped.stdout + piped.stderr == "", f"silent in a pipe: {piped}")
quiet("rm -f /tmp/big*")

# Rebuilt again and again under readers, who see one table or the other: no key is ever missing.
KINDS = ("hash", "btree", "lmdb", "cdb")


def source(path, n):
    with open(path, "w") as out:
        out.write(f"first {n}\n" + "".join(f"filler{i}-{n} {'x' * 40}\n" for i in range(2000)) + f"last {n}\n")


readers = []
for kind in KINDS:
    os.makedirs(f"/tmp/{kind}")
    source(f"/tmp/{kind}/t", 0)
    quiet(f"postmap {kind}:/tmp/{kind}/t")
    loop = f"while [ ! -e /tmp/over ]; do printf 'first\\nlast\\n' | postmap -q - {kind}:/tmp/{kind}/t | wc -l; done"
    with open(f"/tmp/{kind}/read", "w") as out:
        readers.append(subprocess.Popen(["sh", "-c", loop], stdout=out, stderr=out, env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}))
for n in range(1, 30):
    for kind in KINDS:
        source(f"/tmp/{kind}/t", n)
        quiet(f"postmap {kind}:/tmp/{kind}/t")
quiet("touch /tmp/over")
for kind, reader in zip(KINDS, readers):
    reader.wait()
    read = quiet(f"sort /tmp/{kind}/read | uniq -c").stdout.split()
    check(len(read) == 2 and read[1] == "2" and int(read[0]) > 20, f"{kind}: readers under rebuilds always find both keys: {read}")

# A running service takes a rebuilt table at once, without a reload.
main("smtpd_sender_restrictions = " + ", ".join(f"check_sender_access {kind}:/tmp/{kind}/s" for kind in KINDS))
for kind in KINDS:
    file(f"/tmp/{kind}/s", f"none@{kind}.example OK\n")
    quiet(f"postmap {kind}:/tmp/{kind}/s")
start()
for kind in KINDS:
    file(f"/tmp/{kind}/s", f"bad@{kind}.example REJECT now by {kind}\n")
    before = ask(f"HELO c\nMAIL FROM:<bad@{kind}.example>\nRCPT TO:<alice@example.com>\nQUIT")[3]
    built = quiet(f"postmap {kind}:/tmp/{kind}/s")
    check(built.returncode == 0, f"{kind}: built again: {built.returncode} {built.stdout} {built.stderr}")
    after = ask(f"HELO c\nMAIL FROM:<bad@{kind}.example>\nRCPT TO:<alice@example.com>\nQUIT")[3]
    check(before.startswith("250") and "now by" in after, f"{kind}: picked up: {before} {after}")
nolog()
