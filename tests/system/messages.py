"""real messages arrive byte for byte but for the headers that Postfix itself adds or takes out (S-LOCAL-03, S-MAP-01)"""
import glob
import os
import re
import smtplib
import sysconfig

data = sorted(glob.glob(sysconfig.get_path("stdlib") + "/test/test_email/data/msg_*.txt"))
data += sorted(glob.glob("/usr/lib/python3*/test/test_email/data/msg_*.txt"))
seen = {os.path.basename(f): f for f in data}
check(len(seen) >= 30, f"CPython's messages are here: {len(seen)}")
main("""
    mynetworks = 127.0.0.0/8
    mailbox_size_limit = 0
    home_mailbox = Maildir/
    always_add_missing_headers = no
    local_header_rewrite_clients =
""")
start()
sent = {}
with smtplib.SMTP("127.0.0.1", 25, timeout=20) as s:
    for name, path in seen.items():
        text = open(path, "rb").read().replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        # A message begins with a header line, and ends with a line end; some of these are broken on purpose.
        if not re.match(rb"[!-9;-~]+:", text) or b"\n\n" not in text:
            continue
        if not text.endswith(b"\n"):
            text += b"\n"
        mark = b"X-Test: " + name.encode() + b"\n"
        s.sendmail("s@example.org", ["alice@example.com"], (mark + text).replace(b"\n", b"\r\n"))
        sent[name] = mark + text
settle()
got = {}
for path in glob.glob("/home/alice/Maildir/new/*"):
    text = open(path, "rb").read()
    for line in text.split(b"\n"):
        if line.startswith(b"X-Test: "):
            got[line[8:].decode()] = text
            break
check(set(got) == set(sent), f"all {len(sent)} arrive; missing: {sorted(set(sent) - set(got))}")
ADDED = (b"Return-Path:", b"X-Original-To:", b"Delivered-To:", b"Received: from")
DROPPED = (b"return-path:", b"bcc:", b"content-length:", b"resent-bcc:")


def headers(text):
    head, _, body = text.partition(b"\n\n")
    rows = []
    for line in head.split(b"\n"):
        if line[:1] in b" \t" and rows:
            rows[-1] += b"\n" + line
        else:
            rows.append(line)
    return rows, body


for name, text in sent.items():
    rows, body = headers(text)
    rows = [r for r in rows if not r.lower().startswith(DROPPED)]
    have, have_body = headers(got.get(name, b""))
    # Those in front are the receiving host's; a message may have some of its own.
    extra = len(have) - len(rows)
    front = have[:extra] if extra > 0 else []
    same = have[max(extra, 0):] == rows and have_body == body and all(r.startswith(ADDED) for r in front)
    detail = "" if same else f": {[(a, b) for a, b in zip(have[max(extra, 0):], rows) if a != b][:2]} {front} {body[:60]!r} {have_body[:60]!r}"
    check(same, f"{name} is what was sent{detail}")
nolog()
