"""reject_unauth_pipelining and BDAT (S-UBE)"""
main("""
    smtpd_data_restrictions = reject_unauth_pipelining
    smtpd_forbid_unauth_pipelining = no
""")
start()
smtp("EHLO x\nMAIL FROM:<a@b>\nRCPT TO:<alice@example.com>\n!raw 'BDAT 10 LAST\\r\\nSubject:x\\n'\n!read\nQUIT")
smtp("EHLO x\nMAIL FROM:<a@b>\nRCPT TO:<alice@example.com>\n!raw 'BDAT 10\\r\\nSubject:x\\nBDAT 0 LAST\\r\\n'\n!read 2\nQUIT")
smtp("HELO x\nMAIL FROM:<a@b>\nRCPT TO:<alice@example.com>\n!raw 'BDAT 10 LAST\\r\\nSubject:x\\n'\n!read\nQUIT")
nolog()
