"""tcp and socketmap servers that answer nonsense, too much, too little, or die (S-TABLE-12)"""
for n, text in enumerate((b"200 good\n", b"200 %41%42\n", b"200 %4\n", b"200 %zz\n", b"500 not found\n", b"400 later\n", b"500\n", b"400\n", b"200\n", b"200 \n", b"20 x\n", b"300 x\n", b"\n", b"nonsense\n", # Postfix calls a cut reply too long.
                             b"", b"200 " + b"x" * 5000 + b"\n", b"500 a\n200 b\n", b"200 nul\x00byte\n", b"200 8bit \xff\n", b"200 cr\r\n", b"200good\n", b"200\ttab\n", b"4000 x\n")):
    raw_server(f"t{n}", f"127.0.0.1:{7000 + n}", text, hold=0.3)
    sh(f"postmap -q key tcp:127.0.0.1:{7000 + n} 2>&1 | sed 's/query error.*/query error/' | uniq; true", timeout=15)
for n, text in enumerate((b"7:OK good,", b"3:OK ,", b"2:OK,", b"9:NOTFOUND ,", b"8:NOTFOUND,", b"10:TEMP later,", b"4:TEMP,", b"6:PERM x,", b"9:TIMEOUT x,", b"7:OKAY ab,", b"5:hello,", b"7:OK good;", b"7:OK go", b"x:OK,",
                             b"07:OK good,", b"99999999999:OK,", b"100001:" + b"x" * 100001 + b",", b"", b"0:,", b"12:OK two\nlines,", b"6:OK \x00ab,", b"5:OK \xff\xfe,", b"-1:,", b"7:OK good,8:NOTFOUND,", b" 7:OK good,",
                             b"7:ok good,")):
    raw_server(f"s{n}", f"127.0.0.1:{7100 + n}", text, hold=0.3)
    sh(f"postmap -q key socketmap:inet:127.0.0.1:{7100 + n}:name 2>&1 | sed 's/query error.*/query error/' | uniq; true", timeout=15)
for spec in ("tcp:", "tcp:127.0.0.1", "socketmap:inet:127.0.0.1:7100", "socketmap:inet:127.0.0.1:7100:", "socketmap:x", 
             ):
    sh(f"postmap -q key {spec} 2>&1 | sed 's/query error.*/query error/' | uniq; true", timeout=15)
raw_server("long", "127.0.0.1:7200", b"200 ok\n", hold=0.3)
sh("postmap -q 'sp ace%\u00fc' tcp:127.0.0.1:7200", timeout=15)
requests("long")
nolog()
