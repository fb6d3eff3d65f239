"""exit codes, signals, time limit and output of commands in aliases (S-LOCAL, sysexits.h)"""
# S-LOCAL-19
codes = (64, 65, 66, 67, 68, 69, 70, 71, 72, 73, 74, 75, 76, 77, 78, 79, 1, 127)
aliases("\n".join(f'code{c}: "|exit {c}"' for c in codes) + r"""
sig9:   "|kill -9 $$"
sig15:  "|kill -15 $$"
slow:   "|sleep 20"
status: "|echo 4.2.2 come again; exit 67"
other:  "|echo 5.9.9 never; exit 75"
fine:   "|echo 4.2.2 ignored; exit 0"
direct: "|/no/such/program with arguments"
lines:  "|echo one; echo two; echo three; exit 69"
noread: "|true"
stderr: "|echo oops >&2; exit 1"
quote:  "|/bin/echo 'a  b' $HOME ; exit 69"
""")
main("command_time_limit = 2s\nbounce_queue_lifetime = 0")
start()
for name in [f"code{c}" for c in codes] + "sig9 sig15 slow status other fine direct lines noread stderr quote".split():
    mail("", f"{name}@example.com", f"Subject: {name}\n\n")
    settle()
log(include="postfix/local")
