"""which commands may be followed by more before their reply, after EHLO and HELO"""
main("""
    smtpd_hard_error_limit = 1000
    smtpd_soft_error_limit = 1000
""")
start()
for c in ("EHLO a", "HELO a", "MAIL FROM:<a@b.example>", "RCPT TO:<x@y>", "DATA", "RSET", "NOOP", "VRFY alice", "ETRN example.com", "HELP", "FOO", "STARTTLS", "AUTH PLAIN", "XCLIENT a=b", "XFORWARD a=b", "BDAT 0 LAST", "EXPN x"):
    smtp(f'''
        EHLO client.example.org
        !raw "{c}\\r\\nNOOP\\r\\n"
        !read 2
    ''')
smtp('''
    EHLO client.example.org
    MAIL FROM:<a@example.org>
    RCPT TO:<alice@example.com>
    !raw "DATA\\r\\nSubject: x\\r\\n\\r\\nbody\\r\\n.\\r\\nMAIL FROM:<b@c.example>\\r\\nQUIT\\r\\n"
    !read 3
''')
smtp('''
    EHLO client.example.org
    MAIL FROM:<a@example.org>
    RCPT TO:<alice@example.com>
    DATA
    !raw "Subject: x\\r\\n\\r\\nbody\\r\\n.\\r\\nMAIL FROM:<b@c.example>\\r\\nQUIT\\r\\n"
    !read 3
''')
smtp('''
    EHLO client.example.org
    MAIL FROM:<a@example.org>
    RCPT TO:<alice@example.com>
    !raw "BDAT 7 LAST\\r\\nabc\\r\\nx\\nMAIL FROM:<b@c.example>\\r\\nQUIT\\r\\n"
    !read 3
''')
smtp('''
    HELO client.example.org
    !raw "MAIL FROM:<a@b.example>\\r\\n\\001\\tfoo%bar\\\\aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
    !read 2
''')
smtp('''
    EHLO client.example.org
    !raw "QUIT\\r\\nNOOP\\r\\n"
    !read 2
''')
smtp('''
    !raw "EHLO early\\r\\nQUIT\\r\\n"
    !read 2
''')
settle()
for c in ("FOO", "RSET", "STARTTLS", "QUIT", "ETRN x", "AUTH a", "XCLIENT a=b", "BDAT 0", "MAIL FROM:<a@b>", "RCPT TO:<x>", "HELP"):
    smtp(f'''
        !raw "{c}\\r\\nQUIT\\r\\n"
        !read 2
    ''')
# The last session ends a moment after its last reply.
sleep(1)
log(exclude="lost connection")
