"""every action of access(5) in every list, with delayed reject and without, and what becomes of the message"""
# S-UBE-03 S-UBE-04 S-UBE-05 S-UBE-06 S-UBE-42 (HOLD, REDIRECT) S-UBE-44 (PREPEND) S-UBE-47
ACTIONS = """
    OK
    permit
    DUNNO
    REJECT no
    DEFER later
    DEFER_IF_PERMIT perhaps
    DEFER_IF_REJECT perhaps
    DEFER_IF_REJECT perhaps, reject
    defer_if_reject, reject
    450 4.3.9 four
    554 5.3.9 five
    421 4.3.9 closing
    521 5.3.9 closing
    HOLD look
    DISCARD gone
    FILTER relay:[192.0.2.20]:25
    REDIRECT bob@example.com
    BCC bob@example.com
    PREPEND X-Seen: yes
    INFO said
    WARN careful
    strict
    warn_if_reject reject
    reject_unauth_destination, reject
    HANGUP
"""
actions = [line.strip() for line in ACTIONS.strip().split("\n")]
clients = [f"{net}.{n}" for net in ("192.0.2", "198.51.100", "203.0.113") for n in range(10, 20)]
table = [f"{clients[n]} {text}\na{n}@ {text}\na{n}.example {text}" for n, text in enumerate(actions)]
postmap("hash:/etc/postfix/actions", "\n".join(table))
sink("filter", "192.0.2.20:25")
main("""
    smtpd_restriction_classes = strict
    strict = reject_non_fqdn_helo_hostname, reject
    smtpd_relay_restrictions = reject_unauth_destination
    smtp_connection_cache_on_demand = no
    notify_classes =
    in_flow_delay = 0
    smtpd_error_sleep_time = 0
""")
KEYS = {"client": "client", "helo": "helo", "etrn": "etrn"}
LISTS = ["client", "helo", "sender", "relay", "recipient", "data", "end_of_data", "etrn"]
cases = []
for delay in ("yes", "no"):
    for name in LISTS:
        if delay == "no" and name in ("relay", "recipient", "data", "end_of_data"):
            continue
        port = 2600 + len(cases)
        more = ",reject_unauth_destination" if name == "relay" else ""
        master(f"""
            {port} inet n - n - - smtpd
              -o smtpd_{name}_restrictions=check_{KEYS.get(name, 'sender')}_access,hash:/etc/postfix/actions{more}
              -o smtpd_delay_reject={delay}
              -o syslog_name={name}/{delay}
        """)
        cases.append((port, name, delay))
start()
for port, name, delay in cases:
    note(f"smtpd_{name}_restrictions, smtpd_delay_reject = {delay}")
    for n, text in enumerate(actions):
        rows = ["EHLO " + (f"a{n}.example" if name == "helo" else "x.example")]
        if name == "etrn":
            rows += [f"ETRN a{n}.example", "NOOP"]
        else:
            rows += [f"MAIL FROM:<{f'a{n}' if KEYS.get(name, 'sender') == 'sender' else name}@example.org>", "RCPT TO:<alice@example.com>", "RCPT TO:<x@elsewhere.example>", "DATA",
                     f"Subject: {name} {delay} {text}", "", "."]
        replies = ask("\n".join(rows), src=clients[n] if name == "client" else "192.0.2.10", port=port)
        note(f"{text}: {' | '.join(x for x in replies if x[:4] not in ('220 ', '250-') and 'CHUNKING' not in x)}")
settle()
sh("grep -h ^Subject: -A1 -B6 /var/mail/alice | grep -E '^(Subject|X-Seen)'", sort=True)
sh("grep -h ^Subject: /var/mail/bob | sort -u")
sh("postqueue -p | grep -c '!'")
log(include="/smtpd: .*(NOQUEUE|QID|: [0-9A-F]{9,}|[a-zA-Z0-9]{12,}): (?!client=)|warning", exclude=": client=")
