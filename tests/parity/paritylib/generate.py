"""Random scenarios for the differential fuzzer: a configuration, then SMTP sessions that are right for the most part.

Everything comes from the seed: the same seed gives the same text.  Values on which Postfix 3.7 and 3.11 differ are not drawn."""
import random

CLIENTS = ["192.0.2.10", "192.0.2.10", "192.0.2.11", "192.0.2.12", "192.0.2.13", "198.51.100.10", "203.0.113.10"]
DOMAINS = ["example.com", "example.com", "mail.example.com", "localhost", "example.org", "example.org", "sub.example.org", "example.net",
           "sub.example.net", "virtual.example", "boxes.example", "nosuch.example", "nullmx.example", "badmx.example", "servfail.example",
           "numericmx.example", "EXAMPLE.Org", "[192.0.2.1]", "[192.0.2.20]", "[IPv6:2001:db8::1]", "[127.0.0.1", "1.2.3.4", "a..b", "-x.example",
           "under_score.example", "example.org.", "unqualified"]
LOCALS = ["alice", "alice", "bob", "carol", "dave", "root", "postmaster", "abuse", "nobody", "nosuch", "alice+ext", "bob+a+b", "Alice", "user",
          "info", "box", "friend", "spammer", "a.b", "owner-list", '"quoted user"', '"al ice"@odd', "x%example.net", "uucp!user", "a@b", ".dot", "dot..dot", "MAILER-DAEMON"]
HELOS = ["client.example.org", "mx.example.org", "x", "localhost", "mail.example.com", "[192.0.2.10]", "[1.2.3.444]", "1.2.3.4", "bad_name.example",
         "nosuch.example", "example.org", "evil.example", "sub.evil.example", "a b", "-bad.example", "", "servfail.example", "[IPv6:2001:db8::10]", "dot.", ".dot", "x" * 70 + ".example"]
ACTIONS = ["OK", "RELAY", "1", "DUNNO", "REJECT", "REJECT no way", "REJECT 5.7.9 own code", "DEFER", "DEFER later please", "DEFER_IF_PERMIT", "DEFER_IF_PERMIT maybe not",
           "DEFER_IF_REJECT", "DEFER_IF_REJECT hm", "550 no", "550 5.1.1 nope", "450 4.2.0 wait", "450 wait", "554", "521 5.7.1 go away", "DISCARD", "DISCARD gone",
           "HOLD", "HOLD look", "INFO", "INFO told", "WARN", "WARN careful", "PREPEND X-Access: yes", "PREPEND nothing", "REDIRECT bob@example.com", "REDIRECT bob",
           "BCC carol@example.com", "FILTER discard:filtered", "FILTER nothing", "permit", "reject", "defer", "strict", "reject_unauth_destination", "permit_mynetworks, reject",
           "reject_unknown_sender_domain", "nonsense", "ok but not only", "5xx", "200", "4.7.1 x", "warn_if_reject reject", "defer_if_permit"]
CLIENT_KEYS = ["192.0.2.10", "192.0.2", "192.0", "192.0.2.11", "198.51.100", "203.0.113.10", "client.example.org", ".example.org", "example.org", "example.net", "unknown", "127.0.0.1"]
HELO_KEYS = ["client.example.org", "evil.example", ".evil.example", "example.org", "x", "localhost", "[192.0.2.10]", "1.2.3.4"]
ADDRESS_KEYS = ["alice@example.com", "bob@", "example.com", "example.org", ".example.org", "sub.example.org", "<>", "spammer@example.org", "friend@", "postmaster@", "alice+ext@example.com",
                "nosuch@", "virtual.example", "org", "example.net", "user@[192.0.2.1]", "root@", "info@virtual.example"]
HOST_KEYS = ["mx.example.org", "192.0.2.20", "192.0.2", "mx.example.net", "127.0.0.1", "localhost", "example.org", "ns.example.org", "192.0.2.21", "example"]

GENERIC = ["permit_mynetworks", "permit", "reject", "defer", "defer_if_permit", "defer_if_reject", "warn_if_reject reject", "permit_inet_interfaces", "reject_plaintext_session",
           "reject_multi_recipient_bounce", "reject_unauth_pipelining", "strict"]
CLIENT = ["reject_unknown_client_hostname", "reject_unknown_reverse_client_hostname", "reject_unknown_forward_client_hostname", "reject_rbl_client bl.example", "reject_rbl_client bl.example=127.0.0.[2..3]",
          "reject_rhsbl_client dbl.example", "reject_rhsbl_reverse_client dbl.example", "permit_dnswl_client wl.example", "permit_rhswl_client wl.example",
          "check_client_access T:client", "check_reverse_client_hostname_access T:client", "check_client_mx_access T:host", "check_client_ns_access T:host", "check_client_a_access T:host",
          "check_reverse_client_hostname_a_access T:host", "warn_if_reject reject_unknown_client_hostname"]
HELO = ["reject_invalid_helo_hostname", "reject_non_fqdn_helo_hostname", "reject_unknown_helo_hostname", "reject_rhsbl_helo dbl.example", "check_helo_access T:helo", "check_helo_mx_access T:host",
        "check_helo_a_access T:host", "check_helo_ns_access T:host", "warn_if_reject reject_non_fqdn_helo_hostname"]
SENDER = ["reject_non_fqdn_sender", "reject_unknown_sender_domain", "reject_unlisted_sender", "reject_rhsbl_sender dbl.example", "check_sender_access T:address", "check_sender_mx_access T:host",
          "check_sender_a_access T:host", "check_sender_ns_access T:host", "warn_if_reject reject_unlisted_sender", "reject_sender_login_mismatch", "permit_sasl_authenticated"]
RECIPIENT = ["permit_auth_destination", "permit_mx_backup", "reject_unauth_destination", "defer_unauth_destination", "reject_non_fqdn_recipient", "reject_unknown_recipient_domain",
             "reject_unlisted_recipient", "reject_rhsbl_recipient dbl.example", "check_recipient_access T:address", "check_recipient_mx_access T:host", "check_recipient_a_access T:host",
             "check_recipient_ns_access T:host", "warn_if_reject reject_unlisted_recipient", "reject_multi_recipient_bounce"]

SETTINGS = {
    "smtpd_delay_reject": ["no"],
    "smtpd_helo_required": ["yes"],
    "strict_rfc821_envelopes": ["yes"],
    "disable_vrfy_command": ["yes"],
    "smtpd_reject_unlisted_sender": ["yes"],
    "smtpd_reject_unlisted_recipient": ["no"],
    "soft_bounce": ["yes"],
    "access_map_reject_code": ["559", "454"],
    "access_map_defer_code": ["451", "550"],
    "reject_code": ["577"],
    "invalid_hostname_reject_code": ["450"],
    "non_fqdn_reject_code": ["454"],
    "unknown_address_reject_code": ["550"],
    "unknown_hostname_reject_code": ["550"],
    "unknown_client_reject_code": ["550"],
    "unknown_local_recipient_reject_code": ["450"],
    "relay_domains_reject_code": ["551"],
    "maps_rbl_reject_code": ["451"],
    "multi_recipient_bounce_reject_code": ["551"],
    "unknown_helo_hostname_tempfail_action": ["defer"],
    "unknown_address_tempfail_action": ["defer"],
    "reject_tempfail_action": ["defer"],
    "access_map_defer_code ": ["451"],
    "smtpd_null_access_lookup_key": ["null"],
    "parent_domain_matches_subdomains": ["", "smtpd_access_maps"],
    "recipient_delimiter": ["", "+-", "-"],
    "smtpd_reject_footer": [r"\c. See http://example.com/$client_address", "For help, call $recipient_domain"],
    "message_size_limit": ["1200"],
    "smtpd_recipient_limit": ["2", "3"],
    "smtpd_discard_ehlo_keywords": ["dsn, vrfy", "pipelining, chunking", "8bitmime,smtputf8"],
    "allow_percent_hack": ["no"],
    "swap_bangpath": ["no"],
    "allow_untrusted_routing": ["yes"],
    "resolve_dequoted_address": ["no"],
    "resolve_null_domain": ["yes"],
    "resolve_numeric_domain": ["yes"],
    "append_at_myorigin": ["yes"],
    "allow_min_user": ["yes"],
    "smtputf8_enable": ["no"],
    "enable_original_recipient": ["no"],
    "always_bcc": ["dave@example.com"],
    "show_user_unknown_table_name": ["no"],
    "plaintext_reject_code": ["455"],
    "smtpd_noop_commands": ["XNOP, VRFY"],
    "smtpd_forbidden_commands": ["CONNECT, GET, JUNK"],
    "smtpd_log_access_permit_actions": ["static:all"],
    "smtpd_junk_command_limit": ["3"],
    "smtpd_hard_error_limit": ["4"],
    "local_header_rewrite_clients": ["", "static:all"],
    "remote_header_rewrite_domain": ["domain.invalid"],
    "masquerade_domains": ["example.com", "!sub.example.org example.org"],
    "canonical_maps": ["inline:{ alice=Alice.Example, {spammer@example.org=renamed@example.net} }", "regexp:{ {/^(.*)@sub\\.(.*)$$/ $$1@$$2} }"],
    "sender_canonical_maps": ["inline:{ bob=robert }"],
    "virtual_alias_maps": ["inline:{ {info@example.com=alice,bob}, {@all.example=carol}, {user=dave@example.com} } hash:/etc/postfix/virtual", "hash:/etc/postfix/virtual static:carol"],
    "recipient_bcc_maps": ["inline:{ {alice@example.com=dave} }"],
    "sender_bcc_maps": ["inline:{ {friend@example.org=dave} }"],
    "relocated_maps": ["inline:{ {nosuch@example.com=elsewhere@example.net}, {bob=gone} }"],
    "header_checks": ["regexp:{ {/^Subject: .*bad/ REJECT bad subject} {/^X-Drop/ IGNORE} {/^X-Hold/ HOLD held} {/^X-Add/ PREPEND X-New: added} }",
                      "regexp:{ {/^Subject: (.*)$$/ REPLACE Subject: [new] $$1} {/^To:/ INFO seen} {/^X-Drop/ DISCARD} }"],
    "body_checks": ["regexp:{ {/forbidden/ REJECT words} {/warned/ WARN hm} {/gone/ IGNORE} {/^x=/ REPLACE y} }"],
    "strict_7bit_headers": ["yes"],
    "strict_8bitmime": ["yes"],
    "undisclosed_recipients_header": ["To: nobody:;"],
    "always_add_missing_headers": ["yes"],
}
CODES = {"access_map_reject_code", "relay_domains_reject_code"}

BASE = '''"""generated by tests/parity/fuzz, seed %(seed)s"""
dns("""
    nullmx.example MX 0 .
    badmx.example MX 10 nosuch.example
    servfail.example SERVFAIL
    servfail.example MX SERVFAIL
    numericmx.example MX 10 192.0.2.20
    example.org NS ns.example.org
    ns.example.org A 192.0.2.22
    evil.example A 192.0.2.14
    10.2.0.192.bl.example A 127.0.0.2 nptr
    10.2.0.192.bl.example TXT "listed"
    11.2.0.192.bl.example A 127.0.0.9 nptr
    13.2.0.192.wl.example A 127.0.0.5 nptr
    sub.example.org.dbl.example A 127.0.1.2 nptr
    example.net.dbl.example A 127.0.1.3 nptr
    evil.example.dbl.example A 127.0.1.2 nptr
    example.net MX 20 mail.example.com
    backup.example MX 20 mail.example.com
    sub.example.net MX 5 localhost
    localhost A 127.0.0.1 nptr
    mail.example.com A 192.0.2.1
""")
postmap("hash:/etc/postfix/virtual", """
    virtual.example         anything
    info@virtual.example    alice
    user@virtual.example    nosuch@example.com, bob+list
    loop@virtual.example    loop@virtual.example
    box@virtual.example     box@boxes.example
""")
'''

MAIN = """\
    virtual_alias_domains = virtual.example
    virtual_alias_maps = hash:/etc/postfix/virtual
    virtual_mailbox_domains = boxes.example
    virtual_mailbox_maps = inline:{ {box@boxes.example=box}, {info@boxes.example=info/} }
    virtual_transport = discard:virtual
    local_transport = local
    default_transport = discard:default
    relay_transport = discard:relay
    relay_domains = example.org
    notify_classes =
    smtpd_soft_error_limit = 1000
    smtpd_error_sleep_time = 0
    smtpd_restriction_classes = strict
    strict = reject_unknown_sender_domain, reject_non_fqdn_recipient
    smtpd_client_connection_rate_limit = 0
"""


class Generator:
    def __init__(self, seed):
        self.r = random.Random(seed)
        self.seed = seed
        self.tables = []
        self.end_of_data = False

    def some(self, choices, low, high):
        return self.r.sample(choices, min(len(choices), self.r.randint(low, high)))

    def chance(self, percent):
        return self.r.random() * 100 < percent

    def address(self):
        kind = self.r.random()
        if kind < 0.03:
            return ""
        if kind < 0.08:
            return self.r.choice(LOCALS)
        if kind < 0.11:
            return self.r.choice(["@example.org:alice@example.com", "@a,@b:bob@example.com", "@example.org", "alice@", "<alice@example.com>", "a b@example.com",
                                  "alice@example.com@example.net", '""@example.com', "é@example.com", "alice@é.example", "x" * 80 + "@example.com", "alice @example.com", "alice(c)@example.com",
                                  "a\\b@example.com", "alice@example.com.", "!bang@example.com", "alice%example.org@example.com", "user%example.net", "host!user@example.com", "a,b@example.com", "a:b@example.com", "-x@example.com"])
        if kind < 0.55:
            return self.r.choice(["alice@example.com", "bob@example.com", "carol@example.com", "info@virtual.example", "user@virtual.example", "box@boxes.example", "friend@example.org", "x@example.org"])
        return self.r.choice(LOCALS) + "@" + self.r.choice(DOMAINS)

    def table(self, kind):
        keys = {"client": CLIENT_KEYS, "helo": HELO_KEYS, "address": ADDRESS_KEYS, "host": HOST_KEYS}[kind]
        rows = [(k, self.r.choice(ACTIONS)) for k in self.some(keys, 1, 7)]
        name = f"{kind}{len(self.tables)}"
        self.tables.append((name, rows))
        return f"hash:/etc/postfix/{name}"

    def restriction(self, choices):
        text = self.r.choice(choices)
        if "T:" in text:
            head, kind = text.split("T:")
            text = head + self.table(kind)
        return text

    def restrictions(self, *groups):
        choices = []
        for g in groups:
            choices += g
        return ", ".join(self.restriction(choices) for _ in range(self.r.randint(1, 4)))

    def configuration(self):
        rows = []
        if self.chance(45):
            rows.append("smtpd_client_restrictions = " + self.restrictions(CLIENT, CLIENT, GENERIC[:5]))
        if self.chance(40):
            rows.append("smtpd_helo_restrictions = " + self.restrictions(HELO, HELO, CLIENT, GENERIC))
        if self.chance(50):
            rows.append("smtpd_sender_restrictions = " + self.restrictions(SENDER, SENDER, HELO, GENERIC))
        if self.chance(70):
            rows.append("smtpd_recipient_restrictions = " + self.restrictions(RECIPIENT, RECIPIENT, RECIPIENT, SENDER, HELO, CLIENT, GENERIC) + ", reject_unauth_destination")
        if self.chance(25):
            rows.append("smtpd_relay_restrictions = " + self.restrictions(RECIPIENT, GENERIC) + ", reject_unauth_destination")
        if self.chance(20):
            rows.append("smtpd_data_restrictions = " + self.restrictions(RECIPIENT, SENDER, GENERIC))
        self.end_of_data = self.chance(20)
        if self.end_of_data:
            rows.append("smtpd_end_of_data_restrictions = " + self.restrictions(SENDER, CLIENT, GENERIC))
        for name in self.some(sorted(SETTINGS), 0, 6):
            rows.append(f"{name.strip()} = {self.r.choice(SETTINGS[name])}")
        return rows

    def helo(self):
        verb = self.r.choice(["EHLO", "EHLO", "EHLO", "HELO", "ehlo"])
        return f"{verb} {self.r.choice(HELOS[:1] * 12 + HELOS)}".rstrip()

    def mail(self):
        a = self.r.choice(["s@example.org", "friend@example.org", "alice@example.com", self.address(), self.address()])
        text = self.r.choice(["MAIL FROM:<%s>"] * 14 + ["MAIL FROM: <%s>", "mail from:<%s>", "MAIL FROM:%s", "MAIL FROM <%s>", "MAIL FROM:<%s> junk", "MAIL FROM:<%s", "MAIL %s"]) % a
        if self.chance(25):
            text += " " + " ".join(self.some(["SIZE=100", "SIZE=100", "SIZE=99999999999", "SIZE=x", "BODY=8BITMIME", "BODY=7BIT", "BODY=BINARY", "SMTPUTF8", "RET=FULL", "RET=HDRS", "RET=x",
                                              "ENVID=abc", "ENVID=a+2Bb", "ENVID=a+b", "AUTH=<>", "FOO=BAR", "SIZE=1300", "ENVID=x ENVID=y", "smtputf8", "BODY=8bitmime"], 1, 3))
        return text

    def rcpt(self):
        a = self.r.choice(["alice@example.com", self.address(), self.address(), self.address()])
        text = self.r.choice(["RCPT TO:<%s>"] * 16 + ["RCPT TO: <%s>", "rcpt to:<%s>", "RCPT TO:%s", "RCPT TO <%s>", "RCPT TO:<%s> junk", "RCPT <%s>"]) % a
        if self.chance(15):
            text += " " + " ".join(self.some(["NOTIFY=NEVER", "NOTIFY=SUCCESS", "NOTIFY=FAILURE,DELAY", "NOTIFY=NEVER,SUCCESS", "NOTIFY=x", "ORCPT=rfc822;a@b", "ORCPT=rfc822;a+20b@c", "ORCPT=nothing",
                                              "ORCPT=utf-8;x@y", "FOO", "NOTIFY="], 1, 2))
        return text

    def odd(self):
        return self.r.choice(["NOOP", "NOOP x", "RSET", "RSET", "RSET x", "VRFY alice", "VRFY alice@example.com", "VRFY nosuch@example.com", "VRFY", "VRFY <bob@example.org>", "HELP", "EXPN list", "JUNK", "XNOP", "GET / HTTP/1.0",
                              "", "DATA", "BDAT x", "ETRN example.org", "ETRN nosuch.example", "ETRN", "ETRN #x", "ETRN a b", "STARTTLS", "AUTH PLAIN AGEAYg==", "QUIT now", "MAIL", "RCPT", "Subject: x", "XCLIENT ADDR=1.2.3.4", "XFORWARD NAME=x",
                              "MAIL FROM:<>", self.helo(), self.mail(), self.rcpt(), "DATA x", "VRFY a b", "VRFY alice SMTPUTF8", "x" * 300])

    def message(self):
        rows = [f"Subject: test {self.r.randint(1, 9)}{self.r.choice(['', '', ' bad', ' é'])}"]
        rows += self.some(["From: Alice <alice@example.com>", "From: bob", "To: alice", "To: alice@example.com, Bob <bob@sub.example.org>", "Cc: <carol@example.com>", "X-Drop: 1", "X-Hold: 1", "X-Add: 1",
                           "Message-Id: <x@y>", "Date: Mon, 1 Jan 2024 00:00:00 +0000", "MIME-Version: 1.0", "Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: 8bit", "Resent-From: bob@example.com",
                           "To: a long,", "\tfolded@example.com,", "\tlist@example.org", "Sender: root", "Bcc: dave@example.com", "Return-Path: <x@y>", "Received: from x by y; z", "Delivered-To: alice@example.com",
                           "bad header", "Reply-To: \"A B\" <a@b>, c (comment)", "Errors-To: alice", "From alice Mon Jan  1 00:00:00 2024", "To: Group: alice, bob@x;"], 0, 5)
        if self.chance(95):
            rows.append("")
            rows += self.some(["Hello", "forbidden", "warned", "gone", "x=1", "..dots", "é 8-bit", "y" * 200, "From here", "", "--x", " ", "z" * 1100], 0, 4)
        return rows

    def data(self):
        if self.chance(15):
            body = "\r\n".join(self.message()).encode() + b"\r\n"
            cut = self.r.randint(0, len(body)) if self.chance(40) else 0
            chunks = [b"BDAT %d\r\n" % cut + body[:cut]] * bool(cut) + [b"BDAT %d LAST\r\n" % (len(body) - cut) + body[cut:]]
            return [row for chunk in chunks for row in ("!raw " + repr(chunk)[1:], "!read")]
        return ["DATA"] + [x if not x.startswith(".") or x.startswith("..") else "." + x for x in self.message()] + ["."]

    def session(self):
        rows = []
        if self.chance(94):
            rows.append(self.helo())
        for _ in range(self.r.choice([1, 1, 1, 2])):
            if self.chance(8):
                rows.append(self.odd())
            rows.append(self.mail())
            if self.chance(6):
                rows.append(self.odd())
            rows += [self.rcpt() for _ in range(self.r.choice([1, 1, 2, 2, 3, 4]))]
            if self.chance(8):
                rows.append(self.odd())
            if self.chance(75):
                # What a refusal at the end of data leaves behind is a deliberate difference (docs/differences.md).
                rows += self.data() + ["RSET"] * self.end_of_data
            elif self.chance(50):
                rows.append("RSET")
        if self.chance(90):
            rows.append("QUIT")
        return rows

    def scenario(self, sessions):
        main = MAIN + "".join("    %s\n" % row for row in self.configuration())
        talks = [(self.session(), self.r.choice(CLIENTS)) for _ in range(sessions)]
        rows = [BASE % {"seed": self.seed}, f"main({main!r})"]
        rows += ["postmap({!r}, {!r})".format("hash:/etc/postfix/" + name, "\n".join(f"{k}  {v}" for k, v in entries)) for name, entries in self.tables]
        rows += ["start()"]
        rows += ["smtp({!r}, src={!r})".format("\n".join(talk), src) for talk, src in talks]
        rows += ["settle()"] + [f'mbox("{who}", sort=True)' for who in ("alice", "bob", "carol", "dave")] + ["mailq()"]
        return "\n".join(rows) + "\n"
