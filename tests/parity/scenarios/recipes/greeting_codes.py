"""docs/recipes/greeting-codes.md: a 5xx greeting returns the mail at once, a 4xx one does not; the parameter that is gone (S-RECIPE-11, S-TRAP-20)"""
dns("""
    no.example MX 10 no.example
    no.example A 192.0.2.20
    later.example A 192.0.2.21
    two.example MX 10 later.example
    two.example MX 20 good.example
    good.example A 192.0.2.22
""")
sink("no", "192.0.2.20:25", {"BANNER": "554 no.example no mail here"})
sink("later", "192.0.2.21:25", {"BANNER": "450 later.example not now"})
sink("good", "192.0.2.22:25")
recipe("greeting-codes")
# What older texts say: some names are gone, others still give the new parameters their values.
quiet("mkdir /tmp/c; cp /etc/postfix/m* /tmp/c; for p in smtp_skip_4xx_greeting=no fallback_relay=[good.example] virtual_maps=inline:{{a=b}} authorized_verp_clients=127.0.0.1; do echo $p >> /tmp/c/main.cf; done")
sh("postconf -c /tmp/c -n smtp_skip_4xx_greeting 2>&1 | grep unused; postconf -c /tmp/c -x smtp_fallback_relay virtual_alias_maps smtpd_authorized_verp_clients 2>/dev/null")
start()
for to in ("no.example", "later.example", "two.example"):
    sendmail(f"-f alice u@{to}", f"Subject: to {to}\n\n")
settle()
mailq()
sinks()
mbox("alice")
log(include="status=")
