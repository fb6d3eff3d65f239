"""Other people's servers for scenarios (the word `peer`): Debian's packages, or those of the Python index, unpacked in a cache folder, never installed: an
installed Exim would want to be the host's own mail system, and Debian's SPF checkers want Postfix beside them."""
import fcntl
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
# Of the Python package index: a MongoDB server (WiredTiger storage, SCRAM, TLS), which Debian has not.
WHEELS = {
    "mongodb": ["secantusdb==0.7.0b3"],
}


def folder():
    return os.path.join(reference.cache_dir(), "peers")


def fetch(name):
    """Makes sure that the packages of a peer are unpacked in `folder()/name`."""
    os.makedirs(folder(), exist_ok=True)
    with open(f"{folder()}/.{name}.lock", "w") as lock:
        # Scenarios run beside each other.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.exists(f"{folder()}/{name}/.complete"):
            _fetch(name)


def _fetch(name):
    dest = os.path.join(folder(), name)
    shutil.rmtree(dest, ignore_errors=True)
    os.makedirs(dest)
    print("parity: fetching", *PACKAGES.get(name, WHEELS.get(name, ())), file=sys.stderr)
    if name in WHEELS:
        subprocess.run([sys.executable, "-m", "pip", "install", "-q", "--no-input", "--disable-pip-version-check", "--root-user-action=ignore",
                        "--only-binary=:all:", "--target", dest] + WHEELS[name], stdout=subprocess.DEVNULL, check=True)
        with open(dest + "/.complete", "w") as f:
            f.write("ok\n")
        return
    with tempfile.TemporaryDirectory() as tmp:
        os.chmod(tmp, 0o777)
        subprocess.run(["apt-get", "-q", "download"] + PACKAGES[name], cwd=tmp, stdout=subprocess.DEVNULL, check=True)
        for deb in glob.glob(tmp + "/*.deb"):
            subprocess.run(["dpkg", "-x", deb, dest], check=True)
    with open(dest + "/.complete", "w") as f:
        f.write("ok\n")
