"""docs/recipes/mysql-virtual.md: virtual domains, mailboxes and aliases in MariaDB, and the same from files (S-VIRT-16, S-DB-06)"""
quiet("mkdir -p /run/mysqld; mariadb-install-db --no-defaults --user=root --datadir=/tmp/my --auth-root-authentication-method=normal --skip-test-db")
daemon("mariadb", "mariadbd --no-defaults --user=root --datadir=/tmp/my --socket=/run/mysqld/mysqld.sock --pid-file=/tmp/my.pid --skip-networking "
       "--skip-log-bin --innodb-buffer-pool-size=8M --innodb-log-file-size=4M", "/run/mysqld/mysqld.sock")
recipe("mysql-virtual")
sh("postmap -q sales@shop.example mysql:/etc/postfix/mysql-aliases.cf")
start()


def mails():
    for to in ("ann@shop.example", "sales@shop.example", "boss@shop.example", "nosuch@shop.example", "team@example.com", "nosuch@example.com", "carol@example.com"):
        mail("s@example.org", to, f"Subject: for {to}\n\nx\n")
    sendmail("sales@shop.example", "Subject: from here\n\nx\n")
    settle()
    maildir("/var/vmail/shop.example/ann")
    maildir("/var/vmail/shop.example/ben")
    for name in ("alice", "bob", "carol"):
        mbox(name)
    quiet("rm -rf /var/vmail/shop.example /var/mail/*")


mails()
# The same from files.
postmap("hash:/etc/postfix/domains", "shop.example x\n")
postmap("hash:/etc/postfix/mailboxes", "ann@shop.example shop.example/ann/\nben@shop.example shop.example/ben/\n")
postmap("hash:/etc/postfix/virtual", "sales@shop.example ann@shop.example, ben@shop.example\nboss@shop.example alice@example.com\nteam alice, bob@example.com\n")
main("""
    virtual_mailbox_domains = hash:/etc/postfix/domains
    virtual_mailbox_maps = hash:/etc/postfix/mailboxes
    virtual_alias_maps = hash:/etc/postfix/virtual
    alias_maps = hash:/etc/postfix/virtual
""")
end("mariadb")
reload()
mails()
