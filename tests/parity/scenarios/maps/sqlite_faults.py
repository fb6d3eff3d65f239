"""sqlite_table(5): old parameters, settings in main.cf, faults (S-DB-02, S-DB-04, S-DB-12)"""
sh("sqlite3 /tmp/db \"create table t(k text, v text, w text); insert into t values('a','one','W'),('a','two','W2'),('o''b@x.y','quoted','W')\"")
HOW = "dbpath = /tmp/db\nquery = SELECT v FROM t WHERE k = '%s'\n"


def ask(settings, *keys):
    file("/etc/postfix/t.cf", settings)
    cat("/etc/postfix/t.cf")
    for key in keys:
        sh(f'postmap -q "{key}" sqlite:/etc/postfix/t.cf 2>&1 | sed "s/query error: .*/query error/"')


for setting in ("expansion_limit = x", "nonsense line"):
    ask(HOW + setting + "\n", "a")
for query in ("SELECT v FROM t WHERE k = '%s'; SELECT 'more'", "insert into t values('%s','z','z')", "",
              "SELECT 'a' '%%s'"):
    ask(f"dbpath = /tmp/db\nquery = {query}\n", "a")
ask("query = SELECT 1\n", "a")
ask("dbpath = /tmp/db\n", "a")
OLD = "dbpath = /tmp/db\nselect_field = v\ntable = t\nwhere_field = k\n"
ask(OLD, *"a o'b@x.y".split())
ask(OLD + "additional_conditions = and v = 'two'\n", "a")
ask("dbpath = /tmp/db\nselect_field = v\ntable = t\n", "a")
main("""
    lite_dbpath = /tmp/db
    lite_query = SELECT v FROM t WHERE k = '%s'
    base = /tmp
    lite2_dbpath = $base/db
    lite2_query = SELECT v FROM t WHERE k = '%s' and '$base' = '/tmp'
    lite2_result_format = $base:%s
    lite2_expansion_limit = 2
""")
for name in ("lite", "lite2", "nosuch", "./t.cf"):
    sh(f"cd /etc/postfix && postmap -q a sqlite:{name} 2>&1 | sed 's/query error: .*/query error/'")
sh("chmod 600 /etc/postfix/t.cf; postmap -s sqlite:/etc/postfix/t.cf")
sh("postmap sqlite:/etc/postfix/t.cf")
sh("postmap -d a sqlite:/etc/postfix/t.cf")
nolog()
