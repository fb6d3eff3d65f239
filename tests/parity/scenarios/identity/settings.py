"""dedicated ids, the greeting, and what programs say of settings that cannot be"""
# S-ID-18 S-ID-19
main("smtpd_banner = $myhostname ESMTP $mail_name ($mail_version)")
start()
smtp("QUIT\n")
sh("ps -eo user:10,comm | grep -E 'qmgr|pickup|smtpd|master' | sort -u")
main("smtpd_banner = $myhostname ESMTP $mail_name")
reload()
smtp("QUIT\n")
stop()
log()
for text in ("default_privs = root", "default_privs = nosuchuser", "mail_owner = root", "mail_owner = nobody", "setgid_group = nosuch", "mail_owner = nosuchuser"):
    name, value = text.split(" = ")
    sh(f"cp /etc/postfix/main.cf /tmp/main.cf; postconf -e {name}={value}; postmap -q a inline:a=b; postqueue -p; sendmail -bv alice < /dev/null; postfix check; cp /tmp/main.cf /etc/postfix/main.cf")
nolog()
