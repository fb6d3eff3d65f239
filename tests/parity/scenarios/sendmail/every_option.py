"""every option of the commands once, right and wrong (S-CMD-26, S-CMD-20, S-CMD-25, S-CMD-10, S-CMD-13, S-CMD-14, S-CMD-15)"""
main("defer_transports = smtp")
file("/tmp/t", "a b\n")
file("/tmp/al", "a: b\n")
start()
for a in ("-bH", "-bh", "-bh x", "-Ac alice", "-Am alice", "-qSsite", "-XV+= alice", "-XV alice", "-X/tmp/x alice", "-h 5 alice", "-h5 alice", "-m alice", "-n alice", "-i -U alice", "-x alice", "-d0.1 alice", "-o7 alice", "-oAhash:/tmp/al alice",
          "-oi -om -oem -oee alice", "-oQ/tmp alice", "-ox alice", "-L tag alice", "-e alice", "-e m alice", "-O DeliveryMode=b alice", "-OX=y alice", "-C /nosuch/main.cf alice", "-C /etc/postfix/main.cf alice", "-C /etc/postfix alice", "-B 8BITMIME alice", "-B BAD alice",
          "-N never alice", "-N bad alice", "-N success,failure alice", "-R hdrs alice", "-R bad alice", "-V env+id alice", "-V 'a b' alice", "-F 'Al X' alice", "-G alice", "-r bob alice", "-f '' alice", "-f bob -f carol alice", "-bX alice", "-b", "-q", "-q1h alice", "-qR", "-qI", "-qIx", "-p ESMTP:host alice", "-D /tmp/l alice", "-T 1h alice", "-Q alice", "-Z", "-bp", "-bm", "-bm alice", "-bi x", "-I", "-t alice", "-bD", "-ba alice"):
    sh("sendmail " + a, "To: bob\nSubject: x\n\nx\n", user="bob")
settle()
sh("grep -ch '^From ' /var/mail/*; ls /var/mail")
for a in ("", "-X", "-p -f", "-f x", "-i", "-i bad!", "-i ABCDEF123", "-s", "-s 'a b'", "-s [1.2.3.4]", "-c /nosuch -p", "-j -p", "-j", "-p x"):
    sh("postqueue " + a)
for a in ("", "-X", "-d", "-d bad!", "-d ABCDEF123", "-h ABCDEF123 hold", "-d ALL nosuch", "-s nosuch", "-S", "-p", "-c /nosuch -p", "-d - x", "-e ABCDEF123", "-f ALL", "-rx", "-H ALL", "-h ALL deferred", "-H ALL -h ALL", "-d ALL hold"):
    sh("postsuper " + a, "ABCDEF124\nbad!\n")
for a in ("", "-X", "-q", "-q bad!", "-q ABCDEF123", "/nosuch", "/etc", "/etc/passwd", "-bhe /etc/passwd", "-c /nosuch x"):
    sh("postcat " + a, "")
for a in ("", "-X", "-p bad x", "-p info -t tag hello", "-i -t tag pid", "-p warn w", "-p error e", "-p fatal f", "-p panic p", "-c /nosuch x"):
    sh("postlog " + a, "line one\nline two\n")
for a in ("", "-X", "/tmp/f", "-l nosuch /tmp/f true", "-l dotlock,fcntl /tmp/f echo hi", "/tmp/f /nosuch", "/tmp/f false", "/nosuch/f true", "-c /nosuch /tmp/f true", "/tmp/f sh -c 'exit 3'", "/tmp/f sh -c 'kill -9 $$'"):
    sh("postlock " + a)
for a in ("", "-X", "a b", "public nosuch x", "private bounce x", "bad pickup W", "-c /nosuch public pickup W", "public qmgr D x"):
    sh("postkick " + a)
for a in ("-X", "-c /nosuch", "-r x", "x"):
    sh("postdrop " + a, "")
sh("postdrop -r", "bad", user="bob")
nolog()
