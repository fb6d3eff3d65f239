"""small mail passes large mail: delivery slots, their cost, loan, discount, the least number of them (S-QUEUE-21)"""
# Each transport serves one recipient at a time, in the order that is shown by the senders' names: a first message keeps it busy until all are in the queue.
file("/usr/local/bin/turn", """#!/bin/sh
    cat > /dev/null
    while [ "$1" = wait@example.com ] && [ ! -e /tmp/go ]; do sleep 0.1; done
    printf '%s ' "${1%%@*}" >> "/tmp/order/$2"
""", 0o755)
quiet("mkdir -m 777 /tmp/order")
settings = {
    # The two sequences of SCHEDULER_README, "How the preemption works".
    "saved": dict(cost=2, loan=0, discount=0, minimum=0),
    "half": dict(cost=2, loan=0, discount=50, minimum=0),
    "lent": dict(cost=2, loan=2, discount=0, minimum=0),
    "dear": dict(cost=3, loan=0, discount=0, minimum=0),
    "all": dict(cost=2, loan=0, discount=100, minimum=0),
    "least": dict(cost=2, loan=0, discount=0, minimum=5),
    "enough": dict(cost=2, loan=0, discount=0, minimum=4),
    "never": dict(cost=0, loan=9, discount=100, minimum=0),
    "one": dict(cost=1, loan=9, discount=100, minimum=0),
    "usual": dict(),
    "large": dict(),
}
for name, values in settings.items():
    master(f"{name} unix - n n - 1 pipe user=filter argv=/usr/local/bin/turn ${{sender}} {name}")
    long = dict(cost="delivery_slot_cost", loan="delivery_slot_loan", discount="delivery_slot_discount", minimum="minimum_delivery_slots")
    main("".join(f"{name}_{long[key]} = {value}\n" for key, value in values.items()))
    main(f"{name}_destination_recipient_limit = 1\n")
main("transport_maps = inline:{" + ", ".join(f"{{{name}.test = {name}:}}" for name in settings) + "}\n")
start()


def message(sender, count, name):
    quiet(f"sendmail -f {sender}@example.com " + " ".join(f"u{n}@{name}.test" for n in range(count)), "Subject: x\n\nx\n")


def queued(number):
    wait_log(r"\(queue active\)", number)


for name in settings:
    message("wait", 1, name)
queued(len(settings))
for turn, (sender, count) in enumerate((("x", 10), ("y", 2), ("z", 2))):
    for name in settings:
        message(sender, count if name != "large" else count * 4 if sender == "x" else 1, name)
    queued(len(settings) * (turn + 2))
quiet("touch /tmp/go")
wait_empty(60)
sh("for i in /tmp/order/*; do echo $(sed 's/wait //' $i) ${i##*/}; done")
nolog()
