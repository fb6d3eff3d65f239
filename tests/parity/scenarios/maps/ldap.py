"""LDAP tables: filters and their quoting, search bases, result attributes, groups by name and URL, limits (S-DB-07 to S-DB-10)"""
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


# LDAP_README's own examples
table("default", "version = 3")
ask("default", "ldapuser", "nosuch")
table("simple", "query_filter = mail=%s; result_attribute = memberaddr")
ask("simple", "agroup@example.com", "AGROUP@EXAMPLE.COM", "auser@example.com")
table("special", "query_filter = mail=%s; result_attribute = maildrop; special_result_attribute = memberdn")
ask("special", "auser@example.com", "agroup@example.com", "bgroup@example.com", "cgroup@example.com")
table("fancy", "query_filter = mail=%s; result_attribute = memberaddr; special_result_attribute = memberdn; terminal_result_attribute = maildrop; leaf_result_attribute = mail")
ask("fancy", "auser@example.com", "cuser@example.com", "agroup@example.com", "bgroup@example.com", "cgroup@example.com")
# Search bases, scopes
table("scopes", "query_filter = mail=%s; result_attribute = maildrop; scope = one")
ask("scopes", "auser@example.com", "sally@sales.example.com")
table("basescope", "query_filter = (objectclass=*); result_attribute = maildrop; scope = base; search_base = uid=%u,dc=%2,dc=%1")
ask("basescope", "auser@example.com", "nosuch@example.com", "auser", "a,b@example.com")
table("badscope", "query_filter = mail=%s; scope = wide")
ask("badscope", "auser@example.com")
table("basedomain", "query_filter = uid=%u; result_attribute = maildrop; search_base = ou=%3,dc=%2,dc=%1")
ask("basedomain", "sally@sales.example.com", "sally@example.com", "@sales.example.com")
table("nobase", "query_filter = uid=%s; result_attribute = uid; search_base = dc=nowhere")
ask("nobase", "auser")
# Quoting: RFC 4515 in filters
table("plain", "query_filter = mail=%s; result_attribute = maildrop")
ask("plain", "*@example.com", "st*r(x)\\y@example.com", "*)(uid=auser", "(", "nosuch@example.com")
table("and", "query_filter = (&(mail=%s)(uid=%u)(!(description=*))); result_attribute = maildrop, mail")
ask("and", "auser@example.com", "multi@example.com")
table("badfilter", "query_filter = (&(mail=%s); result_attribute = maildrop")
ask("badfilter", "auser@example.com")
# Results
table("multi", "query_filter = mail=%s; result_attribute = maildrop description; result_format = <%s>")
ask("multi", "multi@example.com")
table("format", "query_filter = mail=%s; result_attribute = maildrop; result_format = %u+%d+%S+%U+%D+%1+%%")
ask("format", "auser@example.com", "local@example.com", "multi@example.com")
table("filter", "query_filter = mail=%s; result_attribute = maildrop; result_filter = old:%s")
ask("filter", "auser@example.com")
table("limit1", "query_filter = mail=%s; result_attribute = maildrop; expansion_limit = 1")
ask("limit1", "auser@example.com", "multi@example.com")
table("sizelimit", "query_filter = uid=*user; result_attribute = mail; size_limit = 2")
ask("sizelimit", "x")
table("domains", "query_filter = mail=%s; result_attribute = maildrop; domain = example.com, inline:{other.example=x}")
ask("domains", "auser@example.com", "auser@elsewhere.example", "auser", "@example.com")
# Groups by URL, loops, bad references
table("urls", "query_filter = mail=%s; result_attribute = maildrop, mail; special_result_attribute = memberurl")
ask("urls", "ugroup@example.com", "ugroup2@example.com", "ugroup3@example.com", "badgroup@example.com")
table("loop", "query_filter = mail=%s; result_attribute = memberaddr; special_result_attribute = memberdn; recursion_limit = 4")
ask("loop", "loop@example.com")
# Odd references, settings, answers
table("nourlattr", "query_filter = mail=%s; result_attribute = maildrop; special_result_attribute = memberurl")
ask("nourlattr", "g1@example.com", "g2@example.com", "g3@example.com", "g4@example.com")
table("dynbase", "query_filter = uid=%u; result_attribute = maildrop; search_base = ou=nosuch,dc=%2,dc=%1")
ask("dynbase", "a@example.com")
table("dynbase2", "query_filter = uid=%u; result_attribute = maildrop; search_base = =%u")
ask("dynbase2", "a@example.com")
nolog()
