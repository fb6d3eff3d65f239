"""smtpd_timeout and deadlines, least data rate, the values under stress, junk commands, free space (S-LIMIT-06, S-LIMIT-07)"""
import time

main("""
    smtpd_timeout = ${stress?{1}:{5}}s
    smtpd_hard_error_limit = ${stress?{1}:{20}}
    smtpd_error_sleep_time = 0
    notify_classes =
""")
master("""
    2525 inet n - n - - smtpd -o smtpd_per_request_deadline=yes -o smtpd_min_data_rate=1000
    2526 inet n - n - - smtpd -o stress=yes
    2527 inet n - n - - smtpd -o queue_minfree=100000000000
    2528 inet n - n - - smtpd -o smtpd_peername_lookup=no -o smtpd_client_port_logging=yes
    2529 inet n - n - - smtpd -o smtpd_delay_open_until_valid_rcpt=no -o in_flow_delay=0 -o smtpd_noop_commands=FOO,bar -o smtpd_junk_command_limit=2
    2530 inet n - n - - smtpd -o { smtpd_forbidden_commands = CONNECT, GET, regexp:{ {/^FOO/ bar} } }
    2531 inet n - n - - smtpd -o { smtpd_discard_ehlo_keywords = pipelining, silent-discard, DSN } -o { smtpd_discard_ehlo_keyword_address_maps = inline:{ {192.0.2.11 = chunking size} } }
    2532 inet n - n - - smtpd -o { smtpd_command_filter = pcre:/etc/postfix/command_filter }
""")
file("/etc/postfix/command_filter", r"""
    /^NOT (.*)/ NOOP $1
    /^\s*(MAIL\s+FROM:)\s*(<[^>]*>).*/ $1$2
    /^BAD/ /^BAD/
""")
start()


def timed(what, low, high):
    took = time.time() - timed.begin
    host.out(f"{what}: " + (f"between {low} and {high} s" if low <= took <= high else f"{took:.1f} s"))


HEAD = "HELO client.example.org\nMAIL FROM:<s@example.org>\nRCPT TO:<alice@example.com>\nDATA\n"
# A byte now and then: each one begins the time anew, but with a deadline for the request.
for port, low, high in ((25, 0, 99), (2525, 2.5, 4.5)):
    timed.begin = time.time()
    smtp('HELO client.example.org\n!raw "NO"\n!sleep 3\n!raw "OP"\n!sleep 3\n!raw "\\r\\n"\n!read\n', port=port)
    # Content at a trickle, and at the least rate.
    smtp(HEAD + '!raw "Subject: x\\r\\n"\n!sleep 3\n!raw "y\\r\\n"\n!sleep 3\n!raw "\\r\\n.\\r\\n"\n!read\n', port=port)
big = "z" * 70 + "\\r\\n"
smtp(HEAD + '!raw "Subject: fast enough\\r\\n\\r\\n"\n' + ('!raw "' + big * 30 + '"\n!sleep 1\n') * 4 + '!raw ".\\r\\n"\n!read\nQUIT', port=2525)
timed.begin = time.time()
smtp("HELO client.example.org\n!read\n", port=2526)
timed("under stress", 0.8, 4.5)
smtp("HELO client.example.org\nFOO\nNOOP\n", port=2526)
smtp("HELO client.example.org\nMAIL FROM:<s@example.org>\nMAIL FROM:<s@example.org> SIZE=10\nQUIT", port=2527)
smtp("EHLO client.example.org\nMAIL FROM:<s@example.org>\nRCPT TO:<alice@example.com>\nDATA\nSubject: no name\n\n.\nQUIT", port=2528)
smtp("HELO client.example.org\nMAIL FROM:<s@example.org>\nRCPT TO:<nosuch@example.com>\nRSET\nFOO x\nBAR\nbar\nNOOP\nNOOP\nVRFY alice\nQUIT", port=2529)
smtp("HELO client.example.org\nGET / HTTP/1.0\n", port=2530)
smtp("HELO client.example.org\nFOOBAR\n", port=2530)
smtp("POST / HTTP/1.0\nQUIT", port=2530)
smtp("EHLO client.example.org\nMAIL FROM:<s@example.org> RET=FULL\nQUIT", port=2531)
smtp("EHLO eleven.example.org\nMAIL FROM:<s@example.org> RET=FULL\nQUIT", src="192.0.2.11", port=2531)
smtp("HELO client.example.org\nNOT now\nMAIL FROM: <s@example.org> FOO=BAR\nRCPT TO:<alice@example.com>\nBAD\nRSET\nQUIT", port=2532)
settle()
sh("grep -h ^Subject: /var/mail/alice | sort")
log(exclude="not enough free space")
