"""every action of access(5), good and bad arguments"""
# S-TRAP-29
file("/etc/postfix/rcpt", """
a1@example.com  OK
a2@example.com  RELAY
a3@example.com  123
a4@example.com  DUNNO
a5@example.com  550 no
a6@example.com  550 5.1.1 nope
a7@example.com  450 5.1.8 nope
a8@example.com  550
a9@example.com  REJECT
b1@example.com  REJECT some text
b2@example.com  REJECT 5.1.7 own code
b3@example.com  DEFER
b4@example.com  DEFER later
b5@example.com  DEFER_IF_PERMIT
b6@example.com  DEFER_IF_REJECT maybe
b7@example.com  421 bye
b8@example.com  reject lower
b9@example.com  BCC bob@example.com
c1@example.com  BCC
c2@example.com  BCC foo
c3@example.com  DISCARD
c4@example.com  DISCARD because
c5@example.com  FILTER
c6@example.com  FILTER foo
c7@example.com  FILTER smtp:[192.0.2.20]:25
c8@example.com  HOLD
c9@example.com  PREPEND
d1@example.com  PREPEND foo
d2@example.com  PREPEND X-Foo: bar
d3@example.com  REDIRECT
d4@example.com  REDIRECT foo
d5@example.com  REDIRECT bob@example.com
d6@example.com  INFO
d7@example.com  INFO text here
d8@example.com  WARN
d9@example.com  WARN text here
e1@example.com  HANGUP
e2@example.com  permit_mynetworks, reject
e3@example.com  nonsense
e4@example.com  check_sender_access hash:/etc/postfix/x
e5@example.com  hash:/etc/postfix/x
e6@example.com  450 4.7.1 temp
e7@example.com  554 4.7.1 weird
e8@example.com  554 weird  spaces
e9@example.com  4.7.1 foo
f1@example.com  reject_unauth_destination
f2@example.com  defer
f3@example.com  554
f4@example.com  6xx foo
f5@example.com  OK text
f6@example.com  PERMIT
f7@example.com  dunno text
f8@example.com  warn_if_reject reject
f9@example.com  defer_if_permit
g1@example.com  defer_if_reject, reject
g2@example.com  reject foo
g3@example.com  sleep 0
g4@example.com  reject, permit
g5@example.com  check_sender_access
g6@example.com  REJECT é
""")
sh("postmap hash:/etc/postfix/rcpt")
main("""
    smtpd_recipient_restrictions = check_recipient_access hash:/etc/postfix/rcpt
    local_recipient_maps =
    smtpd_hard_error_limit = 1000
    smtpd_soft_error_limit = 1000
    notify_classes =
    smtpd_log_access_permit_actions = static:all
""")
start()
for x in "abcdefg":
    for n in "123456789":
        smtp(f'''
            EHLO client.example.org
            MAIL FROM:<s@example.org>
            RCPT TO:<{x}{n}@example.com>
            RSET
            QUIT
        ''')
