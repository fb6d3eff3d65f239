"""require_home_directory; biff: notes to comsat (S-LOCAL-35)"""
import socket
import threading

main("""
    require_home_directory = yes
    biff = yes
""")
heard = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
heard.bind(("127.0.0.1", 512))


def listen():
    while True:
        with open("/tmp/heard", "ab") as f:
            f.write(heard.recv(500).replace(b"\0", b"^@") + b"\n")


threading.Thread(target=listen, daemon=True).start()
start()
sendmail("bob", "Subject: first\n\n", user="alice")
settle()
sh("rm -rf /home/carol")
sendmail("carol", "Subject: no home\n\n", user="bob")
settle()
mailq()
main("""
    biff = no
""")
reload()
sendmail("bob", "Subject: nobody is told\n\n", user="alice")
settle()
sleep(0.5)
sh("cat /tmp/heard")
