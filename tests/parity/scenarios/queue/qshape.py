"""qshape: domains and ages of the queue (S-CMD-32)"""
import glob
import os
import re

main("defer_transports = smtp\nlocal_transport = retry:4.0.0 later")
start()
sendmail("-f s@src.test a@one.example.org b@one.example.org c@two.example.org", "Subject: x\n\nx\n")
sendmail("-f s@src.test a@one.example.org b@one.example.org", "Subject: x\n\nx\n")
sendmail("-f '<>' a@abcdefghijklmnopqrstuvwxyz.0123456789.sub.example.net a@[192.0.2.99]", "Subject: x\n\nx\n")
sendmail("-f other@SRC.test d@ONE.example.org bob", "Subject: old\n\nx\n")
for i in range(6):
    sendmail(f"-f z@d{i}.src.test x@h{i}.parent.test", "Subject: x\n\nx\n")
settle()
stop()
# Four hours older than it is, by its arrival time.
for f in glob.glob("/var/spool/postfix/deferred/*/*"):
    b = open(f, "rb").read()
    if b"Subject: old" in b:
        arrival = re.search(rb"T.(\d{10}) ", b, re.S)[1]
        with open(f, "r+b") as out:
            out.write(b.replace(arrival, str(int(arrival) - 4 * 3600).encode(), 1))
# Rows with the same count come in any order.
for options in ("", "-s", "-p", "-p -m 2 -b 3 -t 1", "-l -b 4 -t 10 -w 120", "-w 40 -p -m 1", "-b 1", "-n 2 -N 1"):
    sh(f"qshape {options} deferred | LC_ALL=C sort")
sh("qshape")
sh("qshape /var/spool/postfix/deferred /var/spool/postfix/incoming | LC_ALL=C sort")
sh("qshape nosuch 2>/dev/null")
nolog()
