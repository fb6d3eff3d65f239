//! A real master with real services, in a temporary directory: start, reload, crashes, limits, wake-ups, end.
//!
//! This program is master, the service and the tests, told apart by the name it is called by. As root it runs the services as `nobody`; each
//! test runs once more without root, with all as one user (rootless mode).

use posthaste_service::{Connection, Fatal, Service, Setup, Spec};
use std::ffi::OsString;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _};

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let name =
        arguments.first().map(|name| Path::new(name).file_name().unwrap_or_default().to_string_lossy().into_owned()).unwrap_or_default();
    match name.as_str() {
        "master" => posthaste_svc_master::main(arguments),
        "hello" => {
            posthaste_service::run::<Hello>(Spec { program: "hello", privileged: false, connects: false, executes: false }, arguments)
        }
        _ => run_tests(&arguments),
    }
}

/// Greets with `mail_name`, and does what it is told.
struct Hello {
    greeting: String,
    log: posthaste_log::Logger,
}

impl Service for Hello {
    fn open(setup: &Setup) -> Result<Self, Fatal> {
        let greeting = setup.config.text("mail_name")?;
        if greeting == "broken" {
            return Err(Fatal("told not to start".into()));
        }
        Ok(Hello { greeting, log: setup.log.clone() })
    }

    async fn serve(self: Rc<Self>, client: Connection) {
        match client {
            Connection::Tcp(mut client) => {
                let _ = client.write_all(format!("{}\n", self.greeting).as_bytes()).await;
                let (reader, mut writer) = client.split();
                let mut lines = tokio::io::BufReader::new(reader).lines();
                while let Ok(Some(line)) = lines.next_line().await {
                    match line.as_str() {
                        "panic" => panic!("as asked"),
                        "die" => std::process::exit(3),
                        "execute" => {
                            let refused = Command::new("/bin/true").status().is_err();
                            let _ = writer.write_all(format!("{refused}\n").as_bytes()).await;
                        }
                        "read" => {
                            let readable = fs::read("/root/.profile").is_ok() || fs::read("/var/log/dpkg.log").is_ok();
                            let _ = writer.write_all(format!("{readable}\n").as_bytes()).await;
                        }
                        "pid" => {
                            let _ = writer.write_all(format!("{}\n", std::process::id()).as_bytes()).await;
                        }
                        _ => {
                            let _ = writer.write_all(format!("{line}\n").as_bytes()).await;
                        }
                    }
                }
            }
            Connection::Unix(mut client) => {
                let mut line = String::new();
                let _ = tokio::io::AsyncReadExt::read_to_string(&mut client, &mut line).await;
                posthaste_log::info!(self.log, "got {line}");
            }
            _ => {}
        }
    }
}

type Test = fn(&System);

fn run_tests(arguments: &[OsString]) -> ExitCode {
    let tests: &[(&str, Test)] = &[
        ("clients_are_served_and_sockets_are_where_they_belong", clients_are_served_and_sockets_are_where_they_belong),
        ("a_panic_ends_one_client_and_a_crash_one_process", a_panic_ends_one_client_and_a_crash_one_process),
        ("a_reload_keeps_sessions_and_brings_the_new_configuration", a_reload_keeps_sessions_and_brings_the_new_configuration),
        ("a_broken_configuration_leaves_the_old_one_running", a_broken_configuration_leaves_the_old_one_running),
        ("maxproc_limits_clients", maxproc_limits_clients),
        ("a_service_that_cannot_start_is_throttled", a_service_that_cannot_start_is_throttled),
        ("wakeups_come_by_themselves", wakeups_come_by_themselves),
        ("when_master_dies_services_finish_and_go", when_master_dies_services_finish_and_go),
        ("idle_services_end_and_come_again", idle_services_end_and_come_again),
    ];
    let filter = arguments.get(1).map(|filter| filter.to_string_lossy().into_owned()).filter(|filter| !filter.starts_with('-'));
    let mut run = 0;
    for rootless in [false, true] {
        if !rootless && !rustix::process::geteuid().is_root() {
            continue;
        }
        for (name, test) in tests {
            if filter.as_ref().is_none_or(|filter| name.contains(filter.as_str())) {
                eprintln!("test {name} ({}) ...", if rootless { "without root" } else { "as root" });
                // A test that fails panics, and with it this program ends with a status that says so.
                test(&System::new(rootless));
                run += 1;
            }
        }
    }
    eprintln!("test result: ok. {run} passed; 0 failed");
    ExitCode::SUCCESS
}

/// An instance of the mail system.
struct System {
    dir: tempfile::TempDir,
    port: u16,
    rootless: bool,
}

const NOBODY: u32 = 65534;

impl System {
    fn new(rootless: bool) -> System {
        let dir = tempfile::tempdir().expect("temporary directory");
        let port = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port").port();
        let system = System { dir, port, rootless };
        for path in ["", "bin", "etc", "queue", "queue/pid", "queue/public", "queue/private", "data"] {
            let path = system.path(path);
            fs::create_dir_all(&path).expect("create");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("mode");
        }
        fs::copy(std::env::current_exe().expect("own name"), system.path("bin/master")).expect("copy");
        fs::hard_link(system.path("bin/master"), system.path("bin/hello")).expect("link");
        system.configure("");
        let unprivileged: &[&str] = if rootless { &["queue", "queue/pid", "queue/public", "queue/private", "data"] } else { &["data"] };
        if rustix::process::geteuid().is_root() {
            unprivileged.iter().for_each(|path| chown(system.path(path), Some(NOBODY), Some(NOBODY)).expect("owner"));
        }
        system
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn user(&self) -> String {
        if rustix::process::geteuid().is_root() {
            return "nobody".into();
        }
        let uid = rustix::process::geteuid().as_raw();
        posthaste_system::users::by_uid(uid).expect("user database").expect("this user").name
    }

    /// Writes main.cf and master.cf; `extra` goes into both: lines with `=` to main.cf, others to master.cf, where they replace the
    /// standard entries.
    fn configure(&self, extra: &str) {
        let dir = self.dir.path().display();
        let (main, master): (Vec<&str>, Vec<&str>) = extra.lines().partition(|line| line.split_whitespace().nth(1) == Some("="));
        let user = self.user();
        let text = format!(
            "compatibility_level = 3.11\nmyhostname = mail.example.com\nqueue_directory = {dir}/queue\ndata_directory = {dir}/data\n\
             daemon_directory = {dir}/bin\nmail_owner = {user}\ndefault_privs = daemon\nsetgid_group = games\ninet_protocols = ipv4\nmaillog_file = {dir}/queue/log\n\
             maillog_file_prefixes = {dir}\nmaillog_file_permissions = 0666\nmail_name = one\n{}\n",
            main.join("\n")
        );
        fs::write(self.path("etc/main.cf"), text).expect("main.cf");
        let port = self.port;
        let text = match master.is_empty() {
            true => format!("127.0.0.1:{port} inet n - n - - hello\nwait unix - - n - - hello\nopen unix n - n 1000? 1 hello\n"),
            false => master.join("\n").replace("PORT", &port.to_string()) + "\n",
        };
        fs::write(self.path("etc/master.cf"), text).expect("master.cf");
    }

    fn master(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.path("bin/master"));
        command.args(arguments).arg("-c").arg(self.path("etc")).stdin(Stdio::null());
        if self.rootless && rustix::process::geteuid().is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        command
    }

    fn start(&self) {
        let status = self.master(&["-w"]).status().expect("run");
        assert!(status.success(), "{}", self.log());
    }

    fn pid(&self) -> i32 {
        fs::read_to_string(self.path("queue/pid/master.pid")).expect("pid file").trim().parse().expect("a number")
    }

    fn signal(&self, signal: rustix::process::Signal) {
        rustix::process::kill_process(rustix::process::Pid::from_raw(self.pid()).expect("positive"), signal).expect("master is there");
    }

    /// Sends SIGHUP and waits until the last line in the log about it.
    fn reload(&self) {
        let before = self.log().matches("reload -- ").count();
        self.signal(rustix::process::Signal::HUP);
        wait("reload", || self.log().matches("reload -- ").count() > before);
        std::thread::sleep(Duration::from_millis(200));
    }

    fn is_running(&self) -> bool {
        !self.master(&["-t"]).status().expect("run").success()
    }

    fn log(&self) -> String {
        fs::read_to_string(self.path("queue/log")).unwrap_or_default()
    }

    fn connect(&self) -> Client {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).expect("connect");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("timeout");
        Client(BufReader::new(stream))
    }

    /// A client that is greeted so: after a reload, a process with the old settings may still take one.
    fn greeted(&self, word: &str) -> Client {
        let mut client = self.connect();
        let mut line = client.line();
        wait(word, || {
            let good = line == word;
            if !good {
                client = self.connect();
                line = client.line();
            }
            good
        });
        client
    }
}

impl Drop for System {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("log:\n{}", self.log());
        }
        if self.is_running() {
            self.signal(rustix::process::Signal::TERM);
            let end = Instant::now() + Duration::from_secs(30);
            while self.is_running() && Instant::now() < end {
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }
}

struct Client(BufReader<TcpStream>);

impl Client {
    /// The next line; empty at the end of the connection.
    fn line(&mut self) -> String {
        let mut line = String::new();
        let _ = self.0.read_line(&mut line);
        line.trim_end().to_owned()
    }

    fn say(&mut self, line: &str) -> String {
        let _ = self.0.get_mut().write_all(format!("{line}\n").as_bytes());
        self.line()
    }
}

fn wait(what: &str, mut done: impl FnMut() -> bool) {
    // Long enough for a busy machine.
    let end = Instant::now() + Duration::from_secs(60);
    while !done() {
        assert!(Instant::now() < end, "{what} does not happen");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// S-MASTER-02, S-MASTER-04, S-MASTER-05, S-CMD-01, S-SEC-01.
fn clients_are_served_and_sockets_are_where_they_belong(system: &System) {
    assert!(!system.is_running());
    system.start();
    assert!(system.is_running());
    assert_eq!(fs::read_to_string(system.path("queue/pid/master.pid")).expect("pid").len(), 33);
    for socket in ["private/wait", "public/open"] {
        let data = fs::metadata(system.path("queue").join(socket)).expect("socket");
        assert_eq!(data.mode() & 0o777, 0o666);
        let owner = if rustix::process::geteuid().is_root() { NOBODY } else { rustix::process::geteuid().as_raw() };
        assert_eq!(data.uid(), owner);
    }
    let mut clients: Vec<Client> = (0..5).map(|_| system.connect()).collect();
    assert!(clients.iter_mut().all(|client| client.line() == "one"));
    let pids: Vec<String> = clients.iter_mut().map(|client| client.say("pid")).collect();
    assert!(pids.iter().all(|pid| *pid == pids[0]), "one process serves all: {pids:?}");
    assert_eq!(clients[0].say("execute"), "true", "programs cannot be started");
    assert_eq!(clients[0].say("read"), "false", "other people's files cannot be read");
    let status = fs::read_to_string(format!("/proc/{}/status", pids[0])).expect("status");
    assert!(status.contains("NoNewPrivs:\t1") && status.contains("Seccomp:\t2"), "{status}");
    if rustix::process::geteuid().is_root() {
        assert!(status.contains("Uid:\t65534\t65534\t65534\t65534"), "{status}");
    }
    let second = system.master(&["-w"]).status().expect("run");
    assert!(!second.success(), "only one master for a queue");
    system.signal(rustix::process::Signal::TERM);
    wait("the end", || !system.is_running());
    assert_eq!(clients[0].line(), "");
    assert!(system.log().contains("terminating on signal 15"));
    assert!(!Path::new(&format!("/proc/{}", pids[0])).exists(), "no service outlives master's end");
}

/// S-DAEMON-01.
fn a_panic_ends_one_client_and_a_crash_one_process(system: &System) {
    system.start();
    let (mut one, mut two) = (system.connect(), system.connect());
    assert_eq!((one.line(), two.line()), ("one".into(), "one".into()));
    assert_eq!(one.say("panic"), "");
    assert_eq!(two.say("still here"), "still here");
    wait("a word about it", || system.log().contains("postfix/hello[") && system.log().contains("panic: as asked ("));
    let pid = two.say("pid");
    assert_eq!(two.say("die"), "");
    wait("a word about it", || system.log().contains(&format!("bin/hello pid {pid} exit status 3")));
    let mut three = system.connect();
    assert_eq!(three.line(), "one");
    assert_ne!(three.say("pid"), pid);
    let pid: i32 = three.say("pid").parse().expect("pid");
    rustix::process::kill_process(rustix::process::Pid::from_raw(pid).expect("positive"), rustix::process::Signal::KILL).expect("kill");
    wait("a word about it", || system.log().contains(&format!("pid {pid} killed by signal 9")));
    assert_eq!(system.connect().line(), "one");
}

/// S-MASTER-23, S-CMD-02.
fn a_reload_keeps_sessions_and_brings_the_new_configuration(system: &System) {
    system.start();
    let mut old = system.connect();
    assert_eq!(old.line(), "one");
    let pid = old.say("pid");
    let other = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port").port();
    system.configure(&format!(
        "127.0.0.1:PORT inet n - n - - hello -o mail_name=two\n127.0.0.1:{other} inet n - n - - hello\n -o {{ mail_name = the third }}"
    ));
    system.reload();
    let mut new = system.greeted("two");
    assert_ne!(new.say("pid"), pid);
    let mut line = String::new();
    let third = TcpStream::connect(("127.0.0.1", other)).expect("the new entry listens");
    BufReader::new(third).read_line(&mut line).expect("a greeting");
    assert_eq!(line, "the third\n");
    assert!(!system.path("queue/private/wait").exists(), "the socket of a removed entry is removed");
    assert_eq!(old.say("old session"), "old session");
    drop(old);
    wait("the old process's end", || !Path::new(&format!("/proc/{pid}")).exists());
    assert!(!system.log().contains("warning: process"), "{}", system.log());
    // And nothing of it stops at the second time.
    system.configure("");
    system.reload();
    system.greeted("one");
    wait("the end of the removed entry", || TcpStream::connect(("127.0.0.1", other)).is_err());
}

/// S-MASTER-01, S-CONF: a mistake does not take the mail system down.
fn a_broken_configuration_leaves_the_old_one_running(system: &System) {
    system.start();
    let mut client = system.connect();
    assert_eq!(client.line(), "one");
    for (broken, reason) in [
        ("127.0.0.1:PORT inet n - n - - hello\nfoo unix n", "missing \"unprivileged\" field"),
        ("127.0.0.1:PORT inet n - n - - hello\n192.0.2.77:PORT inet n - n - - hello", "bind 192.0.2.77 port"),
        ("default_process_limit = many", "many"),
    ] {
        system.configure(broken);
        system.reload();
        let log = system.log();
        assert!(log.contains("error: ") && log.contains(reason), "{log}");
        assert_eq!(system.connect().line(), "one", "{broken}");
        assert_eq!(client.say("here"), "here");
    }
    system.configure("mail_name = mended");
    system.reload();
    system.greeted("mended");
}

/// S-MASTER-13.
fn maxproc_limits_clients(system: &System) {
    system.configure("127.0.0.1:PORT inet n - n - 2 hello");
    system.start();
    let (mut one, mut two, mut three) = (system.connect(), system.connect(), system.connect());
    assert_eq!((one.line(), two.line()), ("one".into(), "one".into()));
    three.0.get_ref().set_read_timeout(Some(Duration::from_millis(300))).expect("timeout");
    assert_eq!(three.line(), "", "the third client waits");
    let warning = format!(
        "service \"127.0.0.1:{0}\" ({0}) has reached its process limit \"2\": new clients may experience noticeable delays",
        system.port
    );
    wait("the warning", || system.log().contains(&warning));
    drop(one);
    three.0.get_ref().set_read_timeout(Some(Duration::from_secs(60))).expect("timeout");
    assert_eq!(three.line(), "one");
}

/// S-DAEMON-01.
fn a_service_that_cannot_start_is_throttled(system: &System) {
    system.configure(
        "service_throttle_time = 20\n127.0.0.1:PORT inet n - n - - hello -o mail_name=broken\nnone unix - - n - - no-such-program",
    );
    system.start();
    let mut client = system.connect();
    wait("a word about it", || system.log().contains("bin/hello: bad command startup -- throttling"));
    wait("its reason", || system.log().contains("fatal: told not to start") && system.log().contains("exit status 1"));
    let _ = UnixStream::connect(system.path("queue/private/none")).expect("connect");
    wait("a word about it", || system.log().contains("bin/no-such-program: bad command startup -- throttling"));
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(system.log().matches("told not to start").count(), 1, "{}", system.log());
    system.configure("");
    system.reload();
    assert_eq!(client.line(), "one", "a client that waited is served when the configuration has been mended");
}

/// S-MASTER-06, S-MASTER-12.
fn wakeups_come_by_themselves(system: &System) {
    system.configure(
        "wake unix n - n 1 1 hello\npipe fifo n - n 1 1 hello -o syslog_name=fifo\nnever unix n - n 1? 1 hello -o syslog_name=never",
    );
    system.start();
    wait("a wake-up", || system.log().matches("postfix/hello").filter(|_| system.log().contains("got W")).count() >= 2);
    wait("a wake-up of the fifo", || system.log().contains("fifo/hello["));
    assert!(!system.log().contains("never/hello"), "not used, so not woken up: {}", system.log());
    let mut socket = UnixStream::connect(system.path("queue/public/never")).expect("connect");
    socket.write_all(b"x").expect("write");
    drop(socket);
    wait("a wake-up after use", || system.log().lines().any(|line| line.contains("never/hello") && line.ends_with("got W")));
}

/// DESIGN: services notice that master is gone, serve who is there, and end.
fn when_master_dies_services_finish_and_go(system: &System) {
    system.start();
    let mut client = system.connect();
    assert_eq!(client.line(), "one");
    let pid = client.say("pid");
    system.signal(rustix::process::Signal::KILL);
    wait("the end of master", || !system.is_running());
    assert_eq!(client.say("anybody there?"), "anybody there?");
    drop(client);
    wait("the end of the service", || !Path::new(&format!("/proc/{pid}")).exists());
    // Nothing is in the way of a new start.
    system.start();
    assert_eq!(system.connect().line(), "one");
}

/// S-DAEMON-02.
fn idle_services_end_and_come_again(system: &System) {
    system.configure("max_idle = 1s");
    system.start();
    let mut client = system.connect();
    assert_eq!(client.line(), "one");
    let pid = client.say("pid");
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!(client.say("pid"), pid, "a client is not idleness");
    drop(client);
    wait("the end of the service", || !Path::new(&format!("/proc/{pid}")).exists());
    let mut again = system.connect();
    assert_eq!(again.line(), "one");
    assert_ne!(again.say("pid"), pid);
    let mut rest = String::new();
    drop(again.0.get_mut().shutdown(std::net::Shutdown::Write));
    again.0.read_to_string(&mut rest).expect("end");
    assert!(!system.log().contains("warning: process"), "{}", system.log());
}
