"""docs/recipes/instances.md: a null client, a receiving and a sending instance with an SMTP filter between them (S-RECIPE-62, S-CMD-19)"""
sink("hub", "192.0.2.20:25")
# What packages put there.
quiet("cp /etc/postfix/main.cf /etc/postfix/main.cf.proto; cp /etc/postfix/master.cf /etc/postfix/master.cf.proto")
recipe("instances")
# Takes mail, adds a header, passes it on.
file("/tmp/filter.py", """
import signal
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Proxy
Controller(Proxy("127.0.0.1", 10026), hostname="127.0.0.1", port=10025).start()
signal.pause()
""")
daemon("filter", "python3 /tmp/filter.py", "127.0.0.1:10025")
# What postmulti wrote into main.cf stays.
host.main_settings = {}
start(port=10026)
sh("postfix status 2>&1 | sed 's/PID: .*/PID/'")
mail("s@example.org", "alice@example.com", "Subject: through\n\nx\n", src="192.0.2.10")
mail("s@example.org", "nosuch@example.com", "Subject: unknown\n\nx\n", src="192.0.2.10")
mail("s@example.org", "x@example.net", "Subject: foreign\n\nx\n", src="192.0.2.10")
sendmail("bob@example.com", "Subject: from here\n\nx\n")
sleep(2)
sinks()
sh("postmulti -g mta -p stop; postfix status 2>&1 | sed 's/PID: .*/PID/'")
sh("postfix stop; postfix status 2>&1 | sed 's/PID: .*/PID/'")
log(exclude="terminating on signal|anvil: statistics")
