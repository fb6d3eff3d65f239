"""Exim as next hop and as client: pipelining, CHUNKING, DSN, refusals, greylisting and large messages between the two (S-INT-19, S-EXT-03, S-EXT-04, S-CLIENT-02)"""
import random

peer("exim")
user("Debian-exim", 120)
# One configuration for both roles: a server on port 2525 that files what it gets, and a client that hands the rest to us.
file("/etc/exim4/exim4.conf", r"""
primary_hostname = exim.example
local_interfaces = 127.0.0.1
daemon_smtp_ports = 2525
tls_advertise_hosts =
dsn_advertise_hosts = *
chunking_advertise_hosts = *
smtputf8_advertise_hosts = *
message_size_limit = 20M
host_lookup =
acl_smtp_rcpt = check_rcpt
acl_smtp_data = check_data
spool_directory = /var/spool/exim4
log_file_path = /tmp/exim-%slog
exim_user = Debian-exim
exim_group = Debian-exim
trusted_users = root
untrusted_set_sender = *
no_local_from_check
retry_interval_max = 1h
delay_warning =
domainlist ours = exim.example

begin acl
check_rcpt:
  deny    local_parts = nobody
          message = 5.1.1 no mailbox here by that name
  defer   local_parts = grey
          condition = ${if !exists{/tmp/grey-open}}
          message = 4.7.1 greylisted
  accept  domains = +ours
  accept  hosts = :
  deny    message = 5.7.1 relay not permitted
check_data:
  deny    condition = ${if match{$h_subject:}{spam}}
          message = 5.7.1 we do not like this
  accept

begin routers
filed:
  driver = accept
  domains = +ours
  transport = file
out:
  driver = manualroute
  domains = ! +ours
  route_list = * 127.0.0.1::25
  self = send
  transport = smtp

begin transports
file:
  driver = appendfile
  file = /tmp/exim-mail/all
  user = Debian-exim
  create_directory = false
  message_prefix = "--- from $sender_address\n"
  message_suffix = "\n"
  envelope_to_add
smtp:
  driver = smtp
  hosts_try_chunking = ${if match{$h_subject:}{no chunks}{:}{*}}

begin retry
* * F,1h,1s
""")
quiet("mkdir -p /var/spool/exim4 /tmp/exim-mail; chown -R Debian-exim:Debian-exim /var/spool/exim4 /tmp/exim-mail; touch /tmp/exim-mainlog; chown Debian-exim /tmp/exim-mainlog")
daemon("exim", "exim4 -bdf -q1h", "127.0.0.1:2525")
main("""
    mynetworks = 127.0.0.0/8 192.0.2.0/24
    relay_domains = exim.example
    transport_maps = inline:{ {exim.example=smtp:[127.0.0.1]:2525} }
    smtp_tls_security_level = none
    message_size_limit = 10000000
    mailbox_size_limit = 0
    recipient_delimiter = +
""")
start()


def filed(name):
    """All that has been filed for this recipient."""
    try:
        text = open("/tmp/exim-mail/all", "rb").read()
    except OSError:
        return b""
    return b"".join(m for m in text.split(b"--- from ") if f"\nEnvelope-to: {name}@exim.example\n".encode() in m)


def exim_is_done():
    for _ in range(200):
        if quiet("exim4 -bpc").stdout.strip() == "0":
            return
        sleep(0.1)


# Exim as next hop: each recipient has its own fate.
mail("bob@example.com", "one@exim.example nobody@exim.example grey@exim.example", "Subject: three fates\n\n.dot\n..two\nlast\n",
     rcpt_options="NOTIFY=FAILURE,SUCCESS ORCPT=rfc822;orig@example.com", options="RET=HDRS ENVID=abc")
settle()
exim_is_done()
check(b"\n.dot\n..two\nlast\n" in filed("one"), f"dots arrive as they were: {filed('one')}")
text = grep("postfix/smtp:")
check(any("to=<one@exim.example>" in x and "status=sent (250 OK id=" in x for x in text), f"accepted: {text}")
check(any("to=<nobody@exim.example>" in x and "dsn=5.1.1, status=bounced" in x and "in reply to RCPT TO" in x for x in text), "refused")
check(any("to=<grey@exim.example>" in x and "dsn=4.7.1, status=deferred" in x for x in text), "greylisted")
open("/tmp/grey-open", "w").close()
quiet("postqueue -f")
wait_empty()
exim_is_done()
check(b"three fates" in filed("grey") and filed("one").count(b"three fates") == 1, "the greylisted one arrives later, the first one only once")
check(b"nobody@exim.example" in open("/var/mail/bob", "rb").read(), "bob has the report")

# Content refused at the end of data; addresses that need quoting; UTF-8; 8-bit.
mail("bob@example.com", "one@exim.example", "Subject: spam\n\n")
settle()
check(any("dsn=5.7.1, status=bounced" in x and "in reply to end of DATA" in x for x in grep("postfix/smtp:")), "content refused")
mail("bob@example.com", ['"with blank"@exim.example'], "Subject: quoted\n\n")
mail("b\u00f6b@example.com", "j\u00f6rg@exim.example", "Subject: k\u00e4se\n\nk\u00e4se\n", options="SMTPUTF8 BODY=8BITMIME")
settle()
exim_is_done()
check(b"quoted" in filed('"with blank"'), "quoted local part")
check("k\u00e4se\n".encode() in filed("j\u00f6rg"), "UTF-8 addresses and text")

# Many recipients and a large message: everything arrives, once.
many = [f"r{n}@exim.example" for n in range(120)]
random.seed(1)
big = "\n".join("".join(random.choice("abcdefgh.-") for _ in range(random.randint(0, 200))) for _ in range(15000))
mail("bob@example.com", many, "Subject: many\n\n")
mail("bob@example.com", "big@exim.example", "Subject: big\n\n" + big + "\n")
settle()
exim_is_done()
check(all(filed(f"r{n}").count(b"Subject: many") == 1 for n in range(120)), "120 recipients")
check(big.encode() in filed("big"), "a message of a megabyte is the same to the byte")

# Exim as client, with BDAT and with DATA, one and many recipients.
for subject in ("by chunks", "no chunks"):
    r = quiet(f"printf 'Subject: {subject}\\n\\n.dot\\nk\\303\\244se\\n' | exim4 -odf -f dave@example.com alice@example.com bob@example.com nosuch@example.com")
    check(r.returncode == 0, f"exim -odf: {r.stderr}")
    settle()
    for name in ("alice", "bob"):
        box = open(f"/var/mail/{name}", "rb").read()
        check(box.count(f"Subject: {subject}".encode()) == 1 and "\n.dot\nk\u00e4se\n".encode() in box, f"{name} has '{subject}'")
log_text = open("/tmp/exim-mainlog").read()
check("nosuch@example.com" in log_text and "550 5.1.1" in log_text, "exim sees the refusal")
check(any("bdat=" in x for x in grep("disconnect from")) and any(" data=" in x for x in grep(r"disconnect from localhost")), "both ways were used")
file("/tmp/big", "Subject: big from exim\n\n" + big + "\n")
quiet("exim4 -oi -odf -f dave@example.com carol@example.com < /tmp/big")
settle()
check(big.encode() in open("/var/mail/carol", "rb").read(), "a large message by BDAT is the same to the byte")
wait_empty()
check(not queue_ids(), f"nothing is left: {quiet('mailq').stdout}")
exim_is_done()
check("0" == quiet("exim4 -bpc").stdout.strip(), f"nothing is left in exim: {quiet('exim4 -bp').stdout}")
check("Frozen" not in open("/tmp/exim-mainlog").read(), "no frozen mail")
nolog()
