"""what older texts say of parameters: misprinted names, defaults that depend on compatibility_level, tables and names of later versions (S-TRAP-14, S-TRAP-18, S-TRAP-28)"""
sh("for n in bounce_notice_recipient 2bounce_notice_recipient transport_map transport_maps my_origin myorigin; do postconf -d $n 2>&1; done")
sh("for n in postscreen_allowlist_interfaces postscreen_denylist_action postscreen_dnsbl_allowlist_threshold; do postconf -d $n 2>&1; done")
for level in ("0", "1", "2", "3.6"):
    sh(f"mkdir -p /tmp/c; printf 'compatibility_level = {level}\\n' > /tmp/c/main.cf; cp /etc/postfix/master.cf /tmp/c; postconf -c /tmp/c -xh relay_domains mynetworks_style append_dot_mydomain smtputf8_enable smtpd_relay_before_recipient_restrictions")
main("compatibility_level = 0")
master("10025 inet n - - - - smtpd\nsmtp inet n - n - - smtpd")
start()
log(include="backwards-compatible")
