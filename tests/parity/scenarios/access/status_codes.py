"""an enhanced status code of a table is made to fit what is refused; code of an unknown virtual alias"""
R = ",".join("{r%d@example.com=550 5.1.%d x}" % (i,i) for i in range(0,12)) + "," + ",".join("{s%d@example.org=550 5.1.%d x}" % (i,i) for i in range(0,12))+ "," + ",".join("{h%d.example=550 5.1.%d x}" % (i,i) for i in range(0,12))
main(f"""
    local_recipient_maps =
    notify_classes =
    smtpd_hard_error_limit = 1000
    smtpd_soft_error_limit = 1000
    smtpd_recipient_restrictions = check_recipient_access inline:{{ {R} }}, check_sender_access inline:{{ {R} }}, check_helo_access inline:{{ {R} }}
    virtual_alias_domains = al.example
""")
master('''
    2525 inet n - n - - smtpd
      -o unknown_virtual_alias_reject_code=450
''')
start()
for i in range(12):
    smtp(f"EHLO x\nMAIL FROM:<s@example.org>\nRCPT TO:<r{i}@example.com>\nRSET\nMAIL FROM:<s{i}@example.org>\nRCPT TO:<a@example.com>\nRSET\nEHLO h{i}.example\nMAIL FROM:<s@example.org>\nRCPT TO:<a@example.com>\nQUIT")
smtp(f"EHLO x\nMAIL FROM:<s@example.org>\nRCPT TO:<r@al.example>\nRSET\nMAIL FROM:<>\nRCPT TO:<a%b@al.example>\nRCPT TO:<@c:a%b@example.com>\nQUIT", port=2525)
