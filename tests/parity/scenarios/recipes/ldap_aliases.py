"""docs/recipes/ldap-aliases.md: aliases, users and routes from LDAP (S-RECIPE-50, S-DB-07, S-DB-10)"""
slapd()
dns("mailhub.example.com A 192.0.2.20\nexample.org MX 10 mx.example.org\n")
recipe("ldap-aliases")
sink("hub", "192.0.2.20:25", {})
for key in ("auser", "agroup", "sally", "nosuch"):
    sh(f"postmap -q {key} ldap:ldapaliases")
sh("postmap -q sally@sales.example.com ldap:/etc/postfix/ldap-transport.cf ldap:/etc/postfix/ldap-users.cf")
# No parameter of a table is called unused.
sh("postconf -n ldapaliases_scope 2>&1; postconf >/dev/null")
start()
mail("s@example.org", "auser@example.com multi@example.com alice@example.com nosuch@example.com sally@sales.example.com nobody@sales.example.com", "Subject: x\n\nx\n")
settle()
sinks(sort=True)
mbox("alice")
log(include="postfix/(local|smtp|smtpd|relay/smtp): .*(to=<|reject)|warning|unused")
