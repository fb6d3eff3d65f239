"""probes to each kind of destination, and through aliases, canonical tables and relocated; never delivered, bounced or put off; what the cache keeps (S-UBE-46)"""
MASK = "sed 's/[0-9][0-9]*:[0-9][0-9]*:/T:T:/'"
main("""
    smtpd_relay_restrictions = permit_mynetworks, reject
    mynetworks = 127.0.0.0/8 192.0.2.10
    smtpd_recipient_restrictions = reject_unverified_recipient
    smtpd_reject_unlisted_recipient = no
    address_verify_poll_delay = 1
    address_verify_poll_count = 1
    address_verify_cache_cleanup_interval = 0
    smtpd_error_sleep_time = 0
    smtpd_hard_error_limit = 1000
    smtpd_soft_error_limit = 1000
    smtpd_client_connection_count_limit = 0
    smtp_connect_timeout = 3s
    smtp_connection_cache_on_demand = no
    virtual_alias_domains = a.example
    virtual_mailbox_domains = m.example
    virtual_mailbox_base = /var/mail/virtual
    virtual_mailbox_maps = inline:{ u@m.example=u/ }
    virtual_uid_maps = static:1000
    virtual_gid_maps = static:1000
    virtual_alias_maps = inline:{ {one@a.example=alice} {two@a.example=alice, bob} {mixed@a.example=alice, nosuch} {loop@a.example=loop@a.example} {far@a.example=y@bad.example}
        {toerror@a.example=y@no.example} }
    canonical_maps = inline:{ canon@example.com=alice@example.com canonbad@example.com=nosuch2@example.com }
    relocated_maps = inline:{ moved@example.com=elsewhere@example.org }
    recipient_bcc_maps = inline:{ alice@example.com=bob@example.com }
    always_bcc = carol@example.com
    luser_relay =
    transport_maps = inline:{ {ok.example=discard:} {no.example=error:5.1.1 nobody} {later.example=retry:4.2.1 not now} {pipe.example=mypipe:} {pipebad.example=pipebad:} {hop.example=smtp:[192.0.2.20]:2501}
        {refused.example=smtp:[192.0.2.29]} {drop.example=smtp:[192.0.2.20]:2502} {greet.example=smtp:[192.0.2.20]:2503} {helo.example=smtp:[192.0.2.20]:2504} {lmtp.example=lmtp:inet:192.0.2.20:2505}
        {data.example=todata:[192.0.2.20]:2506} {nodata.example=todata:[192.0.2.20]:2507} {relayed.example=local2:} {commanded.example=local3:} {homed.example=local4:} {passed.example=local5:} {nosuch.example=nosuchtransport:} }
    smtp_address_verify_target = rcpt
    soft_bounce = no
""")
master("""
    mypipe unix - n n - - pipe user=filter argv=/bin/sh -c cat>>/tmp/piped
    pipebad unix - n n - - pipe user=filter argv=/nosuch
    local2 unix - n n - - local -o { luser_relay = dave@example.com } -o { mailbox_command_maps = inline:{alice=/bin/cat>>/tmp/commanded} }
    local3 unix - n n - - local -o { mailbox_command = /bin/cat >>/tmp/commanded } -o { fallback_transport = error:5.1.1 nobody falls back }
    local4 unix - n n - - local -o { home_mailbox = Maildir/ } -o { luser_relay = |/bin/cat }
    local5 unix - n n - - local -o { mailbox_transport = lmtp:inet:192.0.2.20:2505 }
    todata unix - - n - - smtp -o smtp_address_verify_target=data
""")
aliases("""
    owned: alice
    both: alice, bob
    cmd: "|cat >> /tmp/commanded"
    filed: /tmp/filed
    gone: nosuch
    off: x@no.example
    incl: :include:/tmp/list
    failing: :include:/nosuch/list
    root: dave
""")
file("/tmp/list", "alice\nbob\n")
file("/home/bob/.forward", "", owner="bob")
file("/home/carol/.forward", "bob\n", owner="carol")
dns("""
    bad.example MX 10 .
    nomx.example A 192.0.2.29
    tempdns.example MX SERVFAIL
    tempdns.example A SERVFAIL
""")
sink("hop", "192.0.2.20:2501", {"RCPT TO:<no@": "550 5.1.1 no such user", "RCPT TO:<later@": "450 4.2.0 later", "RCPT TO:<two@": "550-5.1.1 first line\r\n550 5.1.1 second line",
                                 "RCPT TO:<odd@": "599 whatever", "RCPT TO:<close@": "421 4.3.0 closing", "RCPT TO:<drop@": "drop", "RCPT TO:<two50@": "251 2.1.5 will forward"})
sink("drop", "192.0.2.20:2502", {"BANNER": "drop"})
sink("greet", "192.0.2.20:2503", {"BANNER": "554 5.7.1 go away"})
sink("helo", "192.0.2.20:2504", {"EHLO": "550 5.7.1 not you", "HELO": "550 5.7.1 not you"})
lmtp_sink("lmtp", "192.0.2.20:2505", {"RCPT TO:<no@": "550 5.1.1 no such user"})
sink("data", "192.0.2.20:2506")
sink("nodata", "192.0.2.20:2507", {"DATA": "554 5.5.1 no valid recipients"})
start()
NAMES = """alice@example.com nosuch@example.com alice+x@example.com owned@example.com both@example.com cmd@example.com filed@example.com gone@example.com off@example.com incl@example.com
    failing@example.com carol@example.com canon@example.com canonbad@example.com moved@example.com root@example.com alice u@m.example nosuch@m.example one@a.example two@a.example mixed@a.example
    loop@a.example far@a.example toerror@a.example nosuch@a.example x@ok.example x@no.example x@later.example x@pipe.example x@pipebad.example x@hop.example no@hop.example later@hop.example
    two@hop.example odd@hop.example close@hop.example drop@hop.example two50@hop.example x@refused.example x@drop.example x@greet.example x@helo.example x@lmtp.example no@lmtp.example
    x@data.example x@nodata.example x@nosuch.example x@bad.example x@nomx.example x@tempdns.example x@nodomain.example bob@example.com alice@relayed.example who@relayed.example alice@commanded.example who@commanded.example carol@commanded.example alice@homed.example who@homed.example
    alice@passed.example no@passed.example postmaster double-bounce@example.com mailer-daemon@example.com x@[192.0.2.1] x@[192.0.2.29]
    <@relay.example:alice+r@example.com> a%ok.example@example.com ok.example!a@example.com""".split()
NAMES = [name.strip("<>") for name in NAMES] + ["\"quoted name\"@ok.example"]


def ask():
    smtp("EHLO client.example.org\nMAIL FROM:<>\n" + "".join(f"RCPT TO:<{name}>\n" for name in NAMES) + "QUIT")
    settle()


ask()
ask()
sh("mailq")
sh("ls /tmp/piped /tmp/commanded /tmp/filed /var/mail/virtual /var/mail /var/spool/mail /var/spool/postfix/defer /var/spool/postfix/bounce /var/spool/postfix/deferred 2>&1")
sinks(sort=True)
stop()
sh(f"postmap -s btree:/var/lib/postfix/verify_cache | {MASK}", sort=True)
