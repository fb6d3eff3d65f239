"""receive_override_options: mail from smtpd, qmqpd and pickup without mappings and bcc; unknown values are fatal (S-FILTER-09)"""
import socket

main("""
    qmqpd_authorized_clients = 192.0.2.0/24
    always_bcc = carol@example.com
    recipient_bcc_maps = inline:{ { alice@example.com = bob@example.com } }
    virtual_alias_maps = inline:{ { alice@example.com = dave@example.com } }
    mydestination = example.com
""")
NONE, WRONG = "no_address_mappings", "no_header_body_checks,nonsense"
master(f"""
    628   inet n - n - - qmqpd -o receive_override_options={NONE}
    1628  inet n - n - - qmqpd -o receive_override_options={WRONG}
    2525  inet n - n - - smtpd -o receive_override_options={NONE}
    3525  inet n - n - - smtpd -o receive_override_options={WRONG}
""")
start()


def net(text):
    return b"%d:%s," % (len(text), text)


def send(port, data):
    """One connection, and what the server answers; one that cannot start is waited for a moment only."""
    host.out(f"=== port {port}")
    with host.net.socket(socket.AF_INET, socket.SOCK_STREAM, "192.0.2.10") as s:
        s.settimeout(10 if data else 2)
        s.bind(("192.0.2.10", 0))
        s.connect(("192.0.2.1", port))
        got = b""
        try:
            s.sendall(data)
            while piece := s.recv(4096):
                got += piece
        except (ConnectionError, TimeoutError):
            pass
        host.out("S: " + got.decode())


TEXT = b"From: a@example.org\nTo: b@example.com\nMessage-Id: <1@example.org>\nDate: Sat, 21 Nov 2026 05:57:49 +0000\nSubject: test\n\nhello\n"
send(628, net(net(TEXT) + net(b"s@example.org") + net(b"alice@example.com")))
settle()
mail("s@example.org", "alice@example.com", "Subject: p\n\nx\n", port=2525)
settle()
for options in ("", NONE):
    main(f"receive_override_options = {options}")
    reload()
    sendmail("-f s@example.org alice@example.com", "Subject: p\n\nx\n", user="alice")
    settle()
main(f"receive_override_options = {WRONG}")
reload()
sendmail("-f s@example.org alice@example.com", "Subject: p\n\nx\n", user="alice")
sleep(2)
send(1628, b"")
send(3525, b"")
log(exclude="message-id=|postfix-script|reload --|queue active|removed")
