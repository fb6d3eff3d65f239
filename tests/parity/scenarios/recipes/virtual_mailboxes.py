"""docs/recipes/virtual-mailboxes.md: mailboxes without accounts (S-RECIPE-17, S-VIRT-05, S-VIRT-08, S-VIRT-10)"""
recipe("virtual-mailboxes")
start()


def send(*addresses):
    for to in addresses:
        mail("s@example.org", to, f"Subject: for {to}\n\nx\n")
        settle()


send("info@flowers.test", "info@books.test", "anybody@flowers.test", "nobody@books.test", "sales@books.test", "postmaster@books.test", "info+x@books.test")
mbox("/var/vmail/flowers.test/info")
mbox("/var/vmail/flowers.test/catchall")
maildir("/var/vmail/books.test/info")
stat("/var/vmail/*/*")
note("the catch-all among the aliases")
postmap("hash:/etc/postfix/virtual_alias", "@flowers.test alice@example.com\ninfo@flowers.test info@flowers.test\n")
postmap("hash:/etc/postfix/virtual", "info@flowers.test flowers.test/info\nother@flowers.test flowers.test/other\ncmd@books.test \"|id>/tmp/cmd\"\n")
reload()
send("info@flowers.test", "other@flowers.test", "x@flowers.test", "cmd@books.test")
sh("grep -c Subject /var/vmail/flowers.test/info /var/mail/alice; find /var/vmail /tmp/cmd -newer /etc/postfix/virtual.db -type f; true")
log(include="status=")
