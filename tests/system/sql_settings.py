"""settings of mysql:, pgsql: and memcache: with real servers: character sets, certificates, cipher suites, idle connections, result_format, limits of a reply (S-DB-01, S-DB-05, S-DB-12)"""
import socket
import threading
import time

TLS = "/etc/postfix/tls"
quiet("echo '192.0.2.1 mail.example.com' >> /etc/hosts")
quiet(f"mkdir /tmp/keys; cp {TLS}/*.pem /tmp/keys; chown vmail /tmp/keys/*; chmod 600 /tmp/keys/*key*")
quiet("mariadb-install-db --no-defaults --user=root --datadir=/tmp/my --auth-root-authentication-method=normal --skip-test-db")
daemon("mariadb", "exec mariadbd --no-defaults --user=root --datadir=/tmp/my --socket=/tmp/my.sock --pid-file=/tmp/my.pid --bind-address=192.0.2.1 --port=3306 --skip-log-bin "
       "--innodb-buffer-pool-size=8M --innodb-log-file-size=4M --skip-name-resolve --ssl-ca=/tmp/keys/ca.pem --ssl-cert=/tmp/keys/mail.example.com.pem "
       "--ssl-key=/tmp/keys/mail.example.com-key.pem", "/tmp/my.sock")
quiet("mariadb --no-defaults -S /tmp/my.sock -e \"create user 'c'@'%' identified by 'p' require x509; create user 'u'@'%' identified by 'p'\"")
quiet("mkdir /tmp/pg /tmp/pgs; chown vmail /tmp/pg /tmp/pgs; chmod 755 /tmp/pgs")
quiet("/usr/lib/postgresql/15/bin/initdb -D /tmp/pg -U root -E UTF8 --locale=C.UTF-8 -A trust -N", user="vmail")
file("/tmp/pg/pg_hba.conf", "local all all trust\nhost all u 0.0.0.0/0 trust\n", owner="vmail")
daemon("postgres", "exec /usr/lib/postgresql/15/bin/postgres -D /tmp/pg -k /tmp/pgs -h 192.0.2.1 -p 5432 -c fsync=off -c shared_buffers=8MB -c log_destination=stderr "
       "-c log_connections=on -c logging_collector=off", "192.0.2.1:5432", user="vmail")
quiet("for i in $(seq 100); do psql -h /tmp/pgs -U root postgres -c 'select 1' >/dev/null 2>&1 && break; sleep 0.1; done")
quiet("psql -h /tmp/pgs -U root postgres -c 'create database mail' -c 'create role u login'")
MY = "hosts = mail.example.com\nuser = u\npassword = p\ndbname = information_schema\n"
PG = "hosts = mail.example.com\nuser = u\ndbname = mail\n"


def answer(kind, settings, key="a"):
    file("/etc/postfix/try.cf", settings)
    found = quiet(f"postmap -q '{key}' {kind}:/etc/postfix/try.cf")
    return found.stdout.strip() or found.stderr


def gives(kind, settings, expected, what, key="a"):
    got = answer(kind, settings, key)
    check(got == expected, f"{kind}: {what}: {got}")


def fails(kind, settings, word, what, key="a"):
    got = answer(kind, settings, key)
    check("query error" in got and word in got, f"{kind}: {what}: {got}")


# Character sets: é is one character in UTF-8, two bytes of which each is one elsewhere.
LENGTH = "query = SELECT CHAR_LENGTH('%s')\n"
gives("mysql", MY + LENGTH, "1", "utf8mb4 if nothing is said", "é")
gives("mysql", MY + LENGTH + "charset = utf8mb4\n", "1", "charset", "é")
gives("mysql", MY + LENGTH + "charset = latin1\n", "2", "another charset", "é")
gives("pgsql", PG + LENGTH, "1", "UTF8 if nothing is said", "é")
# Another one is said to have no effect, and the server converts (docs/differences.md).
file("/etc/postfix/try.cf", PG + LENGTH + "encoding = LATIN1\n")
got = quiet("postmap -q é pgsql:/etc/postfix/try.cf")
check(got.stdout == "1\n" and "encoding = LATIN1 has no effect" in got.stderr, f"pgsql: encoding: {got}")
# result_format and domain
FORMAT = "query = SELECT '%s'\nresult_format = smtp:[%d]:%u:%S:%2\n"
for kind, base in (("mysql", MY), ("pgsql", PG)):
    gives(kind, base + FORMAT, "smtp:[mail.example.com]:al:al@mail.example.com:example", "result_format", "al@mail.example.com")
    gives(kind, base + FORMAT, "", "a key that lacks what the result needs", "al")
    gives(kind, base + "query = SELECT '%u'\ndomain = example.com\n", "al", "domain", "al@example.com")
    gives(kind, base + "query = SELECT '%u'\ndomain = example.com\n", "", "another domain", "al@example.org")
# Certificates and suites
CERT = f"tls_cert_file = {TLS}/mail.example.com.pem\ntls_key_file = {TLS}/mail.example.com-key.pem\n"
CLIENT = MY.replace("user = u", "user = c") + "query = SELECT 'in'\n" + f"tls_CAfile = {TLS}/ca.pem\n"
gives("mysql", CLIENT + CERT, "in", "a certificate of the client")
fails("mysql", CLIENT, "Access denied", "no certificate where the server wants one")
quiet(f"mkdir /etc/postfix/cas /etc/postfix/none; cp {TLS}/ca.pem /etc/postfix/cas/; openssl rehash /etc/postfix/cas")
SUITE = MY + "query = SELECT variable_value FROM session_status WHERE variable_name = 'Ssl_cipher'\n"
got = answer("mysql", SUITE + "tls_CApath = /etc/postfix/cas\ntls_verify_cert = yes\n")
check(got.startswith("TLS_"), f"mysql: tls_CApath: {got}")
# Said to have no effect (docs/differences.md).
file("/etc/postfix/try.cf", SUITE + f"tls_CAfile = {TLS}/ca.pem\ntls_ciphers = TLS_CHACHA20_POLY1305_SHA256\n")
got = quiet("postmap -q a mysql:/etc/postfix/try.cf")
check(got.stdout.startswith("TLS_") and "tls_ciphers has no effect" in got.stderr, f"mysql: tls_ciphers: {got}")
fails("mysql", SUITE + "tls_CApath = /etc/postfix/none\ntls_verify_cert = yes\n", "certificate", "a folder without the authority")
# Connections without work are closed.
TWICE = "(echo a; sleep 2.2; echo b) | postmap -q - {}:/etc/postfix/try.cf"


def connections(kind):
    if kind == "mysql":
        return int(quiet("mariadb --no-defaults -S /tmp/my.sock -N -e \"show global status like 'Connections'\"").stdout.split()[1])
    with open("/tmp/postgres.log") as log:
        return log.read().count("connection authorized: user=u")


for kind, base, own in (("mysql", MY, 1), ("pgsql", PG, 0)):
    for interval, expected in ((60, 1), (1, 2)):
        file("/etc/postfix/try.cf", base + f"query = SELECT '%s'\nidle_interval = {interval}\n")
        before = connections(kind)
        got = quiet(TWICE.format(kind)).stdout
        made = connections(kind) - before - own
        check(got == "a\ta\nb\tb\n" and made == expected, f"{kind}: idle_interval = {interval}: {made} connections, {got}")

# memcache: how long a line may be, and how long to wait before another try.
daemon("memcached", "exec memcached -u nobody -l 127.0.0.1 -p 11211", "127.0.0.1:11211")
key = "k" * 60
with socket.create_connection(("127.0.0.1", 11211)) as s:
    s.sendall(b"set %s 0 0 5\r\nvalue\r\n" % key.encode())
    check(s.recv(99) == b"STORED\r\n", "memcached has a value")
CACHE = "memcache = inet:127.0.0.1:11211\n"
gives("memcache", CACHE + "line_size_limit = 80\n", "value", "line_size_limit", key)
fails("memcache", CACHE + "line_size_limit = 20\n", "127.0.0.1:11211", "a line that is longer", key)
# A server that hangs up.
hanging = socket.create_server(("127.0.0.1", 11299))
tries = []


def hang_up():
    while True:
        try:
            client = hanging.accept()[0]
        except OSError:
            return
        tries.append(time.monotonic())
        client.close()


threading.Thread(target=hang_up, daemon=True).start()
fails("memcache", "memcache = inet:127.0.0.1:11299\nmax_try = 3\nretry_pause = 1\n", "127.0.0.1:11299", "a server that hangs up")
check(len(tries) == 3 and all(b - a > 0.9 for a, b in zip(tries, tries[1:])), f"memcache: max_try, retry_pause: {tries}")
hanging.close()
