"""rate delays of destinations and transports, in general and for a transport; time limits of pipe(8) commands (S-QUEUE-23)"""
import re
import time
for n in range(6):
    sink(f"mx{n}", f"192.0.2.{20 + n}:25")
begun = {}


def timed(name):
    serve = host.servers[name].serve

    def note(conn, peer):
        begun.setdefault(name, []).append(time.monotonic())
        serve(conn, peer)
    host.servers[name].serve = note


for n in range(6):
    timed(f"mx{n}")
file("/usr/local/bin/slow", "#!/bin/sh\ncat > /dev/null; [ -n \"$2\" ] && echo $2; sleep $1\n", 0o755)
main("""
    default_destination_rate_delay = 2s
    smtp_destination_rate_delay = 0
    local_destination_rate_delay = 0
    retry_destination_rate_delay = 0
    quick_destination_rate_delay = 0
    quick_transport_rate_delay = 0
    together_destination_rate_delay = 0
    together_transport_rate_delay = 2s
    default_destination_recipient_limit = 2
    single_destination_recipient_limit = 1
    limited_destination_rate_delay = 0
    limited_time_limit = 2s
    talks_destination_rate_delay = 0
    talks_time_limit = 2s
    free_destination_rate_delay = 0
    command_time_limit = 3s
    bounce_queue_lifetime = 0
    smtp_connection_cache_on_demand = no
    transport_maps = inline:{ {a.test = slow:[192.0.2.20]}, {b.test = slow:[192.0.2.21]}, {c.test = quick:[192.0.2.22]},
        {d.test = together:[192.0.2.23]}, {e.test = together:[192.0.2.24]}, {f.test = single:[192.0.2.25]},
        {limited.test = limited:}, {talks.test = talks:}, {free.test = free:} }
""")
master("""
    slow     unix - - n - - smtp
    quick    unix - - n - - smtp
    together unix - - n - - smtp
    single   unix - - n - - smtp
    limited  unix - n n - - pipe user=filter argv=/usr/local/bin/slow 30
    talks    unix - n n - - pipe user=filter argv=/usr/local/bin/slow 30 half
    free     unix - n n - - pipe user=filter argv=/bin/echo
""")
aliases('slow: "|/usr/local/bin/slow 30"\n')
start()
# All come at one time: three deliveries each, but two to d and e.
recipients = [f"u{n}@{name}.test" for name in "abc" for n in range(6)] + [f"u{n}@{name}.test" for name in "de" for n in range(4)]
recipients += [f"u{n}@f.test" for n in range(3)]
quiet("sendmail -f alice@example.com " + " ".join(recipients), "Subject: x\n\nx\n")
quiet("sendmail -f alice@example.com u@limited.test u@talks.test u@free.test slow@example.com", "Subject: limits\n\nx\n")
wait_empty(60)


def gaps(*names):
    times = sorted(at for name in names for at in begun[name])
    return [at - before for before, at in zip(times, times[1:])]


def rested(*names):
    return f"{len(gaps(*names)) + 1} deliveries, " + ("never two within the delay" if min(gaps(*names)) > 1 else f"gaps {gaps(*names)}")


second = begun["mx0"][1]
host.head("the same destination of a transport")
host.out("a: " + rested("mx0"))
host.out("b: " + rested("mx1"))
host.head("two destinations of a transport begin together")
host.out(f"{begun['mx1'][0] < second}")
host.head("none for this transport")
host.out(f"{len(begun['mx2'])}, all before others may have their second: {max(begun['mx2']) < second}")
host.head("all destinations of a transport together")
host.out(rested("mx3", "mx4"))
host.head("each recipient is a destination of its own")
host.out(f"{len(begun['mx5'])}, all before others may have their second: {max(begun['mx5']) < second}")
host.head("time limits")
for line in sorted(re.findall(r"postfix/(?:pipe|local)\[\d+\]: \w+: to=<(?:u|slow)@.*", open("/var/log/maillog").read()), key=lambda line: line.split("to=")[1]):
    host.out(re.sub(r".*(to=<[^>]*>).*(relay=\w+).*(dsn=.*)", r"\1, \2, \3", line))
sh("grep -aE '^(Final|Status|Diag)|^<|Command' /var/mail/alice", sort=True)
log(include="warning")
