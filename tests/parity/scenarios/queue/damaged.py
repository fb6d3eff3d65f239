"""damaged queue files: what cannot be read goes to corrupt/, other mail goes on (S-QUEUE-14)"""
sink("mx1", "192.0.2.20:25")
main("""
    relay_domains = example.org
    default_process_limit = 1
    smtp_connection_cache_on_demand = no
""")
start()
BODY = "Subject: s[%s]\n\n" + "a line of text\n" * 20
WAYS = ["text", "empty", "zeros", "half", "end", "first", "content", "sender", "recipient", "offset", "sound"]


def damage(data, way):
    if way == "text":
        data[:] = b"this is no queue file\n"
    elif way == "empty":
        del data[:]
    elif way == "zeros":
        data[:] = bytes(len(data))
    elif way == "half":
        del data[len(data) // 2:]
    elif way == "end":
        del data[-2:]
    elif way == "first":
        data[0] = 0xff
    elif way == "content":
        # A record in the middle of the content that reaches beyond the end of the file.
        at = data.index(b"a line", data.index(b"Subject") + 100)
        data[at - 1] = 0xff
    elif way == "sender":
        at = data.index(b"S\x0ds@example.org")
        data[at:at + 2] = b"?\x0d"
    elif way == "recipient":
        at = data.index(b"R\x15recipient@example.org")
        data[at] = ord("?")
    elif way == "offset":
        data[22:32] = b"  99999999"[:10]


def harm(queue, ways=WAYS):
    for f in host._queue(queue):
        data = bytearray(open(f, "rb").read())
        way = next(w for w in WAYS if b"s[%s]" % w.encode() in data)
        if way in ways:
            damage(data, way)
        with open(f, "r+b") as h:
            h.truncate(0)
            h.write(bytes(data))


def send():
    for way in WAYS:
        quiet(f"sendmail -f s@example.org {way}@example.org", BODY % way)


def look(what):
    sh(f"echo {what}; cd /var/spool/postfix; for q in incoming active deferred hold corrupt maildrop; do echo $q $(find $q -type f | wc -l); done")
    quiet("find /var/spool/postfix/corrupt /var/spool/postfix/defer /var/spool/postfix/bounce -type f -delete; postsuper -d ALL")
    sinks("mx1")
    host.servers["mx1"].records.clear()


for where in ("deferred", "hold", "incoming"):
    quiet("postconf -e 'defer_transports = smtp relay'; postfix reload")
    sleep(1)
    send()
    sleep(1)
    settle()
    if where == "hold":
        quiet("postsuper -h ALL")
    harm("hold" if where == "hold" else "deferred")
    if where == "incoming":
        quiet("postfix stop; cd /var/spool/postfix; for f in $(find deferred -type f); do mv $f incoming/; touch incoming/${f##*/}; done")
        quiet("postconf -e defer_transports=")
        start()
    else:
        quiet("postconf -e defer_transports=; postfix reload; sleep 1; postsuper -H ALL; postqueue -f")
    sleep(2)
    settle()
    mailq()
    look(where)
quiet("postfix stop")
send()
harm("maildrop", [w for w in WAYS if w != "offset"])
start()
sleep(2)
settle()
look("maildrop")
sh("""grep -o "saving corrupt file.*" /var/log/maillog | tr -d \\" | sed "s/file [0-9A-F]*/file ID/" | sort | uniq -c""")
log(include="status=sent|removed$|pickup: warning: uid=.* type [-1-9]")
