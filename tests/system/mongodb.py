"""mongodb: with a real server: all settings of mongodb_table(5), login, TLS, SRV records; mail by a virtual alias, the server's death in the middle, its return (S-DB-12, S-LIST-12, S-TABLE-11, S-INT-08, S-TRAP-14)"""
import signal
import sys

peer("mongodb")
SERVER = (f"exec env PYTHONPATH=/srv/peers/mongodb PYTHONDONTWRITEBYTECODE=1 {sys.executable} -m secantus --log-level WARNING --cache-size 64M --config /tmp/none.toml "
          "--storage-path /tmp/%s --host %s --port %d %s")
KEY = "/etc/postfix/tls/mail.example.com"
file("/tmp/none.toml", "")


def mongodb(options="--auth"):
    daemon("mongodb", SERVER % ("mongo", "127.0.0.1", 27017, options), "127.0.0.1:27017")


def python(uri, code):
    done = quiet(f"PYTHONPATH=/srv/peers/mongodb PYTHONDONTWRITEBYTECODE=1 {sys.executable} -", f"import pymongo, bson, datetime\nc = pymongo.MongoClient('{uri}')\n{code}\n")
    check(done.returncode == 0, f"the server is filled: {done.stderr}")


BOXES = """
c.mail.box.insert_many([
    {"username": "user@mongo.example", "local_part": "user", "domain": "mongo.example", "active": 1, "quota": 2 ** 40, "n": 7, "since": datetime.datetime(2026, 1, 1),
     "alias": [{"address": "admin@mongo.example"}, {"address": "abuse@mongo.example"}], "ratio": 1.5, "to": "alice@example.com"},
    {"username": "off@mongo.example", "active": 0, "alias": [], "to": "bob@example.com", "domain": "mongo.example"},
    {"name": "dev@mongo.example", "active": 1, "address": ["alice@example.com", "bob@example.com", ["carol@example.com"]], "empty": "", "none": None},
    {"_id": "text-id", "username": "odd\\"\\\\{}$ne'@mongo.example", "active": 1, "to": "dave@example.com"},
    {"username": "twice@mongo.example", "active": 1, "to": "alice@example.com"},
    {"username": "twice@mongo.example", "active": 1, "to": "bob@example.com"},
])
c.mail.many.insert_many([{"k": "all", "v": i} for i in range(500)])
"""
mongodb("")
python("mongodb://127.0.0.1/?directConnection=true", BOXES + """
c.admin.command("createUser", "u@x", pwd="p:w/", roles=[{"role": "readAnyDatabase", "db": "admin"}])
""")
end("mongodb", signal.SIGTERM)
mongodb()
LOGIN = "u%40x:p%3Aw%2F@"
BASE = f"uri = mongodb://{LOGIN}127.0.0.1:27017/?authSource=admin&connectTimeoutMS=3000\ndbname = mail\ncollection = box\n"
FILTER = 'query_filter = {"$or": [{"username":"%s"}, {"alias.address": "%s"}],\n    "active": 1}\n'


def answer(settings, key):
    file("/etc/postfix/try.cf", settings)
    found = quiet(f"postmap -q - mongodb:/etc/postfix/try.cf", key + "\n")
    return (found.stdout.split("\t", 1)[1].strip() if found.stdout else None), found.stderr


def finds(settings, key, value, what=""):
    got = answer(settings, key)
    check(got[0] == value, f"{key}: {what} {value}: {got}")


def fails(settings, word, what, key="user@mongo.example"):
    file("/etc/postfix/try.cf", settings)
    found = quiet("postmap -q - mongodb:/etc/postfix/try.cf", key + "\n")
    check(found.returncode == 1 and not found.stdout and word in found.stderr, f"{what}: {found}")


# The examples of the manual and of MONGODB_README.
TO = BASE + FILTER + "result_attribute = username\n"
finds(TO, "admin@mongo.example", "user@mongo.example")
finds(TO, "user@mongo.example", "user@mongo.example")
finds(TO, "off@mongo.example", None, "not active")
finds(TO, "nosuch@mongo.example", None)
finds(BASE + 'query_filter = {"name": "%s", "active": 1}\nresult_attribute = address\n', "dev@mongo.example", "alice@example.com,bob@example.com,carol@example.com", "a list")
finds(BASE + FILTER + 'projection = { "mail_path": {"$concat": ["$domain", "/", "$local_part"]} }\n', "abuse@mongo.example", "mongo.example/user", "a projection")
# Types: text and whole numbers, several attributes, in the order of the document; others with a warning; no _id, whatever its type.
finds(BASE + FILTER + "result_attribute = to quota, n\n", "user@mongo.example", f"{2 ** 40},7,alice@example.com")
value, said = answer(BASE + FILTER + "result_attribute = ratio since alias to\n", "user@mongo.example")
check(value == "alice@example.com", f"other types are left out: {value}")
for field, kind in (("ratio", "double"), ("since", "date"), ("alias", "object")):
    check(f'field "{field}" of "user@mongo.example" has the type {kind}' in said, f"{field}: {said}")
finds(BASE + 'query_filter = {"name": "%s"}\nresult_attribute = empty, none\n', "dev@mongo.example", None, "nothing in them")
finds(BASE + 'query_filter = {"_id": "%s"}\nresult_attribute = _id, to\n', "text-id", "dave@example.com", "no _id")
finds(BASE + 'query_filter = {"_id": "%s"}\nprojection = {"to": 1}\n', "text-id", "dave@example.com", "no _id")
finds(BASE + 'query_filter = {"_id": "%s"}\n', "text-id", "odd\"\\{}$ne'@mongo.example,1,dave@example.com", "all attributes")
# % in the filter; a key can only ever be text.
BY = BASE + "result_attribute = to\nquery_filter = "
finds(BY + '{"local_part": "%u", "domain": "%d"}\n', "user@mongo.example", "alice@example.com")
finds(BY + '{"domain": "%2.%1", "local_part": "user", "n": {"$gt": 6, "$lt": 8}}\n', "x@mongo.example", "alice@example.com")
finds(BY + '{"local_part": "%u", "domain": "%d"}\n', "user", None, "no domain")
finds(BY + '{"username": {"$regex": "^%u@", "$options": "i"}, "active": 1, "since": {"$gte": {"$date": "2025-12-31T00:00:00Z"}}}\n', "USER@mongo.example", "alice@example.com", "operators")
finds(TO.replace("username\n", "to\n"), "odd\"\\{}$ne'@mongo.example", "dave@example.com", "quoting")
for key in ('{"$ne": ""}', '"}, {"username": {"$ne": "', "\\", '", "active": 0, "x": "', "$where"):
    finds(TO, key, None, "no injection")
fails(BY + '{"username": %s}\n', "query_filter: expected a value, with text in quotes, at \"%s}\"", "%s without quotes")
fails(BY + '{"username": "%s"\n', "query_filter: expected } at the end", "no JSON")
fails(BY + '{"username": "%z"}\n', "unexpected %z", "an unknown %")
fails(BY + '{"username": {"$nosuch": "%s"}}\n', "$nosuch", "an operator that the server does not know")
fails(BASE + FILTER + 'projection = {"to": 1}\nresult_attribute = to\n', "exclude one another", "both")
# result_format, domain, expansion_limit
finds(BASE + FILTER + "result_attribute = to\nresult_format = smtp:[%d]:%u:%%:%U@%D:%2\n", "user@mongo.example", "smtp:[example.com]:alice:%:user@mongo.example:mongo")
finds(BASE + FILTER + "result_attribute = to\nresult_format = %s-%D\n", "plain", None, "the result needs a domain")
finds(BASE + FILTER + "result_attribute = to\ndomain = other.example\n", "user@mongo.example", None, "another domain")
finds(BASE + FILTER + "result_attribute = to\ndomain = other.example mongo.example\n", "user@mongo.example", "alice@example.com")
finds(BASE + FILTER + "result_attribute = to\n", "twice@mongo.example", "alice@example.com,bob@example.com", "several documents")
finds(BASE + FILTER + "result_attribute = to\nexpansion_limit = 2\n", "twice@mongo.example", "alice@example.com,bob@example.com")
fails(BASE + FILTER + "result_attribute = to\nexpansion_limit = 1\n", "Expansion limit exceeded for key: 'twice@mongo.example'", "too many", "twice@mongo.example")
finds(BASE.replace("box", "many") + 'query_filter = {"k": "%s"}\nresult_attribute = v\n', "all", ",".join(map(str, range(500))), "more than the first part of the answer")
# Settings in main.cf
quiet("postconf -e 'mine_uri = mongodb://" + LOGIN + "127.0.0.1/?authSource=admin' mine_dbname=mail mine_collection=box mine_result_attribute=to "
      "'mine_query_filter = {\"$$or\": [{\"username\": \"%s\"}]}'")
check(quiet("postmap -q user@mongo.example mongodb:mine").stdout == "alice@example.com\n", "settings in main.cf: " + quiet("postmap -q user@mongo.example mongodb:mine").stderr)
for setting in ("uri", "dbname", "collection", "query_filter"):
    lines = [line for line in TO.replace(",\n  ", ",").splitlines() if not line.startswith(setting)]
    fails("\n".join(lines) + "\n", f"bad string length 0 < 1: {setting} =", f"without {setting}")
# Login
fails(TO.replace("p%3Aw%2F", "wrong"), "mongodb server 127.0.0.1:27017: ", "a wrong password")
fails(TO.replace(LOGIN, ""), "mongodb server 127.0.0.1:27017: ", "no password")
check("p%3Aw" not in answer(TO.replace("authSource=admin", "tls=maybe"), "x")[1], "the password is not shown")
finds(TO.replace("authSource=admin", "authSource=admin&authMechanism=SCRAM-SHA-256"), "admin@mongo.example", "user@mongo.example")
finds(TO.replace("27017/?", "27017,127.0.0.1:27099/?").replace("127.0.0.1:27017,127.0.0.1:27099", "127.0.0.1:27099,127.0.0.1:27017"), "admin@mongo.example", "user@mongo.example",
      "the first host is down")
fails(TO.replace("authSource", "replicaSet=other&authSource"), "its replica set is secantus", "another set")
finds(TO.replace("authSource", "replicaSet=secantus&authSource"), "admin@mongo.example", "user@mongo.example", "a set")
finds(TO.replace("authSource", "readPreference=secondaryPreferred&authSource"), "admin@mongo.example", "user@mongo.example", "a secondary, or else the primary")
fails(TO.replace("authSource", "replicaSet=secantus&readPreference=secondary&authSource"), "no mongodb server is secondary", "only a secondary will do")

# TLS, SRV and TXT records
daemon("secure", SERVER % ("secure", "192.0.2.1", 27018, f"--tls-cert-file {KEY}.pem --tls-key-file {KEY}-key.pem --tls-ca-file /etc/postfix/tls/ca.pem --standalone"), "192.0.2.1:27018")
python("mongodb://192.0.2.1:27018/?directConnection=true&tls=true&tlsInsecure=true", BOXES)
dns("""
    mail.example.com A 192.0.2.1
    _mongodb._tcp.db.example.com SRV 0 0 27099 mail.example.com
    _mongodb._tcp.db.example.com SRV 0 0 27018 mail.example.com
    _mongodb._tcp.away.example.com SRV 0 0 27018 mail.example.org
    _mongodb._tcp.later.example.com SERVFAIL
""")
SECURE = TO.replace(f"{LOGIN}127.0.0.1:27017/?authSource=admin&", "mail.example.com:27018/?")
CA = "tlsCAFile=/etc/postfix/tls/ca.pem"
finds(SECURE.replace("/?", f"/?tls=true&{CA}&"), "admin@mongo.example", "user@mongo.example", "TLS")
finds(SECURE.replace("mail.example.com", "192.0.2.1").replace("/?", f"/?{CA}&tlsAllowInvalidHostnames=true&"), "admin@mongo.example", "user@mongo.example", "TLS, any name")
finds(SECURE.replace("mail.example.com", "192.0.2.1").replace("/?", "/?tls=true&tlsInsecure=true&"), "admin@mongo.example", "user@mongo.example", "TLS, anyone")
fails(SECURE.replace("/?", "/?tls=true&"), "certificate", "an authority that nobody knows")
fails(SECURE.replace("mail.example.com", "192.0.2.1").replace("/?", f"/?{CA}&"), "certificate", "another name")
fails(SECURE, "mongodb server mail.example.com:27018: ", "no TLS where the server wants it")
fails(SECURE.replace("/?", "/?tlsCAFile=/nosuch&"), "open /nosuch: No such file", "a file that is not there")
finds(SECURE.replace("mongodb://mail.example.com:27018/?", f"mongodb+srv://db.example.com/?{CA}&"), "admin@mongo.example", "user@mongo.example", "SRV")
fails(SECURE.replace("mongodb://mail.example.com:27018/?", f"mongodb+srv://away.example.com/?{CA}&"), "mail.example.org is not in the domain example.com", "SRV of another domain")
fails(SECURE.replace("mongodb://mail.example.com:27018/?", f"mongodb+srv://later.example.com/?{CA}&"), "mongodb servers of later.example.com: ", "SRV later")

# Mail, through proxymap.
file("/etc/postfix/mongodb.cf", BASE + FILTER + "result_attribute = to\n", mode=0o600)
main("""
    virtual_alias_domains = mongo.example
    virtual_alias_maps = mongodb:/etc/postfix/mongodb.cf
""")
start()


def rcpt(address):
    return ask(f"HELO c\nMAIL FROM:<s@example.org>\nRCPT TO:<{address}>\nQUIT", src="192.0.2.13")[3]


mail("s@example.org", "admin@mongo.example", "Subject: by mongodb\n\nx\n")
settle()
check("Subject: by mongodb\n" in open("/var/mail/alice").read(), "mail arrives by the table")
check(rcpt("nosuch@mongo.example").startswith("550"), "an unknown recipient is refused")
check(rcpt("off@mongo.example").startswith("550"), "one that is off is refused")
end("mongodb", signal.SIGKILL)
for address in ("admin@mongo.example", "nosuch@mongo.example"):
    reply = rcpt(address)
    check(reply.startswith("451"), f"killed, so mail is to be sent again later: {reply}")
check(grep("mongodb server 127.0.0.1:27017: Connection refused", wait=3), "the log names server and reason")
sendmail("admin@mongo.example", "Subject: waits\n\nx\n")
check(grep("mongodb.*lookup error|virtual_alias_maps.*lookup", wait=5) is not None, "cleanup says so")
fails(TO, "Connection refused", "postmap says so")
mongodb()
check(rcpt("admin@mongo.example").startswith("250"), "the server is back, with what it had")
check(rcpt("nosuch@mongo.example").startswith("550"), "and knows who is not there")
quiet("postkick public pickup W")
settle()
check("Subject: waits\n" in open("/var/mail/alice").read(), "what waited in the maildrop arrives")
