"""check_policy_service: servers by the names of host and port, those that are not there, and without a server (S-FILTER-17)"""
import socket

policy("named", "127.0.0.1:submission", "REJECT named") if False else policy("named", "127.0.0.1:587", "REJECT named")
policy("p", "127.0.0.1:9001", "DUNNO")
main("notify_classes =")
master("""
    2525 inet n - n - - smtpd -o smtpd_recipient_restrictions=check_policy_service,inet:localhost:submission
    2529 inet n - n - - smtpd -o smtpd_recipient_restrictions=check_policy_service,inet:127.0.0.1:nosuchport
    2530 inet n - n - - smtpd -o smtpd_recipient_restrictions=check_policy_service,inet:nosuch.example.com:9000
    2535 inet n - n - - smtpd -o { smtpd_recipient_restrictions = check_policy_service }
    2538 inet n - n - - smtpd -o { smtpd_recipient_restrictions = check_policy_service local:private/nosuch }
""")
start()
smtp("EHLO client.example.org\nMAIL FROM:<s@example.org>\nRCPT TO:<alice@example.com>\nQUIT", port=2525)
for port in (2529, 2530, 2535, 2538):
    host.out(f"== {port}")
    with host.net.socket(socket.AF_INET, socket.SOCK_STREAM, "192.0.2.10") as s:
        s.settimeout(10)
        s.connect(("192.0.2.1", port))
        try:
            for line in ("EHLO client.example.org", "MAIL FROM:<s@example.org>", "RCPT TO:<alice@example.com>", "QUIT"):
                got = s.recv(4096)
                if not got:
                    break
                s.sendall(line.encode() + b"\r\n")
            host.out(got.decode().strip() or "closed")
        except socket.timeout:
            host.out("silence")
        except ConnectionError:
            host.out("reset")
