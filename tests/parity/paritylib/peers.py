"""Other people's mail servers for scenarios (the word `peer`): Debian's packages, unpacked in a cache folder, never installed: an installed Exim
would want to be the host's own mail system, and Debian's SPF checkers want Postfix beside them."""
import glob
import os
import shutil
import subprocess
import sys
import tempfile

from . import reference

PACKAGES = {
    "amavis": ["amavisd-new", "libarchive-zip-perl", "libcommon-sense-perl", "libconvert-binhex-perl", "libconvert-tnef-perl", "libconvert-uulib-perl",
               "libcrypt-openssl-bignum-perl", "libcrypt-openssl-random-perl", "libcrypt-openssl-rsa-perl", "libio-stringy-perl",
               "libmail-authenticationresults-perl", "libmail-dkim-perl", "libmailtools-perl", "libmime-tools-perl", "libnet-libidn-perl",
               "libnet-smtp-ssl-perl", "libtimedate-perl", "libunix-syslog-perl"],
    "dovecot": ["dovecot-core", "dovecot-lmtpd", "dovecot-imapd", "dovecot-pop3d"],
    "policy": ["postgrey", "postfix-policyd-spf-python", "postfix-policyd-spf-perl"],
    "exim": ["exim4-daemon-light", "exim4-base"],
}


def folder():
    return os.path.join(reference.cache_dir(), "peers")


def fetch(name):
    """Makes sure that the packages of a peer are unpacked in `folder()/name`."""
    dest = os.path.join(folder(), name)
    if os.path.exists(dest + "/.complete"):
        return
    print("parity: fetching", *PACKAGES[name], file=sys.stderr)
    shutil.rmtree(dest, ignore_errors=True)
    os.makedirs(dest)
    with tempfile.TemporaryDirectory() as tmp:
        os.chmod(tmp, 0o777)
        subprocess.run(["apt-get", "-q", "download"] + PACKAGES[name], cwd=tmp, stdout=subprocess.DEVNULL, check=True)
        for deb in glob.glob(tmp + "/*.deb"):
            subprocess.run(["dpkg", "-x", deb, dest], check=True)
    with open(dest + "/.complete", "w") as f:
        f.write("ok\n")
