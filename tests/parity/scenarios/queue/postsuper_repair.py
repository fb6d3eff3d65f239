"""postsuper: names by inode, hash directories, old files, directories without use, reports of several actions, ids from standard input"""
# S-CMD-25 S-QUEUE-02 S-QUEUE-03
sink("down", "192.0.2.20:25", {"RCPT": "450 4.2.0 later"})
main("""
    mynetworks = 127.0.0.0/8 192.0.2.10
    smtp_connection_cache_on_demand = no
    minimal_backoff_time = 1000s
""")
start()
for n in range(1, 8):
    mail("alice@example.com", f"u{n}@example.org", f"Subject: number {n}\n\nbody\n")
settle()
IN = "cd /var/spool/postfix; set -- $(find deferred -type f | xargs -n1 basename | sort); "
FILES = "find deferred defer hold maildrop -type f -printf '%f %m\\n' | sort | cut -d' ' -f2 | uniq -c"
sh(IN + "postsuper -h $1 -h $2; ls hold | wc -l; postsuper -f $1 -f $3")
sh(IN + "postsuper -e ALL; postsuper -e ALL; " + FILES)
sh(IN + "postsuper -h $1 -h $2; postsuper -d $2 -h $3 -H $1 -e $4 -f $5; " + FILES)
# What is not there is no error, wherever it is looked for.
sh("postsuper -d 0000000 -r 0000000 -h 0000000 -H 0000000 -e 0000000")
sh("printf 'ABCDEF1  \\nABCDEF2\\n\\n a\\na/b\\nALL\\n' | postsuper -d -; postsuper -d ABCDEF1,ABCDEF2; postsuper -d all; postsuper -d ''")
sh("postsuper -h XX maildrop; postsuper -h ALL hold; postsuper -H ALL deferred; postsuper -r ALL bounce; postsuper -r ALL maildrop; postsuper -e ALL corrupt")
sh("postsuper -d")
sh("postsuper -s hold nosuch")
# After a restore the inodes are other ones; logs go with their messages.
sh(IN + "f=$(find deferred -name $1); cp -p $f /tmp/x; rm $f; touch /tmp/y; cp -p /tmp/x $f; postsuper -s; postsuper -s; "
   "for f in $(find deferred -type f); do n=$(basename $f); i=$(stat -c %i $f); [ $n = ${n%$(printf %X $i)}$(printf %X $i) ] && echo fits; find defer -name $n | wc -l; done | sort | uniq -c")
sh("cd /var/spool/postfix; postconf hash_queue_depth=2; postsuper; find deferred -type f | sed 's/[^/]//g' | sort -u; postconf hash_queue_depth=1; postsuper -s; find deferred -type f | sed 's/[^/]//g' | sort -u; "
   "find deferred -type d | sed 's/[^/]//g' | sort -u")
sh("cd /var/spool/postfix; for d in 1 6 8 100; do for f in incoming/ABCDE$d incoming/1234$d.12 maildrop/ABCDF$d bounce/ABCDF$d; do touch -d \"$d days ago\" $f; chmod 600 $f; chown postfix $f; done; done; "
   "mkdir -p active/1/2 deferred/Y; chown -R postfix active deferred; postsuper -p 2>&1 | sort; ls incoming maildrop bounce active; ls -d deferred/Y")
sh("cd /var/spool/postfix; rm -f incoming/* maildrop/* bounce/*; touch hold/bad-name hold/zz; postsuper -p; postsuper -s hold")
sh("rm /var/spool/postfix/hold/bad-name /var/spool/postfix/hold/zz; postsuper -d ALL")
mailq()
# Long names need not match, but give way to short ones.
main("enable_long_queue_ids = yes")
reload()
mail("alice@example.com", "u9@example.org", "Subject: number 9\n\nbody\n")
settle()
LONG = "cd /var/spool/postfix; f=$(find deferred -type f); cp -p $f /tmp/x; rm $f; touch /tmp/z; cp -p /tmp/x $f; "
SHOW = "find deferred defer -type f | xargs -n1 basename | sort | uniq -c | sed 's/[0-9A-Za-z]*z[0-9A-Za-z]*$/LONG/; s/[0-9A-F]\\{7,\\}$/SHORT/'"
sh(LONG + "postsuper -s; postsuper -S; postsuper -S; " + SHOW)
sh("cd /var/spool/postfix; postconf enable_long_queue_ids=no; postsuper -s; postsuper -s; " + SHOW)
log(include="postsuper")
