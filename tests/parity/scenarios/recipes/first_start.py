"""docs/recipes/first-start.md: host name, aliases, start (S-RECIPE-01)"""
recipe("first-start")
start()
sh("grep -c 'postfix/master.*daemon started -- version 3[.]' /var/log/maillog")
smtp("QUIT")
sendmail("postmaster", "Subject: hello\n\nx\n", user="bob")
sendmail("root", "Subject: hello root\n\nx\n", user="bob")
settle()
mbox("alice")
