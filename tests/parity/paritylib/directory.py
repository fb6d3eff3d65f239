"""What an LDAP server of the tests holds: people, groups by name and by URL, groups that loop, names that need quoting."""

BASE = "dc=example,dc=com"

CONFIGURATION = """\
loglevel none
modulepath /usr/lib/ldap
moduleload back_mdb
attributetype ( 1.3.6.1.4.1.32473.1.1 NAME 'dc' EQUALITY caseIgnoreMatch SUBSTR caseIgnoreSubstringsMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )
attributetype ( 1.3.6.1.4.1.32473.1.2 NAME 'mail' EQUALITY caseIgnoreMatch SUBSTR caseIgnoreSubstringsMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )
attributetype ( 1.3.6.1.4.1.32473.1.3 NAME 'maildrop' EQUALITY caseIgnoreMatch SUBSTR caseIgnoreSubstringsMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )
attributetype ( 1.3.6.1.4.1.32473.1.4 NAME 'mailacceptinggeneralid' EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )
attributetype ( 1.3.6.1.4.1.32473.1.5 NAME 'memberdn' EQUALITY distinguishedNameMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.12 )
attributetype ( 1.3.6.1.4.1.32473.1.6 NAME 'memberurl' EQUALITY caseExactMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )
attributetype ( 1.3.6.1.4.1.32473.1.7 NAME 'memberaddr' EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )
attributetype ( 1.3.6.1.4.1.32473.1.8 NAME 'ou' EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )
objectclass ( 1.3.6.1.4.1.32473.2.1 NAME 'thing' SUP top STRUCTURAL MAY ( dc $ cn $ uid $ ou $ mail $ maildrop $ mailacceptinggeneralid $ memberdn $
    memberurl $ memberaddr $ userPassword $ description ) )
TLSCACertificateFile /etc/postfix/tls/ca.pem
TLSCertificateFile /etc/postfix/tls/mail.example.com.pem
TLSCertificateKeyFile /etc/postfix/tls/mail.example.com-key.pem
database mdb
directory /tmp/ldap/db
suffix dc=example,dc=com
rootdn cn=admin,dc=example,dc=com
rootpw secret
access to dn.subtree="ou=private,dc=example,dc=com" by dn.base="uid=reader,dc=example,dc=com" read
access to * by * read
"""

# Name of each entry, then its attributes.
ENTRIES = [
    (BASE, "dc: example"),
    (f"uid=reader,{BASE}", "uid: reader", "userPassword: readerpw"),
    (f"uid=auser,{BASE}", "uid: auser", "mail: auser@example.com", "maildrop: auser@mailhub.example.com", "mailacceptinggeneralid: ldapuser"),
    (f"uid=buser,{BASE}", "uid: buser", "mail: buser@example.com", "maildrop: buser@mailhub.example.com"),
    (f"uid=cuser,{BASE}", "uid: cuser", "mail: cuser@example.com"),
    (f"uid=duser,{BASE}", "uid: duser", "mail: duser@example.com"),
    (f"cn=agroup,{BASE}", "cn: agroup", "mail: agroup@example.com", f"memberdn: uid=auser,{BASE}", f"memberdn: uid=buser,{BASE}",
     "memberaddr: auser@example.org", "memberaddr: buser@example.org"),
    (f"cn=bgroup,{BASE}", "cn: bgroup", "mail: bgroup@example.com", "maildrop: bgroup@mlm.example.com", f"memberdn: uid=cuser,{BASE}", f"memberdn: uid=duser,{BASE}",
     "memberaddr: cuser@example.org", "memberaddr: duser@example.org"),
    (f"cn=cgroup,{BASE}", "cn: cgroup", "mail: cgroup@example.com", f"memberdn: cn=agroup,{BASE}", f"memberdn: cn=bgroup,{BASE}", f"memberdn: uid=gone,{BASE}"),
    (f"cn=loop1,{BASE}", "cn: loop1", "mail: loop@example.com", "memberaddr: loop1@example.org", f"memberdn: cn=loop2,{BASE}"),
    (f"cn=loop2,{BASE}", "cn: loop2", "memberaddr: loop2@example.org", f"memberdn: cn=loop1,{BASE}"),
    (f"cn=ugroup,{BASE}", "cn: ugroup", "mail: ugroup@example.com", f"memberurl: ldap:///{BASE}??sub?(|(uid=auser)(uid=cuser))"),
    (f"cn=ugroup2,{BASE}", "cn: ugroup2", "mail: ugroup2@example.com", f"memberurl: ldap:///{BASE}?mail?sub?(uid=*user)"),
    (f"cn=ugroup3,{BASE}", "cn: ugroup3", "mail: ugroup3@example.com", f"memberurl: ldap:///uid=buser,{BASE}?maildrop,memberaddr?base"),
    (f"cn=badgroup,{BASE}", "cn: badgroup", "mail: badgroup@example.com", "memberurl: ldap:///not a dn??sub?((("),
    (f"uid=star,{BASE}", "uid: star", "mail: st*r(x)\\y@example.com", "maildrop: star@mailhub.example.com"),
    (f"uid=quote,{BASE}", "uid: quote", "mail: o'brien@example.com", "maildrop: obrien@mailhub.example.com"),
    (f"uid=multi,{BASE}", "uid: multi", "mail: multi@example.com", "maildrop: m1@mailhub.example.com", "maildrop: m2@mailhub.example.com, m3@mailhub.example.com", "description: extra"),
    (f"uid=local,{BASE}", "uid: local", "mail: local@example.com", "maildrop: noatsign", "maildrop: @nolocal"),
    (f"ou=sales,{BASE}", "ou: sales"),
    (f"uid=sally,ou=sales,{BASE}", "uid: sally", "mail: sally@sales.example.com", "maildrop: sally@hub.example.com"),
    (f"ou=private,{BASE}", "ou: private"),
    (f"uid=hidden,ou=private,{BASE}", "uid: hidden", "mail: hidden@example.com", "maildrop: hidden@hub.example.com"),
    (f"cn=g1,{BASE}", "cn: g1", "mail: g1@example.com", "memberurl: neither url nor dn"),
    (f"cn=g2,{BASE}", "cn: g2", "mail: g2@example.com", f"memberurl: ldap:///{BASE}?cn?sub?(uid=auser)", f"memberurl: uid=buser,{BASE}"),
    (f"cn=g3,{BASE}", "cn: g3", "mail: g3@example.com", "memberurl: ldap:///dc=nowhere?maildrop?sub?(uid=auser)",
     f"memberurl: ldap:///{BASE}?maildrop?sub?(uid=nosuch)", f"memberurl: ldap://other.example/uid=auser,{BASE}?maildrop?base",
     f"memberurl: LDAP:///uid=buser%2C{BASE}?MailDrop?base"),
    (f"cn=g4,{BASE}", "cn: g4", "mail: g4@example.com", f"memberurl: uid=gone,{BASE}"),
    (f"uid=virt,{BASE}", "uid: virt", "mail: virt@virtual.example", "maildrop: alice@example.com", "maildrop: bob@example.com"),
]


def ldif():
    out = []
    for dn, *attributes in ENTRIES:
        out.append(f"dn: {dn}\nobjectClass: thing\n" + "".join(a + "\n" for a in attributes))
    return "\n".join(out)


LISTEN = "ldap://127.0.0.1:3389 ldap://192.0.2.1:3389 ldaps://192.0.2.1:3636 ldapi://%2Ftmp%2Fldap%2Fsocket"
