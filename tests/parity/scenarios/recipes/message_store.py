"""docs/recipes/message-store.md: mailboxes kept by an IMAP server behind LMTP (S-RECIPE-14, S-RECIPE-18, S-RECIPE-61, S-INT-03)"""
lmtp_sink("store", "unix:/run/lmtp", {". RCPT TO:<bob@": "552 5.2.2 over quota"})
lmtp_sink("other", "192.0.2.21:24")
recipe("message-store")
start()


def send(*addresses):
    for to in addresses:
        mail("s@example.org", to, f"Subject: for {to}\n\nx\n")
        settle()


send("info@flowers.test", "nosuch@flowers.test", "alice@example.com", "postmaster@example.com", "bob@example.com")
main("virtual_transport = lmtp:inet:192.0.2.21:24")
reload()
send("info@books.test")
sinks()
