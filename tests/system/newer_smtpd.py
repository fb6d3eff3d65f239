"""what smtpd has since Postfix 3.8: networks that count as one client, sessions hidden in Received:, replies replaced by a table, the code for a bare newline; the age of connections to policy servers"""
# smtpd_policy_service_max_ttl smtpd_policy_service_max_idle smtpd_client_ipv4_prefix_length smtpd_client_ipv6_prefix_length smtpd_hide_client_session smtpd_reject_filter_maps smtpd_forbid_bare_newline_reject_code
main("""
    mynetworks = 127.0.0.0/8
    smtpd_error_sleep_time = 0
    smtpd_client_event_limit_exceptions =
    syslog_facility = local3
    notify_classes =
""")
master("""
    2525 inet n - n - - smtpd -o smtpd_client_connection_count_limit=1 -o smtpd_client_ipv4_prefix_length=30 -o smtpd_client_ipv6_prefix_length=64
    2526 inet n - n - - smtpd -o smtpd_client_connection_count_limit=1
    2527 inet n - n - - smtpd -o smtpd_hide_client_session=yes
    2528 inet n - n - - smtpd -o { smtpd_reject_filter_maps = regexp:/etc/postfix/replies } -o { smtpd_reject_footer = call us } -o { smtpd_recipient_restrictions = reject }
    2529 inet n - n - - smtpd -o smtpd_forbid_bare_newline=reject -o smtpd_forbid_bare_newline_exclusions= -o smtpd_forbid_bare_newline_reject_code=521
    2530 inet n - n - - smtpd -o { smtpd_recipient_restrictions = check_policy_service inet:127.0.0.1:9998, permit_mynetworks, reject } -o smtpd_policy_service_max_ttl=1
    2531 inet n - n - - smtpd -o { smtpd_recipient_restrictions = check_policy_service inet:127.0.0.1:9998, permit_mynetworks, reject } -o smtpd_policy_service_max_idle=1
    2532 inet n - n - - smtpd -o { smtpd_recipient_restrictions = check_policy_service inet:127.0.0.1:9998, permit_mynetworks, reject }
""")
file("/etc/postfix/replies", r"""
    /^554 5\.7\.1 <no@.*Access denied/   550 5.7.26 nobody here takes that
    /^5(.*<later@.*)/   4$1
""")
policy("p", "127.0.0.1:9998", lambda attrs: f"reject connection {attrs['(connection)']}")
start()


def replies(port, text, src=None):
    """All replies of a dialogue."""
    before = len(host.lines)
    smtp(text, port=port, src=src)
    return [line.removeprefix("S: ") for line in host.lines[before:] if line.startswith("S: ")]


# 192.0.2.12 and .13 are in one /30, .10 in another.
for number, shared in ((2525, True), (2526, False)):
    first = client(src="192.0.2.12", port=number)
    second = replies(number, "QUIT", src="192.0.2.13")
    other = replies(number, "QUIT", src="192.0.2.10")
    check(second[0].startswith("421 4.7.0 mail.example.com Error: too many connections from" if shared else "220 "), f"port {number}: the second client of the network: {second[0]}")
    check(other[0].startswith("220 "), f"port {number}: a client of another network: {other[0]}")
    first.do("QUIT")
    first.close()
mail("s@example.org", "alice@example.com", "Subject: hidden\n\nx\n", port=2527)
settle()
mbox("alice")
text = "\n".join(host.lines)
check("Received: by mail.example.com (" in text and "client.example.org" not in text.split("== mailbox alice")[-1], "the client is not in Received:")
got = replies(2528, "EHLO c\nMAIL FROM:<>\nRCPT TO:<no@example.com>\nRCPT TO:<later@example.com>\nRCPT TO:<other@example.com>\nQUIT")
check("550-5.7.26 nobody here takes that" in got and "550 5.7.26 call us" in got, "a reply from the table, and the footer in its code")
check(any(line.startswith("454-5.7.1 <later@example.com>") for line in got), f"a part of a reply replaced: {got}")
check(any(line.startswith("554-5.7.1 <other@example.com>") for line in got), "what the table does not know stays")
got = replies(2529, 'EHLO c\nMAIL FROM:<>\nRCPT TO:<alice@example.com>\nDATA\n!raw "x: y\\n\\r\\nz\\r\\n.\\r\\n"\n!read')
check(any(line.startswith("521 5.5.2") for line in got), f"a bare newline: {got[-1]}")
for number, renewed in ((2530, True), (2531, True), (2532, False)):
    got = replies(number, "EHLO c\nMAIL FROM:<>\nRCPT TO:<a@example.com>\n!sleep 2.5\nRCPT TO:<b@example.com>\nQUIT")
    used = [line.split()[-1] for line in got if "connection" in line]
    check(len(used) == 2 and (used[0] != used[1]) == renewed, f"port {number}: connections to the policy server: {used}")
nolog()
