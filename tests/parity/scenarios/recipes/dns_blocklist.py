"""docs/recipes/dns-blocklist.md: listed clients are refused, with the list's own words"""
# S-RECIPE-32
dns("""
    31.254.168.192.nospam.example.com A 127.0.0.2 nptr
    31.254.168.192.nospam.example.com TXT "see http://nospam.example.com/"
    11.2.0.192.nospam.example.com A 127.0.0.2 nptr
    13.2.0.192.nospam.example.com SERVFAIL
    15.2.0.192.zen.example.com A 127.0.0.3 nptr
    16.2.0.192.zen.example.com A 127.0.0.11 nptr
    1.0.0.127.nospam.example.com A 127.0.0.2 nptr
""")
main("smtpd_authorized_xclient_hosts = 192.0.2.10\nmynetworks = 127.0.0.0/8")
recipe("dns-blocklist")
start()
dialogue = """
    EHLO client.example.org
    MAIL FROM:<s@example.org>
    RCPT TO:<alice@example.com>
    QUIT
"""
smtp("XCLIENT ADDR=192.168.254.31 NAME=[UNAVAILABLE]\n" + dialogue)
for n in (10, 11, 13, 15, 16):
    smtp(dialogue, src=f"192.0.2.{n}")
smtp(dialogue, src="127.0.0.1", dst="127.0.0.1")
