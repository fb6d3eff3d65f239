"""mysql: and pgsql: with several servers, TLS, option files; one that dies in the middle and comes back; few connections (S-DB-01, S-DB-03, S-DB-11, S-TRAP-23)"""
import signal

TLS = "/etc/postfix/tls"
quiet(f"mkdir /tmp/keys; cp {TLS}/*.pem /tmp/keys; chown vmail /tmp/keys/*; chmod 600 /tmp/keys/*key*")
MARIADB = ("mariadbd --no-defaults --user=root --datadir=/tmp/my --socket=/tmp/my.sock --pid-file=/tmp/my.pid --bind-address=192.0.2.1 --port=3306 --skip-log-bin "
           "--innodb-buffer-pool-size=8M --innodb-log-file-size=4M --skip-name-resolve --ssl-ca=/tmp/keys/ca.pem --ssl-cert=/tmp/keys/mail.example.com.pem "
           "--ssl-key=/tmp/keys/mail.example.com-key.pem")
POSTGRES = ("/usr/lib/postgresql/15/bin/postgres -D /tmp/pg -k /tmp/pgs -h 192.0.2.1 -p 5432 -c fsync=off -c shared_buffers=8MB -c log_destination=stderr -c ssl=on "
            "-c ssl_cert_file=/tmp/keys/mail.example.com.pem -c ssl_key_file=/tmp/keys/mail.example.com-key.pem")


def mariadb():
    daemon("mariadb", MARIADB, "/tmp/my.sock")


def postgres():
    daemon("postgres", POSTGRES, "192.0.2.1:5432", user="vmail")
    quiet("for i in $(seq 100); do psql -h /tmp/pgs -U root postgres -c 'select 1' >/dev/null 2>&1 && break; sleep 0.1; done")


quiet("mariadb-install-db --no-defaults --user=root --datadir=/tmp/my --auth-root-authentication-method=normal --skip-test-db")
mariadb()
quiet("mariadb --no-defaults -S /tmp/my.sock -e \"create database mail; create user 'u'@'%' identified by 'p' require ssl; grant all on mail.* to 'u'@'%'; create user 'plain'@'%' "
      "identified by 'p'; grant all on mail.* to 'plain'@'%'; create table mail.t (k varchar(80), v varchar(80)); insert into mail.t values ('a','one'),('a@v.example','alice@example.com')\"")
quiet("mkdir /tmp/pg /tmp/pgs; chown vmail /tmp/pg /tmp/pgs; chmod 755 /tmp/pgs")
quiet("/usr/lib/postgresql/15/bin/initdb -D /tmp/pg -U root -E UTF8 --locale=C.UTF-8 -A trust -N", user="vmail")
file("/tmp/pg/pg_hba.conf", "local all all trust\nhostssl all u 0.0.0.0/0 scram-sha-256\nhost all plain 0.0.0.0/0 trust\n", owner="vmail")
postgres()
quiet("psql -h /tmp/pgs -U root postgres -c 'create database mail' -c \"create role u login password 'p'\" -c 'create role plain login'")
quiet("psql -h /tmp/pgs -U root mail -c 'create table t (k varchar(80), v varchar(80))' -c \"insert into t values ('a','one'),('a@p.example','bob@example.com')\" -c 'grant all on t to u, plain'")
Q = "dbname = mail\nquery = SELECT v FROM t WHERE k = '%s'\n"


def answer(kind, settings, key="a"):
    file("/etc/postfix/try.cf", settings)
    found = quiet(f"postmap -q {key} {kind}:/etc/postfix/try.cf")
    return found.stdout.strip() or found.stderr


def works(kind, settings, what):
    got = answer(kind, settings)
    check(got == "one", f"{kind}: {what}: {got}")


def fails(kind, settings, what, word):
    got = answer(kind, settings)
    check("one" not in got.split() and word in got, f"{kind}: {what}: {got}")


# TLS
MY = "hosts = mail.example.com\nuser = u\npassword = p\n" + Q
works("mysql", MY + f"tls_CAfile = {TLS}/ca.pem\ntls_verify_cert = yes\n", "TLS, the certificate verified")
works("mysql", MY + f"tls_CAfile = {TLS}/ca.pem\n", "TLS, the authority verified")
fails("mysql", MY, "a server that wants TLS, without", "Access denied")
fails("mysql", MY + "tls_verify_cert = yes\n", "an authority that nobody knows", "certificate")
fails("mysql", MY.replace("mail.example.com", "192.0.2.1") + f"tls_CAfile = {TLS}/ca.pem\ntls_verify_cert = yes\n", "another name", "certificate")
PG = "hosts = postgresql://u:p@mail.example.com/mail?sslmode={}\n" + Q
works("pgsql", PG.format(f"verify-full&sslrootcert={TLS}/ca.pem"), "TLS, the certificate verified")
works("pgsql", PG.format("require"), "TLS, whoever it is")
fails("pgsql", PG.format("disable"), "a server that wants TLS, without", "no pg_hba.conf entry")
fails("pgsql", PG.format(f"verify-full&sslrootcert={TLS}/ca.pem").replace("mail.example.com", "192.0.2.1"), "another name", "certificate")
works("pgsql", "hosts = mail.example.com\nuser = u\npassword = p\n" + Q, "TLS where the server offers it")
# Option files
file("/etc/postfix/my.cnf", f"[client]\nuser = nobody\n[mail]\nhost = mail.example.com\nuser = u\npassword = p\nssl-ca = {TLS}/ca.pem\n")
works("mysql", Q + "option_file = /etc/postfix/my.cnf\noption_group = mail\n", "all from an option file")
fails("mysql", Q + "option_file = /etc/postfix/my.cnf\nhosts = 192.0.2.1\n", "another group", "Access denied")
works("mysql", Q + "option_file = /etc/postfix/my.cnf\noption_group = mail\nuser = plain\n", "the file of the table counts more")
# Several servers: the socket first, one that is down, one that nobody reaches
works("mysql", "hosts = 192.0.2.1:3999, unix:/tmp/nosuch, 192.0.2.1\nuser = plain\npassword = p\n" + Q, "the third of three servers")
works("pgsql", "hosts = 192.0.2.1:3999, unix:/tmp/nosuch, 192.0.2.1\nuser = plain\n" + Q, "the third of three servers")
fails("mysql", "hosts = 192.0.2.1:3999, unix:/tmp/nosuch\nuser = plain\npassword = p\n" + Q, "no server", "192.0.2.1:3999")
fails("pgsql", "hosts = 192.0.2.1:3999, unix:/tmp/nosuch\nuser = plain\n" + Q, "no server", "192.0.2.1:3999")
# Mail: a server dies in the middle, the other tables go on; few connections
file("/etc/postfix/my.cf", "hosts = 192.0.2.1\nuser = plain\npassword = p\nretry_interval = 1\n" + Q)
file("/etc/postfix/my2.cf", "hosts = 192.0.2.1\nuser = plain\npassword = p\nretry_interval = 1\ndbname = mail\nquery = SELECT 'x' FROM t WHERE k = 'no' AND v = '%s'\n")
file("/etc/postfix/pg.cf", "hosts = 192.0.2.1\nuser = plain\nretry_interval = 1\n" + Q)
main("""
    virtual_alias_domains = v.example p.example
    virtual_alias_maps = mysql:/etc/postfix/my2.cf, mysql:/etc/postfix/my.cf, proxy:pgsql:/etc/postfix/pg.cf
""")
start()


def rcpt(address):
    return ask(f"HELO c\nMAIL FROM:<s@example.org>\nRCPT TO:<{address}>\nQUIT", src="192.0.2.13")[3]


for _ in range(10):
    for address in ("a@v.example", "a@p.example"):
        check(rcpt(address).startswith("250"), f"{address} is there")
count = quiet("mariadb --no-defaults -S /tmp/my.sock -BNe \"select count(*) from information_schema.processlist where user = 'plain'\"").stdout.strip()
check(count == "1", f"two tables and twenty clients share a connection to MariaDB: {count}")
count = quiet("psql -h /tmp/pgs -U root mail -Atc \"select count(*) from pg_stat_activity where usename = 'plain'\"").stdout.strip()
check(count == "1", f"twenty clients share a connection to PostgreSQL: {count}")
for name, back, address, sig in (("mariadb", mariadb, "a@v.example", signal.SIGKILL), ("postgres", postgres, "a@p.example", signal.SIGQUIT)):
    end(name, sig)
    reply = rcpt(address)
    check(reply.startswith("451"), f"{name} is dead, so mail is to be sent again later: {reply}")
    back()
    sleep(1.2)
    reply = rcpt(address)
    check(reply.startswith("250"), f"{name} is back, so the table answers again: {reply}")
check(grep("proxymap: warning: connect to mysql server 192.0.2.1", wait=5), "the log names the MariaDB server")
check(grep("proxymap: warning: connect to pgsql server 192.0.2.1", wait=5), "the log names the PostgreSQL server")
check(not grep("proxymap.*(fatal|panic)"), "proxymap lived through it all")
nolog()
