"""several reasons to refuse one message: what the client and the sender's report are told (S-CHECK-05)"""
main("""
    hopcount_limit = 2
    strict_7bit_headers = yes
    strict_8bitmime_body = yes
    header_checks = regexp:/etc/postfix/checks
    body_checks = regexp:/etc/postfix/checks
    message_reject_characters = \\001
    mynetworks = 192.0.2.0/24
""")
file("/etc/postfix/checks", "/^X-Rej/ REJECT no\n/^X-Disc/ DISCARD\n/^X-Warn/ WARN seen\n")
start()
hops = "Received: a\nReceived: b\n"
messages = [hops + "\nx", hops + "X: \u00e9\n\nx", "X: \u00e9\n" + hops + "\nx", "X-Rej: 1\n" + hops + "\nx", hops + "X-Rej: 1\n\nx", hops + "\n\u00e9", hops + "\nX-Rej",
            "X: \u00e9\n\n\u00e9", hops + "X-Disc: 1\n\nx", hops + "X-Warn: 1\n\nX-Warn", "X: \u00e9\nX-Rej: 1\n\n\u00e9", "X: \u00e9\n\nX-Rej", "X-Rej: 1\nX: \u00e9\n\n\u00e9",
            "X: \u00e9\n" + hops + "\nX-Rej", hops + "\n\1", "X: \u00e9\n\n\1", "\n\1\nX-Rej", "X-Rej: 1\n\n\1"]
for number, message in enumerate(messages):
    text = message.encode()
    sendmail(f"-f n{number}@example.com alice@example.com", text + b"\n")
    settle()
    smtp(f"HELO client.example.org\nMAIL FROM:<s{number}@example.com>\nRCPT TO:<alice@example.com>\nDATA\n!raw " + repr(text.replace(b"\n", b"\r\n") + b"\r\n.\r\n")[1:] + "\n!read\nQUIT")
mbox("alice")
log(include="cleanup: ", exclude="message-id=|sender non-delivery")
