"""sendmail: options and recipients that do not go with the mode; ignored options with -v; S-CMD-26"""
start()
for o in ["-bs -O x=y", "-O x=y alice", "-v -O x=y alice", "-v -h 5 -L x -X y -p z alice", "-bi -t", "-bv -t alice", "-bp -t", "-bp alice", "-bi alice", "-q alice", "-bd -t", "-q -t", "-bs -v -v QUIT", "-I alice", "-bh -v"]:
    sh("sendmail %s < /dev/null" % o, user="bob")
sh("sendmail -bd alice < /dev/null")
sh("sendmail -qRfoo alice < /dev/null")
sh("sendmail -qIfoo alice < /dev/null")
sh("sendmail -q1h alice < /dev/null")
