"""what the cache of address verification says at each age of an entry, what a probe makes of it, and what the clean-up leaves (S-UBE-46)"""
import time

DAY = 86400
NOW = int(time.time())
ROUTES = """
    ok.example      discard:
    no.example      error:5.1.1 nobody here
    later.example   retry:4.2.1 not now
"""
main("""
    smtpd_relay_restrictions = permit_mynetworks, reject
    mynetworks = 127.0.0.0/8 192.0.2.10
    smtpd_recipient_restrictions = reject_unverified_recipient
    transport_maps = hash:/etc/postfix/transport
    address_verify_poll_delay = 1
    address_verify_poll_count = 1
    smtpd_error_sleep_time = 0
    smtpd_junk_command_limit = 1000
    smtpd_hard_error_limit = 1000
    smtpd_soft_error_limit = 1000
""")
postmap("hash:/etc/postfix/transport", ROUTES)
# status:probed:updated:text, of which the ages are in days
GOOD, DEFERRED, BAD, UNKNOWN = 0, 1, 2, 3
ROWS = []


def row(name, status, probed, updated, text="as it was"):
    """An entry of the cache; probed and updated in seconds before now, None for never."""
    ROWS.append((name, "%d:%d:%d:%s" % (status, 0 if probed is None else NOW - probed, 0 if updated is None else NOW - updated, text)))


AGES = (("fresh", 3600), ("hours", 4 * 3600), ("days2", 2 * DAY), ("days4", 4 * DAY), ("days8", 8 * DAY), ("days30", 30 * DAY), ("days32", 32 * DAY))
for domain in ("ok", "no", "later"):
    for label, age in AGES:
        row(f"good-{label}@{domain}.example", GOOD, None, age)
        row(f"bad-{label}@{domain}.example", BAD, None, age)
    row(f"deferred-hours@{domain}.example", DEFERRED, None, 4 * 3600)
    row(f"deferred-days4@{domain}.example", DEFERRED, None, 4 * DAY)
row("probing@ok.example", UNKNOWN, 100, None, "Address verification in progress")
row("lost@ok.example", UNKNOWN, 1100, None, "Address verification in progress")
row("good-probing@no.example", GOOD, 100, 10 * DAY)
row("good-lost@no.example", GOOD, 2000, 10 * DAY)
row("empty@ok.example", GOOD, None, 60, "")
row("colons@ok.example", BAD, None, 60, "a:b:c: d")
for n, odd in enumerate(("x", "0", "0:0", "0:0:0", "7:0:%d:seven" % NOW, "-1:0:%d:minus" % NOW, "0:x:%d:text" % NOW, "2:0:%d" % NOW, "2: 0:%d:blank" % NOW, "2:0:%dx:tail" % NOW)):
    ROWS.append((f"odd{n}@ok.example", odd))
NAMES = [name for name, _ in ROWS] + ["new@ok.example", "new@no.example", "new@later.example", "NEW@ok.example"]
TABLE = "".join(f"{name}\t{value}\n" for name, value in ROWS)
file("/tmp/table", TABLE)
file("/tmp/now", str(NOW))
# Times as ages: those of now, those of the table.
file("/tmp/show", r"""
    import subprocess, sys, time
    now = int(time.time())
    def age(word):
        if not word.isdigit():
            return word.replace(open("/tmp/now").read().strip(), "NOW")
        seconds = now - int(word)
        if word == "0":
            return "never"
        for name, length in (("d", 86400), ("h", 3600), ("s", 100)):
            if seconds >= length:
                return "%d%s" % (seconds // length * (100 if name == "s" else 1), name)
        return "now"
    out = subprocess.run(["postmap", "-s", sys.argv[1]], capture_output=True, text=True).stdout
    for line in sorted(out.splitlines()):
        key, _, value = line.partition("\t")
        parts = value.split(":", 3)
        print(key, ":".join([parts[0]] + [age(x) for x in parts[1:3]] + parts[3:]) if len(parts) > 1 else age(value))
""")


def fill():
    sh("rm -f /var/lib/postfix/verify_cache.db; cp /tmp/table /var/lib/postfix/verify_cache; postmap btree:/var/lib/postfix/verify_cache; "
       "rm /var/lib/postfix/verify_cache; chown postfix:postfix /var/lib/postfix/verify_cache.db")


def ask(names):
    smtp("EHLO client.example.org\nMAIL FROM:<>\n" + "".join(f"RCPT TO:<{name}>\n" for name in names) + "QUIT")
    settle()


quiet("mkdir -p /var/lib/postfix; chown postfix:postfix /var/lib/postfix")
fill()
main("address_verify_cache_cleanup_interval = 0")
start()
ask(NAMES)
# The second time: what the probes found.
ask(NAMES)
stop()
sh("python3 /tmp/show btree:/var/lib/postfix/verify_cache")
# Without a memory for what is bad; and other times.
fill()
main("address_verify_negative_cache = no")
start()
ask(NAMES)
stop()
sh("python3 /tmp/show btree:/var/lib/postfix/verify_cache")
fill()
main("""
    address_verify_negative_cache = yes
    address_verify_positive_expire_time = 3d
    address_verify_positive_refresh_time = 3h
    address_verify_negative_expire_time = 31d
    address_verify_negative_refresh_time = 7d
""")
start()
ask([name for name in NAMES if name.startswith(("good", "bad", "deferred"))])
stop()
sh("python3 /tmp/show btree:/var/lib/postfix/verify_cache")
# The clean-up, of which the table says when it was.
fill()
main("address_verify_cache_cleanup_interval = 12h\naddress_verify_positive_expire_time = 31d\naddress_verify_negative_expire_time = 3d")
start()
ask(["good-fresh@ok.example"])
stop()
sh("python3 /tmp/show btree:/var/lib/postfix/verify_cache")
start()
ask(["good-fresh@ok.example"])
stop()
sh("python3 /tmp/show btree:/var/lib/postfix/verify_cache | grep -c .")
log(include="/verify: ")
