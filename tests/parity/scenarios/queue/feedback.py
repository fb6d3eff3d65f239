"""how success and failure change the concurrency of a destination, as destination_concurrency_feedback_debug tells it (S-QUEUE-11, S-QUEUE-19, S-QUEUE-20)"""
import re
import threading
# One delivery at a time, of all that wait from the beginning, so that what is logged does not depend on speed.
gate = threading.Event()
servers = {
    "up": ["220 x"],
    "down": ["220 x", "220 x", "421 x"],
    "both": ["220 x"] * 3 + ["421 x"] * 3 + ["220 x"] + ["421 x"] * 3 + ["220 x"] * 2 + ["421 x"],
}
# server, initial, limit, positive, negative, cohorts
settings = {
    "usual": ("up", 3, 6, "1", "1", 1),
    "bounded": ("up", 5, 5, "1", "1", 1),
    "gentle": ("up", 2, 0, "1/concurrency", "1", 1),
    "dies": ("down", 7, 10, "1", "0", 1),
    "dies_later": ("down", 3, 10, "1", "1/concurrency", 3),
    "lives": ("down", 5, 10, "1", "1", 0),
    "cohorts": ("both", 4, 10, "1/concurrency", "1 / Concurrency", 2),
    "uneven": ("both", 4, 10, "0.4", "2/5", 3),
    "thirds": ("both", 3, 10, "1/3", "1/3", 3),
}
wrong = ["2", "-1", "3/2", "1/0", "x", "1/2/3", "2/concurrency", "1/sqrt_concurrency", "0.3x", "0"]
main("""
    initial_destination_concurrency = 4
    destination_concurrency_feedback_debug = yes
    smtp_connection_cache_on_demand = no
""")
rows = []


def gated(serve):
    def wait(conn, peer):
        gate.wait(60)
        serve(conn, peer)
    return wait


for n, (name, (server, initial, limit, positive, negative, cohorts)) in enumerate(settings.items()):
    sink(name, f"192.0.2.20:{2501 + n}", {"BANNER": servers[server]})
    host.servers[name].serve = gated(host.servers[name].serve)
    master(f"{name} unix - - n - 1 smtp")
    main(f"""
        {name}_initial_destination_concurrency = {initial}
        {name}_destination_concurrency_limit = {limit}
        {name}_destination_concurrency_positive_feedback = {positive}
        {name}_destination_concurrency_negative_feedback = {negative}
        {name}_destination_concurrency_failed_cohort_limit = {cohorts}
    """)
    rows.append(f"{{{name}.test = {name}:[192.0.2.20]:{2501 + n}}}")
for n, value in enumerate(wrong):
    master(f"wrong{n} unix - - n - 1 smtp")
    main(f"wrong{n}_destination_concurrency_positive_feedback = {value}\nwrong{n}_destination_concurrency_negative_feedback = 1/8\n")
    rows.append(f"{{wrong{n}.test = wrong{n}:[192.0.2.29]}}")
main("transport_maps = inline:{" + ", ".join(rows) + "}\n")
start()
for n, _ in enumerate(wrong):
    quiet(f"sendmail -f s@example.org u@wrong{n}.test", "Subject: x\n\nx\n")
total = len(wrong)
for n in range(13):
    for name in settings:
        quiet(f"sendmail -f s@example.org u{n}@{name}.test", "Subject: x\n\nx\n")
        total += 1
wait_log(r"\(queue active\)", total)
gate.set()
settle(60)
lines = re.findall(r"postfix/qmgr\[\d+\]: (.*(?:feedback|qmgr_queue).*)", open("/var/log/maillog").read())
host.head("values")
# pickup(8) may find several at a time, in any order.
for line in sorted(lines, key=lambda line: line.removeprefix("warning: ").split("_destination")[0].split(":")[0]):
    if not line.startswith(("qmgr_queue", "retry:")):
        host.out(line)
for n, name in enumerate(settings):
    host.head(name)
    for before, line in zip(lines, lines[1:]):
        if f"queue [192.0.2.20]:{2501 + n}: " in line:
            host.out((before + "; " if ": feedback" in before else "") + line)
nolog()
