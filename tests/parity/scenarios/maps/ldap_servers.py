"""LDAP tables: servers, sockets, bind, TLS, faults in settings, parameters in main.cf; mail while the server is there and while it is not (S-DB-07, S-DB-08)"""
slapd()
BASE = "dc=example,dc=com"
HOST = "server_host = ldap://127.0.0.1:3389"


def old(path, text):
    """A file that was not changed a moment ago: Postfix waits for those, and reads them again."""
    file(path, text)
    quiet(f"touch -d 2020-01-01 {path}")


def table(name, text, host=HOST):
    base = "" if "search_base" in text else f"search_base = {BASE}\n"
    old(f"/etc/postfix/{name}.cf", f"{host}\n{base}" + text.replace("; ", "\n"))


def ask(name, *keys):
    for key in keys:
        # What the system's error number says at the end is left from something else.
        sh(f"postmap -q '{key}' ldap:/etc/postfix/{name}.cf 2>&1 | sed 's/: query error: .*/: query error/'")


# Bind
table("anonymous", "query_filter = mail=%s; result_attribute = maildrop; bind = no")
ask("anonymous", "auser@example.com", "hidden@example.com")
table("bound", f"query_filter = mail=%s; result_attribute = maildrop; bind = yes; bind_dn = uid=reader,{BASE}; bind_pw = readerpw")
ask("bound", "hidden@example.com")
table("wrongpw", f"query_filter = mail=%s; result_attribute = maildrop; bind_dn = uid=reader,{BASE}; bind_pw = wrong")
ask("wrongpw", "hidden@example.com")
table("badbind", "query_filter = mail=%s; bind = perhaps")
ask("badbind", "auser@example.com")
# Connections
ROW = "query_filter = mail=%s; result_attribute = maildrop"
table("version2", ROW + "; version = 2")
ask("version2", "auser@example.com")
table("badversion", ROW + "; version = 4")
ask("badversion", "auser@example.com")
table("port", ROW + "; server_port = 3389", "server_host = 127.0.0.1")
ask("port", "auser@example.com")
table("hostport", ROW, "server_host = 127.0.0.1:3389")
ask("hostport", "auser@example.com")
table("second", ROW, "server_host = ldap://127.0.0.1:3999 ldap://127.0.0.1:3389")
ask("second", "auser@example.com")
table("second2", ROW, "server_host = 127.0.0.1:3999, 127.0.0.1:3389")
ask("second2", "auser@example.com")
table("socket", ROW, "server_host = ldapi://%2Ftmp%2Fldap%2Fsocket")
ask("socket", "auser@example.com")
table("down", ROW, "server_host = ldap://127.0.0.1:3999")
ask("down", "auser@example.com")
table("badurl", ROW, "server_host = http://127.0.0.1:3389")
ask("badurl", "auser@example.com")
# TLS
CA = "; tls_ca_cert_file = /etc/postfix/tls/ca.pem"
table("starttls", ROW + "; start_tls = yes; version = 3; tls_require_cert = yes" + CA, "server_host = ldap://mail.example.com:3389")
ask("starttls", "auser@example.com")
table("ldaps", ROW + "; version = 3; tls_require_cert = yes" + CA, "server_host = ldaps://mail.example.com:3636")
ask("ldaps", "auser@example.com")
table("unverified", ROW + "; version = 3; tls_require_cert = no", "server_host = ldaps://192.0.2.1:3636")
ask("unverified", "auser@example.com")
table("untrusted", ROW + "; start_tls = yes; version = 3; tls_require_cert = yes", "server_host = ldap://mail.example.com:3389")
ask("untrusted", "auser@example.com")
table("wrongname", ROW + "; start_tls = yes; version = 3; tls_require_cert = yes" + CA, "server_host = ldap://192.0.2.1:3389")
ask("wrongname", "auser@example.com")
table("two", "query_filter = mail=%s; result_attribute = maildrop", "server_host = ldap://127.0.0.1:3998 127.0.0.1:3999")
ask("two", "a@example.com")
table("nobind", "bind = none; query_filter = mail=%s; result_attribute = maildrop", "server_host = ldap://127.0.0.1:3998")
ask("nobind", "a@example.com")
table("sasl", "bind = sasl; sasl_mechs = EXTERNAL; query_filter = mail=%s; result_attribute = maildrop", "server_host = ldapi://%2Ftmp%2Fldap%2Fsocket")
ask("sasl", "auser@example.com")
table("deref", "dereference = 9; query_filter = mail=%s; result_attribute = maildrop; bind_pw = x; timeout = x")
ask("deref", "auser@example.com")
table("deref2", "dereference = 9; query_filter = mail=%s; result_attribute = maildrop; recursion_limit = 0")
ask("deref2", "auser@example.com")
table("deref3", "dereference = 9; query_filter = mail=%s; result_attribute = maildrop")
ask("deref3", "auser@example.com")
table("badbool", "start_tls = maybe; query_filter = mail=%s; result_attribute = maildrop")
ask("badbool", "auser@example.com")
table("fmt3", "query_filter = mail=%s; result_attribute = maildrop; result_format = <%S>")
ask("fmt3", "AUser@Example.com")
table("empty", "query_filter = mail=%s; result_attribute = ")
ask("empty", "auser@example.com")
table("ssl", "query_filter = mail=%s; start_tls = yes; version = 2")
ask("ssl", "auser@example.com")
table("emptykey", "query_filter = mail=%u; result_attribute = maildrop")
ask("emptykey", "@example.com", "")
table("ldapsfail", "query_filter = mail=%s; version = 3; tls_require_cert = yes", "server_host = ldaps://mail.example.com:3636")
ask("ldapsfail", "auser@example.com")
# Files
old("/etc/postfix/nobase2.cf", HOST + "\nquery_filter = mail=%s\n")
ask("nobase2", "auser@example.com")
ask("nosuchfile", "x")
table("cache", ROW + "; cache = yes; cache_expiry = 10; cache_size = 100; nonsense = 1")
ask("cache", "auser@example.com")
# Parameters in main.cf
main(f"""
    ldapsource_server_host = ldap://127.0.0.1:3389
    ldapsource_search_base = {BASE}
    ldapsource_query_filter = (&(mail=%s)(objectclass=thing))
    ldapsource_result_attribute = maildrop
    ldapsource_scope = sub
    virtual_alias_domains = virtual.example
    virtual_alias_maps = ldap:ldapsource
""")
sh("postmap -q auser@example.com ldap:ldapsource")
sh("printf 'auser@example.com\\nnosuch\\nbuser@example.com\\n' | postmap -q - ldap:ldapsource")
sh("postmap -s ldap:ldapsource")
sh("postmap -d x ldap:ldapsource")
sh("postmap ldap:/etc/postfix/plain.cf")
# Mail
start()
mail("s@example.org", "virt@virtual.example nosuch@virtual.example")
settle()
mbox("alice")
mbox("bob")
end("slapd")
mail("s@example.org", "virt@virtual.example")
slapd()
mail("s@example.org", "virt@virtual.example", "Subject: again\n\nx\n")
settle()
log(include="^postfix/", exclude="dict_ldap_connect")
