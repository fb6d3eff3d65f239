"""docs/recipes/mysql-aliases.md: aliases in MariaDB, a second server, the old parameters, a copy made by cron (S-RECIPE-48, S-DB-01, S-DB-02, S-DB-03, S-DB-13, S-TRAP-23)"""
quiet("mkdir -p /run/mysqld; mariadb-install-db --no-defaults --user=root --datadir=/tmp/my --auth-root-authentication-method=normal --skip-test-db")
daemon("mariadb", "mariadbd --no-defaults --user=root --datadir=/tmp/my --socket=/run/mysqld/mysqld.sock --pid-file=/tmp/my.pid --bind-address=192.0.2.1 --port=3306 "
       "--skip-name-resolve --skip-log-bin --innodb-buffer-pool-size=8M --innodb-log-file-size=4M", "/run/mysqld/mysqld.sock")
hosts("192.0.2.1 db.example.com")
recipe("mysql-aliases")
for kind in ("aliases", "old"):
    for key in ("info", "old", "nosuch", "' OR 1=1 -- "):
        sh(f'postmap -q "{key}" mysql:/etc/postfix/mysql-{kind}.cf')
start()


def mails(subject):
    for to in ("info@example.com", "old@example.com"):
        mail("s@example.org", to, f"Subject: {subject}\n\nx\n")
    settle()


mails("by the socket")
quiet("mv /run/mysqld/mysqld.sock /run/mysqld/away.sock")
mails("by the second server")
sh("postmap -q info mysql:/etc/postfix/mysql-old.cf 2>/dev/null")
quiet("mv /run/mysqld/away.sock /run/mysqld/mysqld.sock")
stop()
main("alias_maps = hash:/etc/aliases, mysql:/etc/postfix/mysql-old.cf")
start()
mails("by the old parameters")
sh("/usr/local/sbin/copy-aliases && postmap -s hash:/etc/postfix/copied-aliases", sort=True)
main("alias_maps = hash:/etc/aliases, hash:/etc/postfix/copied-aliases")
reload()
mails("by the copy")
quiet("mariadb customers -e \"insert into email_address values ('old', 'carol', 'A')\"; /usr/local/sbin/copy-aliases")
end("mariadb")
mails("by the second copy")
for name in ("alice", "bob", "carol"):
    mbox(name)
log(include="reject|status=")
