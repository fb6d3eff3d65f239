"""parameters of cleanup(8) and bounce(8), one after the other: characters, headers, MIME, formats of the log"""
TEXT = "From: Bob \\(x\\) <bob@example.com>\nSubject: s\nX-Drop: a\nBcc: carol@example.com\n\nbody with a \x01 character\n"
EIGHT = "From: bob@example.com\nTo: alice@example.com\nSubject: gr\xfc\xdfe\nMIME-Version: 1.0\nContent-Type: text/plain\n\n8-bit: \xe4\n"
MIME = "From: bob@example.com\nTo: alice@example.com\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/plain\nX-Part: yes\n\nx\n--b--\n"
start()
for setting in (
    "message_drop_headers = x-drop, content-length, return-path",
    "message_strip_characters = \\1",
    "message_reject_characters = \\1",
    "undisclosed_recipients_header = To: nobody in particular:;",
    "header_from_format = obsolete",
    "info_log_address_format = internal",
    "delay_logging_resolution_limit = 0",
    "strict_7bit_headers = yes",
    "strict_8bitmime = yes",
    "strict_8bitmime_body = yes",
    "disable_mime_input_processing = yes\nheader_checks = regexp:{{/^X-Part/ REJECT part}}\nmime_header_checks = $header_checks",
    "mime_header_checks = regexp:{{/^X-Part/ REJECT part}}",
    "enable_threaded_bounces = yes",
    "backwards_bounce_logfile_compatibility = no",
):
    name = setting.split(" ")[0]
    quiet("cp /etc/postfix/main.cf /tmp/main.cf")
    for line in setting.split("\n"):
        quiet(f"postconf -e '{line}'")
    quiet("postfix reload; sleep 0.5")
    sh(f"echo '{name}'")
    for n, text in enumerate((TEXT, EIGHT, MIME)):
        quiet("sendmail -i -f s@example.com -F 'Full (Name)' alice", text)
    quiet("sendmail -f bob@example.com nosuch+a@example.com", "Message-Id: <a@b>\nSubject: fails\n\nx\n")
    settle()
    for box in ("alice", "bob"):
        sh(f"grep -aE '^(From:|To:|X-Drop|Subject|References|In-Reply-To|X-Part|body|8-bit|Diagnostic-Code)' /var/mail/{box} | sort | cat -v; rm -f /var/mail/{box}")
    quiet("cp /tmp/main.cf /etc/postfix/main.cf")
log(include="reject:|orig_to=<nosuch|milter|warning: (?!.*reload)")
