"""docs/recipes/domains.md: shared domains, and virtual alias domains (S-RECIPE-15, S-RECIPE-16, S-VIRT-01, S-VIRT-02, S-VIRT-03, S-VIRT-14)"""
sink("mx1", "192.0.2.20:25")
recipe("domains")
start()
for to in ("alice@example.com", "alice@shop.test", "nosuch@shop.test", "info@flowers.test", "info@books.test", "boss@books.test", "all@books.test", "alice@books.test", "nosuch@flowers.test"):
    mail("s@example.org", to, f"Subject: for {to}\n\nx\n")
    settle()
sendmail("info@flowers.test nosuch@books.test", "Subject: from here\n\nx\n", user="carol")
settle()
sh("cd /var/mail; grep -HE '^(Subject|Delivered-To|X-Original-To):' alice bob; ls")
sinks()
