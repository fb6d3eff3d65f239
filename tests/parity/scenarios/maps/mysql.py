"""mysql_table(5) with MariaDB: templates, several columns, procedures, quoting, a server that goes away and comes back (S-DB-01, S-DB-02, S-DB-05, S-DB-06)"""
SERVER = ("mariadbd --no-defaults --user=root --datadir=/tmp/my --socket=/tmp/my.sock --pid-file=/tmp/my.pid --bind-address=127.0.0.1 --port=3306 "
          "--skip-log-bin --innodb-buffer-pool-size=8M --innodb-log-file-size=4M --skip-name-resolve")
quiet("mariadb-install-db --no-defaults --user=root --datadir=/tmp/my --auth-root-authentication-method=normal --skip-test-db")


def server():
    daemon("mariadb", SERVER, "/tmp/my.sock")


server()
quiet("mariadb --no-defaults -S /tmp/my.sock -e \"create database mail character set utf8mb4; create user 'u'@'%' identified by 'p'; grant all on mail.* to 'u'@'%'\"")
quiet("mariadb --no-defaults -S /tmp/my.sock mail", """
    create table t (k varchar(80), v varchar(80), w varchar(80));
    insert into t values ('a','one','W'),('a','two','W2'),('n',null,'W'),('e','','W'),('o''b@x.y','quoted','W'),('back\\\\slash','bs','W'),
        ('u@b.c.example','res@r.example','W'),('i', 42, 1.5),('\\"dq','dq','W'), ('alice@example.net','alice@example.com','W');
    delimiter //
    create procedure one(in p varchar(80)) begin select v from t where k = p; end //
    create procedure none(in p varchar(80)) begin declare x varchar(80); select v into x from t where k = p limit 1; end //
    create procedure two(in p varchar(80)) begin select v from t where k = p; select w from t where k = p; end //
""")
HOW = "hosts = unix:/tmp/my.sock\nuser = u\npassword = p\ndbname = mail\n"
Q = "query = SELECT v FROM t WHERE k = '%s'\n"


def ask(settings, *keys):
    file("/etc/postfix/t.cf", settings)
    cat("/etc/postfix/t.cf")
    for key in keys:
        sh(f"postmap -q '{key}' mysql:/etc/postfix/t.cf 2>&1 | sed 's/query error: .*/query error/'")


ask(HOW + Q, "a", "A", "n", "e", "i", "nosuch", "o'\\''b@x.y", "back\\slash", '"dq', "'\\'' OR 1=1 -- ")
ask(HOW + 'query = SELECT v FROM t WHERE k = "%s"\n', "a", '"dq')
ask(HOW + "query = SELECT v, w FROM t WHERE k = '%s'\n", "a", "n", "e")
ask(HOW + Q + "expansion_limit = 1\n", "a")
ask(HOW + "query = SELECT v, w FROM t WHERE k = '%s'\nexpansion_limit = 1\n", "e", "i")
ask(HOW + "query = CALL one('%s')\n", "a", "nosuch")
ask(HOW + "query = CALL none('%s')\n", "a")
ask(HOW + "query = CALL none('%s')\nrequire_result_set = no\n", "a")
ask(HOW + "query = CALL two('%s')\n", "a")
ask(HOW + "query = SELECT v FROM nosuch WHERE k = '%s'\n", "a")
ask(HOW + "query = SELEC\n", "a")
ask(HOW.replace("= p", "= wrong") + Q, "a")
ask(HOW.replace("= mail", "= nosuch") + Q, "a")
ask(HOW + "select_field = v\ntable = t\nwhere_field = k\nadditional_conditions = and w = 'W2'\n", "a")
ask(HOW.replace("unix:/tmp/my.sock", "127.0.0.1") + Q, "a")
ask(HOW.replace("unix:/tmp/my.sock", "inet:127.0.0.1:3306") + Q, "a")
ask("dbname = mail\nhosts = unix:/tmp/my.sock\nuser = u\npassword = p\n", "a")
ask("hosts = unix:/tmp/my.sock\nuser = u\npassword = p\n" + Q, "a")
main("""
    virtual_alias_maps = mysql:/etc/postfix/t.cf
    virtual_alias_domains = example.net
""")
file("/etc/postfix/t.cf", HOW + Q)
start()
mail("s@example.org", "alice@example.net nosuch@example.net")
settle()
end("mariadb")
mail("s@example.org", "alice@example.net")
server()
sh("postmap -q a mysql:/etc/postfix/t.cf")
log(exclude="query failed|connect to mysql")
