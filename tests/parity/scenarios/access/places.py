"""each kind of restriction in each list, with delayed reject and without"""
main("""
    local_recipient_maps =
    notify_classes =
    smtpd_hard_error_limit = 1000
    smtpd_soft_error_limit = 1000
""")
port = 2600
cases = []
for lst in ("client", "helo", "sender", "recipient", "data", "end_of_data", "etrn"):
    for act in ("reject", "defer", "permit", "defer_if_permit", "defer_if_reject", "check_client_access,inline:{192.0.2.10=HOLD}", "check_client_access,inline:{192.0.2.10=REJECT,5.1.1,no}", "foo", "check_sender_access,inline:{s@example.org=INFO}", "reject_plaintext_session","check_recipient_access,inline:{a@example.com=OK}", "reject_non_fqdn_recipient"):
      for d in ("yes", "no"):
        if d == "no" and lst in ("recipient", "data", "end_of_data"):
            continue
        act2 = act.replace("REJECT,5.1.1,no", "REJECT")
        master(f'''
            {port} inet n - n - - smtpd
              -o smtpd_{lst}_restrictions={act2}
              -o smtpd_delay_reject={d}
        ''')
        cases.append((port, lst, act2, d))
        port += 1
start()
for port, lst, act, d in cases:
    sh(f"echo {lst} {act} {d}")
    if lst == "etrn":
        smtp('''
            HELO helo.example
            ETRN foo.example
            QUIT
        ''', port=port)
        continue
    smtp('''
        HELO helo.example
        MAIL FROM:<s@example.org>
        RCPT TO:<a@example.com>
        DATA
        Subject: x

        .
        QUIT
    ''', port=port)
