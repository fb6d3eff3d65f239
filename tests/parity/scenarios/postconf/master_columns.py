"""postconf -M: columns of the line, not widths: long names and types move only what stands beside them (S-CONF-05)"""
append("/etc/postfix/master.cf", "aaaaaaaaaaaaaaaaa unix - n n - 2 pipe flags=R user=x argv=/b ${nexthop}\nabc unix-dgram - - - 1000000000? - smtp\nabcdefghij unix - - - 10000000? 12 smtp\nabcdefghijk unix - - - 100? 12345678 smtp -o relayhost=b\n[2001:db8::1]:submission inet n - y - - smtpd\n")
sh("postconf -M")
sh("postconf -Mf")
sh("postconf -M -e 'scalemail-backend/unix=scalemail-backend unix - n n - 2 pipe flags=R'; tail -3 /etc/postfix/master.cf")
sh("postconf -F | tail -3; postconf -F -e submissionxxxxxxxxx/inet/chroot=n; postconf -F -e abc/unix-dgram/chroot=n; tail -5 /etc/postfix/master.cf")
