"""address_verify_sender and address_verify_sender_ttl: who probes come from, and that mail for that address passes (S-UBE-46)"""
import re

main("""
    smtpd_relay_restrictions = permit_mynetworks, reject
    mynetworks = 127.0.0.0/8 192.0.2.10
    transport_maps = inline:{ {ok.example=smtp:[192.0.2.20]} {other.example=smtp:[192.0.2.20]} }
    address_verify_poll_delay = 1
    address_verify_poll_count = 1
    address_verify_map =
    smtpd_error_sleep_time = 0
    smtp_connection_cache_on_demand = no
    smtpd_recipient_restrictions = reject_unverified_recipient
    smtpd_recipient_limit = 100
    mydestination = $myhostname, $mydomain, localhost
    local_recipient_maps = inline:{ alice=x }
""")
master("""
    2525 inet n - n - - smtpd -o smtpd_recipient_restrictions=reject
    2526 inet n - n - - smtpd -o smtpd_recipient_restrictions=reject_unverified_sender,reject_unverified_recipient
    2527 inet n - n - - smtpd -o { smtpd_recipient_restrictions=check_sender_access static:reject, permit }
    2528 inet n - n - - smtpd -o { smtpd_client_restrictions=reject } -o { smtpd_delay_reject = no }
    2529 inet n - n - - smtpd -o { smtpd_sender_restrictions=reject } -o { smtpd_relay_restrictions = reject } -o { smtpd_data_restrictions = reject } -o { smtpd_end_of_data_restrictions = reject }
    2530 inet n - n - - smtpd -o { smtpd_recipient_restrictions=check_policy_service inet:127.0.0.1:9998, permit }
""")
sink("mx1", "192.0.2.20:25")
start()


def shown(text):
    """A changing part of the sender, as its kind."""
    return re.sub(r"(?i)(?<=double-bounce)[0-9a-z]{2,}(?=@)|(?<=prober)[0-9a-z]{2,}(?=@)", "CHANGES", text)


def turn(n, setting):
    note(setting)
    for part in setting.split(";"):
        quiet(f"postconf -e '{part.strip()}'")
    quiet("postfix reload; sleep 0.7")
    smtp(f"EHLO client.example.org\nMAIL FROM:<x@ok.example>\nRCPT TO:<p{n}@ok.example>\nRSET\nMAIL FROM:<>\nRCPT TO:<alice@example.com>\nQUIT")
    settle()
    server = host.servers["mx1"]
    senders = sorted(line.split()[1] for record in server.records for line in record if line.startswith("MAIL") and any(f"<p{n}@" in x for x in record))
    server.records.clear()
    for sender in senders:
        note(shown(sender))
    return senders[-1].removeprefix("FROM:").strip("<>") if senders else ""


SETTINGS = ["address_verify_sender = $double_bounce_sender", "address_verify_sender =", "address_verify_sender = <>", "address_verify_sender = prober",
            "address_verify_sender = prober@other.example", "address_verify_sender = prober@mail.example.com; myorigin = $myhostname", "address_verify_sender = postmaster",
            "myorigin = $mydomain; address_verify_sender = double-bounce; address_verify_sender_ttl = 90000", "address_verify_sender = prober@mail.example.com", "address_verify_sender ="]
for n, setting in enumerate(SETTINGS):
    sender = turn(n, setting)
    for number in (25, 2525, 2526, 2527, 2528, 2529, 2530) if n == 0 else (25, 2525):
        # Its own sender, the same in other letters, and others beside it.
        names = [sender, sender.upper(), "x" + sender] if sender else ["double-bounce@example.com"]
        rows = "".join(f"RCPT TO:<{name}>\n" for name in names)
        dialogue = f"EHLO client.example.org\nMAIL FROM:<x@other.example>\n{rows}DATA\n.\nQUIT" if number != 25 else f"EHLO client.example.org\nMAIL FROM:<{sender}>\n{rows}QUIT"
        c = client(port=number)
        before = len(host.lines)
        c.do(dialogue)
        c.close()
        for i in range(before, len(host.lines)):
            host.lines[i] = shown(host.lines[i])
    settle()
    if n == 0:
        # Mail from it has to be from a sender that is there, as any other.
        smtp(f"EHLO client.example.org\nMAIL FROM:<{sender}>\nRCPT TO:<alice@example.com>\nQUIT", port=2526)
        smtp(f"EHLO client.example.org\nVRFY {sender}\nVRFY postmaster\nVRFY x\nQUIT", port=2525)
nolog()
