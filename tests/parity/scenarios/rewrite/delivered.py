"""prepend_delivered_header, enable_original_recipient, frozen_delivered_to; headers added at the last delivery only (S-REWRITE-16)"""
sink("hub", "192.0.2.22:25", hostname="hub.example.net")
aliases("""
    file:    /tmp/out/file
    cmd:     "|cat > /tmp/out/cmd"
    fwd:     carol+alias
    team:    bob, alice
""")
sh("mkdir -m 777 /tmp/out")
file("/home/alice/.forward", '/home/alice/box, "|cat > /home/alice/piped", dave+forwarded, \\alice\n', owner="alice")
main("""
    relayhost = [192.0.2.22]
    recipient_delimiter = +
    virtual_alias_maps = inline:{ {virt@example.com=bob+v@example.com} }
""")
start()
MESSAGE = """
    X-Original-To: old@example.com
    Delivered-To: somebody@example.com
    Return-Path: <wrong@example.org>
    Subject: %s

    body
"""


def deliver(label):
    for rcpt in ("file", "cmd", "fwd", "virt", "alice", "team", "out@example.org"):
        sendmail(f"-f s@example.org -N never {rcpt}", dedented(MESSAGE % (label + " " + rcpt)))
        settle()
    sh("for f in /tmp/out/* /home/*/box /home/*/piped /var/mail/*; do test -f $f && echo $f && grep -aE '^(X-Orig|Deliv|Return-P|Subject)' $f; rm -f $f; done")


def dedented(text):
    return "\n".join(x.strip() for x in text.strip().split("\n")) + "\n"


deliver("default")
for setting in ("prepend_delivered_header = ", "prepend_delivered_header = file", "prepend_delivered_header = command forward",
                "enable_original_recipient = no", "frozen_delivered_to = no"):
    quiet(f"postconf -e '{setting}'; postfix reload; sleep 0.7")
    deliver(setting)
sendmail("-f s@example.org bob", "Delivered-To: bob@example.com\nSubject: loop\n\nx\n")
settle()
sinks(sort=True)
log(include="status=bounced|warning|fatal")
