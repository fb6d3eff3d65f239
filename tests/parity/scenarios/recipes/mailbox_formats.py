"""docs/recipes/mailbox-formats.md: mailboxes and Maildirs (S-RECIPE-12, S-LOCAL-12)"""
import mailbox

recipe("mailbox-formats")
start()
for to in ("alice", "bob"):
    mail("s@example.org", f"{to}@example.com", f"Subject: for {to}\n\nFrom here on\n")
settle()
maildir("/home/alice/Maildir")
mbox("/home/bob/mbox")
stat("/home/alice/Maildir", "/home/alice/Maildir/*", "/home/bob/mbox")
# Other people's code reads both.
for box in (mailbox.Maildir("/home/alice/Maildir"), mailbox.mbox("/home/bob/mbox")):
    note(f"{type(box).__name__}: " + "; ".join(f"{m['Subject']}: {m.get_payload().strip()}" for m in box))
main("home_mailbox =")
reload()
mail("s@example.org", "alice@example.com", "Subject: in the spool\n\nx\n")
settle()
mbox("/var/spool/mail/alice")
log(include="status=")
