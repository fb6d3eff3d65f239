"""unverified_sender_… and unverified_recipient_…: codes, reasons, what a temporary failure does; how often verify is asked (S-UBE-46)"""
PORTS = []


def port(*options):
    """An smtpd with these settings; its port."""
    number = 2600 + len(PORTS)
    PORTS.append((number, options))
    master(f"{number} inet n - n - - smtpd\n" + "".join("    -o { %s }\n" % option for option in options))


main("""
    smtpd_relay_restrictions = permit_mynetworks, reject
    mynetworks = 127.0.0.0/8 192.0.2.10
    transport_maps = inline:{ {ok.example=discard:} {no.example=error:5.1.1 nobody here} {soft.example=error:4.1.1 not now} {later.example=retry:4.2.1 not now} {hold.example=stuck:} }
    address_verify_poll_delay = 1
    smtpd_error_sleep_time = 0
    default_destination_concurrency_limit = 1
""")
master("stuck unix - n n - 0 pipe flags= user=filter argv=/bin/true")
RECIPIENT, SENDER = "smtpd_recipient_restrictions = reject_unverified_recipient", "smtpd_sender_restrictions = reject_unverified_sender"
for what, rule in (("recipient", RECIPIENT), ("sender", SENDER)):
    port(rule)
    port(rule, f"unverified_{what}_reject_code = 550", f"unverified_{what}_defer_code = 451")
    port(rule, f"unverified_{what}_reject_code = 250", f"unverified_{what}_defer_code = 250")
    port(rule, f"unverified_{what}_reject_code = 550", f"unverified_{what}_reject_reason = No 100%% proof, {what}:5.5.5 it is")
    port(rule, f"unverified_{what}_reject_code = 599", f"unverified_{what}_defer_code = 499", f"unverified_{what}_tempfail_action = defer")
    port(rule + ", reject", f"unverified_{what}_tempfail_action = defer_if_permit")
    port(rule + ", reject", f"unverified_{what}_tempfail_action = defer", f"unverified_{what}_defer_code = 421")
    port(rule + ", reject", "reject_tempfail_action = defer")
    port(f"warn_if_reject {rule.split(' = ')[1]}".join([rule.split(" = ")[0] + " = ", ""]), f"unverified_{what}_tempfail_action = defer")
    port(rule, f"unverified_{what}_reject_code = 521", "smtpd_reject_footer = call 555-1234")
    port(rule, "soft_bounce = yes", f"unverified_{what}_reject_code = 550")
    port(rule, "smtpd_delay_reject = no", f"unverified_{what}_reject_code = 550")
port("smtpd_data_restrictions = reject_unverified_sender, reject_unverified_recipient")
port("smtpd_recipient_restrictions = reject_unverified_sender, reject_unverified_recipient", "address_verify_poll_count = 1")
port("smtpd_recipient_restrictions = reject_unverified_recipient", "address_verify_poll_count = 5", "address_verify_poll_delay = 2")
start()
NAMES = ["a@ok.example", "a@no.example", "a@soft.example", "a@later.example"]
for number, options in PORTS:
    note("; ".join(options))
    for name in NAMES:
        smtp(f"EHLO client.example.org\nMAIL FROM:<{name}>\nRCPT TO:<b{name}>\nDATA\n.\nQUIT", port=number)
sh("mailq")
log(include="reject|warn", exclude="numeric")
