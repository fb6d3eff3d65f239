"""smtpd_helo_required: which commands want a HELO first; unknown commands, HELP, EXPN; S-SMTPD-04, S-SMTPD-10"""
main("smtpd_helo_required = yes")
start()
smtp("VRFY alice\nMAIL FROM:<a@b>\nETRN example.com\nRCPT TO:<a>\nDATA\nNOOP\nEXPN x\nHELP\nRSET\nQUIT")
