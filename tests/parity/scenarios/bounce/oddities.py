"""reports of odd mail: UTF-8 addresses, no original recipient, 8-bit text, sizes around bounce_size_limit, many recipients, long and odd replies"""
# S-BOUNCE-01 S-BOUNCE-03 S-EXT-04
sink("mx1", "192.0.2.20:25", {
    "RCPT TO:<bad": "550 5.1.1 no such user",
    "RCPT TO:<long": "550-5.1.1 " + "word " * 60 + "\n550 5.1.1 " + "x" * 300,
    "RCPT TO:<k": "550 5.1.1 k\u00e4se is not a user",
    "RCPT TO:<ctrl": "550 5.1.1 tab\there and \x01 there"})
sink("plain", "192.0.2.21:25", {"RCPT": "553 5.1.3 what"}, ehlo=["PIPELINING", "8BITMIME"], hostname="mx.example.net")
main("""
    mynetworks = 127.0.0.0/8 192.0.2.10
    smtp_connection_cache_on_demand = no
    bounce_size_limit = 300
    virtual_alias_maps = inline:{ {team@example.com=bad1@example.org,bad2@example.org} }
    virtual_alias_domains = alias.example
    enable_original_recipient = yes
    delay_warning_time = 0
""")
start()
UTF8 = "SMTPUTF8 BODY=8BITMIME"
def case(sender, rcpts, message, **k):
    mail(sender, rcpts, message, **k)
    wait_empty()
    mbox("alice")
    quiet("rm -f /var/mail/*")
case("alice@example.com", "k\u00e4se@example.org", "From: alice@example.com\nSubject: utf8 recipient\n\nbody\n", options=UTF8)
case("alice@example.com", "bad@b\u00fccher.example.org", "From: alice@example.com\nSubject: utf8 domain\n\nbody\n", options=UTF8)
case("alice@example.com", "bad@example.org", "From: J\u00f6rg <alice@example.com>\nSubject: gr\u00fc\u00dfe\n\nk\u00e4se\n", options=UTF8)
case("alice@example.com", "k\u00e4se@example.org", "Subject: orcpt in utf-8\n\nbody\n", options=UTF8, rcpt_options="NOTIFY=FAILURE ORCPT=utf-8;k\\x{E4}se@example.org")
case("alice@example.com", "k\u00e4se@example.net", "Subject: no smtputf8 there\n\nbody\n", options=UTF8)
case("alice@example.com", "bad@example.org", "Subject: eight bit\n\nk\u00e4se\n", options="BODY=8BITMIME")
case("alice@example.com", "team@example.com", "Subject: expanded\n\nbody\n")
case("alice@example.com", "long@example.org ctrl@example.org", "Subject: long replies\n\nbody\n")
case("alice@example.com", "bad@example.org", "Subject: at the limit\n\n" + "x" * 60 + "\n" + "y" * 60 + "\n")
case("alice@example.com", "bad@example.org", "Subject: above the limit\n\n" + ("z" * 70 + "\n") * 6)
case("alice@example.com", "bad@example.org", "Subject: full asked for\n\n" + ("z" * 70 + "\n") * 6, options="RET=FULL")
case("alice@example.com", "bad@example.org", "Subject: mime\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nx\n--b--\n")
case("alice@example.com", "bad@example.org", "no header at all\n")
case("alice@example.com", '"bad one"@example.org', "Subject: quoted\n\n") if False else None
# Without the record of the original recipient.
main("enable_original_recipient = no")
reload()
case("alice@example.com", "team@example.com bad@example.org", "Subject: no original recipient\n\nbody\n")
