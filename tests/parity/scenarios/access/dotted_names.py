"""Names with dots where none belong, and the keys that they are looked up by (S-UBE)"""
KEYS = ["dot", ".dot", "b", ".b", "..b", ".", "a..b", "c", ".c", "..", "dot.", ".dot."]


def checks(kind):
    return ", ".join("check_%s_access inline:{{%s=WARN %s-%s}}" % (kind, key, kind, key) for key in KEYS)


main("""
    smtpd_recipient_restrictions = """ + checks("helo") + ", " + checks("sender") + """, reject
""")
master("""
    2525 inet n - n - - smtpd
      -o parent_domain_matches_subdomains=
""")
start()
for port in (25, 2525):
    for name in [".dot", "..dot", "a..b", "..b", ".b.c", "dot.", ".dot.", "x.dot.", "x..c", ".", ".."]:
        smtp("EHLO %s\nMAIL FROM:<x@z>\nRCPT TO:<alice@example.com>\nRSET\nMAIL FROM:<x@%s>\nRCPT TO:<alice@example.com>\nQUIT" % (name, name), port=port)
log("warn")
