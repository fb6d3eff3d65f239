"""postdrop: which records and attributes, size, who may submit, which senders"""
# S-CMD-12
main("""
    recipient_delimiter = +
    message_size_limit = 2000
    mailbox_size_limit = 2000
    authorized_submit_users = !filter, static:all
    local_login_sender_maps = inline:{ {root=*} {alice=carol@example.com @foo.example <>} {carol=*} {dave = dave dave@example.com} }
""")
start()
stop()
SHOW = "; echo; cd /var/spool/postfix; for i in $(ls maildrop); do postcat maildrop/$i; done; rm -f maildrop/*"
def drop(records, user=None):
    text = "".join(records)
    if user:
        sh(f"printf '{text}' | postdrop -r; echo", user=user)
        quiet("rm -f /var/spool/postfix/maildrop/*")
    else:
        sh(f"printf '{text}' | postdrop -r" + SHOW)
def r(kind, payload=""):
    return "%s\\%03o%s" % (kind, len(payload), payload)
S, R, M, N, X, E = r("S", "a@b"), r("R", "c@d"), r("M"), r("N", "text"), r("X"), r("E")
drop([S, R, M, N, X, E])
drop([S, M, N, X, R, E])
drop([R, S, M, X, E])
drop([S, R, M, N])
drop([])
for bad in ([r("p", "0")], [r("T", "17")], [r("K")], [N], [M, M], [M, E], [E], [r("D", "c@d")]):
    drop([S, R] + bad + [M, X, E])
drop([M, X, S, R, E])
for attribute in ("foo=bar", "foo", "encoding=8bit", "encoding=foob", "notify_flags=6", "envelope_id=x", "dsn_orig_rcpt=rfc822;x", "ret_flags=2", "rewrite_context=remote",
                  "rewrite_context=x", "trace_flags=512", "log_client_name=x"):
    drop([S, r("A", attribute), R, M, X, E])
drop([S, R, M, X, r("A", "encoding=8bit"), r("A", "foo=bar"), E])
drop(["S\\010x"])
sh("(printf 'S\\003a@bR\\003c@dM\\000N\\220\\020'; head -c 2064 /dev/zero; printf 'X\\000E\\000') | postdrop -r")
sh("(printf 'S\\003a@bR\\003c@dM\\000'; for i in $(seq 200); do printf 'N\\0200123456789abcdef'; done; printf 'X\\000E\\000') | postdrop -r", user="carol")
sh("(printf 'S\\003a@bR\\003c@dM\\000N\\001x'; sleep 2) | timeout 1 postdrop -r", user="carol")
sh("ls /var/spool/postfix/maildrop | wc -l")
drop([S, R, M, X, E], "filter")
for user, sender in (("alice", "a@b"), ("alice", "Carol@Example.com"), ("alice", "x@foo.example"), ("alice", ""), ("carol", "x@y"), ("carol", ""), ("dave", "dave"),
                     ("dave", "dave+x@example.com"), ("dave", "dave@foo.example"), ("dave", ""), ("bob", "bob")):
    drop([r("S", sender), R, M, X, E], user)
sendmail("-f a@b x@y", "Subject: x\n\n", user="alice")
sh("postdrop -x")
sh("postdrop -c /nosuch < /dev/null", user="alice")
nolog()
