"""defer_if_permit and defer_if_reject together: a list ends where both stand, the next one is asked all the same"""
LISTS = {
    2525: ("defer_if_permit,defer_if_reject,reject_unauth_destination", "reject_unlisted_recipient"),
    2526: ("defer_if_reject,reject_unauth_destination", "reject_unlisted_recipient"),
    2527: ("", "defer_if_permit,defer_if_reject,reject_unlisted_recipient,reject_unauth_destination"),
    2528: ("defer_if_permit,reject_unauth_destination", "defer_if_reject,reject_unlisted_recipient"),
    2529: ("defer_if_permit,defer_if_reject,reject_unauth_destination", "reject_non_fqdn_sender,reject_unlisted_recipient"),
    2530: ("defer_if_permit,inner,reject_unauth_destination", "reject_unlisted_recipient"),
    2531: ("defer_if_reject,reject_unauth_destination", "check_sender_access,inline:{a@example.org=DEFER_IF_PERMIT},reject_unlisted_recipient"),
    2532: ("defer_if_permit,defer_if_reject,reject_unauth_destination", ""),
}
master("".join(f"    {port} inet n - n - - smtpd\n      -o smtpd_relay_restrictions={relay}\n      -o smtpd_recipient_restrictions={recipient}\n" for port, (relay, recipient) in LISTS.items()) + """
    2533 inet n - n - - smtpd
      -o smtpd_sender_restrictions=defer_if_permit
      -o smtpd_relay_restrictions=defer_if_reject,reject_unauth_destination
      -o smtpd_recipient_restrictions=reject_unlisted_recipient
""")
main("""
    smtpd_restriction_classes = inner
    inner = defer_if_reject, reject
""")
start()
for port in range(2525, 2534):
    smtp("EHLO x\nMAIL FROM:<a@example.org>\n" + "\n".join(f"RCPT TO:<{x}>" for x in ("nosuch@example.com", "alice@example.com", "x@example.net")) + "\nQUIT", port=port)
