"""regexp: a second pattern in a rule; what is wrong with $; empty values in unionmap (S-TABLE-05, S-TABLE-12)"""
for kind in ("regexp", "pcre"):
    for rule in ("/x/!/y/ but not", "/x/!/y/ ", "/(x)/!/(y)/ got $1", "/(x)/!/(y)/ got $2", "!/x/!/y/ $1", "/x/m!/y/i d", "/x/!y dd", "/x/! d", "/x/!!/y/ d", "/x//y/ d", "if /x/!/y/\\n/./ in\\nendif", "/x/ !/y/ d", "/x/!/y/z d", "/x/!/(/ d", "/x/!/y d",
                 "/x/ ab $(1", "/x/ ab $ c", "/x/ ab $x $0 $y", "/x/ ab ${} c", "/x/ $0 $", "/x/ $x $", "/(x)/ $2 $3"):
        sh(f"printf '{rule}\\n' > /tmp/one; cat /tmp/one; for k in x X y xy xyz q; do postmap -q \"$k\" {kind}:/tmp/one 2>&1 | sed \"s/^/$k: /\"; done | grep -v '^[Xyxq]*z*: .*warn' ; postmap -q x {kind}:/tmp/one")
sh("postmap -q 'a' 'unionmap:{static:x,inline:{a=}}'")
sh("postmap -q 'a' 'unionmap:{inline:{a=}}'")
sh("postmap -q 'a' 'unionmap:{inline:{a=},inline:{a=},static:z}'")
nolog()
