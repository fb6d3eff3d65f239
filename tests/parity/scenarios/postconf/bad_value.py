"""A value of main.cf that cannot be expanded keeps the mail system from starting"""
main("header_checks = regexp:{{/x$/ REJECT}}")
sh("postfix start >/dev/null 2>&1; echo $?")
sh("postfix check >/dev/null 2>&1; echo $?")
main("header_checks = regexp:{{/x$$/ REJECT}}")
sh("postfix check >/dev/null 2>&1; echo $?")
nolog()
