"""faults found in SMTP servers since 2025, tried on this one: docs/known-attacks.md names them (S-SEC, S-SMTPD)"""
import json
import re
import socket
import struct
import threading
import time


class Hangs(threading.Thread):
    """A policy server that never answers."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.sock, self.kept = socket.create_server(("127.0.0.1", port), backlog=300), []
        self.start()

    def run(self):
        while True:
            self.kept.append(self.sock.accept()[0])


class Says(threading.Thread):
    """A policy server that gives the recipient's local part back as its action."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.sock = socket.create_server(("127.0.0.1", port), backlog=50)
        self.start()

    def run(self):
        while True:
            threading.Thread(target=self.serve, args=(self.sock.accept()[0],), daemon=True).start()

    def serve(self, s):
        data = b""
        while piece := s.recv(65536):
            data += piece
            while b"\n\n" in data:
                request, data = data.split(b"\n\n", 1)
                local = re.search(rb"^recipient=(.*)@", request, re.M)[1]
                s.sendall(b"action=" + local.replace(b"_", b" ") + b"\n\n")


hangs, says = Hangs(11000), Says(11001)
sink("remote", "192.0.2.20:25", {"RCPT TO:<bare@": "550 5.7.2", "RCPT TO:<dash@": "550-5.7.2\r\n550 5.7.2", "RCPT TO:<blank@": "550 5.7.2 "})
CODES = ["5.7.2", "4.7.2", "REJECT 5.7.2", "REJECT 5.7.2 ", "DEFER 4.7.2", "550 5.7.2", "450 4.7.2", "REJECT 5.", "REJECT 5.7.", "REJECT 5.7.2.3", "REJECT 5.7.2345", "550 5.7.2.", "DEFER_IF_PERMIT 4.7.2", "521 5.7.2", "421 4.7.2"]
file("/etc/postfix/access", "".join(f"code{n}@example.com {code}\n" for n, code in enumerate(CODES)))
file("/etc/postfix/checks", "/^X-Bare: (.*)/ REJECT $1\n")
file("/etc/postfix/transport", "error.test error:5.7.2\nretry.test retry:4.7.2\nbounce.test relay:[127.0.0.1]:1\n")
quiet("postmap hash:/etc/postfix/access hash:/etc/postfix/transport")
main("""
    mynetworks = 127.0.0.0/8 192.0.2.10
    relay_domains = example.org error.test retry.test utf8.test
    transport_maps = hash:/etc/postfix/transport
    header_checks = regexp:/etc/postfix/checks
    strict_smtputf8 = yes
    smtpd_error_sleep_time = 0
    smtpd_forbid_unauth_pipelining = no
    smtpd_client_connection_count_limit = 1000
    smtpd_client_event_limit_exceptions = static:all
    address_verify_poll_count = 3
    address_verify_poll_delay = 1s
    unverified_recipient_reject_code = 550
    smtpd_end_of_data_restrictions = check_sender_access inline:{ { late@example.org = REJECT late } }
    smtp_connection_cache_on_demand = no
    rbl_reply_maps = inline:{ { bl.test = 550 5.7.2 } }
""")
master("""
    10020 inet n - n - - smtpd -o smtpd_recipient_restrictions=check_recipient_access,hash:/etc/postfix/access,permit_mynetworks,reject
    10021 inet n - n - - smtpd -o smtpd_recipient_restrictions=check_policy_service,inet:127.0.0.1:11001,permit_mynetworks,reject -o local_recipient_maps=
    10022 inet n - n - - smtpd -o smtpd_recipient_restrictions=check_policy_service,inet:127.0.0.1:11000,permit_mynetworks,reject -o smtpd_policy_service_timeout=3s -o smtpd_policy_service_retry_delay=1s
    10023 inet n - n - - smtpd -o smtpd_recipient_restrictions=reject_rbl_client,bl.test,permit_mynetworks,reject
    10024 inet n - n - - smtpd -o smtpd_recipient_restrictions=reject_unverified_recipient,permit_mynetworks,reject
    10025 inet n - n - - smtpd -o notify_classes=protocol,policy -o error_notice_recipient=nobody@discarded.test -o smtpd_hard_error_limit=1000000
        -o smtpd_soft_error_limit=1000000 -o smtpd_junk_command_limit=1000000
""")
dns(r"""
    10.2.0.192.bl.test A 127.0.0.2 nptr
    192.0.2.14 PTR \\000\\377.example.org
    192.0.2.15 PTR a\\.b.\\010\\015\\012.example.org
    192.0.2.16 PTR """ + ".".join(["\u00e9" * 30] * 4) + """
    192.0.2.17 PTR """ + ".".join("x" * 126) + """
    192.0.2.18 PTR .
    192.0.2.19 TIMEOUT
""")
start()
HEAD = b"EHLO c\r\nMAIL FROM:<s@example.org>\r\nRCPT TO:<%s>\r\n"


def talk(data, port=25, src="192.0.2.10", wait=10, end=True):
    """Sends bytes without waiting for anybody; all that comes back."""
    with host.net.socket(socket.AF_INET, socket.SOCK_STREAM, src) as s:
        s.bind((src, 0))
        s.settimeout(wait)
        s.connect(("192.0.2.1", port))
        got = b""
        threading.Thread(target=lambda: send(s, data, end), daemon=True).start()
        try:
            while piece := s.recv(65536):
                got += piece
        except OSError:
            pass
        return got


def send(s, data, end):
    try:
        s.sendall(data)
        if end:
            s.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def codes(got):
    return [m.decode() for m in re.findall(rb"^(\d\d\d)(?: |\r?$)", got, re.M)]


def alive(name):
    got = ask("HELO c\nMAIL FROM:<s@example.org>\nRCPT TO:<alice@example.com>\nQUIT")
    check([x[:3] for x in got[:5]] == ["220", "250", "250", "250", "221"], f"{name}: the next client is served: {got}")


def resident(port):
    for p in running("smtpd"):
        if f"\0{port}\0" in open(f"/proc/{p}/cmdline").read():
            return int(re.search(r"VmRSS:\s+(\d+)", open(f"/proc/{p}/status").read())[1])
    return 0


def latest(box="/var/mail/alice"):
    with open(box, "rb") as f:
        return f.read().split(b"\nFrom ")[-1]


pids = running()
# --- CVE-2026-43964 (Postfix): an enhanced status code with nothing behind it ---
for n, code in enumerate(CODES):
    got = talk(HEAD % b"code%d@example.com" % n + b"NOOP\r\nQUIT\r\n", port=10020)
    check(codes(got)[3][0] in "45" and (codes(got)[-1] == "221" or code[:3] in ("521", "421")), f"CVE-2026-43964: access table: {code!r}: {got[-120:]!r}")
    got = talk(HEAD % (b'"%s"@example.com' % code.strip().replace(" ", "_").encode()) + b"NOOP\r\nQUIT\r\n", port=10021)
    check(codes(got)[3][0] in "45" and (codes(got)[-1] == "221" or code[:3] in ("521", "421")), f"CVE-2026-43964: policy server: {code!r}: {got[-120:]!r}")
got = talk(HEAD % b"alice@example.com" + b"QUIT\r\n", port=10023)
check(b"\r\n550 5.7.2" in got and codes(got)[-1] == "221", f"CVE-2026-43964: rbl_reply_maps: {got[-100:]!r}")
for text in (b"5.7.2", b"5.7.2 ", b"4.7.2", b"5."):
    got = talk(HEAD % b"alice@example.com" + b"DATA\r\nX-Bare: " + text + b"\r\n\r\nx\r\n.\r\nQUIT\r\n")
    check(codes(got)[-2][0] in "45" and codes(got)[-1] == "221", f"CVE-2026-43964: header_checks: {text}: {got[-100:]!r}")
for to in ("x@error.test", "x@retry.test", "bare@example.org", "dash@example.org", "blank@example.org"):
    quiet(f"sendmail -f '' {to}", "Subject: x\n\nx\n")
settle()
for to, status in (("x@error.test", "5.7.2"), ("x@retry.test", "4.7.2"), ("bare@example.org", "5.7.2"), ("dash@example.org", "5.7.2"), ("blank@example.org", "5.7.2")):
    check(grep(f"to=<{to}>.*dsn={status}, status=(bounced|deferred)"), f"CVE-2026-43964: {to}: {grep(f'to=<{to}>')[:1]}")
alive("CVE-2026-43964")

# --- Postfix 3.11.6: what smtpd_end_of_data_restrictions refuses leaves nothing of its transaction ---
for name, data in (("DATA", b"DATA\r\nSubject: one\r\n\r\nx\r\n.\r\n"), ("BDAT", b"BDAT 17 LAST\r\nSubject: one\r\n\r\nx")):
    got = codes(talk(b"EHLO c\r\nMAIL FROM:<late@example.org>\r\nRCPT TO:<alice@example.com>\r\n" + data + b"RCPT TO:<bob@example.com>\r\nDATA\r\nSubject: two\r\nQUIT\r\n"))
    check("554" in got and got[got.index("554") + 1:][:2] == ["503", "503"] and got[-1] == "221", f"END OF DATA: {name}: RCPT and DATA without MAIL are refused: {got}")
# --- Postfix 3.11.6: the history of very many tiny chunks, and DATA after a wrong BDAT ---
talk(HEAD % b"alice@example.com" + b"QUIT\r\n", port=10025)
before = resident(10025)
got = talk(HEAD % b"alice@example.com" + b"BDAT 1\r\nx" * 150000 + b"BDAT 0 LAST\r\nQUIT\r\n", port=10025, wait=40)
check(b"queued as" in got and resident(10025) - before < 20000, f"CHUNK HISTORY: {before} {resident(10025)} {got[-60:]!r}")
for wrong in (b"BDAT\r\n", b"BDAT x LAST\r\n", b"BDAT 5 LAST x\r\n", b"BDAT 5 FIRST\r\n", b"BDAT 3\r\nabcBDAT z\r\n"):
    got = codes(talk(HEAD % b"alice@example.com" + wrong + b"DATA\r\nRSET\r\nQUIT\r\n", wait=4))
    check(got[4][0] in "25" and len(got) >= 5, f"CHUNK HISTORY: {wrong!r}, then DATA: {got}")
alive("CHUNK HISTORY")

# --- Postfix 3.11.6: a local user makes the verify service believe that an address is bad ---
rec = lambda kind, text: kind + bytes([len(text)]) + text
for attributes in ([b"trace_flags=256"], [b"trace_flags=257"], [b"trace_flags=1792"], [b"trace_flags=00256"], [b"trace_flags =256"], [b"trace_flags=512", b"trace_flags=256"]):
    with open("/tmp/records", "wb") as f:
        f.write(b"".join(rec(b"A", a) for a in attributes) + rec(b"S", b"double-bounce@example.com") + rec(b"R", b"victim@error.test") + rec(b"M", b"") + rec(b"N", b"Subject: x") + rec(b"N", b"")
                + rec(b"X", b"") + rec(b"E", b""))
    quiet("postdrop -r < /tmp/records", user="bob")
    with open("/tmp/records", "wb") as f:
        f.write(rec(b"S", b"double-bounce@example.com") + b"".join(rec(b"A", a) for a in attributes) + rec(b"R", b"victim@error.test") + rec(b"M", b"") + rec(b"N", b"Subject: x") + rec(b"N", b"")
                + rec(b"X", b"") + b"".join(rec(b"A", a) for a in attributes) + rec(b"E", b""))
    quiet("postdrop -r < /tmp/records", user="bob")
settle()
main("""
    transport_maps =
    relay_transport = discard:ok
""")
reload()
pids = running()
got = talk(HEAD % b"victim@error.test" + b"QUIT\r\n", port=10024)
check(codes(got)[3] == "250", f"VERIFY CACHE: what a user submitted is no answer to a probe: {got[-120:]!r}")
# --- Postfix 3.11.7: line ends and NUL in the envelope of a submission ---
for kind, text in ((b"S", b"s@example.org\nR evil@example.org"), (b"R", b"alice@example.com\nBcc: evil@example.org"), (b"R", b"alice\0evil@example.com"), (b"S", b"a\0b@example.org"), (b"F", b"Name\nX-Evil: yes"),
                   (b"F", b"Name\r\nX-Evil: yes"), (b"A", b"envelope_id=a\nX-Evil: yes"), (b"R", b"alice\rX-Evil: yes@example.com"), (b"A", b"dsn_orig_rcpt=rfc822;a\n\nX-Evil: yes")):
    envelope = {b"S": b"s@example.org", b"R": b"alice@example.com", b"F": b"", b"A": b"ret_flags=1", kind: text}
    with open("/tmp/records", "wb") as f:
        f.write(rec(b"A", envelope[b"A"]) + rec(b"F", envelope[b"F"]) + rec(b"S", envelope[b"S"]) + rec(b"R", envelope[b"R"]) + rec(b"M", b"") + rec(b"N", b"Subject: envelope") + rec(b"N", b"")
                + rec(b"X", b"") + rec(b"E", b""))
    quiet("postdrop -r < /tmp/records", user="bob")
settle()
box = open("/var/mail/alice", "rb").read()
check(not re.search(rb"^(X-Evil|Bcc):", box, re.M) and not grep("to=<evil@example.org>"), "ENVELOPE: no header and no recipient is made by it")
# --- Postfix 3.11.7: addresses in UTF-8 without SMTPUTF8, with strict_smtputf8 ---
utf8 = "gr\u00fc\u00dfe@b\u00fccher.example".encode()
for line in (b"MAIL FROM:<" + utf8 + b">", b"MAIL FROM:<s@example.org>\r\nRCPT TO:<" + utf8 + b">", b"VRFY " + utf8, b"VRFY <" + utf8 + b">", b"VRFY \xff@x", b"MAIL FROM:<\xff\xfe@x>", b"VRFY " + utf8 + b" SMTPUTF8"):
    got = codes(talk(b"EHLO c\r\n" + line + b"\r\nNOOP\r\nQUIT\r\n"))
    check(got[-3][0] in "25" and got[-2:] == ["250", "221"], f"STRICT UTF8: {line!r}: {got}")
alive("STRICT UTF8")

# --- CVE-2026-40684 (Exim): names in PTR records that are none ---
for n in range(14, 20):
    got = talk(b"EHLO c\r\nMAIL FROM:<s@example.org>\r\nRCPT TO:<alice@example.com>\r\nDATA\r\nSubject: ptr %d\r\n\r\nx\r\n.\r\nQUIT\r\n" % n, src=f"192.0.2.{n}", wait=40)
    check(b"queued as" in got and codes(got)[-1] == "221", f"CVE-2026-40684: client {n}: {got[-120:]!r}")
settle()
box = open("/var/mail/alice", "rb").read()
for n in range(14, 20):
    check(re.search(rb"Received: from c \(([a-zA-Z0-9.-]+|\[[^]]*\]) \[192\.0\.2\.%d\]\)" % n, box), f"CVE-2026-40684: client {n} has a sane name: {re.findall(rb'Received: from c .*2.%d.*' % n, box)}")
alive("CVE-2026-40684")

# --- CVE-2026-40685, CVE-2026-40686 (Exim): headers that end within a character; JSON of what is not UTF-8 ---
tails = [b"\xc3", b"\xe2\x82", b"\xf0\x9f\x92", b"\xf0", b"\xf8\x88\x80\x80\x80", b"\xff", b"\xed\xa0\x80", b"{\"a\":\"", b"=?utf-8?Q?=C3", b"=?utf-8?B?w", b"\xf4\x90\x80\x80"]
for n, tail in enumerate(tails):
    for form in (b"Subject: tail%d " % n + tail + b"\r\n\r\nx\r\n.\r\n", b"Subject: tail%d\r\nFrom: a " % n + tail + b"\r\n\r\nx\r\n.\r\n", b"X-Long: " + b"y" * 102400 + tail + b"\r\nSubject: tail%d\r\n\r\n.\r\n" % n,
                 b"Subject: tail%d\r\nX-End: " % n + tail + b"\r\n.\r\n"):
        got = talk(HEAD % b"alice@example.com" + b"DATA\r\n" + form + b"QUIT\r\n")
        check(b"queued as" in got and codes(got)[-1] == "221", f"CVE-2026-40686: {tail!r}: {got[-80:]!r}")
        settle()
        text = latest()
        check(b"tail%d" % n in text and (b"X-Long" in form or tail + b"\n" in text), f"CVE-2026-40686: {tail!r}: the header is what it was: {text[-120:]!r}")
    quiet(["sendmail", "-f", b"s" + tail + b"@example.org", "-F", b"Name " + tail, "-i", "--", b"x" + tail + b"@bounce.test"], "Subject: x\n\nx\n")
quiet("postfix flush")
settle()
lines = quiet("postqueue -j", text=False).stdout.splitlines() if "text" in quiet.__code__.co_varnames else quiet("postqueue -j").stdout.splitlines()
check(all(isinstance(json.loads(line), dict) for line in lines), "CVE-2026-40685: what postqueue -j writes is JSON")
alive("CVE-2026-40686")

# --- CVE-2026-45185 (Exim): the connection is cut within a chunk. (Its TLS part comes with TLS.) ---
for piece in (b"BDAT 100 LAST\r\nSubject: cut\r\n", b"BDAT 100 LAST\r\n", b"BDAT 20\r\nSubject: cut\r\n\r\nabc", b"BDAT 14\r\nSubject: cut\r\nBDAT 5 LA"):
    for how in ("half", "reset"):
        s = host.net.socket(socket.AF_INET, socket.SOCK_STREAM, "192.0.2.10")
        s.settimeout(5)
        s.connect(("192.0.2.1", 25))
        s.sendall(HEAD % b"alice@example.com" + piece)
        time.sleep(0.2)
        if how == "half":
            s.shutdown(socket.SHUT_WR)
            got = b""
            while more := s.recv(65536):
                got += more
            check(b"queued as" not in got, f"CVE-2026-45185: nothing is taken of half a chunk: {got[-80:]!r}")
        else:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        s.close()
settle()
check(b"Subject: cut" not in open("/var/mail/alice", "rb").read(), "CVE-2026-45185: no piece of it is delivered")
alive("CVE-2026-45185")

# --- OpenSMTPD, May 2026: clients that leave while something is looked up for them ---
talk(b"QUIT\r\n", port=10022)
before = resident(10022)
for turn in range(3):
    pile = []
    for _ in range(80):
        s = host.net.socket(socket.AF_INET, socket.SOCK_STREAM, "192.0.2.10")
        s.connect(("192.0.2.1", 10022))
        s.sendall(HEAD % b"alice@example.com")
        pile.append(s)
    time.sleep(0.5)
    for s in pile:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        s.close()
for s in [host.net.socket(socket.AF_INET, socket.SOCK_STREAM, "192.0.2.19") for _ in range(50)]:
    s.bind(("192.0.2.19", 0))
    s.connect(("192.0.2.1", 25))
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()
got = talk(b"EHLO c\r\nNOOP\r\nQUIT\r\n", port=10022, wait=40)
check(codes(got) == ["220", "250", "250", "221"] and resident(10022) - before < 40000, f"GONE CLIENTS: {before} {resident(10022)} {got[-100:]!r}")
alive("GONE CLIENTS")
now = running()
lost = {p: v for p, v in pids.items() if p in ("master", "qmgr") and not set(v) <= set(now.get(p, []))}
check(not lost, f"none of them ended: {lost}")
check(not grep("panic"), f"no panic in all of this: {grep('panic')[:3]}")
check(not [x for x in grep("") if re.search("[\x00-\x08\x0b-\x1f\x7f]", x)], "no control character gets into the log")
nolog()
