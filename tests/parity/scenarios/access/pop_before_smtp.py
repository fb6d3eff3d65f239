"""clients that another program writes into a table may relay, from that moment (S-UBE-41, S-INT-23, S-MAP-13)"""
quiet("mkdir /var/lib/pop-before-smtp; touch /var/lib/pop-before-smtp/hosts; postmap hash:/var/lib/pop-before-smtp/hosts")
file("/var/lib/pop-before-smtp/refused", "192.0.2.13 REJECT not this one\n")
quiet("postmap hash:/var/lib/pop-before-smtp/refused")
main("""
    mynetworks = 127.0.0.0/8, hash:/var/lib/pop-before-smtp/hosts
    smtpd_client_restrictions = check_client_access hash:/var/lib/pop-before-smtp/refused
    smtpd_relay_restrictions = permit_mynetworks, check_client_access hash:/var/lib/pop-before-smtp/hosts, reject_unauth_destination
""")
sink("mx", "192.0.2.20:25", {})
start()


def tries(*clients):
    for client in clients:
        smtp("HELO c\nMAIL FROM:<s@example.com>\nRCPT TO:<r@example.org>\nQUIT", src=client)


tries("192.0.2.10", "192.0.2.13")
# What WHOSON, DRAC and pop-before-smtp do when somebody has read mail.
quiet("echo '192.0.2.10 OK' | postmap -i hash:/var/lib/pop-before-smtp/hosts; sleep 1")
tries("192.0.2.10", "192.0.2.11")
quiet("echo '192.0.2.13 OK' | postmap -i hash:/var/lib/pop-before-smtp/hosts; postmap -d 192.0.2.10 hash:/var/lib/pop-before-smtp/hosts; sleep 1")
tries("192.0.2.10", "192.0.2.13")
nolog()
