"""what daemons and commands get of the environment: import_environment, export_environment; wakeup with and without a question mark (S-MASTER-12)"""
import time
file("/usr/local/bin/show", "#!/bin/sh\ncat > /dev/null\n/usr/bin/env > /tmp/shown/$1\n", 0o755)
quiet("mkdir -m 777 /tmp/shown")
main("""
    import_environment = MAIL_CONFIG MAIL_DEBUG MAIL_LOGTAG TZ LANG=C GIVEN, NOT_THERE PATH=/bin:/opt/bin { SPACED = a  b c } EMPTY= EQUAL=a=b
    export_environment = TZ MAIL_CONFIG LANG GIVEN SPACED EQUAL, { OWN = x y } HOME=/nowhere
    transport_maps = inline:{ {env.test = env:} }
""")
master("""
    10099   inet n n n - - spawn user=filter argv=/usr/local/bin/show spawn
    env     unix - n n - - pipe user=filter argv=/usr/local/bin/show pipe
    flush   unix n - n 1 0 flush
    verify  unix - - n 1? 1 verify
    pickup  unix n - n 2 1 pickup
""")
aliases('env: "|/usr/local/bin/show local"\n')
quiet("newaliases")
sh("GIVEN='from the start' SECRET=hidden TZ=UTC LANG=de_DE XAUTHORITY=/x postfix start 2>&1 | grep -v 'starting the'")
quiet("sendmail -f alice@example.com u@env.test env@example.com", "Subject: x\n\nx\n")
wait_empty()
quiet("bash -c 'exec 3<>/dev/tcp/127.0.0.1/10099'")
wait_file("/tmp/shown/spawn")
sleep(0.5)
for name in ("pipe", "local", "spawn"):
    sh(f"grep -vE '^(PWD|_|SHLVL|OLDPWD)=' /tmp/shown/{name} | sort")
host.head("wakeup")
end = time.monotonic() + 15
while time.monotonic() < end and not running("flush"):
    time.sleep(0.1)
host.out(f"woken although nobody uses it: {bool(running('flush'))}")
host.out(f"with a question mark: {bool(running('verify'))}")
# A file that came while nothing ran is found when pickup wakes up.
quiet("postfix stop; sendmail -f alice@example.com bob@example.com; postfix start", "Subject: two\n\nx\n")
wait_empty()
sh("ls /var/spool/postfix/maildrop | wc -l; grep -c ^Subject /var/mail/bob")
nolog()
