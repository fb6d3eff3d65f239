"""LDAP tables: referrals that are followed or not, a folder of certificates, a client's certificate (S-DB-07, S-DB-08)"""
slapd()
end("slapd")
BASE = "dc=example,dc=com"
# A second directory, to which the first one refers.
quiet("mkdir -p /tmp/ldap2/db; sed 's#/tmp/ldap/#/tmp/ldap2/#g' /tmp/ldap/slapd.conf > /tmp/ldap2/slapd.conf")
file("/tmp/ldap2/data.ldif", f"""dn: {BASE}
objectClass: thing
dc: example

dn: ou=far,{BASE}
objectClass: thing
ou: far

dn: uid=far,ou=far,{BASE}
objectClass: thing
uid: far
mail: far@example.com
maildrop: from-the-second
""")
quiet("slapadd -f /tmp/ldap2/slapd.conf -l /tmp/ldap2/data.ldif")
file("/tmp/ldap2/ref.ldif", f"""dn: ou=far,{BASE}
objectClass: referral
objectClass: extensibleObject
ou: far
ref: ldap://127.0.0.1:3390/ou=far,{BASE}

dn: ou=gone,{BASE}
objectClass: referral
objectClass: extensibleObject
ou: gone
ref: ldap://127.0.0.1:3999/ou=gone,{BASE}
""")
quiet("slapadd -f /tmp/ldap/slapd.conf -l /tmp/ldap2/ref.ldif")
slapd()
daemon("second", "slapd -d 0 -f /tmp/ldap2/slapd.conf -h ldap://127.0.0.1:3390/", "127.0.0.1:3390")


def ask(text, *keys, host="ldap://127.0.0.1:3389", base=BASE):
    file("/etc/postfix/t.cf", f"server_host = {host}\nsearch_base = {base}\nquery_filter = mail=%s\nresult_attribute = maildrop\nversion = 3\n" + text.replace("; ", "\n"))
    quiet("touch -d 2020-01-01 /etc/postfix/t.cf")
    cat("/etc/postfix/t.cf")
    for key in keys:
        sh(f"postmap -q '{key}' ldap:/etc/postfix/t.cf 2>&1 | sed 's/: query error: .*/: query error/'")


for chase in ("", "chase_referrals = no", "chase_referrals = yes"):
    ask(chase, "far@example.com", "nosuch@example.com", base=f"ou=far,{BASE}")
    ask(chase, "gone@example.com", base=f"ou=gone,{BASE}")
    # Not `nosuch`: that it is unknown cannot be said while one of the places does not answer.
    ask(chase, "auser@example.com", "far@example.com")
ask("chase_referrals = perhaps", "far@example.com")
# Certificates: of a folder with the names of `openssl rehash`, and the client's own.
quiet("mkdir /etc/postfix/cas; cp /etc/postfix/tls/ca.pem /etc/postfix/cas/; openssl rehash /etc/postfix/cas")
TLS = "ldaps://mail.example.com:3636"
ask("tls_require_cert = yes; tls_ca_cert_file = /etc/postfix/tls/ca.pem; tls_cert = /etc/postfix/tls/mail.example.com.pem; tls_key = /etc/postfix/tls/mail.example.com-key.pem", "auser@example.com", host=TLS)
end("second")
end("slapd")
log(include="nothing")
