"""a directory in the place of a defer log: an empty one goes like a log (S-QUEUE-14)"""
import glob
import os
sink("mx1", "192.0.2.20:25", {"RCPT": "450 4.2.0 later"})
main("""
    relay_domains = example.org
    smtp_connection_cache_on_demand = no
    minimal_backoff_time = 1000s
    maximal_backoff_time = 1000s
""")
start()


def deferred(name):
    quiet(f"sendmail -f alice@example.com {name}@example.org", "Subject: x\n\nx\n")
    settle()
    [path] = [path for path in glob.glob("/var/spool/postfix/defer/*/*") if path.endswith(queue_ids("deferred")[0])]
    owner = os.stat(path)
    os.unlink(path)
    os.mkdir(path)
    os.chown(path, owner.st_uid, owner.st_gid)
    return path


left = "find /var/spool/postfix/defer /var/spool/postfix/deferred -mindepth 2 | wc -l"
path = deferred("one")
mailq()
sh(f"postsuper -d {os.path.basename(path)}; {left}")
deferred("two")
sh(f"postsuper -d ALL; {left}")
path = deferred("three")
quiet("postqueue -f")
wait_log("to=<three@example.org>", 2)
wait_file(path)
settle()
mailq()
sh(f"test -f {path}; echo $?")
os.unlink(path)
os.makedirs(path + "/x")
os.chown(path, os.stat("/var/spool/postfix/defer").st_uid, 0)
sh(f"postsuper -d {os.path.basename(path)}; {left}")
log(include="showq|postsuper")
