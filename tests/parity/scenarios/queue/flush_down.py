"""ETRN and postqueue -s while the flush service is missing, check_etrn_access with a table that fails; spawn(8) ends a command that takes too long (S-SMTPD-06, S-CMD-23, S-DAEMON-24)"""
main("""
    fast_flush_domains = a.example
    smtpd_error_sleep_time = 0
    slow_time_limit = 2
""")
file("/usr/local/bin/slow", "#!/bin/sh\necho begun\nexec sleep 60\n", mode=0o755)
master("""
    2525 inet n - n - - smtpd -o { smtpd_etrn_restrictions = check_etrn_access fail:x, reject }
    2526 inet n - n - - smtpd -o { smtpd_etrn_restrictions = check_etrn_access texthash:/etc/postfix/nosuch, reject }
    2527 inet n - n - - smtpd -o { smtpd_etrn_restrictions = check_etrn_access inline:{a.example=reject}, reject }
    slow inet n n n - 0 spawn user=nobody argv=/usr/local/bin/slow
""")
file("/etc/services", open("/etc/services").read() + "slow 2600/tcp\n")
start()
ETRN = "HELO client.example.org\nETRN a.example\nETRN other.example\nNOOP\nQUIT"
for port in (2525, 2526, 2527):
    smtp(ETRN, port=port)
note("without a flush service")
quiet("postconf -MX flush/unix; postfix reload; sleep 1; rm -f /var/spool/postfix/public/flush")
smtp(ETRN)
sh("postqueue -s a.example")
note("a command that takes too long")
note(quiet("timeout 30 bash -c 'head -c 6 < /dev/tcp/127.0.0.1/2600'").stdout.strip())
wait_log("time limit")
log()
