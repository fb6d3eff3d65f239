"""Transcripts for the postmaster: where lines are folded, what is shown of odd bytes (S-BOUNCE-05)"""
main("""
    notify_classes = protocol, policy
""")
start()
commands = []
for n in range(25, 31):
    for end in ("", " ", "  ", " y", "  y", " yy"):
        commands.append("NOOP " + "x " * 20 + "x" * n + end)
for n in (68, 69, 70, 71):
    commands.append("NOOP " + "x " * 20 + "x" * 40 + " " + "z" * n)
    commands.append("NOOP " + "x" * n + "  y")
commands += ["x" * 100, "y" * 100 + " z", "NOOP a\t" + "b" * 60 + "\t" + "c" * 20, "NOOP " + "é" * 50 + " " + "é" * 30]
odd = [r"N\xf6\xf6p", r"NOOP \x80", r"NOOP a\x00b", r"NOOP a\x01\x7fb", r"NOOP a\xc3\xa9\xff", r"VRFY a\tb@example.com"]
smtp("EHLO x\nRCPT TO:x\n" + "\n".join(commands + [f'!raw "{line}\\r\\n"\n!read' for line in odd]) + "\nQUIT")
settle()
mbox("dave", sort=True)
