"""canonical classes and masquerade classes one by one; masquerade with exceptions and subdomains (S-REWRITE-07, S-REWRITE-08, S-REWRITE-05, S-REWRITE-06)"""
sink("hub", "192.0.2.22:25", hostname="hub.example.net")
main("""
    relayhost = [192.0.2.22]
    mydestination =
    local_recipient_maps =
    default_destination_recipient_limit = 1
    smtp_destination_concurrency_limit = 1
    smtp_connection_cache_on_demand = no
""")
file("/etc/postfix/exceptions", "wheel admin\n")
start()
MESSAGE = """From: f@h.example.com
Sender: f@h.example.com
Reply-To: f@h.example.com
To: f@h.example.com
Cc: f@h.example.com
Bcc: f@h.example.com
Resent-From: f@h.example.com
Resent-Sender: f@h.example.com
Resent-Reply-To: f@h.example.com
Resent-To: f@h.example.com
Resent-Cc: f@h.example.com
Resent-Bcc: f@h.example.com
Errors-To: f@h.example.com
Return-Receipt-To: f@h.example.com
Disposition-Notification-To: f@h.example.com
Apparently-To: f@h.example.com
Mail-Followup-To: f@h.example.com
X-From: f@h.example.com
Subject: %s

From: f@h.example.com
"""
CLASSES = ("envelope_sender", "envelope_recipient", "header_sender", "header_recipient")


def send(label, *settings):
    quiet("postconf -e " + " ".join(f"'{s}'" for s in settings) + "; postfix reload; sleep 0.7")
    sendmail("-f f@h.example.com f@h.example.com", MESSAGE % label, user="root")
    settle()


MAP = "inline:{ {f@h.example.com=%s@new.example} }"
for c in CLASSES:
    send(f"canonical {c}", f"canonical_classes = {c}", "canonical_maps = " + MAP % "canonical")
send("all three", "canonical_classes = envelope_sender, header_recipient", "canonical_maps = inline:{ {f@h.example.com=c@h.example.com} }",
     "sender_canonical_classes = header_sender, envelope_sender", "sender_canonical_maps = inline:{ {f@h.example.com=s@h.example.com}, {c@h.example.com=sc@h.example.com} }",
     "recipient_canonical_classes = header_recipient", "recipient_canonical_maps = inline:{ {f@h.example.com=r@h.example.com}, {c@h.example.com=rc@h.example.com} }")
for c in CLASSES:
    send(f"masquerade {c}", f"masquerade_classes = {c}", "masquerade_domains = example.com", "canonical_maps =", "sender_canonical_maps =",
         "recipient_canonical_maps =")
send("after canonical", "masquerade_classes = envelope_sender, envelope_recipient, header_sender, header_recipient",
     "canonical_classes = envelope_sender, envelope_recipient, header_sender, header_recipient", "canonical_maps = inline:{ {f@h.example.com=f@x.example.org} }",
     "masquerade_domains = example.org")
send("subdomains", "masquerade_classes = header_recipient", "masquerade_domains = !a.b.example.com, b.example.com !x.example.com  example.com", "canonical_maps =",
     "masquerade_exceptions = root, !admin, /etc/postfix/exceptions")
sendmail("-f f@h.example.com f@h.example.com", "\n".join("To: " + a for a in (
    "u@example.com", "u@b.example.com", "u@c.b.example.com", "u@a.b.example.com", "u@z.a.b.example.com", "u@x.example.com", "u@y.x.example.com",
    "u@z.example.com", "root@z.example.com", "ROOT@z.example.com", "wheel@z.example.com", "admin@z.example.com", "u@Z.Example.COM",
    "u@xexample.com", "root+ext@z.example.com", "u%z.example.com@example.org", "u@[192.0.2.1]", '"a b"@z.example.com')) + "\nSubject: many\n\n", user="root")
settle()
sinks(sort=False)
log(include="warning|error|fatal")
