"""docs/recipes/content-checks.md: each table, each action"""
# S-RECIPE-34 S-RECIPE-55 S-MAP-08
recipe("content-checks")
sink("filter", "192.0.2.20:25")
main("smtp_connection_cache_on_demand = no")
start()
for header in ("Subject: feel free", "Subject: look at this", "Subject: cheap", "X-Route: away", "X-Mailer: foo\nX-Score: high\nSubject: plain", "Subject: broken\n free"):
    mail("s@example.org", "alice@example.com", f"{header}\n\nbody\n")
PART = 'MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\nSubject: parts\n\n--b\nContent-Type: %s\n\n%s\n--b--\n'
mail("s@example.org", "alice@example.com", PART % ("application/octet-stream;\n name=a.exe", "x"))
mail("s@example.org", "alice@example.com", PART % ("message/rfc822", "Subject: inner free\n\nhidden line\nshown"))
mail("s@example.org", "alice@example.com", "Subject: body\n\na badword here\n")
mail("s@example.org", "alice@example.com", PART % ("text/plain", "hidden line\nshown line"))
sendmail("-f bob alice", "Subject: local\n\nbadword\n")
settle()
mbox("alice", sort=True)
sinks()
sh("postqueue -p | grep -c '!'")
sh('postmap -q "Subject: feel free" regexp:/etc/postfix/header_checks')
