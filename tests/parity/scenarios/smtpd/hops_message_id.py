"""the message-id of a message with too many hops: logged when it stands before the last Received: header, or the mail comes from sendmail(1)"""
main("""
    hopcount_limit = 3
    mynetworks = 0.0.0.0/0
""")
start()
R = "Received: x\n"
for number, head in enumerate(("{0}{0}{0}{1}", "{1}{0}{0}{0}", "{0}{0}{1}", "{0}{1}", "{0}{1}{0}{0}")):
    smtp(f"EHLO x\nMAIL FROM:<s@example.org>\nRCPT TO:<alice@example.com>\nDATA\n{head.format(R, f'Message-Id: <smtp{number}@example.org>' + chr(10))}\nhello\n.\nQUIT")
sendmail("alice@example.com", R * 5 + "Message-Id: <sendmail@example.org>\n\nhello\n")
wait_log("too many hops")
sh("grep -oE '(smtp.|sendmail)@example.org' /var/log/maillog")
log(include="cleanup: (?!.*message-id)")
