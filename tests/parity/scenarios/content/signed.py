"""signed content goes through as it came: bytes of the body, order and spelling of headers"""
# S-EXT-08
sink("eight", "192.0.2.20:25", ehlo=["8BITMIME", "SIZE"])
sink("seven", "192.0.2.21:25", ehlo=["SIZE 0"], hostname="mx.example.net")
master("""
    away unix - - n - - smtp
      -o disable_mime_output_conversion=yes
""")
main("""
    relay_domains = example.org, example.net
    transport_maps = inline:{example.net=away:}
""")
start()
MESSAGE = '''dkim-signature: v=1; a=rsa-sha256;
\tc=simple/simple; d=example.org;  bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=
X-Odd:no blank
FROM : s@example.org
To:  alice@example.org,
     bob@example.org
Date: Sat, 1 Jan 2000 00:00:00 +0000
Message-ID: <signed@example.org>
mime-version: 1.0
Content-Type: multipart/signed; protocol="application/pgp-signature"; micalg=pgp-sha1; boundary=b
subject: Grüße

preamble
--b
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: 8bit

Grüße   
From here
..dots
\ttab\t

--b
Content-Type: application/pgp-signature

-----BEGIN PGP SIGNATURE-----
iQEzBAABCAAdFiEE
-----END PGP SIGNATURE-----

--b--
epilogue


'''
for domain in ("example.org", "example.net"):
    mail("s@example.org", f"x@{domain}", MESSAGE, options="BODY=8BITMIME")
wait_empty()
sinks()
