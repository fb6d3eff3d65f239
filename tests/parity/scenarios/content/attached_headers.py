"""where the headers of an attached message end: after a line that is no header they do not begin"""
sink("eight", "192.0.2.20:25")
sink("seven", "192.0.2.21:25", hostname="mx.example.net", ehlo=["PIPELINING"])
main("""
    strict_7bit_headers = yes
    mynetworks = 192.0.2.0/24
    smtp_connection_cache_on_demand = no
    nested_header_checks = static:{WARN nested}
""")
start()
attached = "Content-Type: message/rfc822\n"
part = "Content-Type: multipart/mixed; boundary=b\n\n--b\n"
for body in (attached + "bad line\nErrors-To: \u00e9\n\nx", attached + "\nbad line\nErrors-To: \u00e9\n\nx", attached + "bad line\n\nErrors-To: \u00e9\n\nx",
             attached + "bad line\nX: y\nbad line\nErrors-To: \u00e9\n\nx", attached + "bad line\n folded\nErrors-To: \u00e9\n\nx", part + attached + "bad line\nErrors-To: \u00e9\n\nx",
             part + attached + "bad line\n--b\nErrors-To: \u00e9\n\nx", part + attached + "--b\nErrors-To: \u00e9\n\nx", attached + "\nX: y\n\nx", part + attached + "\nX: y\nErrors-To: \u00e9\n\nx",
             "Content-Type: message/global\nbad line\nErrors-To: \u00e9\n\nx", "Content-Type: multipart/mixed; boundary=b\nbad line\n--b\nErrors-To: \u00e9\n\nx",
             "Content-Transfer-Encoding: 8bit\n" + attached + "bad line\nX: \u00e9=\n\nx\u00e9=", "Content-Transfer-Encoding: 8bit\n" + attached + "\nX: y\n\nx\u00e9=",
             part + "Content-Transfer-Encoding: 8bit\n" + attached + "bad line\nX: \u00e9=\n\nx\u00e9=\n--b\n\nx=",
             part + "Content-Transfer-Encoding: 8bit\nContent-Type: message/global\nbad line\nX: \u00e9=\n\nx\u00e9=\n--b\n\nx="):
    for domain in ("example.org", "example.net"):
        smtp(f"EHLO client.example.org\nMAIL FROM:<>\nRCPT TO:<a@{domain}>\nDATA\n!raw " + repr(body.encode().replace(b"\n", b"\r\n") + b"\r\n.\r\n")[1:] + "\n!read\nQUIT")
        settle()
sinks()
log(include="cleanup: ", exclude="message-id=")
