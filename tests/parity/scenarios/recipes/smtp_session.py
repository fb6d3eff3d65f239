"""docs/recipes/smtp-session.md: a message with DATA and one in pieces, replies and log"""
# S-RECIPE-31 S-RECIPE-54
recipe("smtp-session")
start()
smtp("""
    HELO client.example.org
    MAIL FROM:<s@example.org>
    RCPT TO:<alice@example.com>
    DATA
    Message-Id: <by-hand@example.org>
    Subject: by hand

    Hello.
    .
    QUIT
""")
settle()
big = "x" * 98 + "\\r\\n"
smtp(f"""
    EHLO client.example.org
    MAIL FROM:<s@example.org> SIZE=10123
    RCPT TO:<bob@example.com>
    !raw "BDAT 10000\\r\\nSubject: pieces\\r\\n\\r\\n{big * 99}{'y' * 79}\\r\\n"
    !read
    !raw "BDAT 123 LAST\\r\\n{'z' * 121}\\r\\n"
    !read
    MAIL FROM:<s@example.org>
    RCPT TO:<bob@example.com>
    !raw "BDAT 10 LAST\\r\\nno newline"
    !read
    MAIL FROM:<s@example.org> SIZE=153600001
    RCPT TO:<>
    QUIT
""")
settle()
mbox("alice")
sh("wc -l < /var/mail/bob; grep -c '^x*$' /var/mail/bob; tail -3 /var/mail/bob")
