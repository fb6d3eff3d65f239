"""what is an address in MAIL and RCPT, and what is not"""
main("""
    smtpd_hard_error_limit = 1000
    smtpd_soft_error_limit = 1000
""")
start()
smtp('''
    EHLO a
    mail from :<x@y>
    rset
    mail from : <x@y>
    rset
    mail from: <x@y> (comment)
    rset
    mail from: foo bar <x@y>
    rset
    mail from: <"a\\\\"b"@y>
    rset
    mail from: "a b"@y
    rset
    mail from: <a@y>, <b@y>
    rset
    mail from: <foo <a@y>>
    rset
    mail from: <g: a@y;>
    rset
    mail from: <x>
    rset
    mail from: <x@y>foo
    rset
    mail from: <x@y><z@y>
    rset
    mail from: x@y, z@y
    rset
    mail from: <<x@y>>
    rset
    mail from: <x@y.>
    rset
    mail from: <x@y..z>
    rset
    mail from: <.x@y>
    rset
    mail from: <x.@y>
    rset
    mail from: <@y>
    rset
    mail from: <@y,@z:a@b>
    rset
    mail from: <a(b)@y>
    rset
    mail from: <a\\\\@b@y>
    rset
    mail from: <x@y> ret=full
    rset
    mail from: <x@y> ENVID=
    rset
    mail from: <x@y> SIZE=
    rset
    mail from: <x@y> SIZE=1 SIZE=2
    rset
    mail from: <x@-y>
    rset
    mail from: <x@y_z>
    rset
    mail from: <x@[1.2.3.4]>
    rset
    mail from: <x@1.2.3.4>
    rset
    mail from: <x@[ipv6:::1]>
    rset
    mail from: <x@[foo]>
    rset
    mail from: <x@>
    rset
    mail from: <>x
    rset
    mail from: < >
    rset
    mail from: <a@b>
    rcpt to: <a@example.com> NOTIFY=
    rcpt to: <a@example.com> ORCPT=
    rcpt to: <a@example.com> ORCPT=rfc822;
    rcpt to: <a@example.com> ORCPT=rfc822;a ORCPT=rfc822;b
    rcpt to: <a@example.com> SIZE=1
    rcpt to: <"">
    rcpt to: <""@example.com>
    rcpt to: <Postmaster>
    quit
''')
