"""smtpd_upstream_proxy_protocol: haproxy headers of version 1 and 2, good, odd and broken"""
import socket
import struct

main("""
    smtpd_upstream_proxy_protocol = haproxy
    smtpd_upstream_proxy_timeout = 1s
    smtpd_client_port_logging = yes
    notify_classes =
""")
file("/talk.py", """
import socket, sys
s = socket.create_connection(("192.0.2.1", 25))
s.settimeout(5)
head = bytes.fromhex(sys.argv[1])
if head:
    s.sendall(head)
f = s.makefile("rb")
def reply():
    line = f.readline()
    while line[3:4] == b"-":
        line = f.readline()
    print(line.decode().strip() or "(closed)")
    return line
if reply().startswith(b"220"):
    for c in sys.argv[2:]:
        s.sendall(c.encode() + b"\\r\\n")
        reply()
""")
dns("c.example.net A 198.51.100.9\nd.example.net AAAA 2001:db8::77")
start()


def v1(text, *commands):
    sh("python3 /talk.py %s %s # %s" % (text.encode().hex(), " ".join("'%s'" % c for c in commands or ["QUIT"]), repr(text)))


def v2(title, command, family, body, length=None):
    head = b"\r\n\r\n\0\r\nQUIT\n" + struct.pack(">BBH", command, family, len(body) if length is None else length) + body
    sh("python3 /talk.py %s QUIT # version 2: %s" % (head.hex(), title))


good = "198.51.100.9 192.0.2.1 4321 25"
v1("PROXY TCP4 " + good + "\r\n", "EHLO x", "MAIL FROM:<a@example.org>", "RCPT TO:<alice@example.com>", "DATA", ".", "QUIT")
v1("PROXY TCP6 2001:db8::77 2001:db8::1 4321 25\r\n", "EHLO x", "MAIL FROM:<a@example.org>", "RCPT TO:<x@example.org>", "QUIT")
for text in ["PROXY TCP4 " + good + " 3", "PROXY TCP4 " + good + " ", "PROXY TCP4 ::1 192.0.2.1 1 2", "PROXY UNKNOWN", "PROXY UNKNOWN a b c d", "PROXY TCP4 198.51.100.9 192.0.2.1 0 25",
             "PROXY TCP4 198.51.100.9 192.0.2.1 65536 25", "PROXY TCP4 198.51.100.9 192.0.2.1 -1 25", "PROXY TCP4 1.2.3 192.0.2.1 1 25", "PROXY TCP4 198.51.100.9 1 1 25", "PROXY", "EHLO foo", "PROXY TCP4 198.51.100.9",
             "proxy tcp4 " + good, "PROXY  TCP4 " + good, "PROXY TCP4 198.51.100.9 192.0.2.1 04321 025", "PROXY TCP4 198.51.100.9 192.0.2.1 smtp 25", "PROXY TCP6 198.51.100.9 192.0.2.1 4321 25",
             "PROXY TCP6 ::ffff:198.51.100.9 ::1 4321 25", "PROXY UDP4 " + good, "XPROXY TCP4 " + good, "PROXY TCP4 " + "1" * 200]:
    v1(text + "\r\n")
v1("PROXY TCP4 " + good + "\n")
v1("PROXY TCP4 " + good)
t4 = socket.inet_aton("198.51.100.9") + socket.inet_aton("192.0.2.1") + struct.pack(">HH", 4321, 25)
six = lambda a: socket.inet_pton(socket.AF_INET6, a)
t6 = six("2001:db8::77") + six("2001:db8::1") + struct.pack(">HH", 4321, 25)
v2("TCP4", 0x21, 0x11, t4)
v2("TCP6", 0x21, 0x21, t6)
v2("mapped", 0x21, 0x21, six("::ffff:198.51.100.9") + six("::ffff:192.0.2.1") + struct.pack(">HH", 4321, 25))
v2("LOCAL", 0x20, 0x00, b"")
v2("LOCAL with addresses", 0x20, 0x11, t4)
v2("unspecified", 0x21, 0x00, b"")
v2("UDP4", 0x21, 0x12, t4)
v2("unix", 0x21, 0x31, b"a" * 216)
v2("unknown command", 0x22, 0x11, t4)
v2("other version", 0x11, 0x11, t4)
v2("too short", 0x21, 0x11, t4[:8])
v2("with TLV", 0x21, 0x11, t4 + b"\4\0\1x")
v2("longer than sent", 0x21, 0x11, t4, 600)
v2("port 0", 0x21, 0x11, t4[:-4] + b"\0\0\0\x19")
v2("TCP6 with TCP4 addresses", 0x21, 0x21, t4)
