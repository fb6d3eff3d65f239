"""what ends a kept connection, what does not, and which server comes next; SIZE and 8BITMIME as the server offers them"""
# S-CLIENT-01 S-CLIENT-07
dns("""
    two.example MX 10 one.two.example
    two.example MX 20 other.two.example
    one.two.example A 192.0.2.20
    other.two.example A 192.0.2.21
""")
main("""
    mynetworks = 127.0.0.0/8 192.0.2.10
    transport_maps = texthash:/etc/postfix/transport
    smtp_connection_cache_on_demand = no
    smtp_connection_cache_destinations = two.example, 192.0.2.20
    smtp_connection_cache_time_limit = 30s
    connection_cache_ttl_limit = 30s
""")
BIG = "x" * 400 + "\n"
# name: (what the server says to the first and to later messages, EHLO words, messages)
CASES = {
    "m500": ({"MAIL": ["500 5.5.1 what", "250 ok"]}, [], 2),
    "r503": ({"RCPT": ["503 5.5.1 what", "250 ok"]}, ["PIPELINING"], 2),
    "d504": ({".": ["504 5.5.1 what", "250 ok"]}, [], 2),
    "m550": ({"MAIL": ["550 5.7.1 no", "250 ok"]}, ["PIPELINING"], 2),
    "d451": ({".": ["451 4.3.0 later", "250 ok"]}, [], 2),
    "r521": ({"RCPT": ["521 5.3.2 no", "250 ok"]}, [], 2),
    # The limit concerns the first message only.
    "size": ({}, ["SIZE 400", "8BITMIME"], 3),
    "sizeless": ({}, ["SIZE", "8BITMIME"], 1),
    "size7bit": ({}, ["SIZE 4000"], 1),
    "utf8": ({}, ["SMTPUTF8", "SIZE"], 1),
    "empty": ({"BANNER": "220 "}, ["SIZE 4000"], 1),
    "last": ({".": "554-no\n554-\n554 "}, [], 1),
}
rows = []
for n, (name, (replies, words, _)) in enumerate(CASES.items()):
    sink(name, f"192.0.2.20:{4000 + n}", replies, ehlo=words)
    rows.append(f"{name}.test smtp:[192.0.2.20]:{4000 + n}")
for n, (name, replies) in enumerate({"rcpt": {"RCPT": ["250 ok", "450 4.2.1 later"]}, "dot": {".": ["250 ok", "450 4.2.1 later"]}, "mail": {"MAIL": ["250 ok", "450 4.2.1 later"]}}.items()):
    sink(name + "1", f"192.0.2.20:{5000 + n}", replies, ehlo=["DSN"])
    sink(name + "2", f"192.0.2.21:{5000 + n}", {}, ehlo=["DSN"])
    rows.append(f"{name}.test smtp:two.example:{5000 + n}")
    CASES[name] = (replies, [], 2)
file("/etc/postfix/transport", "\n".join(rows))
start()
for name, (_, _, count) in CASES.items():
    for n in range(count):
        sender = "bob@example.com" if name == "last" else ""
        body = BIG if name == "size" and n != 1 else "\u00fc\n"
        mail(sender, f"{n}@{name}.test", f"Subject: {name} {n}\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n{body}")
        settle()
sinks()
mbox("bob")
log(include="postfix/smtp:")
