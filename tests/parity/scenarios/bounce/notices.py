"""notify_classes: each class and its recipient; double bounces; whose name they are sent in"""
# S-BOUNCE-05 S-BOUNCE-06
sink("mx1", "192.0.2.20:25", {"RCPT TO:<bad@": "550 5.1.1 no such user", "RCPT TO:<slow@": "450 4.2.0 later", "RCPT TO:<proto@": "501 5.5.4 syntax",
                              "RCPT TO:<policy@": "554 5.7.1 no", "RCPT TO:<soft@": "421 4.3.2 down"})
main("""
    mynetworks = 127.0.0.0/8
    smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination
    notify_classes = bounce, 2bounce, data, delay, policy, protocol, resource, software
    bounce_notice_recipient = carol
    delay_notice_recipient = bob
    2bounce_notice_recipient = dave
    error_notice_recipient = errors
    double_bounce_sender = double
    delay_warning_time = 3s
    queue_run_delay = 1s
    minimal_backoff_time = 5s
    maximal_backoff_time = 5s
    smtp_connection_cache_on_demand = no
    smtpd_error_sleep_time = 0
""")
aliases("errors: vmail")
user("vmail", 5000)
start()
sendmail("-f alice@example.com bad@example.org", "From: alice@example.com\nSubject: bounce\n\nbody\n")
sendmail("-f nosuchuser@example.com bad@example.org", "Subject: double bounce\n\nbody\n")
sendmail("-f alice@example.com proto@example.org", "Subject: protocol\n\nbody\n")
sendmail("-f alice@example.com policy@example.org", "Subject: policy of the server\n\nbody\n")
settle()
mbox("carol", sort=True)
mbox("dave", sort=True)
mbox("alice", sort=True)
mbox("vmail", sort=True)
quiet("rm -f /var/mail/*")
sendmail("-f alice@example.com slow@example.org", "From: alice@example.com\nSubject: slow\n\nbody\n")
wait_log("postmaster delay notification")
settle()
mbox("alice")
mbox("bob")
quiet("rm -f /var/mail/*")
# The postmaster cannot be reached either; and mail to the sender of double bounces goes nowhere.
main("2bounce_notice_recipient = nosuchuser\nnotify_classes = 2bounce")
reload()
quiet("postsuper -d ALL")
sendmail("-f nosuchuser@example.com bad@example.org", "Subject: triple bounce\n\nbody\n")
sendmail("-f alice@example.com double@example.com", "Subject: to the sender of double bounces\n\nbody\n")
settle()
mbox("alice")
mailq()
log(exclude="connect from|status=deferred|open active")
