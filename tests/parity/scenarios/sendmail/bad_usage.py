"""commands called wrongly: what they say, and their exit status"""
start()
for command in ("postfix", "postqueue", "postsuper", "postcat", "postlog", "postlock", "postkick", "postdrop", "sendmail"):
    for arguments in ("-Z", "-Z x", "-c", "-c /nonexistent", "-c /nonexistent x"):
        sh(f"timeout 5 {command} {arguments} </dev/null")
for command in ("postmap", "postalias"):
    for arguments in ("-c /nonexistent", "-c /nonexistent x", "-"):
        sh(f"{command} {arguments} </dev/null")
for command in ("postqueue", "postsuper", "postlock", "postkick"):
    for arguments in ("", "--", "x y z w"):
        sh(f"timeout 5 {command} {arguments} </dev/null")
nolog()
