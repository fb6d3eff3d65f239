"""each restriction in each list that may name it: a class for each, which the sender's table (or the ETRN domain's) chooses"""
# S-UBE-01 S-UBE-37
dns("""
    12.2.0.192.bl.example A 127.0.0.2 nptr
    12.2.0.192.bl.example TXT "listed"
    12.2.0.192.wl.example A 127.0.0.2 nptr
    bad.example.dbl.example A 127.0.1.2 nptr
    bad.example MX 10 mx.bad.example
    bad.example NS ns.bad.example
    bad.example A 203.0.113.66
    mx.bad.example A 203.0.113.67
    ns.bad.example A 203.0.113.68
    forged.example.org MX 10 mx.bad.example
    forged.example.org NS ns.bad.example
    forged.example.org.dbl.example A 127.0.1.2 nptr
    unknown.dbl.example A 127.0.1.2 nptr
""")
# What only 3.8 and earlier know (permit_naked_ip_address, reject_maps_rbl, check_relay_domains) is left to tests beside the code, and what probes
# (reject_unverified_sender, reject_unverified_recipient) to address_verification.
hosts = "inline:{{203.0.113.66=REJECT a host} {mx.bad.example=REJECT an exchanger} {ns.bad.example=REJECT a name server}}"
names = "inline:{{192.0.2.12=REJECT client} {forged.example.org=REJECT name} {bad.example=REJECT domain}}"
NAMES = f"""
    permit
    reject
    defer
    defer_if_permit
    defer_if_reject, reject
    warn_if_reject reject
    sleep 0, reject
    nonsense
    {names}
    check_policy_service inet:127.0.0.1:9000
    permit_inet_interfaces
    permit_mynetworks
    permit_sasl_authenticated
    permit_tls_all_clientcerts
    permit_tls_clientcerts
    permit_auth_destination
    permit_mx_backup
    reject_unauth_destination
    defer_unauth_destination
    reject_unauth_pipelining
    reject_plaintext_session
    reject_multi_recipient_bounce
    reject_invalid_helo_hostname
    reject_invalid_hostname
    reject_non_fqdn_helo_hostname
    reject_non_fqdn_hostname
    reject_unknown_helo_hostname
    reject_unknown_hostname
    reject_unknown_client_hostname
    reject_unknown_client
    reject_unknown_reverse_client_hostname
    reject_non_fqdn_sender
    reject_unknown_sender_domain
    reject_unknown_address
    reject_unlisted_sender
    reject_non_fqdn_recipient
    reject_unknown_recipient_domain
    reject_unlisted_recipient
    check_recipient_maps
    reject_sender_login_mismatch
    reject_authenticated_sender_login_mismatch
    reject_known_sender_login_mismatch
    reject_unauthenticated_sender_login_mismatch
    reject_rbl_client bl.example
    reject_rbl bl.example
    reject_rhsbl_client dbl.example
    reject_rhsbl_reverse_client dbl.example
    reject_rhsbl_helo dbl.example
    reject_rhsbl_sender dbl.example
    reject_rhsbl_recipient dbl.example
    permit_dnswl_client wl.example
    permit_rhswl_client dbl.example
    check_ccert_access {names}
    check_sasl_access {names}
    check_client_access {names}
    check_client_a_access {hosts}
    check_client_mx_access {hosts}
    check_client_ns_access {hosts}
    check_reverse_client_hostname_access {names}
    check_reverse_client_hostname_a_access {hosts}
    check_reverse_client_hostname_mx_access {hosts}
    check_reverse_client_hostname_ns_access {hosts}
    check_helo_access {names}
    check_helo_a_access {hosts}
    check_helo_mx_access {hosts}
    check_helo_ns_access {hosts}
    check_sender_access {names}
    check_sender_a_access {hosts}
    check_sender_mx_access {hosts}
    check_sender_ns_access {hosts}
    check_recipient_access {names}
    check_recipient_a_access {hosts}
    check_recipient_mx_access {hosts}
    check_recipient_ns_access {hosts}
    check_etrn_access {names}
"""
lists = [line.strip() for line in NAMES.split("\n") if line.strip()]
policy("p", "127.0.0.1:9000", "REJECT policy")
postmap("hash:/etc/postfix/chosen", "\n".join(f"c{n}@ c{n}\nc{n}.example c{n}" for n in range(len(lists))))
main("smtpd_restriction_classes = " + " ".join(f"c{n}" for n in range(len(lists))))
main("\n".join(f"c{n} = {text}" for n, text in enumerate(lists)))
main("""
    smtpd_hard_error_limit = 10000
    smtpd_soft_error_limit = 10000
    smtpd_error_sleep_time = 0
    smtpd_junk_command_limit = 10000
    notify_classes =
    in_flow_delay = 0
    smtpd_policy_service_retry_delay = 1
""")
PLACES = ["smtpd_client_restrictions", "smtpd_helo_restrictions", "smtpd_sender_restrictions", "smtpd_relay_restrictions", "smtpd_recipient_restrictions",
          "smtpd_data_restrictions", "smtpd_end_of_data_restrictions", "smtpd_etrn_restrictions"]
for n, place in enumerate(PLACES):
    check = "check_etrn_access" if "etrn" in place else "check_sender_access"
    more = ",reject_unauth_destination" if place in ("smtpd_relay_restrictions", "smtpd_recipient_restrictions") else ""
    master(f"""
        {2600 + n} inet n - n - - smtpd
          -o {place}={check},hash:/etc/postfix/chosen{more}
    """)
start()
for at, place in enumerate(PLACES):
    note(place)
    for n, text in enumerate(lists):
        if "etrn" in place:
            rows = [f"ETRN c{n}.example"]
        else:
            rows = [f"MAIL FROM:<c{n}@bad.example>", "RCPT TO:<alice@example.com>"] + ["RCPT TO:<x@bad.example>"] * ("re" in place)
            rows += ["DATA", "x", "."] * ("data" in place)
        replies = ask("\n".join(["HELO bad.example"] + rows), src="192.0.2.12", port=2600 + at)
        note(f"{text.split()[0]}: {' | '.join(replies[3 - ('etrn' in place):])}")
log(include="warning")
