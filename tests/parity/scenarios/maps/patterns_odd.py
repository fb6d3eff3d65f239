"""regexp and pcre: the corners of lines, delimiters, flags, replacement and if/endif; cidr files (S-TABLE-05, S-TABLE-07)"""
RULES = r"""
/plain/			tabs
/trailing/ value   
	continued/x/	after a tab
/cont/
 value on the next line
#/hash/ x
/slash\/in/ s
!/x/!/y/ double
/a/ /b/
//	empty
/$$/ dollar $$
/^(x)(y)?z/ [$1][$2][${1}][$(1)]
/^lit/ $$1 $${1} $
/^out/ $3
/^bad/ $x
/^par/ $(1
/^brace/ ${1
IF /i1/
/i1a/ upper if
ENDIF
if/i2/
/i2a/ no space
endif
if !/i3/
/none/ not i3
endif # comment
If /i4/
/i4a/ mixed
EndIf
if /i5/ junk
/i5a/ junk after if
endif
if /i6/i
/i6A/ flags on if
endif
!/^[a-z0-9 ]*$/	neg
/unbal(/ u
/rep{1,/ r
/[z-a]/ range
/back(.)\1/ back $1
noslash x
"string" y
/noend
/flag/mix m
/flag2/zz z
/flag3/i i
/value/
/last/ last
"""
KEYS = ("plain", "trailing", "cont", "slash/in", "a", "", "xz", "xyz", "lit", "out", "bad", "par", "brace", "i1a", "i2a", "none", "i3none", "i4a", "i5a", "i6a", "I6A", "UPPER!", "backaa",
        "noslash", "flag", "flag2", "FLAG3", "last", "#hash")
for n, kind in enumerate(("regexp", "pcre")):
    # Each line alone, so that one does not hide another.
    file(f"/tmp/{kind}", RULES.replace("//	empty\n", "").replace("/$$/ dollar $$\n", "").replace("!/x/!/y/ double\n", "").replace("!/^[a-z0-9 ]*$/	neg\n", ""))
    sh(f"postmap -q last {kind}:/tmp/{kind}")
    for key in KEYS:
        sh(f"postmap -q '{key}' {kind}:/tmp/{kind} 2>/dev/null")
    for rule in ("//	empty", "/$$/ dollar $$", "!/x/!/y/ double", "!/^[a-z0-9 ]*$/	neg", "!/(x)/ neg $1", "/(x)/ $1$$1", "/x/ ${1}", "/(x)/ a${1}b$(1)c", "/(?<n>x)/ $n", "/x/U u", "/x/e e", "/x", "x/ y",
                 "/x/y", "!x y", "! /x/ spaced", "/x/ ", "/x/i", "|x|i alt", ":x: colon", "ax a a", "if x", "if", "endif", "if /x/\nif /y/\n/z/ nested\nendif\nendif\n/x/ out", "if /x/\n/x/ never closed",
                 "/x/ one\n/x/ two", "  /x/ indented first", "/\\x78/ hex", "/\\bx\\b/ word", "/x/ $0 $00", "/x\\/", "/(((((((((((x)))))))))))/ $11 ${10}", "/x/ \\$1 \\n"):
        file(f"/tmp/one.{kind}", rule + "\n")
        sh(f"head -1 /tmp/one.{kind}; for k in x X y xyz 'q!'; do postmap -q \"$k\" {kind}:/tmp/one.{kind} 2>&1 | sed \"s/^/$k: /\"; done")
file("/tmp/c", """
    # comment
    192.0.2.0/24   net   with  spaces   
    192.0.2.1
    192.0.2.300 x
    192.0.2.0/33 x
    192.0.2.1/24 hostbits
      continued
    !198.51.100.0/24 inverse
    if 198.51.100.0/24
    198.51.100.1 one
    if !198.51.100.128/25
    0.0.0.0/0 low half
    endif
    endif
    198.51.100.200 high
    ::/0 any six
    [::1] brackets
    1.2.3.4/ slash
    1.2.3.4/x y
    /8 y
    if nonsense
    endif
    endif
    if 10.0.0.0/8
    10.0.0.0/8 never closed
""")
sh("postmap -q 192.0.2.7 cidr:/tmp/c")
for key in ("192.0.2.7", "198.51.100.1", "198.51.100.9", "198.51.100.200", "203.0.113.1", "::1", "1.2.3.4", "10.1.1.1", "[::1]", "192.0.2", "name.example", "::ffff:192.0.2.7"):
    sh(f"postmap -q {key} cidr:/tmp/c 2>/dev/null")
nolog()
