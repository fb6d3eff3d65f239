"""check_policy_service: servers that lie, answer in part, too much or nonsense, hang, or go away (S-TRAP-09)"""
import time

ANSWERS = {
    "part": (b"action=REJECT part\n",),
    "nothing": (b"",),
    "within-value": (b"action=REJECT par",),
    "within-name": (b"acti",),
    "no-end": b"action=REJECT no end\n",
    "silent": b"",
    "no-action": b"foo=bar\n\n",
    "more": b"action=REJECT more\nfoo=bar\n\n",
    "before": b"foo=bar\naction=REJECT before\n\n",
    "two-actions": b"action=REJECT one\naction=REJECT two\n\n",
    "empty-action": b"action=\n\n",
    "only-blanks": b"action=  \n\n",
    "blanks-around": b"action = REJECT around\n\n",
    "blank-before": b"  action=REJECT before\n\n",
    "blank-within": b"action=  REJECT   within  \n\n",
    "blank-after": b"action=REJECT after \t \n\n",
    "only-word-and-blank": b"action=REJECT  \n\n",
    "number-and-blank": b"action=1 \n\n",
    "crlf": b"action=REJECT crlf\r\n\r\n",
    "no-sign": b"hello\n\n",
    "only-end": b"\n",
    "end-before": b"\naction=REJECT late\n\n",
    "upper": b"ACTION=REJECT upper\n\n",
    "nul": b"action=REJECT a\0b\n\n",
    "eight-bit": b"action=REJECT gr\xc3\xbc\xdf\n\n",
    "control": b"action=REJECT a\tb\x01c\n\n",
    "long": b"action=REJECT " + b"x" * 300 + b"\n\n",
    "unknown": b"action=FOO bar\n\n",
    "bad-code": b"action=299 fine\n\n",
    "code": b"action=450 4.7.9 own code\n\n",
    "code-no-dsn": b"action=553 own code\n\n",
    "list": b"action=permit_mynetworks, reject\n\n",
    "nested": b"action=check_policy_service inet:127.0.0.1:9001\n\n",
}


def decide(attrs):
    return ANSWERS.get(attrs["recipient"].split("@")[0], "DUNNO")


policy("p", "127.0.0.1:9000", decide)
policy("other", "127.0.0.1:9001", "REJECT from the other")
# Answers each line of the request: always ahead of the questions.
raw_server("lines", "127.0.0.1:9002", b"action=REJECT stale\n\n" * 30, hold=30)
main("""
    smtpd_recipient_restrictions = check_policy_service inet:127.0.0.1:9000
    smtpd_policy_service_timeout = 1s
    smtpd_policy_service_retry_delay = 1s
    smtpd_policy_service_try_limit = 2
    smtpd_error_sleep_time = 0
    smtpd_hard_error_limit = 100
    virtual_alias_domains = example.net
    virtual_alias_maps = static:alice@example.com
    notify_classes =
""")
master("""
    2525 inet n - n - - smtpd -o smtpd_recipient_restrictions=check_policy_service,inet:127.0.0.1:9002
    2526 inet n - n - - smtpd -o smtpd_policy_service_try_limit=3
    2527 inet n - n - - smtpd -o { smtpd_policy_service_default_action = 450 4.3.9 ask again } -o smtpd_recipient_restrictions=check_policy_service,unix:private/nosuch
    2528 inet n - n - - smtpd -o { smtpd_recipient_restrictions = check_policy_service { unix:private/nosuch, timeout=5s default_action=DUNNO try_limit=1 }, check_policy_service { inet:127.0.0.1:9001 { default_action = 450 4.3.9 no } policy_context=ctx } }
""")
start()
for name in ANSWERS:
    smtp(f"HELO client.example.org\nMAIL FROM:<s@example.org>\nRCPT TO:<{name}@example.net>\nRCPT TO:<good@example.net>\nQUIT")
smtp("HELO client.example.org\nMAIL FROM:<s@example.org>\nRCPT TO:<a@example.net>\nRCPT TO:<b@example.net>\nRCPT TO:<c@example.net>\nQUIT", port=2525)
host.servers["p"].records.clear()
begin = time.time()
smtp("HELO client.example.org\nMAIL FROM:<s@example.org>\nRCPT TO:<silent@example.net>\nRCPT TO:<nothing@example.net>\nRCPT TO:<good@example.net>\nQUIT", port=2526)
took = time.time() - begin
tries = [sum(f"recipient={name}@example.net" in asked for asked in host.servers["p"].records) for name in ("silent", "nothing")]
# A busy machine adds something, but no tries. (After a time-out Postfix may spend the first of three on the old connection.)
host.out("three tries of a second each, with a second between them; then three that fail at once: " + ("yes" if 6.9 < took < 30 and tries in ([3, 3], [3, 2]) else f"{took:.1f} s, {tries}"))
for port in (2527, 2528):
    smtp("HELO client.example.org\nMAIL FROM:<s@example.org>\nRCPT TO:<a@example.net>\nRCPT TO:<b@example.net>\nQUIT", port=port)
requests("other", "protocol_state recipient policy_context")
# That such a server answers too early is noticed at another time: no log line is compared.
log(exclude=":9002: Connection timed out")
