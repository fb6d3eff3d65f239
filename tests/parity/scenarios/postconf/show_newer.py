"""postconf: what later versions and another TLS library show otherwise: number of parameters, usage text, -q, -T"""
for args in ("-C all | wc -l", "-T", "-T compile-version", "-q | tail -3"):
    sh("postconf " + args)
