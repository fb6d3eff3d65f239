"""next hops that misbehave: mail is deferred, never lost, in bounded time and memory, and other mail goes on (S-SEC-05, S-CLIENT-02, S-CLIENT-04)"""
import os
import time

LIMIT = 3
main(f"""
    mynetworks = 127.0.0.0/8 192.0.2.0/24
    transport_maps = texthash:/etc/postfix/transport
    smtp_helo_timeout = {LIMIT}s
    smtp_mail_timeout = {LIMIT}s
    smtp_rcpt_timeout = {LIMIT}s
    smtp_data_init_timeout = {LIMIT}s
    smtp_data_xfer_timeout = {LIMIT}s
    smtp_data_done_timeout = {LIMIT}s
    smtp_quit_timeout = {LIMIT}s
    smtp_per_request_deadline = yes
    smtp_connection_cache_on_demand = no
    smtp_destination_rate_delay = 0
    minimal_backoff_time = 300s
    lmtp_data_done_timeout = {LIMIT}s
    lmtp_rcpt_timeout = {LIMIT}s
    lmtp_lhlo_timeout = {LIMIT}s
    lmtp_mail_timeout = {LIMIT}s
    lmtp_per_request_deadline = yes
""")
STAGES = ["BANNER", "EHLO", "HELO", "MAIL", "RCPT", "DATA", ".", "QUIT"]
GOOD = {"BANNER": b"220 x ESMTP\r\n", "EHLO": b"250-x\r\n250 PIPELINING\r\n", "LHLO": b"250 x\r\n", "HELO": b"250 x\r\n", "MAIL": b"250 2.1.0 Ok\r\n",
        "RCPT": b"250 2.1.5 Ok\r\n", "DATA": b"354 go\r\n", ".": b"250 2.0.0 Ok\r\n", "QUIT": b"221 bye\r\n", "RSET": b"250 Ok\r\n"}


def server(conn, at, act):
    """SMTP as it should be, but at one stage."""
    f = conn.makefile("rb")

    def say(stage):
        if stage == at:
            return act(conn)
        conn.sendall(GOOD.get(stage, b"500 5.5.1 what\r\n"))
        return True

    if not say("BANNER"):
        return
    data = False
    for line in f:
        if data and line != b".\r\n":
            continue
        stage = "." if data else line.split()[0].decode("latin-1").upper() if line.split() else "?"
        data = False
        if not say(stage):
            return
        if stage == "QUIT":
            return
        data = stage == "DATA" and at != "DATA"


def close(conn):
    return False


def reset(conn):
    import socket
    import struct
    conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return False


def silence(conn):
    time.sleep(LIMIT * 4)
    return False


def trickle(conn):
    for _ in range(LIMIT * 40):
        conn.sendall(b"2")
        time.sleep(0.1)
    return False


def endless_line(conn):
    for _ in range(4000):
        conn.sendall(b"x" * 65536)
    return False


def endless_reply(conn):
    for _ in range(4000):
        conn.sendall(b"250-and more of it, in line after line\r\n" * 1500)
    return False


def garbage(conn):
    conn.sendall(os.urandom(2000).replace(b"\n", b"") + b"\r\n")
    return True


def zeros(conn):
    conn.sendall(b"\0" * 1000 + b"\r\n")
    return True


def eight_bit(conn):
    conn.sendall(b"450 4.2.0 \xff\xfe\x80 gr\xfc\xdfe \x1b[2J\x07\r\n")
    return True


def only_newline(conn):
    conn.sendall(b"\r\n" * 10)
    return True


def strange_code(conn):
    conn.sendall(b"999 what\r\n")
    return True


def hundred(conn):
    conn.sendall(b"150 wait\r\n")
    return True


def too_many(conn):
    conn.sendall(b"450 4.2.0 no\r\n" * 50)
    return True


def refuse_and_close(conn):
    conn.sendall(b"421 4.3.2 closing\r\n")
    return False


ACTS = [close, reset, silence, trickle, endless_line, endless_reply, garbage, zeros, eight_bit, only_newline, strange_code, hundred, too_many, refuse_and_close]
# Enough of a bad reply that a message may have been taken, or a refusal that is for good.
rows, expected, port = [], {}, 4000
for act in ACTS:
    for stage in STAGES:
        name = f"{act.__name__}-{stage.strip('.').lower() or 'dot'}".replace("_", "-")
        sink(name, f"192.0.2.20:{port}")
        host.servers[name].serve = lambda conn, peer, stage=stage, act=act: server(conn, stage, act)
        rows.append(f"{name}.example smtp:[192.0.2.20]:{port}")
        expected[name] = (act, stage)
        port += 1
sink("good", "192.0.2.21:25")
file("/etc/postfix/transport", "\n".join(rows + ["good.example smtp:[192.0.2.21]"]))
start()
began = time.time()
for name in expected:
    mail("s@example.com", f"a@{name}.example b@{name}.example", f"Subject: {name}\n\n" + "text of the message\n" * 100)
# Other mail is not held up by a hundred servers that take their time.
mail("s@example.com", "a@good.example", "Subject: good\n\n")
grep("to=<a@good.example>.*status=sent", wait=10)
check(bool(grep("to=<a@good.example>.*status=sent")), "other mail goes on meanwhile")
top = 0
pids = quiet("pgrep -f 'smtp -t unix'").stdout.split() or quiet("pgrep -x smtp").stdout.split()
for _ in range(LIMIT * 80):
    for pid in pids:
        try:
            status = open(f"/proc/{pid}/status").read()
            top = max(top, int(next(x for x in status.split("\n") if x.startswith("VmHWM")).split()[1]))
        except (OSError, StopIteration):
            pass
    done = len(set(x for line in grep(r"status=") for x in [line.split("to=<")[1].split(">")[0]] if not x.startswith("s@")))
    if done >= 2 * len(expected) + 1:
        break
    time.sleep(0.25)
check(bool(pids), "the client's process is found")
took = time.time() - began
check(top < 60000, f"the client needs no more than 60 MB while servers send without end ({top} kB)")
check(took < 90, f"all have a result in bounded time ({took:.0f} s)")
results = {}
for line in grep(r"status="):
    results.setdefault(line.split("to=<")[1].split(">")[0], []).append(line)
# With EHLO working, HELO is never asked for; QUIT comes when all is done.
for name, (act, stage) in expected.items():
    lines = [x for who in "ab" for x in results.get(f"{who}@{name}.example", ["(no result)"])]
    want = ["status=sent"] if stage in ("HELO", "QUIT") else ["status=deferred"]
    if act in (garbage, zeros, only_newline, too_many) and stage in ("EHLO", "MAIL", "RCPT", "DATA", "BANNER", ".", "HELO"):
        # A line without a code belongs to the reply that follows it, if one does.
        want = ["status=deferred", "status=sent", "status=bounced"] if act is too_many else ["status=deferred", "status=sent"]
    if act is strange_code or act is hundred:
        want.append("status=bounced")
    if stage == "EHLO" and act in (eight_bit, strange_code, hundred, too_many):
        want.append("status=sent")
    check(len(lines) == 2 and all(any(w in x for w in want) for x in lines), f"{name}: {want}: {lines}")
check(not [x for x in grep("panic|fatal|killed by|exit status") if "postfix/" in x], f"no process ended: {grep('panic|fatal|killed by|exit status')}")
check(all(c.isprintable() for line in grep("eight-bit") for c in line), "nothing unprintable in the log")
# What was deferred is still there, whole, and goes out when the servers are well.
waiting = [n for n in expected if any("status=deferred" in x for x in results.get(f"a@{n}.example", []))]
for name in waiting:
    host.servers[name].serve = lambda conn, peer: server(conn, "", None)
quiet("postqueue -f")
for _ in range(300):
    if not queue_ids():
        break
    time.sleep(0.2)
left = [i for i in queue_ids()]
check(not left, f"{len(waiting)} messages go out when the servers are well; left: {quiet('mailq').stdout[-600:] if left else ''}")
nolog()
