"""DNS lists: filters of answers, several answers, reply templates with every macro, temporary failures, what no list can have"""
# S-UBE-27 S-UBE-28 S-UBE-30 S-INT-18
dns("""
    10.2.0.192.bl.example A 127.0.0.4 nptr
    10.2.0.192.bl.example A 127.0.1.9 nptr
    10.2.0.192.bl.example TXT "first text"
    10.2.0.192.bl.example TXT "second text"
    11.2.0.192.bl.example A 127.0.0.5 nptr
    13.2.0.192.bl.example A 127.0.0.6 nptr
    14.2.0.192.bl.example SERVFAIL
    15.2.0.192.bl.example A 127.0.0.7 nptr
    15.2.0.192.bl.example TXT SERVFAIL
    16.2.0.192.bl.example A 127.0.0.7 nptr
    16.2.0.192.bl.example TXT "a <b> $rbl_code 50% of; \\\\n it's"
    0.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.bl.example A 127.0.0.4 nptr
    10.2.0.192.wl.example A 127.0.0.4 nptr
    14.2.0.192.wl.example SERVFAIL
    other.example.net.dwl.example SERVFAIL
    client.example.org.dbl.example A 127.0.1.2 nptr
    client.example.org.dwl.example A 127.0.1.2 nptr
    unknown.dbl.example A 127.0.1.2 nptr
    spam.example.dbl.example A 127.0.1.2 nptr
    sub.spam.example.dbl.example A 127.0.1.3 nptr
    192.0.2.99.dbl.example A 127.0.1.2 nptr
    later.example.dbl.example SERVFAIL
    loop.example.dbl.example A 127.0.1.4 nptr
""")
MACROS = {
    "m0": "$rbl_code 4.3.9 all: client=$client address=$client_address name=$client_name reverse=$reverse_client_name helo=$helo_name sender=$sender domain=$sender_domain name=$sender_name",
    "m1": "$rbl_code recipient=$recipient domain=$recipient_domain name=$recipient_name zone=$rbl_domain reason=$rbl_reason txt=$rbl_txt what=$rbl_what class=$rbl_class",
    "m2": "450 ${rbl_reason?yes}${rbl_reason:no} ${nosuch?yes}${nosuch:no} $nosuch $$ ${sender}x $(recipient)",
    "m3": "no code",
    "m4": "250 no refusal",
    "m5": "521 5.9.9 closing",
    "m6": "421",
    "m7": "$rbl_code",
    "m8": "$rbl_code ${rbl_reason",
    "n1": "$rbl_code zone only",
    "n2=127.0.0.2": "$rbl_code zone and filter, $rbl_domain",
    "n3": "$rbl_code $sender_name${nosuch?",
    "n4": "$rbl_code $nosuch",
    "n5": "$rbl_code $(client_name) ${rbl_reason:nothing}",
    "m9": "  554   5.5.5   blanks  ",
}
dns("\n".join(f"10.2.0.192.{m[:2]}.example A 127.0.0.2 nptr" for m in MACROS))
dns("10.2.0.192.m2.example TXT \"why\"\n10.2.0.192.m1.example TXT \"why not\"")
postmap("hash:/etc/postfix/replies", "\n".join(f"{m[:2]}.example{m[2:]} {text}" for m, text in MACROS.items()))
main("""
    rbl_reply_maps = hash:/etc/postfix/replies
    smtpd_restriction_classes = f1 f2 f3 f4 f5 f6 f7 f8 f9 h1 s1 r1 c1 v1 w1 w2 w3 w4 w5 i1 i2
    f1 = reject_rbl_client bl.example=127.0.0.[4..5;7]
    f2 = reject_rbl_client bl.example=127.0.[0;1].[9]
    f3 = reject_rbl_client bl.example=127.0.0.6
    f4 = reject_rbl_client bl.example=127.[0..255].[0..255].[0..255]
    f5 = reject_rbl_client bl.example=127.0.0.[2..4], reject_rbl_client bl.example=127.0.0.5, reject
    f6 = warn_if_reject reject_rbl_client bl.example, reject_rbl_client bl.example=127.0.1.9
    f7 = reject_rbl_client bl.example.
    f8 = reject_rbl_client BL.EXAMPLE=127.0.0.4
    f9 = reject_rbl_client nosuch.example, reject_rbl_client a..b, reject_rbl_client -x.example
    h1 = reject_rhsbl_helo dbl.example
    s1 = reject_rhsbl_sender dbl.example=127.0.1.[2;4]
    r1 = reject_rhsbl_recipient dbl.example
    c1 = reject_rhsbl_client dbl.example
    v1 = reject_rhsbl_reverse_client dbl.example
    w1 = permit_dnswl_client wl.example, reject
    w2 = permit_dnswl_client wl.example=127.0.0.[5..9], reject
    w3 = permit_rhswl_client dwl.example, reject
    w4 = permit_dnswl_client wl.example, defer
    w5 = permit_dnswl_client wl.example, permit_rhswl_client dwl.example=127.0.1.3, reject_unauth_destination
    i1 = reject_rbl bl.example, reject_rhsbl_sender dbl.example
    i2 = { reject_rbl_client bl.example=127.0.0.4 }, reject
    smtpd_relay_restrictions = permit_dnswl_client wl.example, reject_unauth_destination
    smtpd_recipient_restrictions = check_recipient_access pcre:/etc/postfix/which
    smtpd_hard_error_limit = 10000
    smtpd_soft_error_limit = 10000
    smtpd_error_sleep_time = 0
    notify_classes =
    local_recipient_maps =
""")
file("/etc/postfix/which", "/^(m[0-9]|n[345])@/ reject_rbl_client $1.example\n/^(n[12])@/ reject_rbl_client $1.example=127.0.0.2\n/^([a-z][0-9])@/ $1\n/^alice@spam/ reject_rhsbl_recipient dbl.example\n")
master("""
    2525 inet n - n - - smtpd
      -o maps_rbl_reject_code=450 -o soft_bounce=yes
    2526 inet n - n - - smtpd
      -o rbl_reply_maps=tcp:127.0.0.1:9
    2527 inet n - n - - smtpd
      -o rbl_reply_maps=
      -o { default_rbl_reply=550 $rbl_class [$rbl_what] $rbl_reason ${rbl_reason?; has}}
      -o { smtpd_expansion_filter=abcdefghijklmnopqrstuvwxyz.[] }
""")
master("""
    2529 inet n - n - - smtpd
      -o { default_rbl_reply=no code }
""")
start()
CLASSES = "f1 f2 f3 f4 f5 f6 f7 f8 f9 h1 s1 r1 c1 v1 w1 w2 w3 w4 w5 i1 i2".split()
def put(rcpts, helo="spam.example", sender="a@spam.example", title="", **kw):
    rows = [f"HELO {helo}", f"MAIL FROM:<{sender}>"] + [f"RCPT TO:<{r if '@' in r else r + '@example.com'}>" for r in rcpts]
    note(f"{helo} {sender} {kw}")
    for r, reply in zip(rcpts, ask("\n".join(rows), **kw)[3:]):
        note(f"  {r}: {reply}")
for n in (10, 11, 13, 14, 15, 16):
    put(CLASSES, src=f"192.0.2.{n}")
put(CLASSES, src="2001:db8::10", dst="2001:db8::1")
for helo, sender in (("sub.spam.example", "a@sub.spam.example"), ("[192.0.2.99]", "a@[192.0.2.99]"), ("192.0.2.99", "a@192.0.2.99"), ("x", ""), ("later.example", "a@later.example"), ("spam.example.", "a@SPAM.example"), ("unknown", "a@unknown")):
    put(["h1", "s1"], helo, sender, src="192.0.2.13")
put(["m%d" % n for n in range(10) if n not in (5, 6)] + ["n1", "n2", "n3", "n4", "n5"], sender="a+b@spam.example", src="192.0.2.10")
put(["m5", "x"], src="192.0.2.10")
put(["m6", "x"], src="192.0.2.10")
put(["m1", "s1"], sender="", src="192.0.2.10")
put(["x@elsewhere.example", "w1"], src="192.0.2.10")
put(["x@elsewhere.example", "w1", "w5"], src="192.0.2.14")
for port in (2525, 2526, 2527, 2529):
    put(["f1", "s1", "m0", "n4"], sender="a'b@spam.example", src="192.0.2.10", port=port)
    put(["f1"], src="192.0.2.16", port=port)
log(include="warning|reject: .*(m[0-9]|elsewhere)")
