"""docs/recipes/dot-forward.md: users forward their own mail (S-RECIPE-13, S-RECIPE-69, S-INT-05 (as vacation), S-TRAP-02)"""
sink("mx1", "192.0.2.20:25")
recipe("dot-forward")
quiet("chmod 1777 /var/tmp")
start()
for to in ("alice", "bob", "bob+lists", "carol", "club"):
    mail("s@example.org", f"{to}@example.com", f"Subject: for {to}\n\nx\n")
    settle()
sh("cd /var/mail; grep -HE '^(Subject|Delivered-To):' *; cat /home/alice/away.log; grep -c Subject /home/bob/lists; cat /var/tmp/member; stat -c '%U %a' /home/alice/away.log /home/bob/lists /var/tmp/member")
sinks()
