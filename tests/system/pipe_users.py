"""pipe without user=, as root or the mail system itself, or with nonsense: deferred and said; services under other names; mail to nobody (S-PIPE-01, S-BOUNCE-07, S-BOUNCE-11)"""
CASES = {
    "none": ("argv=/bin/cat", "missing user= command-line attribute"),
    "root": ("user=root argv=/bin/cat", "user= command-line attribute specifies root privileges"),
    "owner": ("user=postfix argv=/bin/cat", "user= command-line attribute specifies mail system owner postfix"),
    "nosuch": ("user=nosuchuser argv=/bin/cat", "unknown username: nosuchuser"),
    "rootgroup": ("user=filter:root argv=/bin/cat", "user= command-line attribute specifies privileged group id 0"),
    "postdrop": ("user=filter:postdrop argv=/bin/cat", "user= command-line attribute specifies mail system postdrop group id 107"),
    "nogroup2": ("user=filter:nosuchgroup argv=/bin/cat", "unknown group: nosuchgroup"),
    "noargv": ("user=filter", "missing argv= command-line attribute"),
    "badflag": ("flags=Z user=filter argv=/bin/cat", "unknown flag: Z"),
    "badword": ("colour=red user=filter argv=/bin/cat", "unknown attribute name: colour=red"),
    "badsize": ("size=many user=filter argv=/bin/cat", "bad size= value: many"),
}
main("""
    mynetworks = 127.0.0.0/8 192.0.2.10
    transport_maps = texthash:/etc/postfix/transport
    bounce_service_name = bounce2
    defer_service_name = defer2
    error_service_name = error2
    retry_service_name = retry2
    empty_address_recipient = carol
    default_transport = smtp
""")
for name, (line, _) in CASES.items():
    master(f"{name} unix - n n - - pipe\n  {line}\n")
master("""
    good unix - n n - - pipe
      user=filter:filter argv=/bin/true
    bounce2 unix - - n - 0 bounce
    defer2 unix - - n - 0 bounce
    error2 unix - - n - - error
    retry2 unix - - n - - error
""")
file("/etc/postfix/transport", "\n".join(f"{name}.example {name}:" for name in [*CASES, "good"]) + "\nerr.example error2:5.1.2 no such place\n")
start()
for name in [*CASES, "good"]:
    mail("", f"x@{name}.example", f"Subject: {name}\n\n")
settle()
for name, (_, text) in CASES.items():
    check(grep(f"postfix/pipe: error: .*{text}"), f"{name}: says why")
    check(grep(rf"to=<x@{name}\.example>.*dsn=4\.3\.0, status=deferred \(unknown mail transport error\)"), f"{name}: deferred {grep(name + '.example')}")
check(grep(r"to=<x@good\.example>.*status=sent"), "a good entry works")
check("postfix" in quiet("ps -o user= -C qmgr || ps aux | grep [q]mgr").stdout, "the queue manager is there")

# Reports come from the services that main.cf names.
sendmail("-f alice@example.com x@err.example", "Subject: to be returned\n\n")
sendmail("-f alice@example.com x@[192.0.2.29]", "Subject: to be deferred\n\n")
settle()
check("Subject: Undelivered Mail Returned to Sender" in open("/var/mail/alice").read(), "the report arrives")
check(grep("postfix/error: .*to=<x@err.example>.*status=bounced"), f"error2: {grep('err.example')}")
check("Connection refused" in quiet("mailq").stdout, "the reason of the deferral is kept")

# Mail to the empty address is somebody's.
sendmail("-f bob@example.com '<>'", "Subject: to nobody\n\n")
settle()
check("Subject: to nobody" in open("/var/mail/carol").read(), "empty_address_recipient")
nolog()
