"""Policy servers: answers with something missing, and how warnings name the server (S-FILTER-15)"""
policy("p", "127.0.0.1:9000", {"a@x.org": "BCC", "b@x.org": "FILTER", "c@x.org": "FILTER foo", "d@x.org": "REDIRECT", "e@x.org": "PREPEND", "f@x.org": "PREPEND x", "g@x.org": "nonsense", "i@x.org": " ", "j@x.org": "hash:/etc/x",
                                "l@x.org": "check_sender_access hash:/nosuch", "n@x.org": "PREPEND A: b"})
main("""
    smtpd_sender_restrictions = check_policy_service { inet:127.0.0.1:9000,policy_context=here , timeout=10 }
    smtpd_recipient_restrictions = check_policy_service inet:127.0.0.1:9000, reject_unauth_destination
    smtpd_end_of_data_restrictions = check_policy_service {inet:127.0.0.1:9000, timeout=5}
    local_transport = discard:x
    notify_classes =
""")
start()
for sender in "abcdefgijln":
    smtp(f"EHLO x\nMAIL FROM:<{sender}@x.org>\nRCPT TO:<alice@example.com>\nDATA\nx\n.\nQUIT")
settle()
