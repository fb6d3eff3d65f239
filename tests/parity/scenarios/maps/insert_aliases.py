"""postalias -i: the entries for NIS come with the first run, and stay; postcat -s that leads behind the end of a pipe (S-CMD-16)"""
for kind in ("hash", "lmdb"):
    quiet(f"cd /tmp; rm -f t*; printf 'a b\\n' > t; postmap {kind}:t")
    show = f"postalias -s {kind}:t | sort | sed 's/[0-9][0-9]*//g'"
    time_of = f"postalias -s {kind}:t | grep LAST_MODIFIED"
    sh(f"cd /tmp; echo 'n: m' | postalias -i {kind}:t; {show}")
    sh(f"cd /tmp; {time_of} > before; sleep 1.1; echo 'o: m' | postalias -i {kind}:t; {time_of} | cmp -s before; echo $?; {show}")
    sh(f"cd /tmp; sleep 1.1; echo 'o: n' | postalias -ir {kind}:t; {time_of} | cmp -s before; echo $?; {show}")
    sh(f"cd /tmp; rm t.*; echo 'p: q' | postalias -i {kind}:t; {show}")
sh("cd /tmp; printf abcdef | postcat -s 3; printf abcdef > f; postcat -s 100 f; postcat -s 100 < f; cat f | postcat -s 100; postcat -s x f; postcat -s -1 f; postcat -s 6 f")
nolog()
