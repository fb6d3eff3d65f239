"""generated addresses: in MAIL, RCPT, on the command line and in headers, Postfix and we make the same of each (S-REWRITE-01, S-REWRITE-17, S-ID-14, S-CLASS-01)"""
# ADDRESS_COUNT (300) addresses of ADDRESS_SEED (1). `make addresses` takes 5,000. What differs is said with the settings, the path and
# both answers; the same seed gives the same addresses.
import os
import random
import re

COUNT = int(os.environ.get("ADDRESS_COUNT", "300"))
SEED = int(os.environ.get("ADDRESS_SEED", "1"))

VARIANTS = [
    "",
    "append_dot_mydomain = yes\nrecipient_delimiter = +-\nremote_header_rewrite_domain = remote.invalid\nmasquerade_domains = example.com",
    "resolve_dequoted_address = no\nswap_bangpath = no\nallow_percent_hack = no\nallow_min_user = yes",
    "resolve_null_domain = yes\nresolve_numeric_domain = yes\nstrict_rfc821_envelopes = yes\nowner_request_special = no\nrecipient_delimiter = -",
    "append_at_myorigin = no\nallow_untrusted_routing = yes\nmyorigin = sub\nempty_address_recipient = nobody-home",
]

ATOMS = ["a", "bob", "alice", "al", "x.y", "user", "owner-list", "list-request", "Bob", "postmaster", "mailer-daemon", "double-bounce", "=", "a_b", "$x",
         "{}", "'", "#", "*", "/etc/x", "|cmd", "~", "?", "1", "-", "-x", "--", "é", "ü.ö", "a" * 65]
HOSTS = ["example.com", "mail.example.com", "localhost", "localhost.example.com", "sub.example.com", "a.sub.example.com", "v.example", "m.example",
         "r.example", "x.r.example", "t.example", "u.t.example", "example.org", "Example.ORG", "host", "com", "remote.invalid", "h.masq.example.com",
         "bücher.example", "xn--bcher-kva.example", "BÜCHER.example", "[192.0.2.1]", "[127.0.0.1]", "[192.0.2.77]", "[IPv6:2001:db8::1]", "[IPv6:::9]",
         "[ipv6:fe80::1]", "192.0.2.1", "192.0.2.77", "[1.2.3]", "[x]", "[]", "[::1]", "a_b.example", "-a.example", "a-.example", "1.example", "example.1",
         "a..b", ".a.b", "a.b.", "a.b..", ".", "*.example", "a/b.example", "x" * 64 + ".example", "x y.example", "a,b", "a;b"]
MARKS = ["@", "%", "!", ".", ",", ";", ":", "<", ">", "(", ")", "(c)", "( c d)", '"', '""', "\\", "\\ ", "\\@", " ", "  ", "[", "]", "+", "+ext", "-ext", "+a+b", "+"]


def local(r):
    kind = r.random()
    if kind < 0.45:
        return r.choice(ATOMS) + r.choice(["", "", "", "+ext", "-ext", "+", "+a-b"])
    if kind < 0.6:
        return '"' + r.choice(["a b", "a@b", "a%b", "a!b", "x@example.org", "bob%example.org", "", "a\\\"b", "a\\\\b", ".a", "a.", "a..b", "(c)", "a,b", "bob"]) + '"'
    if kind < 0.75:
        return local(r) + "%" + r.choice(HOSTS)
    if kind < 0.85:
        return r.choice(HOSTS) + "!" + local(r)
    if kind < 0.92:
        return local(r) + r.choice([".", "", " ", "+"]) + local(r)
    return r.choice(["", ".", "a.", ".a", "@", "%", "!", "a@b"])


def address(r):
    kind = r.random()
    if kind < 0.06:
        text = local(r)
    elif kind < 0.72:
        text = local(r) + "@" + r.choice(HOSTS)
    elif kind < 0.82:
        text = "@" + ",@".join(r.choice(HOSTS) for _ in range(r.randint(1, 2))) + ":" + local(r) + "@" + r.choice(HOSTS)
    elif kind < 0.9:
        text = local(r) + "@" + r.choice(HOSTS) + "@" + r.choice(HOSTS)
    else:
        text = "".join(r.choice(ATOMS + HOSTS + MARKS + ["@", "@"]) for _ in range(r.randint(1, 6)))
    # Something where it does not belong.
    for _ in range(r.choice([0, 0, 0, 0, 0, 1, 1, 2])):
        at = r.randint(0, len(text))
        text = text[:at] + r.choice(MARKS) + text[at:]
    if r.random() < 0.05:
        text = r.choice(["Foo <{}>", "{} (Foo)", "(c) {}", "g: {};", "{}, x@example.org", "<{}>", "Foo {}", '"F, o" <{}>', "{},"]).format(text)
    return text.strip()


def generate():
    r = random.Random(SEED)
    seen = {}
    while len(seen) < COUNT:
        seen[address(r)] = None
    return [a for a in seen]


master("\n".join(f"{name} unix - - n - - discard\n  -o syslog_name=postfix/{name}" for name in ("dlocal", "dvirtual", "drelay", "ddefault", "dtable")))
main("""
    local_transport = dlocal
    virtual_transport = dvirtual
    relay_transport = drelay
    default_transport = ddefault
    transport_maps = inline:{ {bob@r.example=local:$myhostname}, {t.example=dtable:table}, {.t.example=dtable}, {a@example.org=error:5.7.9 not there} }
    virtual_alias_domains = v.example
    virtual_alias_maps = inline:{ {a@v.example=a@example.org}, {@v.example=alias@m.example}, {al@example.com=alice@example.com} }
    virtual_mailbox_domains = m.example, bücher.example
    virtual_mailbox_maps =
    relay_domains = r.example
    relocated_maps = inline:{ {user@example.com=elsewhere} }
    canonical_maps = inline:{ {x.y@example.org=canonical@example.org}, {@h.masq.example.com=@masq.example} }
    local_recipient_maps =
    mynetworks = 127.0.0.0/8 192.0.2.10
    smtpd_hard_error_limit = 1000000
    smtpd_soft_error_limit = 1000000
    smtpd_error_sleep_time = 0
    smtpd_junk_command_limit = 1000000
    smtpd_recipient_limit = 100000
    smtpd_timeout = 60s
    duplicate_filter_limit = 0
    qmgr_message_recipient_limit = 100000
    qmgr_message_recipient_minimum = 1000
    header_size_limit = 1000000
    smtpd_client_connection_count_limit = 0
    in_flow_delay = 0
""")


def replies(sock, count):
    """The next replies, each on one line."""
    found, reply = [], ""
    while len(found) < count:
        line = sock.readline().decode("utf-8", "backslashreplace").rstrip("\r\n")
        if not line:
            raise RuntimeError(f"the server went away after {found[-1:]}")
        reply += line
        if re.match(r"\d\d\d-", line):
            reply += " / "
        else:
            found.append(reply)
            reply = ""
    return found


def dialogue(addresses, src):
    """Each address in MAIL and RCPT; then all that RCPT takes in one message. Gives (command, address) to reply."""
    s = host.net.socket(2, 1, src)
    s.settimeout(60)
    s.bind((src, 0))
    s.connect(("192.0.2.1", 25))
    f = s.makefile("rb")
    replies(f, 1)
    s.sendall(b"EHLO client.example.org\r\n")
    replies(f, 1)
    got = {}

    def send(commands):
        answers = []
        for at in range(0, len(commands), 20):
            part = commands[at:at + 20]
            s.sendall("".join(c + "\r\n" for c in part).encode())
            answers += replies(f, len(part))
        return answers
    utf8 = [" SMTPUTF8" if any(ord(c) > 127 for c in a) else "" for a in addresses]
    answers = send([c for a, u in zip(addresses, utf8) for c in (f"MAIL FROM:<{a}>{u}", "RSET")])
    for a, answer in zip(addresses, answers[::2]):
        got["MAIL", a] = answer
    send(["MAIL FROM:<s@example.org> SMTPUTF8"])
    for a, answer in zip(addresses, send([f"RCPT TO:<{a}>" for a in addresses])):
        got["RCPT", a] = answer
    if send(["DATA"])[0].startswith("354"):
        send(["Subject: x\r\n\r\n."])
    s.close()
    return got


def log_since(mark):
    """What became of the recipients, without what differs by chance."""
    found = []
    with open("/var/log/maillog", errors="backslashreplace") as f:
        f.seek(mark)
        lines = f.read().split("\n")
    for line in lines:
        m = re.match(r"\w{3} +\d+ [\d:]{8} (?:\S+ )?(postfix/\S+)\[\d+\]: (.*)", line)
        if not m:
            continue
        line = f"{m[1]}: {m[2]}"
        m = re.match(r"(\S+): [0-9A-Z]+: (to=<.*)", line)
        if m:
            # Recipients with the same next hop share a queue, whose name is the first one's: upper and lower case are a matter of order.
            shown = re.sub(r"status=sent \(.*", lambda m: m[0].lower(), m[2])
            found.append(m[1] + ": " + re.sub(r"delay=[\d.]+, delays=[\d./]+", "delay", re.sub(r"\(delivered to .*\)|queued as \w+", "", shown)))
        elif re.match(r"postfix/\S+: (warning|error|fatal|panic)", line) and not re.search(r"valid_ipv[46]_hostaddr|midna_domain", line):
            found.append(re.sub(r"\[\d+\]", "[]", re.sub(r"\b[0-9A-F]{6,}: ", "", line)))
    return sorted(set(found))


def in_headers(addresses, path):
    """Each address in a header of its own: what the message then has."""
    names = ("To", "From", "Cc", "Reply-To", "Resent-To", "Sender")
    text = "X-Start: x\n" + "".join(f"X-N: {n}\n{names[n % len(names)]}: {a}\n" for n, a in enumerate(addresses)) + "X-N: end\nSubject: headers\n\n.\n"
    quiet("rm -f /var/mail/bob")
    if path == "sendmail":
        quiet("sendmail -i -f s@example.org bob@r.example", text)
    else:
        mail("s@example.org", "bob@r.example", text.rstrip(".\n"), options="SMTPUTF8", src="192.0.2.13" if path == "remote" else "192.0.2.10")
    host.settle(60)
    try:
        box = open("/var/mail/bob", encoding="utf-8", errors="backslashreplace").read()
    except OSError:
        return {}
    return dict(re.findall(r"^X-N: (\d+)\n(.*?)\n(?=X-N: )", box, re.M | re.S))


def ask(addresses, settings):
    """All answers of the mail system that is there, as {(what, address): answer}."""
    quiet("cp /root/main.cf /etc/postfix/main.cf")
    for setting in settings.split("\n"):
        if setting:
            quiet(f"postconf -e '{setting}'")
    start()
    got = {}
    for src in ("192.0.2.10", "192.0.2.13"):
        mark = os.path.getsize("/var/log/maillog")
        for key, answer in dialogue(addresses, src).items():
            got[(src,) + key] = re.sub(r"queued as \w+", "", answer)
        host.settle(60)
        got[src, "log"] = log_since(mark)
    # Not one by one: a fault would only show in a message of its own. Options end with `--`.
    mark = os.path.getsize("/var/log/maillog")
    takes = [a for a in addresses if a]
    host._run(["sendmail", "-i", "-f", "s@example.org", "--"] + takes, "Subject: x\n\n.\n")
    host.settle(60)
    got["sendmail", "log"] = log_since(mark)
    for path in ("sendmail", "remote"):
        for n, value in in_headers(addresses, path).items():
            got[path, "header", addresses[int(n)]] = value
    stop()
    return got


start()
stop()
quiet("cp /etc/postfix/main.cf /root/main.cf")
everything = generate()
SHARE = 500
batches = [(everything[at:at + SHARE]) for at in range(0, len(everything), SHARE)]
# Few addresses: all variants share them.
if len(batches) < len(VARIANTS):
    batches = [everything[n::len(VARIANTS)] for n in range(len(VARIANTS))]
jobs = [(batch, VARIANTS[n % len(VARIANTS)]) for n, batch in enumerate(batches)]
ours = [ask(*job) for job in jobs]
swap()
theirs = [ask(*job) for job in jobs]
asked = differ = 0
for (batch, settings), us, them in zip(jobs, ours, theirs):
    for key in sorted(set(us) | set(them), key=str):
        asked += 1
        if us.get(key) == them.get(key):
            continue
        differ += 1
        if isinstance(us.get(key), list) or isinstance(them.get(key), list):
            a, b = set(us.get(key) or []), set(them.get(key) or [])
            host.out(f"!! {' '.join(key)} with {settings!r}: {len(a ^ b)} lines\n" + "\n".join(
                [f"   postfix {x}" for x in sorted(b - a)[:400]] + [f"   ours    {x}" for x in sorted(a - b)[:400]]))
        elif differ < 400:
            host.out(f"!! {' '.join(key)} with {settings!r}\n   postfix {them.get(key)}\n   ours    {us.get(key)}")
check(not differ, f"{len(everything)} addresses, {asked} answers: {differ} differ")
check(asked > COUNT * 5, "each address was asked on each path")
nolog()
