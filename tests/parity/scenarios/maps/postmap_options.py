"""postmap and postalias: options, source lines, several tables, files as values, keys out of messages (S-TABLE-14, S-TABLE-15, S-TABLE-16, S-TABLE-18)"""
file("/tmp/src", "a 1\nB two words\n\n# c\n  \nnovalue\nlast  x\n\tcontinued\n\"q k\" quoted\n\"un closed\nback\\slash b\nk: v\ndup 1\ndup 2\nDUP 3\n\u00c4 umlaut\n=x eq\n")
quiet("cp /tmp/src /tmp/src2; printf 'nul\\0x y\\nbad\\377 z\\nok 1\\nnoeol 2' > /tmp/odd")
for opts in ("", "-f", "-w", "-r", "-N", "-n", "-o", "-p", "-u", "-U", "-fw", "-c /etc/postfix"):
    for kind in ("hash", "lmdb", "cdb"):
        sh(f"rm -f /tmp/src.*; postmap {opts} {kind}:/tmp/src 2>&1 | grep -v 'postmap: \\(name_mask\\|dict\\|open\\|set\\|Compil\\|inet\\|mkmap\\)'; stat -c %a /tmp/src.*")
        if kind != "cdb":
            sh(f"postmap -s {kind}:/tmp/src", sort=True)
        sh(f"for k in a A b B dup DUP '\"q k\"' 'q k' last k k: \u00c4 \u00e4 =x nosuch; do postmap -q \"$k\" {kind}:/tmp/src; echo $?; done")
        sh(f"for k in a B b DUP; do postmap -fq \"$k\" {kind}:/tmp/src; echo $?; done")
sh("postmap hash:/tmp/odd; postmap -s hash:/tmp/odd | cat -v", sort=True)
sh("postmap -u hash:/tmp/odd; postmap -us hash:/tmp/odd | cat -v", sort=True)
sh("postmap -q bad$(printf '\\377') hash:/tmp/odd; postmap -uq bad$(printf '\\377') hash:/tmp/odd")
# Several tables
file("/tmp/t2", "a second\nonly2 here\n")
quiet("postmap hash:/tmp/t2; postmap hash:/tmp/src 2>/dev/null")
sh("postmap -q a hash:/tmp/src hash:/tmp/t2; postmap -q only2 hash:/tmp/src hash:/tmp/t2; postmap -q nosuch hash:/tmp/src hash:/tmp/t2")
sh("printf 'a\\nonly2\\nnosuch\\n' | postmap -q - hash:/tmp/src hash:/tmp/t2")
sh("postmap -d a hash:/tmp/src hash:/tmp/t2; postmap -q a hash:/tmp/src hash:/tmp/t2")
sh("postmap -s hash:/tmp/t2 hash:/tmp/src", sort=True)
sh("postmap hash:/tmp/t2 hash:/nosuch hash:/tmp/src2")
sh("printf 'i 1\\ni 2\\n' | postmap -i hash:/tmp/t2 hash:/tmp/src2; postmap -s hash:/tmp/t2; postmap -q i hash:/tmp/src2", sort=True)
sh("printf 'x\\n' | postmap -i hash:/tmp/t2; printf '' | postmap -i hash:/tmp/t2; printf 'new 1\\n' | postmap -i hash:/tmp/fresh; postmap -s hash:/tmp/fresh; stat -c %a /tmp/fresh.db")
sh("printf 'new 2\\n' | postmap -ir hash:/tmp/fresh; postmap -q new hash:/tmp/fresh; printf 'new 3\\n' | postmap -iw hash:/tmp/fresh; postmap -q new hash:/tmp/fresh")
# Values that are files
file("/tmp/one.pem", "first\n")
file("/tmp/two.pem", "second\n")
file("/tmp/files", "both /tmp/one.pem, /tmp/two.pem\none /tmp/one.pem\nnone /nosuch.pem\n")
for kind in ("hash", "lmdb", "cdb"):
    sh(f"postmap -F {kind}:/tmp/files 2>&1; for k in both one none; do postmap -q $k {kind}:/tmp/files; postmap -Fq $k {kind}:/tmp/files; done")
    if kind != "cdb":
        sh(f"postmap -Fs {kind}:/tmp/files", sort=True)
sh("exec 2>/dev/null; postmap -Fq one texthash:/tmp/files; postmap -Fq one inline:{one=/tmp/one.pem}; postmap -Fq x static:/tmp/one.pem; postmap -Fq x 'regexp:{{/x/ /tmp/two.pem}}'; postmap -Fq none texthash:/tmp/files")
sh("postmap -q one hash:/tmp/files; postmap hash:/tmp/files; postmap -Fq one hash:/tmp/files")
# Wrong use
for args in ("-q", "-z", "-q a", "-q a -d a x:y", "-i -q a hash:/tmp/t2", "-b -q a hash:/tmp/t2", "-b hash:/tmp/t2", "-m -q - hash:/tmp/t2", "-s -q a hash:/tmp/t2", "-c /nosuch hash:/tmp/t2", "-q '' hash:/tmp/t2", "hash:", "hash:/tmp", ":x", "-d '' hash:/tmp/t2",
             "-d - hash:/tmp/nosuch", "-d k hash:/tmp/nosuch", "-d k static:x", "-d k fail:x", "-d k nosuch:x", "-s hash:/tmp/nosuch", "-s fail:x", "-i fail:x", "fail:/tmp/t2", "-q x fail:x", "-hb -q - static:x", "-N -n hash:/tmp/t2", "-rw hash:/tmp/t2"):
    sh(f"echo 'k v' | postmap {args} 2>&1 | sed 's/usage: .*/usage/'")
# postalias
file("/tmp/al", "a: b\nlist: x, y,\n  z\n\"q k\": v\n\"q\\\"k\": w\nnocolon\nempty:\n: novalue\nA: dup\nowner-a: o\ninc: :include:/x\ncmd: \"|/bin/cat >/x\"\nfile: /x/y\ntwo words: x\nsp  : spaced\n")
for kind in ("hash", "lmdb"):
    sh(f"postalias {kind}:/tmp/al; postalias -s {kind}:/tmp/al | grep -v 'YP_LAST\\|YP_MASTER'", sort=True)
    sh(f"for k in a A list 'q k' 'q\"k' nocolon empty cmd @ sp 'two words'; do postalias -q \"$k\" {kind}:/tmp/al; echo $?; done")
sh("postalias -f hash:/tmp/al; postalias -fq A hash:/tmp/al; postalias -d list hash:/tmp/al; postalias -q list hash:/tmp/al; echo 'n: m' | postalias -i hash:/tmp/al; postalias -q n hash:/tmp/al")
sh("postalias -F hash:/tmp/al 2>&1 | sed 's/usage: .*/usage/'; postalias /nosuch; postmap -q 'q k' hash:/tmp/al")
# Messages
file("/tmp/h", "/^(Subject|X-In|Received):(.*)/ <$1$2>\n/^body/ in the body\n/^--/ boundary\n/^Content/ content\n")
MSG = "Received: a\n\tb\nSubject: s\nContent-Type: multipart/mixed;\n boundary=\"q\"\n\nbody 1\n--q\nX-In: part\n\nbody 2\n--q\nContent-Type: message/rfc822\n\nSubject: inner\n\nbody 3\n--q--\nbody 4\n"
for opts in ("-h", "-b", "-hb", "-hm", "-bm", "-hbm", ""):
    sh(f"postmap {opts} -q - regexp:/tmp/h", MSG)
nolog()
