"""addresses and domains outside ASCII: maps, domains of this host, both forms of a domain, headers, limits of what can be sent on (S-EXT-10)"""
sink("a", "192.0.2.20:25")
sink("b", "192.0.2.21:25", hostname="mx.example.net", ehlo=["PIPELINING", "8BITMIME", "DSN"])
postmap("hash:/etc/postfix/virtual", """
    jörg@example.com         alice
    info@bücher.example      bob
    @straße.example          carol
    ascii@example.com        jürgen@example.com
    jürgen@example.com       bob
""")
postmap("hash:/etc/postfix/canonical", """
    søren@example.com        soren@example.com
    @ö.example.com           @example.com
""")
postmap("hash:/etc/postfix/transport", """
    xn--mnchen-3ya.example   smtp:[192.0.2.21]
    köln.example             smtp:[192.0.2.20]
    .düren.example           error:not in subdomains
""")
dns("""
    xn--kln-sna.example      MX 10 mx.example.org
    xn--mnchen-3ya.example   MX 10 mx.example.net
""")
main("""
    mynetworks = 127.0.0.0/8 192.0.2.10
    virtual_alias_domains = bücher.example, straße.example
    virtual_alias_maps = hash:/etc/postfix/virtual
    canonical_maps = hash:/etc/postfix/canonical
    transport_maps = hash:/etc/postfix/transport
    mydestination = $myhostname, $mydomain, localhost, dömäin.example.com
    masquerade_domains = mäsk.example
    recipient_delimiter = +
""")
start()


def rcpts(options):
    smtp("EHLO client.example.org\n" + f"MAIL FROM:<søren@example.com>{options}\n" + "".join(f"RCPT TO:<{r}>\n" for r in (
        "jörg@example.com", "jörg+ext@example.com", "JÖRG@example.com", "info@bücher.example", "info@xn--bcher-kva.example", "any@STRASSE.example",
        "any@straße.example", "ascii@example.com", "alice@dömäin.example.com", "alice@xn--dmin-moa0i.example.com", "x@köln.example", "x@xn--kln-sna.example",
        "x@münchen.example", "x@xn--mnchen-3ya.example", "x@a.düren.example", "x@düren.example", "x@\U0001f4e7.example", "x@xn--zzzzzzz.example", "é@[192.0.2.1]",
        '"é è"@example.com', "alice@ö.example.com")) + "DATA\nFrom: søren@example.com\nTo: jörg@ö.example.com, x@host.mäsk.example\nSubject: ü\n\nü\n.\nQUIT\n")
    settle()


rcpts(" SMTPUTF8")
rcpts("")
smtp('!raw "EHLO a\\r\\n"\n!read\n!raw "MAIL FROM:<\\xff@example.org> SMTPUTF8\\r\\n"\n!read\n!raw "MAIL FROM:<a@\\xc3.example>\\r\\n"\n!read\nMAIL FROM:<a@example.org>\n'
     '!raw "RCPT TO:<\\xe9@example.com>\\r\\n"\n!read\nQUIT\n')
sendmail("-f søren@example.com jörg@example.com x@köln.example x@münchen.example", "From: søren@ö.example.com\nSubject: grüß\n\nx\n")
settle()
for setting in ("strict_smtputf8 = yes", "smtputf8_enable = no"):
    quiet(f"postconf -e '{setting}'; postfix reload; sleep 0.7")
    rcpts("" if "enable" in setting else " SMTPUTF8")
mbox("alice")
mbox("bob")
sinks()
