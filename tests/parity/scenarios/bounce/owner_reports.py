"""failures of commands, files and loops of a list with an owner: a report for each, to the owner (S-BOUNCE-08)"""
sink("mx1", "192.0.2.20:25")
aliases("""
cmd: "|exit 69"
owner-cmd: carol
team: alice
owner-team: carol
owner-dave: carol
two: "|exit 69", alice, "|exit 68"
owner-two: carol
file: /nosuch/dir/file
owner-file: carol
incl: :include:/nosuch/inc
owner-incl: carol
bad: :include:/tmp/bad
owner-bad: carol
temp: "|exit 75"
owner-temp: carol
user: \\\\nosuch
owner-user: carol
none: "|exit 69"
""")
file("/tmp/bad", "\"|/bin/false\"\n")
start()
for to in ("cmd", "two", "file", "incl", "bad", "temp", "user", "none"):
    mail("s@example.org", to + "@example.com", f"Subject: for {to}\n\nx\n")
    settle()
sh("grep -H '^To: \\|^Subject: \\|^Final-R\\|^Original-R' /var/mail/*")
sh("ls /var/spool/postfix/bounce")
mailq()
quiet("postsuper -d ALL")
mail("s@example.org", "cmd@example.com none@example.com", "Subject: both\n\nx\n")
settle()
mail("s@example.org", "cmd@example.com", "Subject: never\n\nx\n", rcpt_options="NOTIFY=NEVER")
settle()
mail("", "cmd@example.com", "Subject: null\n\nx\n")
settle()
sh("grep -H '^To: \\|^Subject: \\|^Final-R\\|^Original-R' /var/mail/*")
for to in ("team", "dave", "team+x"):
    mail("s@example.org", to, f"Delivered-To: {to}@example.com\nSubject: loop {to}\n\nx\n")
    settle()
sh("grep -H '^To: \\|^Subject: ' /var/mail/*")
sinks()
log(include="local|bounce")
