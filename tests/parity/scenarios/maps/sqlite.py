"""sqlite_table(5): query and result templates, limits, old parameters, faults in the file (S-DB-02, S-DB-04, S-DB-05, S-DB-12)"""
sh("sqlite3 /tmp/db \"create table t(k text, v text, w text); insert into t values('a','one','W'),('a','two','W2'),('n',null,'W'),('e','','W'),"
   "('m','x@dom.example,y','W'),('loc','@foo',null),('int',42,1.5),('u@b.c.example','res@r.example','W'),('blob',x'4142',null),('o''b@x.y','quoted','W')\"")
HOW = "dbpath = /tmp/db\nquery = SELECT v FROM t WHERE k = '%s'\n"


def ask(settings, *keys):
    file("/etc/postfix/t.cf", settings)
    cat("/etc/postfix/t.cf")
    for key in keys:
        sh(f'postmap -q "{key}" sqlite:/etc/postfix/t.cf 2>&1 | sed "s/query error: .*/query error/"')


ask(HOW, *"a A n e m int blob o'b@x.y".split())
ask("dbpath = /tmp/db\nquery = SELECT v,w FROM t WHERE k = '%s'\n", *"a n e int loc".split())
for setting in ("expansion_limit = 1", "expansion_limit = 2", "expansion_limit = -1", "unknown_parameter = x", "# comment"):
    ask(HOW + setting + "\n", "a", "int")
for setting in ("result_format = const", "result_format = %u", "result_format = %d", "result_format = $base:%s", "domain = b.c.example", "domain = !b.c.example, static:all"):
    ask(HOW + setting + "\n", *"a m loc n @b.c.example u@b.c.example u@x.b.c.example".split())
ask(HOW + "result_format = <%s|%u|%d|%S|%U|%D|%1|%%>\n", "u@b.c.example", "a")
TEMPLATE = "dbpath = /tmp/db\nquery = SELECT '%s:%u:%d:%1:%2:%S:%U:%D'\n"
ask(TEMPLATE, *"u@b.c.example x@c plain @dom.example u@ o'b@x.y a@b@c.d u@.c.d u@c.d. u@[1.2.3.4] U@C.D".split())
ask("dbpath = /tmp/db\nquery = SELECT '%s:%1'\n", *"plain x.y u@b.c @b.c".split())
ask("dbpath = /tmp/db\nquery = SELECT '%s:%u'\n", *"plain x.y u@b.c @b.c u@ @".split())
nolog()
