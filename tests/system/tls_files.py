"""postfix tls: keys and certificates (postfix-tls(1)), as Postfix's does it"""
import glob
import os
import re


def tls(words, status=0):
    r = quiet(f"cd /etc/postfix; postfix tls {words}")
    check(r.returncode == status, f"postfix tls {words}: status {r.returncode}, not {status}: {grep('postfix-tls-script')[-5:]}")
    return r.stdout


def setting(name):
    return quiet(f"postconf -hx {name}").stdout.strip()


def files(name):
    return sorted(glob.glob(f"/etc/postfix/{name}-*.pem"))


def mode(path):
    return os.stat(path).st_mode & 0o777


def digest(key):
    return quiet(f"openssl pkey -in {key} -pubout -outform DER | openssl dgst -sha256 -r").stdout.split()[0]


start()
for words in ("", "nosuch", "-x"):
    tls(words, 1)
check(grep(r"postfix-tls-script: error: unknown tls command: 'nosuch'") and grep("fatal: usage: postfix tls enable-client "), "unknown subcommands")
tls("all-default-client")
tls("all-default-server")
tls("enable-client -x", 1)
tls("enable-client -r dev:/dev/urandom")
got = [setting(n) for n in ("smtp_tls_security_level", "smtp_tls_loglevel", "smtp_tls_session_cache_database", "tls_random_source")]
check(got == ["may", "1", "lmdb:/var/lib/postfix/smtp_scache", "dev:/dev/urandom"], f"enable-client: {got}")
tls("all-default-client", 1)
tls("enable-client")
check(grep(r"\*\*\* Non-default SMTP client TLS settings detected, no changes made"), "a second time it only suggests")

# New keys: names, modes, contents; nothing is deployed yet.
tls("new-server-key a.example.com b.example.com")
key, cert = files("key")[0], files("cert")[0]
check(re.fullmatch(r"/etc/postfix/key-\d{8}-\d{6}\.pem", key) and mode(key) == 0o600 and mode(cert) == 0o644, f"rsa: {key} {mode(key):o} {mode(cert):o}")
check(setting("smtpd_tls_security_level") == "" and grep(f"# postfix tls deploy-server-cert {cert} {key}"), "not deployed, but told how")
text = quiet(f"openssl x509 -in {cert} -noout -text").stdout
for part in ("Public-Key: (2048 bit)", "Issuer: CN = a.example.com", "Subject: CN = a.example.com", "DNS:a.example.com, DNS:b.example.com", "CA:FALSE",
             "TLS Web Server Authentication, TLS Web Client Authentication", "sha256WithRSAEncryption"):
    check(part in text, f"certificate: {part}: {text}")
check(quiet(f"openssl x509 -in {cert} -noout -checkend 3100000000").returncode == 0, "lasts for a hundred years")
tls("new-server-key -a dsa", 1)
tls("new-server-key -a rsa -b 100", 1)
tls("new-server-key -a ecdsa -b nosuch", 1)
check(len(files("key")) == 1 and not files("eckey"), "failures leave nothing")

tls("enable-server -a ecdsa")
eckey, eccert = files("eckey")[0], files("eccert")[0]
got = [setting(n) for n in ("smtpd_tls_security_level", "smtpd_tls_loglevel", "smtpd_tls_received_header", "smtpd_tls_eccert_file", "smtpd_tls_eckey_file")]
check(got == ["may", "1", "yes", eccert, eckey], f"enable-server: {got}")
check("ASN1 OID: prime256v1" in quiet(f"openssl x509 -in {eccert} -noout -text").stdout, "P-256")
tls("all-default-server", 1)
tls("enable-server")

# The same key under a new certificate.
quiet("sleep 1.1")
tls("new-server-cert -a ecdsa x.example.com")
check(len(files("eckey")) == 2 and digest(files("eckey")[1]) == digest(eckey), "new-server-cert keeps the key")
check("CN = x.example.com" in quiet(f"openssl x509 -in {files('eccert')[1]} -noout -subject").stdout, "and has a new name")

# Deployment checks that both fit; relative names are below the configuration directory.
tls(f"deploy-server-cert {os.path.basename(cert)} {os.path.basename(key)}")
check((setting("smtpd_tls_cert_file"), setting("smtpd_tls_key_file")) == (cert, key), "deployed")
tls(f"deploy-server-cert {files('eccert')[1]} {files('eckey')[1]}")
check(setting("smtpd_tls_eccert_file") == files("eccert")[1], "the other kind beside it")
tls(f"deploy-server-cert {cert} {eckey}", 1)
check(grep(f"fatal: Certificate in {cert} does not match key in {eckey}"), "a pair that is none")
tls("deploy-server-cert nosuch nosuch2", 1)
tls("deploy-server-cert one", 1)
check(setting("smtpd_tls_cert_file") == cert, "failures change nothing")

csr = tls("output-server-csr -k ecdsa q.example.com r.example.com")
file("/tmp/csr", csr)
text = quiet("OPENSSL_CONF=/dev/null openssl req -in /tmp/csr -noout -verify -text 2>&1").stdout
check("DNS:q.example.com, DNS:r.example.com" in text and "P-256" in text, f"output-server-csr: {text}")
check("BEGIN CERTIFICATE REQUEST" in tls("output-server-csr"), "output-server-csr of the rsa key")
tls("output-server-csr -k /nosuch", 1)


got = tls("output-server-tlsa")
eckey = files("eckey")[1]
check(got == f"; {key}\n_25._tcp.mail.example.com. IN TLSA 3 1 1 {digest(key)}\n; {eckey}\n_25._tcp.mail.example.com. IN TLSA 3 1 1 {digest(eckey)}\n",
      f"output-server-tlsa: {got}")
check(tls("output-server-tlsa -h mx.example.com ecdsa").startswith(f"; {eckey}\n_25._tcp.mx.example.com. IN TLSA 3 1 1 "), "of one key, for another name")
nolog()
