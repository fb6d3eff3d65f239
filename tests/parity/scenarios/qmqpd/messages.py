"""QMQP: clients, messages, what is wrong with netstrings and addresses, refusals of cleanup (S-DAEMON-08, S-EXT-16)"""
import socket
import time

main("""
    qmqpd_authorized_clients = !192.0.2.12 192.0.2.0/24 /etc/postfix/qmqp_clients
    qmqpd_error_delay = 0s
    qmqpd_timeout = 2s
    message_size_limit = 4000
    hopcount_limit = 3
    line_length_limit = 512
    header_checks = regexp:/etc/postfix/header_checks
    virtual_alias_maps = inline:{ { many@example.com = bob@example.com, carol@example.com } }
    mydestination = example.com
""")
file("/etc/postfix/qmqp_clients", "client.example.org\n[2001:db8::10]\n")
file("/etc/postfix/header_checks", """
    /^Subject: refuse/   REJECT not here
    /^Subject: tempfail/ REJECT 4.7.1 not now
    /^Subject: drop/     DISCARD gone
    /^Subject: wait/     HOLD
    /^Subject: bcc/      WARN seen
""")
master("""
    628   inet n - n - - qmqpd
    1628  inet n - n - - qmqpd -o qmqpd_client_port_logging=yes -o content_filter=discard:filtered -o receive_override_options=no_header_body_checks,no_address_mappings
    3628  inet n - n - - qmqpd -o qmqpd_error_delay=1s
    2628  inet n - n - - qmqpd -o soft_bounce=yes
""")
start()


def net(text):
    text = text if isinstance(text, bytes) else text.encode("latin-1")
    return b"%d:%s," % (len(text), text)


def raw(title, data, src="192.0.2.10", port=628, dst="192.0.2.1", end=False):
    """One connection: sends, says what comes back until the end."""
    host.out(f"=== {title}")
    family = socket.AF_INET6 if ":" in dst else socket.AF_INET
    with host.net.socket(family, socket.SOCK_STREAM, src) as s:
        s.settimeout(10)
        s.bind((src, 0))
        s.connect((dst, port))
        got = b""
        try:
            s.sendall(data)
            if end:
                s.shutdown(socket.SHUT_WR)
            while piece := s.recv(4096):
                got += piece
        except ConnectionError:
            pass
        host.out("S: " + got.decode("latin-1"))


def message(title, content, sender, *recipients, **more):
    parts = net(content) + net(sender) + b"".join(net(r) for r in recipients)
    raw(title, net(parts), **more)


HEAD = "From: a@example.org\nTo: b@example.com\nMessage-Id: <1@example.org>\nDate: Sat, 21 Nov 2026 05:57:49 +0000\nSubject: %s\n\n"
TEXT = HEAD % "test" + "hello\n"
raw("not authorized", net(net(TEXT) + net("a@example.org") + net("alice@example.com")), src="192.0.2.12")
raw("not authorized, silent", b"", src="192.0.2.12")
message("one recipient", TEXT, "a@example.org", "alice@example.com")
message("by name, IPv6", TEXT, "a@example.org", "alice@example.com", src="2001:db8::10", dst="2001:db8::1")
message("two recipients", TEXT, "a@example.org", "alice@example.com", "many@example.com")
message("empty sender", TEXT, "", "alice@example.com")
message("no recipient", TEXT, "a@example.org")
message("unknown recipient", TEXT, "carol@example.com", "nosuch@example.com")
message("bare names", TEXT, "bob", "alice")
message("empty recipient", TEXT, "a@example.org", "")
message("odd recipients", TEXT, "a@example.org", "<alice@example.com>", "alice @example.com", '"alice"@example.com')
message("odd sender", TEXT, "<a@example.org>", "alice@example.com")
message("8-bit", TEXT + "gr\xc3\xbc\xc3\x9fe\n", "\xc3\xbc@example.org", "alice@example.com")
message("VERP", TEXT, "list-@example.org-@[]", "alice@example.com", "bob@example.com")
message("VERP, odd", TEXT, "list@example.org-@[]", "alice@example.com")
message("VERP, delimiters", TEXT, "list+@example.com-@[]", "alice@example.com")
for number, sender in enumerate(("@[]", "-@[]", "x-@[]", "list-@[]", "a-@b-@[]", "a--@[]", "list-@example.org@[]", "list-@example.org-@[]x", "@example.org-@[]", "=@example.org-@[]")):
    message(f"VERP: {sender}", HEAD % f"verp {number}" + "x\n", sender, "alice@example.com")
message("no end of line", HEAD % "test" + "last", "a@example.org", "alice@example.com")
message("empty message", "", "a@example.org", "alice@example.com")
message("CRLF, dots, long lines", HEAD % "test" + "one\r\n.\r\n..two\n.\nbare\rcr\n" + "x" * 1200 + "\n\n", "a@example.org", "alice@example.com")
message("first line continues", " blank first\n" + TEXT, "a@example.org", "alice@example.com")
message("no header", "just text\n", "a@example.org", "alice@example.com")
message("From line", "From a@example.org  Sat Nov 21 05:57:49 2026\n" + TEXT, "a@example.org", "alice@example.com")
message("NUL", HEAD % "test" + "a\0b\n", "a@example.org", "alice@example.com")
message("newline in sender", TEXT, "a@example.org\nb", "alice@example.com")
message("newline in recipient", TEXT, "a@example.org", "alice\n@example.com")
message("header refuses", HEAD % "refuse" + "x\n", "a@example.org", "alice@example.com")
message("header refuses for now", HEAD % "tempfail" + "x\n", "a@example.org", "alice@example.com")
message("header discards", HEAD % "drop" + "x\n", "a@example.org", "alice@example.com")
message("header holds", HEAD % "wait" + "x\n", "a@example.org", "alice@example.com")
message("header warns", HEAD % "bcc" + "x\n", "a@example.org", "alice@example.com")
message("too many hops", "Received: x\n" * 5 + TEXT, "a@example.org", "alice@example.com")
message("soft bounce", HEAD % "refuse" + "x\n", "a@example.org", "alice@example.com", port=2628)
message("other port", HEAD % "refuse" + "x\n", "a@example.org", "many@example.com", port=1628)
message("too large", TEXT + "0123456789\n" * 400, "a@example.org", "alice@example.com")
message("too large with its envelope", TEXT + "0123456789\n" * 345, "a@example.org", "alice@example.com")

inner = net(TEXT) + net("a@example.org") + net("alice@example.com")
raw("not a netstring", b"hello\r\n")
raw("SMTP", b"EHLO client.example.org\r\n")
raw("no digits", b":abc,")
raw("negative", b"-5:abcde,")
raw("leading zero", b"0" + net(inner))
raw("only zeros", b"00000000000000000000:,")
raw("blank before", b" " + net(inner))
raw("length too large", b"99999999999999999999:x")
raw("length of ten digits", b"4294967296:x")
raw("length too large for a message", b"1000000000:" + inner)
raw("empty", b"0:,")
raw("message only", net(net(TEXT)))
raw("outer without comma", net(inner)[:-1] + b";")
raw("inner without comma", net(net(TEXT)[:-1] + b";" + net("a@example.org") + net("alice@example.com")))
raw("sender without comma", net(net(TEXT) + net("a@example.org")[:-1] + b";" + net("alice@example.com")))
raw("recipient without comma", net(net(TEXT) + net("a@example.org") + net("alice@example.com")[:-1] + b";"))
raw("inner longer than outer", net(b"1000:" + TEXT.encode()))
raw("recipient longer than outer", net(net(TEXT) + net("a@example.org") + b"100:alice@example.com,"))
raw("rest of outer is no netstring", net(inner + b"x"))
raw("rest of outer is a digit", net(inner + b"7"))
raw("outer ends within the sender", b"%d:" % (len(net(TEXT)) + 3) + inner + b",")
raw("outer ends behind the sender", b"%d:" % len(net(TEXT) + net("a@example.org")) + inner + b",")
raw("outer ends within the recipient", b"%d:" % (len(inner) - 3) + inner + b",")
raw("outer of 1", b"1:" + inner + b",")
raw("i64 and no more", b"9223372036854775807:x")
raw("i64 and one more", b"9223372036854775808:x")
raw("recipient of 512", net(net(TEXT) + net("a@example.org") + net("a" * (512 - 12) + "@example.com")), port=1628)
raw("recipient of 513", net(net(TEXT) + net("a@example.org") + net("a" * (513 - 12) + "@example.com")))
raw("message of 4000", net(net("x" * 4000) + net("a@example.org") + net("alice@example.com")))
raw("message of 4001", net(net("x" * 4001) + net("a@example.org") + net("alice@example.com")))
raw("a tab within a length", b"1\t0:" + inner)
raw("bytes after the end", net(inner) + b"more")
raw("sender too long", net(net(TEXT) + net("a" * 5000 + "@example.org") + net("alice@example.com")))
raw("sender of 1000", net(net(TEXT) + net("a" * 1000 + "@example.org") + net("alice@example.com")))
raw("recipient too long", net(net(TEXT) + net("a@example.org") + net("alice" * 1000 + "@example.com")))
raw("ends within", net(inner)[:60], end=True)
raw("ends at once", b"", end=True)
raw("ends within the last recipient", net(inner)[:-5], end=True)
raw("silent", net(inner)[:60])
raw("silent at once", b"")
begin = time.time()
raw("delayed", b"hello", port=3628)
host.out(f"{'in time' if 1 < time.time() - begin < 10 else time.time() - begin}")
settle()
mbox("alice", sort=True)
mbox("bob", sort=True)
sh("postcat -e -q $(ls /var/spool/postfix/hold) | sed /CONTENTS/q")
mailq()
