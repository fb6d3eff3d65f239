"""what users may put into commands and file names: command_expansion_filter, forward_expansion_filter, command_expansion in mailbox_command, local_command_shell, local_delivery_status_filter"""
file("/usr/bin/show", "#!/bin/sh\n{ echo \"== $*\"; env | grep -E '^(SENDER|RECIPIENT|ORIGINAL_RECIPIENT|USER|EXTENSION|DOMAIN|LOCAL|CLIENT_[A-Z]*)=' | sort; } >> /tmp/shown; cat > /dev/null\n", mode=0o755)
aliases("""
    show: "|/usr/bin/show $SENDER"
    many: :include:/etc/postfix/many
    s69:  "|exit 69"
    s75:  "|exit 75"
    fine: alice
""")
quiet("chmod 1777 /tmp; touch /tmp/shown; chmod 666 /tmp/shown")
for name in ("a", "a_b", "a__b", "aB", "__", ""):
    file(f"/home/carol/.forward+{name}" if name else "/home/carol/.forward", f"/tmp/carol.{name or 'plain'}\n", owner="carol")
main("""
    mailbox_command = /usr/bin/show "$EXTENSION" '$SENDER' $LOCAL ${EXTENSION}
    bounce_queue_lifetime = 0
    maximal_queue_lifetime = 0
""")
start()
ODD = ("a b", "a`id`", "$(id)", "x;y", "x|y>z", "per%cent", "eq=u", "sl/ash", "q'uote", "st*r", "b\\\\s", "no-th_in.g!")


def send():
    quiet("rm -f /tmp/carol.* /tmp/shown; touch /tmp/shown; chmod 666 /tmp/shown")
    for odd in ODD:
        for to in (f"bob+{odd}", "show"):
            smtp(f"""
                EHLO a;b
                MAIL FROM:<"{odd}"@example.org>
                RCPT TO:<"{to}"@example.com>
                DATA
                Subject: x

                .
                QUIT
            """)
            settle()
    for extension in ("a", "a/b", "a;b", "a//b", "aB", "..", "../../bob/x", ""):
        mail("", f'"carol+{extension}"@example.com', "Subject: y\n\n")
        settle()
    cat("/tmp/shown")
    sh("ls /tmp | grep carol; rm -rf /tmp/carol.*")


send()
main("command_expansion_filter = abcdefghijklmnopqrstuvwxyz@.\nforward_expansion_filter = abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ/;\n")
reload()
send()
main("local_command_shell = /bin/sh -e -c\nlocal_delivery_status_filter = pcre:/etc/postfix/status")
file("/etc/postfix/status", "/^5(\\.\\d+\\.\\d+) (.*)/ 4$1 not so fast: $2\n/^4(.*)/ 5$1\n/^2(\\S+) (delivered to mailbox.*)/ 2.7.7 $2 and filtered\n/forwarded/ bad\n")
main("mailbox_command =\nmaximal_queue_lifetime = 1d")
reload()
for name in ("s69", "s75", "bob", "fine"):
    mail("", f"{name}@example.com", "Subject: z\n\n")
    settle()
mailq()
log(include="postfix/local")
