"""recipients of a message are read in portions; the limits of them in all, for a transport, for a message, and how they are refilled (S-QUEUE-22)"""
# How many recipients each delivery has shows how many were in memory when it began.
file("/usr/local/bin/count", """#!/bin/sh
cat > /dev/null
name=$1
shift
echo "$#" >> "/tmp/count/$name"
""", 0o755)
quiet("mkdir -m 777 /tmp/count")
settings = {
    "default": {},
    "fewer": {"recipient_limit": 5},
    "more": {"recipient_limit": 30},
    "extra": {"recipient_limit": 30, "extra_recipient_limit": 100},
    "refilled": {"recipient_limit": 30, "recipient_refill_limit": 5},
    "too_much": {"recipient_limit": 30, "recipient_refill_limit": 29},
    "slowly": {"recipient_limit": 30, "recipient_refill_limit": 29, "recipient_refill_delay": 20},
    "sevens": {"recipient_limit": 12, "recipient_refill_limit": 10, "destination_recipient_limit": 7},
    "fours": {"recipient_limit": 5, "recipient_refill_limit": 3, "destination_recipient_limit": 4},
}
main("""
    qmgr_message_active_limit = 20
    qmgr_message_recipient_limit = 15
    qmgr_message_recipient_minimum = 10
    qmgr_clog_warn_time = 0
    default_destination_recipient_limit = 500
""")
for name, values in settings.items():
    master(f"{name} unix - n n - 1 pipe user=filter argv=/usr/local/bin/count {name} ${{recipient}}")
    main("".join(f"{name}_{key} = {value}\n" for key, value in values.items()))
main("transport_maps = inline:{" + ", ".join(f"{{{name}.test = {name}:}}" for name in settings) + "}\n")
start()
for name in settings:
    quiet("sendmail -f s@example.com " + " ".join(f"u{n}@{name}.test" for n in range(150)), "Subject: x\n\nx\n")
    wait_empty(30)
sh("cd /tmp/count; for i in *; do echo $i: $(cat $i); done")
log(include="recipient_limit")
