"""faults that SMTP servers have had, tried on this one: docs/known-attacks.md names them (S-SEC, S-SMTPD, S-LIMIT)"""
import os
import re
import socket
import struct
import threading
import time

LINE_END = rb"(?:\r\r\n|\r\n|\n|\r)"


class Lax(threading.Thread):
    """A server that takes much for a line end, and any dot between two of them for the end of a message: what smuggling needs. It counts mail."""

    def __init__(self, address, port):
        super().__init__(daemon=True)
        self.mails, self.content, self.commands = [], [], []
        self.sock = host.net.socket(socket.AF_INET, socket.SOCK_STREAM, address)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.sock.bind((address, port))
        self.sock.listen(50)
        self.start()

    def run(self):
        while True:
            threading.Thread(target=self.serve, args=(self.sock.accept()[0],), daemon=True).start()

    def serve(self, s):
        s.settimeout(30)
        buffer = b""
        try:
            s.sendall(b"220 lax ESMTP\r\n")
            while True:
                while not (m := re.match(rb"(.*?)" + LINE_END, buffer, re.S)):
                    piece = s.recv(65536)
                    if not piece:
                        return
                    buffer += piece
                line, buffer = m[1], buffer[m.end():]
                self.commands.append(line)
                word = line[:4].upper()
                if word == b"MAIL":
                    self.mails.append(line)
                if word == b"DATA":
                    s.sendall(b"354 go\r\n")
                    buffer = b"\r\n" + buffer
                    while not (m := re.search(LINE_END + rb"\." + LINE_END, buffer)):
                        piece = s.recv(65536)
                        if not piece:
                            return
                        buffer += piece
                    self.content.append(buffer[2:m.start()])
                    buffer = buffer[m.end():]
                s.sendall(b"221 bye\r\n" if word == b"QUIT" else b"250 ok\r\n")
                if word == b"QUIT":
                    return
        except OSError:
            pass
        finally:
            s.close()


class Policy(threading.Thread):
    """A policy server that answers each request with what `answer` says; None hangs, and what is closed is closed."""

    def __init__(self, port, answer):
        super().__init__(daemon=True)
        self.answer, self.requests = answer, 0
        self.sock = socket.create_server(("127.0.0.1", port))
        self.start()

    def run(self):
        while True:
            threading.Thread(target=self.serve, args=(self.sock.accept()[0],), daemon=True).start()

    def serve(self, s):
        data = b""
        try:
            while piece := s.recv(65536):
                data += piece
                while b"\n\n" in data:
                    _, data = data.split(b"\n\n", 1)
                    self.requests += 1
                    if self.answer is None:
                        time.sleep(30)
                    for piece in self.answer:
                        s.sendall(piece)
                    if self.answer == []:
                        return
        except OSError:
            pass
        finally:
            s.close()


lax, filter_ = Lax("192.0.2.20", 25), Lax("127.0.0.1", 10026)
file("/etc/postfix/sender_access", "refused@example.org REJECT\n")
file("/etc/postfix/mime_checks", "/name=.*\\.exe/ REJECT no programs\n")
file("/etc/postfix/vmailbox", "box@virt.test box\n@catch.test ../../../tmp/caught\n")
file("/etc/postfix/transport", "pipe.test show:\n")
quiet("postmap hash:/etc/postfix/sender_access hash:/etc/postfix/vmailbox hash:/etc/postfix/transport")
file("/usr/local/bin/show", "#!/bin/sh\n{ for a; do printf '[%s]' \"$a\"; done; echo; } >> /tmp/shown\n", mode=0o755)
quiet("touch /tmp/shown; chown filter /tmp/shown; rm -f /tmp/pwned*")
main("""
    mynetworks = 127.0.0.0/8 192.0.2.10
    relay_domains = example.org
    transport_maps = hash:/etc/postfix/transport
    smtpd_sender_restrictions = check_sender_access hash:/etc/postfix/sender_access
    virtual_mailbox_domains = virt.test catch.test
    virtual_mailbox_maps = hash:/etc/postfix/vmailbox
    virtual_mailbox_base = /var/vmail
    virtual_uid_maps = static:5000
    virtual_gid_maps = static:5000
    mime_header_checks = regexp:/etc/postfix/mime_checks
    smtpd_authorized_xclient_hosts = 192.0.2.10
    smtpd_authorized_xforward_hosts = 192.0.2.10
    smtpd_error_sleep_time = 0
    smtpd_forbid_unauth_pipelining = no
    smtpd_client_connection_count_limit = 1000
    qmqpd_authorized_clients = 192.0.2.10
    qmqpd_error_delay = 0
    message_size_limit = 3000000
    smtp_connection_cache_on_demand = no
    fast_flush_domains = $relay_domains
    recipient_delimiter = +
    smtp_helo_timeout = 5s
""")
master("""
    628   inet n - n - - qmqpd
    show  unix - n n - - pipe user=filter argv=/usr/local/bin/show ${sender} ${recipient} ${user} ${extension}
    10020 inet n - n - - smtpd -o smtpd_proxy_filter=127.0.0.1:10026
    10021 inet n - n - - smtpd -o smtpd_timeout=2s -o smtpd_per_request_deadline=yes
    10027 inet n - n - - smtpd -o smtpd_timeout=8s -o smtpd_per_request_deadline=yes
    10022 inet n - n - - smtpd -o smtpd_client_connection_count_limit=5 -o smtpd_client_event_limit_exceptions=
    10023 inet n - n - - smtpd -o smtpd_upstream_proxy_protocol=haproxy -o smtpd_upstream_proxy_timeout=2s
    10019 inet n - n - - smtpd -o mynetworks=127.0.0.1 -o smtpd_client_restrictions=reject_rbl_client,bl.test
    10025 inet n - n - - smtpd -o smtpd_forbid_unauth_pipelining=yes
    10024 inet n - n - - smtpd -o smtpd_hard_error_limit=1000000 -o smtpd_soft_error_limit=1000000 -o smtpd_junk_command_limit=1000000 -o notify_classes=protocol,policy
        -o error_notice_recipient=nobody@discarded.test
""")
answers = {"garbage": [b"hello\n\n"], "unfinished": [b"action=DUNNO\n"], "hang": None, "dies": [], "endless": [b"x" * 100000] * 1000,
           "lines": [b"action=REJECT one\r\n250 2.0.0 Ok\n\n"], "late": [b"action=DUNNO\n\n", b"action=REJECT stale\n\n"], "control": [b"action=REJECT a\x1b[2Jb\0c\xff\n\n"],
           "twice": [b"action=DUNNO\naction=REJECT second\n\n"], "unknown": [b"action=FROBNICATE x\n\n"], "header": [b"action=PREPEND X-A: b\\nBcc: evil@example.org\n\n"],
           "loop": [b"action=check_policy_service inet:127.0.0.1:11011\n\n"]}
policies = {name: (11000 + n, Policy(11000 + n, answer)) for n, (name, answer) in enumerate(answers.items())}
for name, (port, _) in policies.items():
    master(f"{port + 100} inet n - n - - smtpd -o smtpd_policy_service_timeout=2s -o smtpd_policy_service_retry_delay=1s\n"
           f"    -o smtpd_recipient_restrictions=check_policy_service,inet:127.0.0.1:{port},permit_mynetworks,reject")
dns("\n".join(f"{n}.2.0.192.bl.test A 127.0.0.2 nptr" for n in range(14, 20)))
dns("""
    14.2.0.192.bl.test TXT "%s"
    15.2.0.192.bl.test TXT "\x1b[2J\r250 2.0.0 Ok\x01\x7f"
    16.2.0.192.bl.test TXT "$rbl_code ${nosuch} $(x"
    192.0.2.17 PTR a..b
    192.0.2.18 PTR %s
""" % ("t" * 900, ".".join(["x" * 60] * 4)))
start()


def talk(data, port=25, src="192.0.2.10", wait=8, dst="192.0.2.1", end=True):
    """Sends bytes without waiting for anybody; all that comes back."""
    with host.net.socket(socket.AF_INET, socket.SOCK_STREAM, src) as s:
        s.bind((src, 0))
        s.settimeout(wait)
        s.connect((dst, port))
        got = b""

        def send():
            try:
                s.sendall(data)
                if end:
                    s.shutdown(socket.SHUT_WR)
            except OSError:
                pass
        threading.Thread(target=send, daemon=True).start()
        try:
            while piece := s.recv(65536):
                got += piece
        except OSError:
            pass
        return got


def codes(got):
    return [m.decode() for m in re.findall(rb"^(\d\d\d) ", got, re.M)]


def pid_of(port):
    """The smtpd that serves a port (after its first client)."""
    for p in running("smtpd"):
        with open(f"/proc/{p}/cmdline") as f:
            if f"\0{port}\0" in f.read():
                return p
    return None


def resident(pid):
    if not pid:
        return 0
    with open(f"/proc/{pid}/status") as f:
        return int(re.search(r"VmRSS:\s+(\d+)", f.read())[1])


def alive(name):
    got = ask("HELO c\nMAIL FROM:<s@example.org>\nRCPT TO:<alice@example.com>\nQUIT")
    check([x[:3] for x in got[:5]] == ["220", "250", "250", "250", "221"], f"{name}: the next client is served: {got}")


def latest(box="/var/mail/alice"):
    with open(box, "rb") as f:
        return f.read().split(b"\nFrom ")[-1]


pids = running()
HEAD = b"EHLO c\r\nMAIL FROM:<s@example.org>\r\nRCPT TO:<%s>\r\n"
EVIL = b"MAIL FROM:<evil@example.org>\r\nRCPT TO:<victim@example.org>\r\nDATA\r\nSubject: smuggled\r\n\r\nx\r\n"

# --- CVE-2023-51764, CVE-2023-51765, CVE-2023-51766: smuggling, on each way in and each way out ---
ENDS = [b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r\n.\r", b"\r.\r\n", b"\n.\r", b"\r.\n", b"\r\n\0.\r\n", b"\n\0.\n", b"\r\r\n.\r\r\n", b"\r\n.\r\r\n", b"\n\n.\r\n\n", b"\r\n\r.\r\n", b"\n\r.\r\n",
        b"\r\n.\0\r\n", b"\r\n.\r\n\0"[:0] + b"\r\n. \r\n"]
ways = {
    "DATA": lambda e: talk(HEAD % b"r@example.org" + b"DATA\r\nSubject: x\r\n\r\nbefore" + e + EVIL + b"\r\n.\r\nQUIT\r\n", src="192.0.2.13"),
    "BDAT": lambda e: (lambda c: talk(HEAD % b"r@example.org" + b"BDAT %d LAST\r\n" % len(c) + c + b"QUIT\r\n", src="192.0.2.13"))(b"Subject: x\r\n\r\nbefore" + e + EVIL),
    "chunks": lambda e: (lambda c: talk(HEAD % b"r@example.org" + b"".join(b"BDAT 1\r\n%c" % b for b in c) + b"BDAT 0 LAST\r\nQUIT\r\n"))(b"Subject: x\r\n\r\nbefore" + e + EVIL),
    "filter, DATA": lambda e: talk(HEAD % b"r@example.org" + b"DATA\r\nSubject: x\r\n\r\nbefore" + e + EVIL + b"\r\n.\r\nQUIT\r\n", port=10020, src="192.0.2.13"),
    "filter, BDAT": lambda e: (lambda c: talk(HEAD % b"r@example.org" + b"BDAT %d LAST\r\n" % len(c) + c + b"QUIT\r\n", port=10020, src="192.0.2.13"))(b"Subject: x\r\n\r\nbefore" + e + EVIL),
    "QMQP": lambda e: (lambda c: talk(b"%d:%b," % (len(c), c), port=628))(b"".join(b"%d:%b," % (len(p), p) for p in (b"Subject: x\n\nbefore" + e + EVIL, b"s@example.org", b"r@example.org"))),
}
for way, send in ways.items():
    # What ends a message in DATA is the content of a chunk.
    ends = ENDS + ([] if way.endswith("DATA") else [b"\r\n.\r\n"])
    target = filter_ if way.startswith("filter") else lax
    for e in ends:
        target.mails.clear()
        target.content.clear()
        got = send(e)
        for _ in range(60):
            if target.content:
                break
            time.sleep(0.05)
        accepted = len(re.findall(rb"queued as|^250 ok\r\n221", got, re.M))
        good = accepted == 1 and len(target.mails) == 1 and not any(b"evil" in m for m in target.mails) and b"smuggled" in b"".join(target.content)
        check(good, f"CVE-2023-51764: {way}, {e!r} is no end of a message: {accepted} {target.mails} {got[-80:]!r} {target.content[:2]!r}"[:600 if not good else 90])
lax.mails.clear()
quiet("sendmail -i -f s@example.org r@example.org", "Subject: x\n\nbefore\n.\n" + EVIL.decode() + "\r\n.\r\n" + EVIL.decode())
settle()
check(len(lax.mails) == 1 and b"<s@example.org>" in lax.mails[0], f"CVE-2023-51764: sendmail -i: {lax.mails}")
check(not any(b"evil" in c for c in lax.commands if c[:4].upper() == b"MAIL"), "CVE-2023-51764: the lax server never saw another sender")
# A local submission with a piece of a line that is empty before one that is a dot: the record format lets a user write it.
rec = lambda kind, text: kind + bytes([len(text)]) + text
lax.mails.clear()
with open("/tmp/records", "wb") as f:
    f.write(rec(b"S", b"s@example.org") + rec(b"R", b"r@example.org") + rec(b"M", b"") + rec(b"N", b"Subject: x") + rec(b"N", b"") + rec(b"L", b"") + rec(b"N", b".")
            + b"".join(rec(b"N", line) for line in EVIL.split(b"\r\n")) + rec(b"X", b"") + rec(b"E", b""))
quiet("postdrop -r < /tmp/records", user="bob")
settle()
check(len(lax.mails) == 1 and b"smuggled" in lax.content[-1], f"CVE-2023-51764: records of a local user: {lax.mails}")

# --- State after refusals (RFC 5321 §3.3) ---
for name, dialogue, want in (
        ("refused MAIL", b"MAIL FROM:<refused@example.org>\r\nRCPT TO:<alice@example.com>\r\nDATA\r\n", "250 554 554"),
        ("refused MAIL after a good one", HEAD[8:] % b"alice@example.com" + b"RSET\r\nMAIL FROM:<bad address\r\nRCPT TO:<alice@example.com>\r\nDATA\r\n", "250 250 250 501 503 503"),
        ("EHLO ends it", HEAD[8:] % b"alice@example.com" + b"EHLO c\r\nRCPT TO:<bob@example.com>\r\nDATA\r\n", "250 250 250 503 503"),
        ("nested MAIL", HEAD[8:] % b"alice@example.com" + b"MAIL FROM:<evil@example.org>\r\nRSET\r\nDATA\r\n", "250 250 503 250 503"),
        ("message too large, then DATA", b"MAIL FROM:<s@example.org> SIZE=99999999\r\nRCPT TO:<alice@example.com>\r\nDATA\r\n", "552 503 503"),
        ("XCLIENT ends it", HEAD[8:] % b"alice@example.com" + b"RSET\r\nXCLIENT NAME=x ADDR=192.0.2.10\r\nDATA\r\n", "250 250 250 220 503"),
        ("no recipient accepted", b"MAIL FROM:<s@example.org>\r\nRCPT TO:<nosuch@example.com>\r\nDATA\r\n", "250 550 554"),
):
    got = codes(talk(b"EHLO c\r\n" + dialogue + b"QUIT\r\n"))
    check(" ".join(got[2:-1]) == want and got[-1] == "221", f"STATE: {name}: {got}")

# --- CVE-2017-16943, CVE-2017-16944, CVE-2020-28019: BDAT and its errors ---
for name, dialogue, want in (
        ("BDAT without MAIL swallows its chunk", b"BDAT 12\r\nRSET\r\nQUIT\r\nDATA\r\nNOOP\r\n", "503 503 250"),
        ("DATA after BDAT", HEAD[8:] % b"alice@example.com" + b"BDAT 3\r\nabcDATA\r\nRSET\r\nNOOP\r\n", "250 250 250 503 250 250"),
        ("BDAT error, then DATA", HEAD[8:] % b"alice@example.com" + b"BDAT x\r\nBDAT 3\r\nabcBDAT -1 LAST\r\nDATA\r\nRSET\r\nNOOP\r\n", None),
        ("BDAT of a refused recipient, then a message", b"MAIL FROM:<s@example.org>\r\nRCPT TO:<nosuch@example.com>\r\nBDAT 6 LAST\r\nQUIT\r\nRSET\r\nNOOP\r\n", "250 550 554 250 250"),
        ("length beyond all bounds", HEAD[8:] % b"alice@example.com" + b"BDAT 99999999999999999999999 LAST\r\nNOOP\r\n", None),
        ("only a dot", HEAD[8:] % b"alice@example.com" + b"BDAT 1 LAST\r\n.NOOP\r\n", "250 250 250 250"),
        ("MAIL within BDAT", HEAD[8:] % b"alice@example.com" + b"BDAT 3\r\nabcMAIL FROM:<evil@example.org>\r\nRCPT TO:<bob@example.com>\r\nBDAT 0 LAST\r\n", "250 250 250 503 503 250"),
):
    got = codes(talk(b"EHLO c\r\n" + dialogue + b"QUIT\r\n"))
    check((" ".join(got[2:-1]) == want if want else len(got) >= 4) and got[-1] in ("221", "421", "501", "521", "552"), f"CVE-2017-16943: {name}: {got}")
alive("CVE-2017-16944")
text = b"Subject: tiny\r\n\r\n" + b"0123456789" * 2000 + b"\r\n"
begin = time.time()
got = talk(HEAD % b"alice@example.com" + b"".join(b"BDAT 1\r\n%c" % b for b in text) + b"BDAT 0 LAST\r\nQUIT\r\n", wait=60)
settle()
check(b"queued as" in got and latest().replace(b"\n", b"").count(b"0123456789") == 2000 and time.time() - begin < 60,
      f"TINY CHUNKS: {len(text)} of one byte in {time.time() - begin:.1f} s: {got[-100:]}")
before = resident(pid_of("smtp"))
got = talk(HEAD % b"alice@example.com" + b"BDAT 50000000\r\n" + b"x" * 50000000 + b"BDAT 0 LAST\r\nQUIT\r\n", wait=30)
check(b"552 5.3.4" in got and resident(pid_of("smtp")) - before < 8000, f"ENDLESS LINES: a chunk without line end: {got[-120:]} {before} {resident(pid_of('smtp'))}")

# --- Endless headers, lines, recipients (CVE-2001-0894, CVE-2006-4434, CVE-2009-1490, CVE-2010-4344, CVE-2019-16928, CVE-2020-28017) ---
before = resident(pid_of("smtp"))
for name, text in (("many headers", b"".join(b"X-%d: y\r\n" % n for n in range(100000))), ("one folded header", b"X: y\r\n" + b" z\r\n" * 700000),
                   ("a header name", b"x" * 2900000 + b": y\r\n"), ("Received", b"Received: x\r\n" * 20000), ("addresses", b"To: " + b"a@b,\r\n " * 300000 + b"c@d\r\n"),
                   ("comments", b"From: " + b"(" * 1000000 + b"\r\n"), ("angles", b"From: " + b"<>" * 500000 + b" x@y\r\n"), ("0xff", b"Cc: " + b"\xff\\" * 500000 + b"\r\n")):
    got = talk(HEAD % b"alice@example.com" + b"DATA\r\n" + text + b"\r\nx\r\n.\r\nQUIT\r\n", wait=40)
    check(re.search(rb"354.*\r\n(250 2.0.0|55\d 5|554 5).*\r\n221", got), f"ENDLESS HEADERS: {name}: {got[-160:]}")
check(resident(pid_of("smtp")) - before < 30000, f"ENDLESS HEADERS: memory is bounded: {before} {resident(pid_of('smtp'))}")
got = talk(b"EHLO c\r\nMAIL FROM:<s@example.org>\r\n" + b"".join(b"RCPT TO:<alice+%d@example.com>\r\n" % n for n in range(4000)) + b"RSET\r\nQUIT\r\n", wait=60)
replies = codes(got)
check(replies.count("250") in range(1000, 1005) and "452" in replies, f"CVE-2020-28017: recipients are limited: {replies.count('250')} {set(replies)}")
got = talk(b"EHLO c\r\n" + b"XYZZY " * 10 + b"\r\n" + b"BAD\r\n" * 100000 + b"QUIT\r\n", port=10024, wait=60)
check(codes(got).count("502") + codes(got).count("500") > 100000 and resident(pid_of("10024")) < before + 30000,
      f"CVE-2001-0894: the transcript of {len(codes(got))} errors does not stay in memory: {resident(pid_of('10024'))}")
alive("CVE-2019-16928")

# --- CVE-2006-1173: deep MIME ---
text = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(20000))
got = talk(HEAD % b"alice@example.com" + b"DATA\r\nMIME-Version: 1.0\r\n" + text + b"\r\nx\r\n.\r\nQUIT\r\n", wait=30)
check(codes(got)[-2] in ("250", "550"), f"CVE-2006-1173: twenty thousand nested multiparts: {got[-150:]}")
# --- CVE-2024-39929: a file name in pieces ---
for text in (b"Content-Disposition: attachment;\r\n filename=\"x\r\n .exe\"", b"Content-Type: application/x;\r\n\tname=a.exe", b"Content-Disposition: attachment; filename*0=\"a.\"; filename*1=\"e\"; x-name=.exe"):
    got = talk(HEAD % b"alice@example.com" + b"DATA\r\nMIME-Version: 1.0\r\n" + text + b"\r\n\r\nx\r\n.\r\nQUIT\r\n")
    check(b"550 5.7.1 no programs" in got, f"CVE-2024-39929: a folded header is looked at whole: {got[-100:]}")

# --- NUL and 8-bit everywhere ---
for position, parts in enumerate(([b"EHLO c", b"X\r\n"], [b"EHLO c\r\nMAIL FROM:<s", b"@example.org>\r\n"], [b"EHLO c\r\nMAIL FROM:<s@example.org>", b" SIZE=1\r\n"],
                                  [b"EHLO c\r\nMAIL FROM:<s@example.org>\r\nRCPT TO:<alice", b"@example.com>\r\n"], [b"EHLO c\r\nVR", b"FY alice\r\n"], [b"EHLO c\r\nXCLIENT NAME=", b"x\r\n"],
                                  [b"EHLO c\r\nXFORWARD NAME=", b"x\r\n"], [b"EHLO c\r\nMAIL FROM:<s@example.org> ENVID=", b"x\r\n"],
                                  [HEAD[:-2] % b"alice@example.com" + b" ORCPT=rfc822;", b"x\r\n"], [HEAD % b"alice@example.com" + b"BDAT ", b"5 LAST\r\nabcd\n"], [b"EHLO c\r\nETRN ", b"example.org\r\n"])):
    for byte in (b"\0", b"\x01", b"\x1b[2J", b"\x7f", b"\x80", b"\xff", b"\xc3", b"\r", b"\x0b", b"\xe2\x80\xa8"):
        got = talk(byte.join(parts) + b"QUIT\r\n", wait=6)
        check(got.startswith(b"220") and codes(got)[-1] in ("221", "421", "501", "500", "502", "521") and not re.search(rb"[^\x20-\xff\r\n]|\x7f", got), f"8-BIT: {position} {byte!r}: {got[-80:]!r}")
check(not [x for x in grep("") if re.search("[\x00-\x08\x0b-\x1f\x7f]", x)], "8-BIT: no control character gets into the log")
got = talk(HEAD % b"alice@example.com" + b"DATA\r\nSubject: a\0b\r\n\r\nc\0d\xff\r\n.\r\nQUIT\r\n")
settle()
check(b"queued as" in got and b"c\0d\xff" in latest(), f"8-BIT: content keeps its bytes: {latest()[-60:]!r}")

# --- Silent, slow, half-open clients; floods (CVE-2013-2125) ---
pile = []
for _ in range(200):
    s = host.net.socket(socket.AF_INET, socket.SOCK_STREAM, "192.0.2.10")
    s.connect(("192.0.2.1", 10027))
    pile.append(s)
for s in pile[100:150]:
    s.sendall(b"EHLO c\r\nMAIL FR")
for s in pile[150:170]:
    s.sendall(HEAD % b"alice@example.com" + b"DATA\r\nSubject: never\r\n")
for s in pile[170:180]:
    # The client is gone without a word.
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()
begin = time.time()
got = ask("HELO c\nMAIL FROM:<s@example.org>\nRCPT TO:<alice@example.com>\nQUIT", port=10027)
check(len(got) == 5 and time.time() - begin < 6, f"SILENT CLIENTS: two hundred of them keep nobody waiting: {time.time() - begin:.2f} {got}")
last = []
for s in pile[:170]:
    s.settimeout(30)
    data = b""
    try:
        while piece := s.recv(4096):
            data += piece
    except OSError as e:
        data += repr(e).encode()
    last.append(data)
check(all(re.search(rb"421 4.4.2 mail.example.com Error: timeout exceeded\r\n$", x) for x in last), f"SILENT CLIENTS: they are thrown out: {[x for x in last if b'421 4.4.2' not in x][:3]}")
for s in pile:
    s.close()
check(not [i for i in queue_ids() if "never" in quiet(f"postcat -qh {i}").stdout], "SILENT CLIENTS: nothing of their mail is left")
for name, head in (("a command", b""), ("content", HEAD % b"alice@example.com" + b"DATA\r\n")):
    s = host.net.socket(socket.AF_INET, socket.SOCK_STREAM, "192.0.2.10")
    s.connect(("192.0.2.1", 10021))
    s.sendall(head)
    begin, end = time.time(), None
    try:
        while time.time() - begin < 30:
            s.sendall(b"x")
            time.sleep(0.2)
    except OSError:
        end = time.time() - begin
    check(end and end < 25, f"SLOW TRICKLE: {name}, a byte at a time, comes to its end: {end}")
    s.close()
pile = []
for _ in range(20):
    s = host.net.socket(socket.AF_INET, socket.SOCK_STREAM, "192.0.2.13")
    s.settimeout(5)
    s.bind(("192.0.2.13", 0))
    s.connect(("192.0.2.1", 10022))
    pile.append((s, s.recv(200)))
check([x[:3] for _, x in pile] == [b"220"] * 5 + [b"421"] * 15, f"FLOOD: five connections, and no more: {[x[:3] for _, x in pile]}")
check(ask("QUIT", port=10022)[0].startswith("220"), "FLOOD: other clients are served")
for s, _ in pile:
    s.close()

# --- Malformed XCLIENT, PROXY, ETRN (CVE-2023-42117, CVE-2025-26794, CVE-2023-29323) ---
for line in (b"XCLIENT", b"XCLIENT NAME", b"XCLIENT NAME=", b"XCLIENT =x", b"XCLIENT ADDR=1.2.3", b"XCLIENT ADDR=IPV6:xyz", b"XCLIENT ADDR=%s" % (b"1" * 500), b"XCLIENT PORT=99999", b"XCLIENT PORT=-1",
             b"XCLIENT PROTO=X", b"XCLIENT HELO=+0D+0AMAIL", b"XCLIENT NAME=a+0Ab", b"XCLIENT NAME=a+", b"XCLIENT FOO=bar", b"XCLIENT DESTADDR=+00", b"XFORWARD IDENT=+0A", b"XFORWARD ADDR=x SOURCE=y"):
    got = codes(talk(b"EHLO c\r\n" + line + b"\r\nNOOP\r\nQUIT\r\n"))
    check(got[2] in ("501", "220", "250") and got[-1] == "221", f"XCLIENT: {line[:40]!r}: {got}")
check(not [x for x in grep("") if re.search("[\x00-\x08\x0b-\x1f\x7f]", x)], "XCLIENT: no line end gets into the log")
for head in (b"", b"PROXY\r\n", b"PROXY TCP4 1.2.3.4\r\n", b"PROXY TCP4 1.2.3.4.5 1.2.3.4 1 1\r\n", b"PROXY TCP4 ::1 ::1 1 1\r\n", b"PROXY TCP4 1.2.3.4 1.2.3.4 1 99999\r\n", b"PROXY TCP4 1.2.3.4 1.2.3.4 1 1\n", b"EHLO c\r\n",
             b"PROXY " + b"x" * 2000, b"\r\n\r\n\0\r\nQUIT\n", b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff" + b"x" * 3000, b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x02ab", b"\r\n\r\n\0\r\nQUIT\n\xff\xff\0\0"):
    got = talk(head + b"EHLO c\r\nQUIT\r\n", port=10023, wait=6)
    check(not got or got[:3] in (b"421", b"220"), f"PROXY: {head[:40]!r}: {got[:60]!r}")
check(codes(talk(b"PROXY TCP4 192.0.2.13 192.0.2.1 1 25\r\nEHLO c\r\nQUIT\r\n", port=10023)) == ["220", "250", "221"], "PROXY: a good one is served after all of them")
for line in (b"ETRN #,1);###", b"ETRN ../../../../tmp/pwned", b"ETRN `touch /tmp/pwned`", b"ETRN '); DROP TABLE x;--", b"ETRN example.org;touch", b"ETRN " + b"a." * 400, b"ETRN a b"):
    got = codes(talk(b"EHLO c\r\n" + line + b"\r\nQUIT\r\n"))
    check(got[2] in ("459", "500", "501", "554") and got[-1] == "221", f"CVE-2025-26794: {line[:30]!r}: {got}")
check(not os.path.exists("/tmp/pwned"), "CVE-2025-26794: nothing was run or written")
alive("PROXY")

# --- A policy server that lies, hangs or dies ---
for name, want in (("garbage", r"451 4.3.5"), ("unfinished", r"451 4.3.5"), ("hang", r"451 4.3.5"), ("dies", r"451 4.3.5"), ("endless", r"451 4.3.5"), ("lines", r"554 5.7.1 <alice@example.com>: Recipient address rejected: one"),
                   ("late", r"250"), ("control", r"554 5.7.1 <alice@example.com>: Recipient address rejected: a.\[2Jb$"), ("twice", r"250|554"), ("unknown", r"451 4.3.5"), ("header", r"250"), ("loop", r"451 4.3.5")):
    port = policies[name][0] + 100
    begin = time.time()
    got = talk(HEAD % b"alice@example.com" + b"RCPT TO:<bob@example.com>\r\nRSET\r\nQUIT\r\n", port=port, wait=40)
    lines = got.decode("latin-1").split("\r\n")
    rcpt = [x for x in lines if not x.startswith(("220", "250-", "221"))][2:4]
    check(len(rcpt) == 2 and all(re.match(want.replace("alice", r"\w+"), x) for x in rcpt) and time.time() - begin < 30 and codes(got)[-1] == "221",
          f"POLICY: {name}: {rcpt} {time.time() - begin:.1f} s {got[-60:]!r}")
    check(resident(pid_of(str(port))) < 60000, f"POLICY: {name}: memory {resident(pid_of(str(port)))}")
talk(HEAD % b"alice@example.com" + b"DATA\r\nSubject: prepended\r\n\r\nx\r\n.\r\nQUIT\r\n", port=policies["header"][0] + 100)
settle()
check(b"prepended" in latest() and b"\nBcc: evil" not in latest(), f"POLICY: a header it prepends is one header: {latest()!r}")
check(not [x for x in grep("") if re.search("[\x00-\x08\x0b-\x1f\x7f]", x)], "POLICY: what it says is made fit for the log")

# --- Commands by address: CVE-1999-0203, CVE-1999-0163, CVE-2019-10149, CVE-2020-7247, CVE-2014-2957 ---
for address in ("|touch /tmp/pwned", '"|touch /tmp/pwned"', "|touch${IFS}/tmp/pwned", ":include:/etc/passwd", '":include:/etc/passwd"', "/tmp/pwned", '"/tmp/pwned"', "${run{/bin/touch${IFS}/tmp/pwned}}", "`touch${IFS}/tmp/pwned`",
                "$(touch${IFS}/tmp/pwned)", ";touch${IFS}/tmp/pwned;", "-oQ/tmp/pwned", "alice+|touch${IFS}/tmp/pwned", "alice+../../../tmp/pwned", '"alice+\\"|touch /tmp/pwned\\""', "alice+;touch${IFS}/tmp/pwned", '"a\\\nb"'):
    talk(b"EHLO c\r\nMAIL FROM:<s@example.org>\r\nRCPT TO:<%s@example.com>\r\nDATA\r\nSubject: x\r\n\r\nx\r\n.\r\nQUIT\r\n" % address.encode())
    talk(b"EHLO c\r\nMAIL FROM:<%s@example.org>\r\nRCPT TO:<nosuch@virt.test>\r\nRCPT TO:<alice@example.com>\r\nDATA\r\nSubject: x\r\n\r\nx\r\n.\r\nQUIT\r\n" % address.encode())
    quiet(["sendmail", "-f", "s@example.org", "--", address + "@example.com"], "Subject: x\n\nx\n", user="bob")
talk(b"EHLO c\r\nMAIL FROM:<|touch /tmp/pwned>\r\nRCPT TO:<alice@example.com>\r\nDATA\r\nErrors-To: |touch /tmp/pwned\r\nReturn-Receipt-To: |touch /tmp/pwned\r\n\r\nx\r\n.\r\nQUIT\r\n")
talk(HEAD % b"anything@catch.test" + b"DATA\r\nSubject: x\r\n\r\nx\r\n.\r\nQUIT\r\n")
settle()
found = [f for f in os.listdir("/tmp") if f.startswith("pwned")]
check(not found, f"CVE-2019-10149: nothing of it was run or written: {found}")

# --- Shell characters in arguments of pipe(8) (CVE-2002-1165) ---
parts = ["plain", "a;touch${IFS}/tmp/pwned", "$(touch${IFS}/tmp/pwned)", "`touch${IFS}/tmp/pwned`", "a|b", "a&b", "*", "a'b", "-x", "user+-x"]
for local in parts:
    talk(b"EHLO c\r\nMAIL FROM:<s@example.org>\r\nRCPT TO:<\"%s\"@pipe.test>\r\nDATA\r\nSubject: x\r\n\r\nx\r\n.\r\nQUIT\r\n" % local.encode())
settle()
with open("/tmp/shown") as f:
    shown = f.read()
for local in parts:
    if not local.startswith("-"):
        check(f"[s@example.org][{local}@pipe.test][{local.split('+')[0]}]" in shown, f"PIPE: {local} is one argument: {shown[-300:]}")
check("[-x" not in shown.replace("[-x]\n", "") and not [f for f in os.listdir("/tmp") if f.startswith("pwned")], f"PIPE: no address looks like an option, nothing was run: {shown[-200:]}")

# --- Line ends in parameters: CVE-2020-28021, CVE-2020-28015, CVE-2020-28026, CVE-2020-8794 ---
for n, text in enumerate((b"MAIL FROM:<s@example.org> ENVID=a+0ABcc:+20evil@example.org\r\nRCPT TO:<alice@example.com>\r\n", b"MAIL FROM:<s@example.org>\r\nRCPT TO:<alice@example.com> ORCPT=rfc822;a+0D+0ABcc:+20evil@x NOTIFY=SUCCESS\r\n",
                          b"XFORWARD NAME=a+0ABcc:+20evil HELO=x+0D+0AX: ADDR=192.0.2.99\r\nMAIL FROM:<s@example.org>\r\nRCPT TO:<alice@example.com>\r\n",
                          b'MAIL FROM:<"a\\\rBcc: evil"@example.org>\r\nRCPT TO:<alice@example.com>\r\n', b"MAIL FROM:<s@example.org> AUTH=a+0AS+20evil\r\nRCPT TO:<alice@example.com>\r\n")):
    got = talk(b"EHLO c\r\n" + text + b"DATA\r\nSubject: injection %d\r\n\r\nx\r\n.\r\nQUIT\r\n" % n)
    settle()
    check(codes(got)[-1] == "221", f"INJECTION: {n}: {got[-120:]!r}")
with open("/var/mail/alice", "rb") as f:
    box = f.read()
check(not re.search(rb"^(Bcc:|X:\s*$|S evil)", box, re.M), "INJECTION: no header was made by it")
got = talk(b"EHLO c\rX: y\r\nMAIL FROM:<s@example.org>\r\nRCPT TO:<alice@example.com>\r\nDATA\r\nSubject: helo\r\n\r\nx\r\n.\r\nQUIT\r\n")
settle()
check(not re.search(rb"[\r\n]X: y", latest()), f"INJECTION: HELO: {latest()[:300]!r}")
file("/tmp/x", "")

# --- CVE-2003-0540, CVE-2003-0468, CVE-2005-0337, relaying by odd forms ---
for address in (".!", ".!@example.com", "@", "@@", "x@.", "x@..", "<<<<>>>>", "a@b@c", "@a,@b:", "[1.2.3.4]:25", "x@[192.0.2.20]:8080", "x@[", "x@]", '"', '"\\', "(((", "x(" * 200):
    got = talk(b"EHLO c\r\nMAIL FROM:<%s>\r\nRSET\r\nMAIL FROM:<s@example.org>\r\nRCPT TO:<%s>\r\nRSET\r\nQUIT\r\n" % (address.encode(), address.encode()), wait=5)
    check(codes(got)[-1] == "221", f"CVE-2003-0540: {address[:30]}: {got[-100:]!r}")
for address in ("victim%evil.test@example.com", "victim@evil.test@example.com", '"victim@evil.test"@example.com', "@example.com:victim@evil.test", "evil.test!victim", "evil.test!victim@example.com", "victim@[192.0.2.20]",
                "victim%evil.test", '"victim%evil.test"@mail.example.com', "victim@evil.test.", "victim@evil.test@[192.0.2.1]"):
    got = talk(b"EHLO c\r\nMAIL FROM:<s@evil.test>\r\nRCPT TO:<%s>\r\nQUIT\r\n" % address.encode(), src="192.0.2.13")
    check(codes(got)[3][0] in "45", f"RELAY: {address}: {got[-100:]!r}")

# --- STARTTLS and AUTH injection: what a client sends behind them, as far as there is neither (CVE-2011-0411, CVE-2021-38371) ---
got = codes(talk(b"EHLO c\r\nSTARTTLS\r\nMAIL FROM:<evil@example.org>\r\nAUTH PLAIN AGEAYg==\r\nAUTH LOGIN\r\nUSERNAME\r\nNOOP\r\nQUIT\r\n"))
check(got[2] in ("502", "454", "503") and got[4] in ("502", "503") and got[-1] == "221", f"STARTTLS: refused, and nothing is left of it: {got}")
# --- CVE-1999-0095, CVE-1999-0145 ---
for word in (b"DEBUG", b"WIZ", b"KILL", b"SHOWQ", b"TURN", b"SEND FROM:<a@b>", b"SOML FROM:<a@b>", b"SAML FROM:<a@b>", b"EXPN alice"):
    got = codes(talk(b"EHLO c\r\n" + word + b"\r\nQUIT\r\n"))
    check(got[2] in ("502", "500"), f"CVE-1999-0095: {word!r}: {got}")

# --- CVE-2021-3618 (ALPACA): a browser, or a client of some other protocol, is led to this port and has commands in what it sends ---
for name, head in (("HTTP", b"POST / HTTP/1.1\r\nHost: mail.example.com\r\nContent-Length: 200\r\n\r\n"), ("GET", b"GET /?%0d%0aMAIL HTTP/1.1\r\nHost: x\r\n\r\n"),
                   ("CONNECT", b"CONNECT mail.example.com:25 HTTP/1.1\r\n\r\n"), ("a header", b"Host: mail.example.com\r\nUser-Agent: x\r\n\r\n"),
                   ("TLS", b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03" + b"\0" * 500 + b"\r\n")):
    before = latest()
    # What is no command at all is told by its coming before the greeting.
    got = codes(talk(head + HEAD % b"alice@example.com" + b"DATA\r\nSubject: by a browser\r\n\r\nx\r\n.\r\nQUIT\r\n", port=10025 if name == "TLS" else 25))
    check(not set(got) & {"354"} and got[-1] in ("221", "554"), f"CVE-2021-3618: {name}: {got}")
    settle()
    check(latest() == before, f"CVE-2021-3618: {name}: no mail came of it")

# --- CVE-2020-28022, CVE-2020-28023: options of MAIL and RCPT that are none ---
for line in (b"MAIL FROM:<s@example.org>AUTH=", b"MAIL FROM:<s@example.org> =", b"MAIL FROM:<s@example.org> SIZE", b"MAIL FROM:<s@example.org> SIZE=" + b"9" * 900, b"MAIL FROM:<s@example.org> =" + b"x" * 900,
             b"MAIL FROM:<s@example.org> RET= ENVID= BODY=", b"MAIL FROM:", b"MAIL FROM:<", b"MAIL FROM:>", b"MAIL FROM:<s@example.org> \"", b"MAIL FROM:<s@example.org> ENVID=+", b"MAIL FROM:<s@example.org> ENVID=+0",
             b"MAIL FROM:<s@example.org> ENVID=" + b"+41" * 300, b"EHLO", b"EHLO ", b"HELO " + b"x" * 2000, b"MAIL", b"RCPT", b"BDAT", b"BDAT -1", b"BDAT 99999999999999999999 LAST"):
    got = codes(talk(line + b"\r\nNOOP\r\nQUIT\r\n"))
    check(got[0] == "220" and got[1][0] in "25" and got[-1] in ("221", "501", "521"), f"CVE-2020-28022: {line[:40]!r}: {got}")
for option in (b"NOTIFY=", b"NOTIFY=,", b"NOTIFY=NEVER,NEVER", b"ORCPT=", b"ORCPT=;", b"ORCPT=rfc822;+", b"ORCPT=rfc822;" + b"+41" * 300, b"=", b"ORCPT=" + b";" * 900):
    got = codes(talk(HEAD % b"alice@example.com" + b"RCPT TO:<alice@example.com> " + option + b"\r\nNOOP\r\nQUIT\r\n"))
    check(got[4][0] in "25" and got[5:] == ["250", "221"], f"CVE-2020-28023: {option[:40]!r}: {got}")

# --- CVE-2002-0906, CVE-2023-42119: what name servers say ---
for n in range(14, 20):
    got = talk(b"EHLO c\r\nMAIL FROM:<s@example.org>\r\nRCPT TO:<alice@example.com>\r\nQUIT\r\n", port=10019, src=f"192.0.2.{n}")
    check(codes(got)[-2] in ("554", "550", "450") and codes(got)[-1] == "221" and len(got.split(b"\r\n")[-3]) <= 512 and not re.search(rb"[\0-\x09\x0b\x0c\x0e-\x1f\x7f]", got),
          f"CVE-2002-0906: client {n}: {got[-200:]}")
check(not [x for x in grep("") if re.search("[\x00-\x08\x0b-\x1f\x7f]", x)], "CVE-2002-0906: nothing of it gets into the log")
alive("CVE-2023-42119")

# --- CVE-2023-29323: a client whose address has a scope ---
link = re.search(r"^(\S+) \S+ \S+ \S+ \S+\s+(\S+)$", "\n".join(x for x in open("/proc/net/if_inet6").read().splitlines() if x.startswith("fe80")), re.M)
check(link, "CVE-2023-29323: there is an interface with a scoped address")
if link:
    local = ":".join(link[1][i:i + 4] for i in range(0, 32, 4)) + "%" + link[2]
    with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as s:
        s.settimeout(5)
        s.connect(socket.getaddrinfo(local, 25, socket.AF_INET6)[0][4])
        s.sendall(b"EHLO c\r\nMAIL FROM:<s@example.org>\r\nRCPT TO:<x@elsewhere.example>\r\nQUIT\r\n")
        got = b""
        while piece := s.recv(65536):
            got += piece
    check(codes(got)[0] == "220" and codes(got)[-1] == "221", f"CVE-2023-29323: {local}: {got[-200:]}")
alive("CVE-2023-29323")

# --- CVE-2025-62875: rubbish to the sockets of the services (of this program only: it is root's or postdrop's to do) ---
names = [(d, n) for d in ("public", "private") for n in os.listdir("/var/spool/postfix/" + d)]
for d, n in names:
    for rubbish in (b"\0" * 100, b"\xff" * 100, b"\x7f\xff\xff\xff\x01\x01\0\0\0\0", b"\0\0\0\x0a\x01\x14\0\0\0\1\xff\xff\xff\xff", b"hello\n\n"):
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(0.3)
        try:
            s.connect(f"/var/spool/postfix/{d}/{n}")
            s.sendall(rubbish)
            s.recv(100)
        except OSError:
            pass
        s.close()
sleep(0.5)
alive("CVE-2025-62875")
now = running()
lost = {p: v for p, v in pids.items() if p in ("master", "qmgr", "smtpd", "pickup") and not set(v) <= set(now.get(p, []))}
check(not lost, f"CVE-2025-62875: all of them live on: {lost}")
quiet("sendmail -f s@example.org alice", "Subject: afterwards\n\nx\n")
settle()
check(b"Subject: afterwards" in latest(), "CVE-2025-62875: and mail is delivered")
# --- CVE-2017-10140: files that a library would read from the current folder ---
quiet("mkdir -p /tmp/cwd; echo 'set_data_dir /tmp/pwned' > /tmp/cwd/DB_CONFIG; echo 'a b' > /tmp/cwd/t; chown -R bob /tmp/cwd")
quiet("cd /tmp/cwd && postmap hash:t && postmap -q a hash:t", user="bob")
check(sorted(os.listdir("/tmp/cwd")) == ["DB_CONFIG", "t", "t.db"], f"CVE-2017-10140: {os.listdir('/tmp/cwd')}")
check(not grep("panic"), f"no panic in all of this: {grep('panic')[:3]}")
check(not grep("fatal"), f"no process ended: {grep('fatal')[:3]}")
nolog()
