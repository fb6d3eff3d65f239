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
    # A busy machine adds something to the second, and something less than one to nothing.
    note(f"error {n}: {min(int(time.monotonic() - begin + 0.1), 1)} s")
c.close()
