"""BDAT: a chunk that is too large is refused as soon as it is announced (S-EXT-06, S-LIMIT-02)"""
main("""
    message_size_limit = 500
""")
start()


def chunk(size, last=""):
    lines = ("y" * 98 + "\\r\\n") * (size // 100) + "z" * (size % 100)
    return f'!raw "BDAT {size}{last}\\r\\n{lines}"\n!read\n'


for chunks in (chunk(600), chunk(600, " LAST"), chunk(300) + chunk(300, " LAST"), chunk(499) + chunk(1) + chunk(1, " LAST"), chunk(501) + chunk(10) + "RSET\n",
               chunk(200) + chunk(300), chunk(200) + chunk(301), chunk(210) + chunk(290), chunk(210) + chunk(300) + chunk(10), chunk(210) + chunk(301),
               chunk(600) + "MAIL FROM:<>\nRSET\nMAIL FROM:<>\n", chunk(600, " LAST") + "MAIL FROM:<>\nRCPT TO:<alice@example.com>\n" + chunk(100, " LAST")):
    smtp("EHLO client.example.org\nMAIL FROM:<s@example.org>\nRCPT TO:<alice@example.com>\n" + chunks + "NOOP\nQUIT")
# A connection that ends within a message.
for chunks in (chunk(10), chunk(10) + chunk(5), chunk(10) + "NOOP\n", chunk(600)):
    smtp("EHLO client.example.org\nMAIL FROM:<s@example.org>\nRCPT TO:<alice@example.com>\n" + chunks + "!close")
settle()
