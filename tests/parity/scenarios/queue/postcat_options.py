"""postcat: parts, types, offsets, all records, file order, beginning elsewhere, damaged files"""
# S-CMD-10
file("/tmp/make.py", r'''
def record(kind, payload=b""):
    n, head = len(payload), kind.encode()
    while n >= 0x80:
        head += bytes([n & 0x7f | 0x80])
        n >>= 7
    return head + bytes([n]) + payload

def pointer(offset):
    return record("p", b"%15d" % offset)

size = lambda length, offset: record("C", b"%15d %15d %15d %15d %15d %15d" % (length, offset, 1, 0, length, 0))
envelope = record("T", b"1795241037 421083") + record("A", b"create_time=1795241037") + record("A", b"foo=bar") + record("L", b"smtp:[x]")
envelope += record("F", b"Full Name") + record("S", b"") + record("V", b"+=") + record("W", b"%15d" % 1795300000) + record("W", b"%15d" % -1)
envelope += record("K", b"killed") + record("O", b"o@x") + record("R", b"r@x") + record("O", b"o2@x") + record("D", b"r2@x")
envelope += record("/", b"r3@x") + record(">", b"redir@x") + record("w", b"  0")
place = 97 + len(envelope)
content = record("N", b"Received: by x") + record("N", b"\tid 123") + record("N", b"Subject: x") + record("w", b"  0") + pointer(0)
content += record("N") + record("N", b"body") + record("L", b"piece ") + record("N", b"rest") + record("L", b"x" * 20)
extracted = record("X") + record("L", b"filter:y") + record("A", b"encoding=8bit") + record("r", b"rr") + record("e", b"ee") + record("P", b"pp") + record("E")
def message(jump, tail=b"", broken=b""):
    body = broken + content
    start = place + 17 + 2
    return size(len(body), start) + envelope + pointer(jump) + record("M") + body + extracted + tail
plain = message(0)
open("/tmp/plain", "wb").write(plain)
added = record("O", b"add@x") + record("R", b"add@x") + pointer(place + 17)
open("/tmp/jump", "wb").write(message(len(plain), added))
open("/tmp/cut", "wb").write(plain[:-30])
open("/tmp/unknown", "wb").write(message(0, b"", record("Q", b"bad")))
open("/tmp/garbage", "wb").write(b"garbage\n")
open("/tmp/empty", "wb").write(b"")
open("/tmp/junk", "wb").write(record("C", b"junk") + record("T", b"junk") + record("W", b"junk") + record("p", b"junk") + record("E"))
open("/tmp/plainest", "wb").write(record("S", b"a@x") + record("M") + record("N", b" leading") + record("N", b"not a header") + record("N", b"Sub: x")
    + record("X") + record("E") + record("N", b"after"))
open("/tmp/loop", "wb").write(record("S", b"a@x") + pointer(0) + pointer(5) + record("E"))
''')
start()
sh("python3 /tmp/make.py")
for options in ("", "-o", "-d", "-e", "-h", "-b", "-bh", "-eh", "-eb", "-r"):
    sh(f"postcat {options} /tmp/plain".replace("  ", " "))
for name in ("plain", "jump", "loop"):
    for options in ("-dov", "-rdov"):
        sh(f"postcat {options} /tmp/{name} 2>&1 | grep -v 'name_mask\\|inet_addr\\|been_here\\|mynetworks\\|dict_\\|mac_parse' | head -60")
for name in ("jump", "cut", "unknown", "garbage", "empty", "junk", "plainest", "loop"):
    for options in ("-od", "-bh", "-h", "-b"):
        # Without a size record that makes sense, Postfix looks for the content before the beginning of the file.
        if name != "junk" or options == "-od":
            sh(f"postcat {options} /tmp/{name}")
sh("postcat < /tmp/plainest")
sh("postcat -s 97 -o /tmp/plain")
sh("postcat -s x /tmp/plain")
sh("postcat -s 9999 /tmp/plain")
sh("postcat /tmp/plainest /nosuch /tmp/plainest")
sh("postcat -x")
sh("postcat -c /nosuch /tmp/plain")
for place in ("maildrop", "incoming", "active", "deferred/D", "hold", "saved", "corrupt"):
    sh(f"mkdir -p /var/spool/postfix/{place}; cp /tmp/plainest /var/spool/postfix/{place}/DEADBEEF; postcat -qe DEADBEEF; rm /var/spool/postfix/{place}/DEADBEEF")
log()
