#!/usr/bin/env python3
"""A greylisting policy server: mail from a client, sender and recipient that have not met before is put off for a while.

Most programs that send spam do not try again; mail servers do. Run it by spawn(8), one process for each connection of smtpd:

    policy unix - n n - 0 spawn
      user=nobody argv=/usr/local/lib/greylist.py --database /var/lib/greylist/greylist.db

and ask it with `check_policy_service unix:private/policy`, after `reject_unauth_destination`. docs/recipes/greylist.md says more.

The protocol (SMTPD_POLICY_README): smtpd sends lines `name=value` up to an empty line; the answer is a line `action=…` and an empty line.
When something is wrong, no answer is sent and the connection is closed: smtpd then tries again, and in the end answers 4xx to the client."""
import argparse
import ipaddress
import sqlite3
import sys
import syslog
import time

MAX_LINES = 1000  # of one request


def read_request(lines):
    """The attributes of the next request; None at the end of the connection. Values are bytes of the client's own choice."""
    attributes = {}
    for number, line in enumerate(lines):
        line = line.rstrip(b"\n")
        if not line:
            return attributes
        if number >= MAX_LINES:
            raise ValueError("the request has no end")
        name, sign, value = line.partition(b"=")
        if not sign:
            raise ValueError(f"a line without '=': {line[:100]!r}")
        attributes[name.decode("ascii", "replace")] = value.decode("utf-8", "surrogateescape")
    if attributes:
        raise ValueError("the connection ended within a request")
    return None


def network(address, ipv4_bits, ipv6_bits):
    """Large senders try again from a neighbour's address: clients of one network are one."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return address
    bits = ipv4_bits if ip.version == 4 else ipv6_bits
    return str(ipaddress.ip_network((ip, bits), strict=False))


class Greylist:
    def __init__(self, options):
        self.options = options
        # Other connections of smtpd have processes of their own: wait for their turn to write.
        self.db = sqlite3.connect(options.database, timeout=30, isolation_level=None)
        # What a crash of the machine loses costs a second delay, and no mail.
        self.db.executescript("""
            PRAGMA journal_mode = WAL;
            PRAGMA synchronous = NORMAL;
            CREATE TABLE IF NOT EXISTS met (
                client TEXT, sender TEXT, recipient TEXT, first REAL NOT NULL, last REAL NOT NULL, passed INTEGER NOT NULL,
                PRIMARY KEY (client, sender, recipient)) WITHOUT ROWID;
        """)
        self.cleaned = 0

    def decide(self, attributes, now):
        """The action for one request."""
        if attributes.get("request") != "smtpd_access_policy":
            raise ValueError(f"an unknown request: {attributes.get('request')!r}")
        if attributes.get("protocol_state") != "RCPT" or attributes.get("sasl_username"):
            return "DUNNO"
        key = tuple(part.lower().encode("utf-8", "surrogateescape") for part in (
            network(attributes.get("client_address", ""), self.options.ipv4_bits, self.options.ipv6_bits),
            attributes.get("sender", ""), attributes.get("recipient", "")))
        self.clean_up(now)
        self.db.execute("INSERT INTO met VALUES (?, ?, ?, ?, ?, 0) ON CONFLICT DO NOTHING", (*key, now, now))
        where = "WHERE client = ? AND sender = ? AND recipient = ?"
        first, passed = self.db.execute(f"SELECT first, passed FROM met {where}", key).fetchone()
        waited = now - first
        if not passed and waited < self.options.delay:
            return f"DEFER_IF_PERMIT 4.2.0 {self.options.text}"
        self.db.execute(f"UPDATE met SET last = ?, passed = 1 {where}", (now, *key))
        if passed:
            return "DUNNO"
        return f"PREPEND X-Greylist: delayed {waited:.0f} seconds"

    def clean_up(self, now):
        """Forgets those who never came back, and those who have not been seen for long."""
        if now - self.cleaned < 3600:
            return
        self.cleaned = now
        self.db.execute("DELETE FROM met WHERE (passed = 0 AND last < ?) OR last < ?", (now - self.options.retry_window, now - self.options.keep))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--database", required=True, help="file, in a folder that this user may write")
    parser.add_argument("--delay", type=float, default=60, help="seconds until a second try is taken (60)")
    parser.add_argument("--retry-window", type=float, default=2 * 86400, help="seconds after which a first try is forgotten (two days)")
    parser.add_argument("--keep", type=float, default=35 * 86400, help="seconds after which those who passed are forgotten (35 days)")
    parser.add_argument("--ipv4-bits", type=int, default=24, help="clients of one network are one: its size (24)")
    parser.add_argument("--ipv6-bits", type=int, default=64, help="the same for IPv6 (64)")
    parser.add_argument("--text", default="Greylisted, please try again", help="text of the reply")
    options = parser.parse_args()
    syslog.openlog("greylist", syslog.LOG_PID, syslog.LOG_MAIL)
    try:
        greylist = Greylist(options)
        while (attributes := read_request(sys.stdin.buffer)) is not None:
            action = greylist.decide(attributes, time.time())
            sys.stdout.buffer.write(f"action={action}\n\n".encode())
            sys.stdout.buffer.flush()
    except (ValueError, sqlite3.Error, OSError) as error:
        syslog.syslog(syslog.LOG_WARNING, f"warning: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
