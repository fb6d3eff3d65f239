"""docs/recipes/greylist.md: our own greylisting policy server, run by spawn(8) (S-RECIPE-58, S-UBE-45, S-FILTER-15, S-FILTER-17, S-FILTER-18, S-INT-26)"""
recipe("greylist")
main("""
    smtpd_error_sleep_time = 0
    mynetworks = 127.0.0.0/8
""")
start()
first = """
    EHLO client.example.org
    MAIL FROM:<s@example.org>
    RCPT TO:<alice@example.com>
    RCPT TO:<bob@example.com>
    RCPT TO:<other@example.org>
    QUIT
"""
smtp(first)
smtp(first)
sleep(3.2)
# A neighbour of the first client is the same to it; a new recipient is not.
smtp("""
    EHLO neighbour.example.org
    MAIL FROM:<s@example.org>
    RCPT TO:<Alice@example.com>
    RCPT TO:<carol@example.com>
    DATA
    Subject: second try

    .
    MAIL FROM:<s@example.org>
    RCPT TO:<alice@example.com>
    DATA
    Subject: known

    .
    QUIT
""", src="192.0.2.11")
smtp("EHLO client.example.org\nMAIL FROM:<s@example.org>\nRCPT TO:<alice@example.com>\nQUIT", src="198.51.100.10")
smtp("EHLO other.example.net\nMAIL FROM:<s@example.net>\nRCPT TO:<alice@example.com>\nQUIT", src="192.0.2.13")
# One process answered many requests.
sh("pgrep -u nobody -fc '[g]reylist.py' | sed 's/^[1-4]$/a process or few/'")
settle()
mbox("alice")
# It cannot work: smtpd goes on without it.
sh("chmod 000 /var/lib/greylist; pkill -u nobody -f '[g]reylist.py'; sleep 0.5")
smtp("EHLO x\nMAIL FROM:<n@example.org>\nRCPT TO:<bob@example.com>\nQUIT")
sh("sed -i 's/, default_action=DUNNO//' /etc/postfix/main.cf")
reload()
smtp("EHLO x\nMAIL FROM:<n@example.org>\nRCPT TO:<bob@example.com>\nQUIT")
log(include="reject:|spawn|greylist|X-Grey|policy")
