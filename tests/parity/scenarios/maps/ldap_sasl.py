"""LDAP tables: SASL bind with passwords, realms, another identity, a minimum of strength, on a plain connection and within TLS (S-DB-07, S-DB-08)"""
slapd()
end("slapd")
BASE = "dc=example,dc=com"
SASL = """sasl-host mail.example.com
sasl-realm example.com
sasl-secprops none
sasl-auxprops slapd
password-hash {CLEARTEXT}
authz-policy to
authz-regexp uid=([^,]*),cn=example.com,cn=[^,]*,cn=auth uid=$1,dc=example,dc=com
authz-regexp uid=([^,]*),cn=(digest-md5|cram-md5|plain|login|scram-sha-1|scram-sha-256),cn=auth uid=$1,dc=example,dc=com
"""
file("/tmp/ldap/slapd.conf", SASL + open("/tmp/ldap/slapd.conf").read())
file("/tmp/ldap/more.ldif", f"""dn: uid=proxy,{BASE}
objectClass: thing
uid: proxy
userPassword: proxypw
authzTo: dn.exact:uid=reader,{BASE}
""")
quiet("slapadd -f /tmp/ldap/slapd.conf -l /tmp/ldap/more.ldif")
slapd()
CA = "; tls_ca_cert_file = /etc/postfix/tls/ca.pem"
TLS = "ldaps://mail.example.com:3636"


def ask(text, host="ldap://mail.example.com:3389"):
    file("/etc/postfix/t.cf", f"server_host = {host}\nsearch_base = {BASE}\nquery_filter = mail=%s\nresult_attribute = maildrop\nversion = 3\nbind = sasl\n" + text.replace("; ", "\n") + "\n")
    quiet("touch -d 2020-01-01 /etc/postfix/t.cf")
    # What the library says besides, and in which words a server refuses, is not Postfix's.
    sh("sed 1,6d /etc/postfix/t.cf; postmap -q hidden@example.com ldap:/etc/postfix/t.cf 2>&1 | sed 's/: query error: .*/: query error/; /dict_ldap_connect/s/: [^:]*$//; /SASL\\//d'")


READER = "bind_dn = reader; bind_pw = readerpw; "
# On a plain connection the reader, who alone may see the entry, proves who it is.
for mechanism in ("CRAM-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256"):
    ask(READER + f"sasl_mechs = {mechanism}")
ask(READER + "sasl_mechs = DIGEST-MD5; sasl_realm = example.com")
ask(READER + "sasl_mechs = DIGEST-MD5; sasl_realm = nosuch.example")
ask(READER + "sasl_mechs = NOSUCH SCRAM-SHA-256 PLAIN")
ask(READER + "sasl_mechs = NOSUCH")
ask("bind_dn = reader; bind_pw = wrong; sasl_mechs = SCRAM-SHA-256")
ask("bind_dn = proxy; bind_pw = proxypw; sasl_mechs = SCRAM-SHA-256")
# One who may not see it acts as one who may; the other way round that is refused.
ask("bind_dn = proxy; bind_pw = proxypw; sasl_mechs = SCRAM-SHA-256; sasl_authz_id = u:reader")
ask(f"bind_dn = proxy; bind_pw = proxypw; sasl_mechs = DIGEST-MD5; sasl_realm = example.com; sasl_authz_id = dn:uid=reader,{BASE}")
ask(f"bind_dn = reader; bind_pw = readerpw; sasl_mechs = SCRAM-SHA-256; sasl_authz_id = dn:uid=proxy,{BASE}")
# A minimum of strength: TLS counts.
# Without TLS Postfix lets it pass too, which tests/system/ldap_security.py does not (docs/differences.md).
for strength in ("0", "-1", "4097", "x"):
    ask(READER + f"sasl_mechs = SCRAM-SHA-256; sasl_minssf = {strength}")
ask(READER + "sasl_mechs = SCRAM-SHA-256; sasl_minssf = 56" + CA, TLS)
ask(READER + "sasl_mechs = SCRAM-SHA-256; sasl_minssf = 56; start_tls = yes" + CA)
ask(READER + "sasl_mechs = SCRAM-SHA-256; sasl_minssf = 4000; start_tls = yes" + CA)
log(include="nothing")
