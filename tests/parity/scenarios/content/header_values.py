"""white space around the values of headers: message ids in the log, 8bit that is not quite 8bit"""
sink("eight", "192.0.2.20:25")
main("""
    sendmail_fix_line_endings = never
    smtp_connection_cache_on_demand = no
""")
start()
for number, header in enumerate(("Message-Id: <x@y> \t", "Message-Id:   <x@y>\r", "Message-Id:\r <x@y>", "Message-Id:\n <x@y>", "Message-Id:\n <x@y>\n ", "Message-Id: <x@y>\n\tb\n ",
                                 "Resent-Message-Id: <x> ", "Message-Id: \t", "Message-Id: \f<x>\v ", "Content-Transfer-Encoding: 8bit\r", "Content-Transfer-Encoding: 8bit\r ",
                                 "Content-Transfer-Encoding: 8bit ", "Content-Transfer-Encoding:\n 8bit", "Content-Transfer-Encoding:\r8bit", "Content-Transfer-Encoding:\v BINARY")):
    sendmail(f"-f n{number}@example.org a@example.org", f"X-Number: {number}\n{header}\n\nx\n")
    settle()
sinks()
log(include="pickup|message-id")
