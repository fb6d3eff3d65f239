"""docs/recipes/list-manager.md: Majordomo and Mailman: commands among the aliases, lists of a virtual domain (S-RECIPE-20, S-RECIPE-29, S-RECIPE-30)"""
sink("mx1", "192.0.2.20:25")
recipe("list-manager")
start()
for to in ("needlepoint@example.com", "list@flowers.test", "list-request@flowers.test", "owner-list@flowers.test", "majordomo@example.com", "chess@example.com", "chess-bounces@example.com"):
    mail("s@example.org", to, f"Subject: for {to}\n\nx\n")
    settle()
cat("/tmp/wrapper.log")
mbox("bob")
sh("grep -h '^Subject:' /var/mail/alice")
sinks()
