"""how many deliveries at one time: slow start, limits for a destination, for a local user, for a transport (S-QUEUE-19, S-QUEUE-20, S-LOCAL-36, S-SEC-08)"""
import threading
import time
for name, address in (("slow", "192.0.2.20:25"), ("rated", "192.0.2.21:25")):
    sink(name, address, {"EHLO": "delay 1 250-x\r\n250 SIZE", ".": "250 2.0.0 ok"})
at_once, most, lock = {}, {}, threading.Lock()


def counted(name):
    server = host.servers[name]
    serve = server.serve

    def counting(conn, peer):
        # A client need not wait for the end of its last session, which is being noticed here.
        time.sleep(0.2)
        with lock:
            at_once[name] = at_once.get(name, 0) + 1
            most.setdefault(name, []).append(at_once[name])
        try:
            serve(conn, peer)
        finally:
            with lock:
                at_once[name] -= 1
    server.serve = counting


counted("slow")
counted("rated")
file("/usr/local/bin/count", """
    #!/bin/sh
    d=/tmp/count.$1
    mkdir -p $d/on
    : > $d/on/$$
    ls $d/on | wc -l >> $d/seen
    sleep 1
    rm $d/on/$$
    cat > /dev/null
""", 0o755)
quiet("mkdir -m 777 /tmp/count.alice /tmp/count.virt; sed -i 's/^    //; /^$/d' /usr/local/bin/count")
main("""
    mynetworks = 192.0.2.10
    relay_domains = example.org example.net
    transport_maps = inline:{{example.net = rated:[192.0.2.21]}, {p.test = piped:}}
    rated_destination_concurrency_limit = 3
    rated_initial_destination_concurrency = 1
    piped_destination_concurrency_limit = 4
    piped_initial_destination_concurrency = 4
    piped_destination_recipient_limit = 1
    mailbox_command = /usr/local/bin/count alice
    relay_destination_concurrency_limit = 12
    smtp_connection_cache_on_demand = no
    defer_transports = relay rated local piped
""")
master("""
    rated unix - - n - - smtp
    piped unix - n n - - pipe user=filter argv=/usr/local/bin/count virt
""")
start()
for n in range(10):
    for to in (f"u{n}@example.org", f"v{n}@example.org", f"w{n}@example.org", f"r{n}@example.net", "alice@example.com", f"p{n}@p.test"):
        quiet(f"sendmail -f s@example.org {to}", "Subject: x\n\nx\n")
settle(40)
main("defer_transports =")
quiet("postfix reload; sleep 1; postqueue -f")
wait_empty(60)
slow, rated = most["slow"], most["rated"]
host.head("at one time")
host.out(f"slow: {len(slow)} connections, the first five together: {slow[:5]}, at most {max(slow)}")
host.out(f"rated: {len(rated)} connections, one at first: {rated[:2]}, at most {max(rated)}")
sh("sort -n /tmp/count.alice/seen | tail -1; wc -l < /tmp/count.alice/seen; sort -n /tmp/count.virt/seen | tail -1; wc -l < /tmp/count.virt/seen")
nolog()
