"""docs/recipes/strict-clients.md: HELO and proper addresses are asked for; errors cost a second each, then the connection"""
# S-RECIPE-03 S-RECIPE-33 S-TRAP-16
import time
recipe("strict-clients")
start()
smtp("""
    MAIL FROM:<s@example.org>
    HELO client.example.org
    MAIL FROM:s@example.org
    MAIL FROM:Sender <s@example.org>
    MAIL FROM:<s@example.org> (comment)
    MAIL FROM:<s@example.org>
    RCPT TO:alice@example.com
    RCPT TO:Alice <alice@example.com>
    RCPT TO:<alice@example.com>
    RSET
    QUIT
""")
c = client()
c.do("EHLO client.example.org")
for n in range(1, 22):
    begin = time.monotonic()
    c.do("GARBAGE")
    note(f"error {n}: {time.monotonic() - begin:.0f} s")
c.close()
