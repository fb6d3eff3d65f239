"""docs/recipes/catch-all.md: unknown local names go to one mailbox"""
# S-RECIPE-72, S-RECIPE-07
recipe("catch-all")
start()
for to in ("nosuchuser", "bob", "no.such+ext", "postmaster"):
    mail("s@example.org", f"{to}@example.com", f"Subject: for {to}\n\nx\n")
settle()
mbox("alice")
mbox("bob")
