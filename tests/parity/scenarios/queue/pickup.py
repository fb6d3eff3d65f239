"""pickup: submissions, requeued messages, content_filter, what it does not take, what it removes"""
# S-DAEMON-03 S-QUEUE-05 S-QUEUE-06 S-QUEUE-16
sink("down", "192.0.2.20:25", {"RCPT": "450 4.2.0 later"})
main("""
    mynetworks = 127.0.0.0/8 192.0.2.10
    smtp_connection_cache_on_demand = no
    minimal_backoff_time = 1000s
    default_transport = smtp:[192.0.2.20]
""")
start()
sendmail("-f alice@example.org -F 'Full' -N failure -V eid -R hdrs -B 8BITMIME -XV q1@example.org", "Subject: 3\n\nhallo\n", user="alice")
settle()
ALL = "cd /var/spool/postfix; for i in $(find deferred -type f | sort); do postcat $i; done | grep -v message_id="
sh(ALL)
sh("postsuper -r ALL; postkick public pickup W; true")
settle()
sh(ALL)
mail("smtp@example.org", "q2@example.org", "Subject: by SMTP\n\nbody\n", options="BODY=8BITMIME ENVID=x")
settle()
sh("postsuper -d $(grep -l q1@example.org -r /var/spool/postfix/deferred | xargs -n1 basename)")
main("virtual_alias_maps = inline:{ {q2@example.org = q3@example.org} }\ncontent_filter = smtp:[192.0.2.20]")
reload()
sh("postsuper -r ALL; postkick public pickup W; true")
settle()
sh(ALL)
sh("postsuper -d ALL")
main("receive_override_options = no_address_mappings\ncontent_filter =\n")
reload()
sendmail("q2@example.org", " leading blank\n\nbody\n", user="bob")
settle()
sh(ALL)
sh("postsuper -d ALL")
MAKE = "mkdir /var/spool/postfix/new; cd /var/spool/postfix/new; put() { printf \"$2\" > $1; chmod ${3:-744} $1; }; "
HEAD, TAIL = "T\\00217S\\003a@b", "R\\007q6@a.bcM\\000N\\001xX\\000E\\000"
sh(MAKE + "put ABCDE1 garbage; put ABCDE2 ''; put ABCDE3 'T\\00217R\\003c@dM\\000X\\000E\\000'; put ABCDE4 'T\\00217S\\003a@bM\\000X\\000E\\000'; "
   f"put ABCDE5 '{HEAD}R\\007q6@a.bcM\\000N\\001x'; put ABCDE7 '{HEAD}{TAIL}' 600; put bad-name '{HEAD}{TAIL}'; "
   f"mkdir ABCDE8; ln -s bad-name ABCDE9; put ABCDEC '{HEAD}{TAIL}'; chown postfix ABCDEC; "
   f"put ABCDED '{HEAD}{TAIL}'; chown postfix ABCDED; chmod 740 ABCDED; ls; mv * ../maildrop; postkick public pickup W; true")
sleep(3)
sh("ls /var/spool/postfix/maildrop; postqueue -p | grep -c q6@a.bc")
log(include="pickup")
