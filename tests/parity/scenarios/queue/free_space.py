"""mail is refused while the queue's disk is short of space: queue_minfree, 1.5 times message_size_limit (S-QUEUE-13)"""
main("message_size_limit = 100000000000\nmailbox_size_limit = 0\nvirtual_mailbox_limit = 0")
start()
TRY = """
    EHLO client.example.org
    MAIL FROM:<a@example.org> SIZE=100
    MAIL FROM:<a@example.org>
    RCPT TO:<alice@example.com>
    QUIT
"""
smtp(TRY)
sh("sed -n 's/.*\\(warning: not enough free space.*\\)/\\1/p' /var/log/maillog | sed 's/[0-9][0-9]* bytes/N bytes/' | sort -u")
main("message_size_limit = 1000000\nqueue_minfree = 100000000000")
reload()
smtp(TRY)
sh("sed -n 's/.*\\(warning: not enough free space.*\\)/\\1/p' /var/log/maillog | sed 's/[0-9][0-9]* bytes/N bytes/' | sort -u")
main("queue_minfree = 1000000")
reload()
smtp(TRY)
nolog()
