"""postmulti: creating, importing, naming, listing and removing instances; its messages (S-CMD-19)"""
quiet("cp /etc/postfix/master.cf /etc/postfix/master.cf.proto")
file("/etc/postfix/main.cf.proto", "# the prototype\ncompatibility_level = 3.6\nmyhostname = proto.example.com\nmaillog_file = /var/log/maillog\n\n# end\n")
for a in ("-e init", "-l", "-I postfix-in -G mta -e create", "-I postfix-in -e create", "-I bad -e create", "-e create", "-i postfix-in -e enable", "-i nosuch -e enable", "-e enable", "-e nosuch",
          "-I postfix-out -e create relayhost=x", "-I postfix-out -e create queue_directory=/var/spool/other", "-l", "-a -l", "-g mta -l", "-i - -l", "-i postfix-in -x postconf -n", "-i postfix-out -x postconf -n", "-i postfix-out -e assign -I postfix-foo -G bar", "-l",
          "-i postfix-foo -e deport", "-l", "-I postfix-out -G x -e import", "-l", "-i /nosuch -e import", "-i /etc -e import", "-i postfix-in -e destroy", "-i postfix-in -e disable", "-i postfix-in -e destroy", "-l", "-p nosuch", "-p status", "-x false", "-x -p status", "", "-X", "-l extra", "-i - -e destroy", "-i postfix-foo -e enable -p status", "-i postfix-foo -p status", "-R -l"):
    sh("postmulti " + a)
sh("sort /etc/postfix-out/main.cf; diff /etc/postfix/master.cf.proto /etc/postfix-out/master.cf; ls -la /etc/postfix-out /var/spool/other /var/lib/postfix-out | awk '{print $1,$3,$4,$9}'; ls -d /etc/postfix-in /var/spool/postfix-in /var/lib/postfix-in")
quiet("rm -rf /etc/postfix-out /var/spool/other; rm /etc/postfix/main.cf.proto")
