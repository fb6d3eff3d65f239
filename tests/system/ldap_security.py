"""ldap: what GnuTLS's words and OpenLDAP's traces keep from being compared with Postfix: a folder of authorities, cipher suites, tls_random_file, sasl_minssf without TLS, debuglevel (S-DB-07, S-DB-08)"""
quiet("echo '192.0.2.1 mail.example.com' >> /etc/hosts")
slapd()
end("slapd")
# A server that takes one suite of TLS 1.2 and no other.
SUITE = "TLSCipherSuite NONE:+VERS-TLS1.2:+ECDHE-RSA:+AES-256-GCM:+AEAD:+SIGN-ALL:+GROUP-ALL:+COMP-NULL:+CTYPE-X509:+ECDHE-ECDSA\n"
SASL = "sasl-host mail.example.com\nsasl-auxprops slapd\npassword-hash {CLEARTEXT}\nauthz-regexp uid=([^,]*),cn=[^,]*,cn=auth uid=$1,dc=example,dc=com\n"
file("/tmp/ldap/slapd.conf", SUITE + SASL + open("/tmp/ldap/slapd.conf").read())
slapd()
TLS = "server_host = ldaps://mail.example.com:3636\ntls_require_cert = yes\n"


def ask(text, key="auser@example.com"):
    file("/etc/postfix/t.cf", text + "search_base = dc=example,dc=com\nquery_filter = mail=%s\nresult_attribute = maildrop\nversion = 3\n")
    return quiet(f"postmap -q {key} ldap:/etc/postfix/t.cf")


def works(text, what, key="auser@example.com"):
    got = ask(text, key)
    check(got.returncode == 0 and "@" in got.stdout, f"{what}: {got}")
    return got


def fails(text, what, word, key="auser@example.com"):
    got = ask(text, key)
    check(got.returncode == 1 and not got.stdout and word in got.stderr, f"{what}: {got}")


# Authorities: files of a folder, whether or not they have the names of `openssl rehash`, beside files of other kinds.
quiet("mkdir /etc/postfix/cas /etc/postfix/none; cp /etc/postfix/tls/ca.pem /etc/postfix/cas/mine.pem; echo nothing > /etc/postfix/cas/README; cp /etc/postfix/cas/README /etc/postfix/none")
works(TLS + "tls_ca_cert_dir = /etc/postfix/cas\n", "tls_ca_cert_dir")
fails(TLS + "tls_ca_cert_dir = /etc/postfix/none\n", "a folder without the authority", "ldaps://mail.example.com:3636")
fails(TLS + "tls_ca_cert_dir = /nosuch\n", "a folder that is not there", "open /nosuch: No such file or directory")
works(TLS + "tls_ca_cert_file = /etc/postfix/tls/ca.pem\ntls_ca_cert_dir = /etc/postfix/none\n", "the file counts more")
# Suites: the server has one.
CA = TLS + "tls_ca_cert_file = /etc/postfix/tls/ca.pem\n"
works(CA, "all suites")
works(CA + "tls_cipher_suite = ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-GCM-SHA384\n", "one of two is the server's")
fails(CA + "tls_cipher_suite = ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-CHACHA20-POLY1305\n", "none is the server's", "ldaps://mail.example.com:3636")
works(CA + "tls_cipher_suite = HIGH:!aNULL\n", "words for many")
works(CA + "tls_random_file = /nosuch\n", "tls_random_file has no effect")
# A minimum of strength without a layer that has any.
READER = "bind = sasl\nbind_dn = reader\nbind_pw = readerpw\nsasl_mechs = SCRAM-SHA-256\n"
PLAIN = "server_host = ldap://127.0.0.1:3389\n"
works(PLAIN + READER, "SASL", "hidden@example.com")
fails(PLAIN + READER + "sasl_minssf = 56\n", "sasl_minssf without TLS", "Unable to bind to server", "hidden@example.com")
works(CA + READER + "sasl_minssf = 56\n", "sasl_minssf with TLS", "hidden@example.com")
works("server_host = ldapi://%2Ftmp%2Fldap%2Fsocket\n" + READER + "sasl_minssf = 56\n", "sasl_minssf by a socket of this host", "hidden@example.com")
# A trace
got = works(PLAIN + "debuglevel = 1\n", "debuglevel")
check("(mail=auser@example.com)" in got.stderr or "mail=auser@example.com" in got.stderr, f"each search is logged: {got.stderr}")
check(not works(PLAIN + "debuglevel = 0\n", "no debuglevel").stderr, "and without it none")
