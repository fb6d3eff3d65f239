"""commands, files and include files: where they are allowed, whose rights, what reaches the shell and the environment, the directory"""
# S-LOCAL-28 S-LOCAL-29 S-LOCAL-25 S-TRAP-02 S-RECIPE-69
file("/etc/postfix/inc", '"|id -un > /tmp/inc.cmd"\n/tmp/inc.file\nbob\n')
file("/etc/postfix/incfilter", '"|id -un > /tmp/incf.cmd; cat"\n/tmp/incf.file\n', owner="filter")
file("/srv/list/aliases", 'lcmd: "|id -un > /tmp/lcmd"\nlfile: /tmp/lfile\nlinc: :include:/etc/postfix/inc\nlenv: "|env | grep -v ^PWD | sort > /tmp/lenv"\nlowned: :include:/etc/postfix/incfilter\n')
aliases("""
    inc:    :include:/etc/postfix/inc
    owned:  :include:/etc/postfix/incfilter
    cmd:    "|id -un > /tmp/cmd"
    file:   /tmp/file
    env:    "|env | sort > /tmp/env"
    built:  "|/usr/bin/env"
    shell:  "|/usr/bin/printf %s, a b 'c d' $USER"
    badinc: :include:/nosuch
    relinc: :include:relative
    world:  :include:/etc/postfix/world
""")
file("/etc/postfix/world", "bob\n", mode=0o666)
quiet("chmod 1777 /tmp; postalias hash:/srv/list/aliases; chown -R filter:filter /srv/list")
file("/home/alice/.forward", '"|pwd > /tmp/alice.pwd; id >> /tmp/alice.pwd; env | grep -E \'^(TZ|FOO|PATH|BAR|LANG|SHELL|EXTENSION)=\' | sort >> /tmp/alice.pwd"\n', owner="alice")
file("/home/carol/.forward", '/home/carol/box\nbob # and what stands behind it\n', owner="carol")
user("shelly", 1040, shell="/usr/bin/false")
user("noone", 1041, shell="/sbin/nologin")
main("""
    alias_maps = hash:/etc/aliases hash:/srv/list/aliases
    bounce_queue_lifetime = 0
    maximal_queue_lifetime = 0
""")
start()
NAMES = "inc owned lcmd lfile linc lowned cmd file alice carol badinc relinc world"


def send(what, names, show=""):
    quiet("rm -rf /tmp/*; rm -f /home/carol/box /var/mail/bob")
    for name in names.split():
        mail("", f"{name}@example.com", f"Subject: {what} {name}\n\nx\n")
        settle()
    # The groups of a process that changed its user are its business.
    sh("cd /tmp; for f in *; do [ -f $f ] && echo \"$f: $(stat -c %U:%a $f) $(grep -c ^From $f) $(grep -v '^[FRXDS ]' $f | sed 's/ groups=.*//' | tr '\\n' ' ')\"; done; " + show)


send("as it comes", NAMES + " env lenv")
cat("/tmp/env")
cat("/tmp/lenv")
main("allow_mail_to_commands =\nallow_mail_to_files =")
reload()
send("nothing", "inc lcmd lfile cmd file alice carol")
main("allow_mail_to_commands = include\nallow_mail_to_files = include")
reload()
send("in include files", "inc owned linc lowned cmd file alice carol")
main("allow_mail_to_commands = alias\nallow_mail_to_files = forward")
reload()
send("commands in aliases, files in .forward", "lcmd file cmd lfile alice carol")
main("""
    allow_mail_to_commands = alias, forward
    allow_mail_to_files = alias, forward
    default_privs = dave
    export_environment = TZ FOO=bar BAR={a b}
    command_execution_directory = $home/work
""")
reload()
sh("mkdir /home/alice/work; chown alice /home/alice/work")
send("other user, environment, directory", "cmd file alice env lcmd carol built shell")
main("command_execution_directory = /tmp/$user-$extension${extension?{x}:{y}}\nexecution_directory_expansion_filter = abcdefghijklmnopqrstuvwxyz/-\nrecipient_delimiter = +-\nlocal_command_shell = /bin/echo shell:")
sh("rm -rf /tmp/*")
reload()
send("directory does not exist", "alice+A1b")
sh("mkdir -m 777 /tmp/alice-a_bx /tmp/keep /tmp/alice-y")
for name in ("alice+A1b", "alice", "shell", "built"):
    mail("", f"{name}@example.com", f"Subject: {name}\n\n")
    settle()
log(include="postfix/local")
