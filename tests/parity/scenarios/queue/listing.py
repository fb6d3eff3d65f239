"""postqueue -p and -j: reasons, several recipients, odd addresses, long ids, maildrop, the system down, who may"""
# S-TRAP-26 S-QUEUE-07 S-QUEUE-17 S-CMD-20 S-CMD-21 S-CMD-22 S-CMD-24 S-CMD-31
sink("down", "192.0.2.20:25", {"RCPT TO:<u3": "450 4.2.0 \"three\\ \t x", "RCPT": "450 4.2.0 later"})
main("""
    mynetworks = 127.0.0.0/8 192.0.2.10
    smtp_connection_cache_on_demand = no
    minimal_backoff_time = 1000s
    duplicate_filter_limit = 2
    virtual_alias_maps = inline:{ {al@example.org = u1@example.org} }
""")
start()
mail("", "u1@example.org u2@example.org u4@example.org", "Subject: number 1\n\nbody\n")
settle()
sh("postqueue -p")
sh("postqueue -j")
sendmail("-f '\"odd sender\"@example.com' '\"odd rcpt\"@example.org' u3@example.org", "Subject: 3\n\nhallo\n", user="alice")
settle()
sh("postqueue -p | grep -v '^(' | sed 's/^[0-9A-F]\\{6,\\} */ID /' | sort", user="bob")
sh("mailq | grep -c later; sendmail -bp | grep Requests", user="bob")
ONE = "ID=$(grep -rl 'odd sender' /var/spool/postfix/deferred | xargs basename); "
sh(ONE + "postsuper -e $ID; postqueue -p | grep '#' | cut -c1-20; postsuper -h $ID; postqueue -p | grep -o '!#'; postqueue -j | grep -c '\"forced_expire\": true'; postsuper -H $ID")
sh("mailq | tail -n +2 | awk 'BEGIN{RS=\"\"} /odd sender/{print $1}' | tr -d '*!#' | postsuper -d -; postqueue -p | tail -1")
sh("postqueue -pj")
sh("postqueue -p -f")
sh("postqueue -fi X")
sh("postqueue -x")
sh("postqueue -i a/b")
sh("postqueue -s '[192.0.2.20]'")
sh("postqueue -s ''")
sh("postqueue -f", user="bob")
settle()
sh("postsuper -d ALL", user="bob")
main("""
    enable_long_queue_ids = yes
    authorized_mailq_users = !bob, static:all
    authorized_flush_users = alice
""")
reload()
mail("a@example.com", "u1@example.org al@example.org", "Subject: number 2\n\nbody\n")
settle()
sh("postqueue -p | sed 's/^[0-9A-Za-z]*  */ID /; s/ \\(Sat\\|Sun\\|Mon\\|Tue\\|Wed\\|Thu\\|Fri\\) .* / /' | sort")
sh("postqueue -p | grep -c '^[0-9A-Za-z]\\{13,17\\} *[0-9]* [SMTWF][a-z][a-z] [A-Z][a-z][a-z] .............. a@example.com$'")
sh("postqueue -p", user="bob")
sh("postqueue -j | wc -l", user="alice")
sh("postqueue -f", user="bob")
sh("postqueue -i 123456", user="carol")
sh("postqueue -s example.org", user="carol")
sh("postsuper -d ALL")
stop()
sh("postqueue -p; postqueue -j")
sh("echo 'Subject: x' | sendmail -f '' -F 'Alice' a@b.c d@e.f; postqueue -p; postqueue -j", )
sh("cd /var/spool/postfix; touch hold/bad-name; for f in garbage:hold/ABCDEF1 :hold/ABCDEF2; do printf '%s' ${f%%:*} > ${f#*:}; chmod 700 ${f#*:}; chown postfix ${f#*:}; done; postqueue -p 2>/dev/null")
sh("postqueue -p; postqueue -f; postqueue -i ABC; postqueue -s example.org", user="alice")
sh("postqueue -f; postqueue -i ABC; postqueue -s example.org; true")
nolog()
