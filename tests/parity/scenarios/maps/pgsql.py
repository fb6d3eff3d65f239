"""pgsql_table(5) with PostgreSQL: templates, several columns, functions, quoting, a server that goes away and comes back (S-DB-05, S-DB-11)"""
import signal

SERVER = "/usr/lib/postgresql/15/bin/postgres -D /tmp/pg -k /tmp/pgs -h 127.0.0.1 -p 5432 -c fsync=off -c shared_buffers=8MB -c log_destination=stderr"
quiet("mkdir /tmp/pg /tmp/pgs; chown vmail /tmp/pg /tmp/pgs; chmod 755 /tmp/pgs")
quiet("/usr/lib/postgresql/15/bin/initdb -D /tmp/pg -U root -E UTF8 --locale=C.UTF-8 -A trust -N", user="vmail")
file("/tmp/pg/pg_hba.conf", "local all all trust\nhost all u 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 trust\n", owner="vmail")


def server():
    daemon("postgres", SERVER, "127.0.0.1:5432", user="vmail")
    quiet("for i in $(seq 100); do psql -h /tmp/pgs -U root postgres -c 'select 1' >/dev/null 2>&1 && break; sleep 0.1; done")


server()
quiet("psql -h /tmp/pgs -U root postgres -c \"create database mail\" -c \"create role u login password 'p'\"")
quiet("psql -h /tmp/pgs -U root mail", """
    create table t (k varchar(80), v varchar(80), w varchar(80));
    insert into t values ('a','one','W'),('a','two','W2'),('n',null,'W'),('e','','W'),('o''b@x.y','quoted','W'),('back\\slash','bs','W'),
        ('u@b.c.example','res@r.example','W'),('i', 42, 1.5),('"dq','dq','W'), ('ünï','uni ü','W'), ('alice@example.net','alice@example.com','W');
    create function one(p text) returns setof varchar as $$ select v from t where k = p $$ language sql;
    create function none(p text) returns void as $$ select 1 $$ language sql;
    grant all on t to u;
""")
HOW = "hosts = unix:/tmp/pgs\nuser = u\npassword = p\ndbname = mail\n"
Q = "query = SELECT v FROM t WHERE k = '%s'\n"


def ask(settings, *keys):
    file("/etc/postfix/t.cf", settings)
    cat("/etc/postfix/t.cf")
    for key in keys:
        sh(f"postmap -q '{key}' pgsql:/etc/postfix/t.cf 2>&1 | sed 's/query error: .*/query error/; s/?LINE.*//; s/?$//; s/: connection to server .* failed: /: /'")


ask(HOW + Q, "a", "A", "n", "e", "i", "nosuch", "o'\\''b@x.y", "back\\slash", '"dq', "'\\'' OR 1=1 -- ")
ask(HOW + "query = SELECT v FROM t WHERE k = E'%s'\n", "a")
ask(HOW + "query = SELECT v, w FROM t WHERE k = '%s'\n", "a", "n", "e")
ask(HOW + Q + "expansion_limit = 1\n", "a")
ask(HOW + "query = SELECT one('%s')\n", "a", "nosuch")
ask(HOW + "query = SELECT none('%s')\n", "a")
ask(HOW + "query = SELECT 1; SELECT 2\n", "a")
ask(HOW + "query = SELECT v FROM nosuch WHERE k = '%s'\n", "a")
ask(HOW + "query = SELEC\n", "a")
ask(HOW + "query = INSERT INTO t VALUES ('%s', 'new', 'new')\n", "q")
ask(HOW.replace("unix:/tmp/pgs", "127.0.0.1").replace("= p", "= wrong") + Q, "a")
ask(HOW.replace("= mail", "= nosuch") + Q, "a")
ask(HOW + "select_function = one\n", "a")
ask(HOW + "select_field = v\ntable = t\nwhere_field = k\nadditional_conditions = and w = 'W2'\n", "a")
ask(HOW.replace("unix:/tmp/pgs", "127.0.0.1") + Q, "a")
ask(HOW.replace("unix:/tmp/pgs", "inet:127.0.0.1:5432") + Q, "a")
ask(HOW.replace("unix:/tmp/pgs", "postgresql://u:p@127.0.0.1/mail") + Q, "a")
ask("dbname = mail\nhosts = unix:/tmp/pgs\nuser = u\npassword = p\n", "a")
ask("hosts = unix:/tmp/pgs\nuser = u\npassword = p\n" + Q, "a")
main("""
    virtual_alias_maps = pgsql:/etc/postfix/t.cf
    virtual_alias_domains = example.net
""")
file("/etc/postfix/t.cf", HOW + Q)
start()
mail("s@example.org", "alice@example.net nosuch@example.net")
settle()
end("postgres", signal.SIGINT)
mail("s@example.org", "alice@example.net")
server()
sh("postmap -q a pgsql:/etc/postfix/t.cf")
log(exclude="query failed|connect to pgsql")
