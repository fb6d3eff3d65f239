"""settings of smtpd and qmqpd that no other scenario changes: known_tcp_ports, tcp_windowsize, verp_delimiter_filter, smtpd_policy_service_request_limit, internal_mail_filter_classes"""
import socket

main("""
    mynetworks = 127.0.0.0/8 192.0.2.10
    known_tcp_ports = alpha=2525, beta=gamma=2526
    verp_delimiter_filter = -=
    smtpd_authorized_verp_clients = 192.0.2.10
    qmqpd_authorized_clients = 192.0.2.10
    qmqpd_error_delay = 0s
    notify_classes = policy
    internal_mail_filter_classes = notify
    header_checks = regexp:{ {/^Subject:.*errors from/ WARN seen} }
    smtpd_error_sleep_time = 0
    tcp_windowsize = 8192
    default_verp_delimiters = -=
    smtp_connection_cache_on_demand = no
""")
dns("10.2.0.192.rbl.example.org A 127.0.0.2\n10.2.0.192.rbl.example.org TXT listed here")
master("""
    alpha inet n - n - - smtpd -o { smtpd_recipient_restrictions = reject_rbl_client rbl.example.org, permit_mynetworks, reject }
    gamma inet n - n - - smtpd
    628 inet n - n - - qmqpd
    2527 inet n - n - - smtpd -o { smtpd_recipient_restrictions = check_policy_service { inet:127.0.0.1:9998, request_limit=1 }, permit_mynetworks, reject }
    2528 inet n - n - - smtpd -o { smtpd_recipient_restrictions = check_policy_service inet:127.0.0.1:9998, permit_mynetworks, reject } -o smtpd_policy_service_request_limit=2
""")
sink("mx1", "192.0.2.20:25")
policy("p", "127.0.0.1:9998", lambda attrs: f"reject connection {attrs['(connection)']}")
start()
sh("for p in 2525 628; do ss -tlnmH sport = :$p | grep -o 'rb[0-9]*,t0,tb[0-9]*'; done")
for number in (2525, 2526):
    smtp("EHLO client.example.org\nMAIL FROM:<s@example.com>\nRCPT TO:<alice@example.com>\nQUIT", port=number)
settle()
# The notice of a policy violation goes through header_checks.
wait_log("errors from")
for verp in ("", "=-=", "=+=", "=-+", "==-", "=-", "=--=", "=aa"):
    smtp(f"EHLO client.example.org\nMAIL FROM:<list@example.com> XVERP{verp}\nRSET\nQUIT", port=2526)
for n in (2527, 2528):
    smtp("""
        EHLO client.example.org
        MAIL FROM:<s@example.com>
        RCPT TO:<a@example.com>
        RCPT TO:<b@example.com>
        RCPT TO:<c@example.com>
        RCPT TO:<d@example.com>
        RCPT TO:<e@example.com>
        QUIT
    """, port=n)
for sender in ("list-@example.org-@[]", "list=@example.org-@[]"):
    text = "Subject: x\n\nx\n"
    parts = b"".join(b"%d:%s," % (len(x), x.encode()) for x in (text, sender, "a@example.org"))
    with host.net.socket(socket.AF_INET, socket.SOCK_STREAM, "192.0.2.10") as s:
        s.settimeout(10)
        s.bind(("192.0.2.10", 0))
        s.connect(("192.0.2.1", 628))
        s.sendall(b"%d:%s," % (len(parts), parts))
        host.out("S: " + s.recv(1000).decode())
settle()
log(exclude="disconnect|statistics")
