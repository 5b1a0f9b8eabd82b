//! A temporary PostgreSQL for tests (ruling 9): one cluster for all test processes that run at the same
//! time, on a Unix socket below /tmp, no TCP. Included with `#[path]` by the rooms' tests; std only.
//! As an association's server would be: any local user may knock, a password lets in, and the rooms' role
//! owns its database and nothing else.
//!
//! Every user holds a shared lock on a file; the server's guardian, a small shell, waits for the exclusive
//! one and then stops its server by pid. So it ends with its last user, also with one that was killed.
#![allow(dead_code, reason = "not every room's tests use every part")]
#![allow(clippy::zombie_processes, reason = "the guardian outlives the test that started it")]
#![allow(clippy::disallowed_methods, reason = "between two looks at a server that is starting")]

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// Short, because a socket's path may have 107 bytes.
const PLACE: &str = "/tmp/mimamori-db";
/// The rooms' role.
const USER: &str = "mimamori";
/// Makes databases, which the rooms' role may not.
const ADMIN: &str = "mm_admin";
/// Starting takes a quarter of a second; a loaded machine may need much more.
const START_TRIES: u32 = 600;
/// $1 server, $2 data, $3 socket folder, $4 the users' lock. The pause spares a restart between two tests.
const GUARDIAN: &str = r#"
"$1" -D "$2" -k "$3" -c listen_addresses= -c unix_socket_permissions=0777 -c max_connections=300 \
  -c fsync=off -c full_page_writes=off -c synchronous_commit=off -c shared_buffers=32MB -c jit=off &
server=$!
exec 9<"$4"
while :; do flock -x 9; flock -u 9; sleep 2; flock -xn 9 && break; done
kill -INT $server
wait $server
"#;

struct Cluster {
    bin: PathBuf,
    socket: PathBuf,
    /// Of both roles.
    password: String,
    /// Held until this process ends.
    _users: File,
}

static CLUSTER: OnceLock<Cluster> = OnceLock::new();

/// A database of its own, dropped with the value.
pub struct Temporary {
    name: String,
}

/// As the rooms want it: UTF-8, in the order of the bytes.
pub fn database() -> Temporary {
    database_with("ENCODING 'UTF8' LOCALE 'C' TEMPLATE template0")
}

pub fn database_with(options: &str) -> Temporary {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let name = format!("t{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let sql = format!("CREATE DATABASE {name} OWNER {USER} {options}");
    cluster().psql("postgres", &sql);
    Temporary { name }
}

impl Temporary {
    pub fn url(&self) -> String {
        let cluster = cluster();
        let (password, socket) = (&cluster.password, cluster.socket.display());
        format!("postgres://{USER}:{password}@localhost/{}?host={socket}", self.name)
    }

    pub fn password(&self) -> &'static str {
        &cluster().password
    }

    /// The file of the server's socket.
    pub fn socket(&self) -> PathBuf {
        cluster().socket.join(".s.PGSQL.5432")
    }

    /// The server hangs up on everybody, as a restart would.
    pub fn hang_up(&self) {
        let sql =
            format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{}'", self.name);
        cluster().psql("postgres", &sql);
    }

    /// What a backup would hold. Nobody may be connected.
    pub fn copy(&self) -> Temporary {
        database_with(&format!("TEMPLATE {}", self.name))
    }

    /// Everything that is stored, as text.
    pub fn dump(&self) -> Vec<u8> {
        let cluster = cluster();
        let dump = cluster.tool("pg_dump").args(["-d", &self.name]).output().expect("pg_dump");
        assert!(dump.status.success(), "pg_dump: {}", String::from_utf8_lossy(&dump.stderr));
        dump.stdout
    }

    pub fn execute(&self, sql: &str) {
        cluster().psql(&self.name, sql);
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let sql = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        let mut psql = cluster().tool("psql");
        psql.args(["-d", "postgres", "-qc", &sql]).stdout(Stdio::null()).stderr(Stdio::null());
        // Not waited for: the server drops nothing while a connection of ours stands half made, and one does
        // when a pool was let go in the middle of it, until this process ends (else a minute).
        let _ = psql.spawn();
    }
}

impl Cluster {
    fn tool(&self, name: &str) -> Command {
        let mut command = Command::new(self.bin.join(name));
        command.arg("-h").arg(&self.socket).args(["-U", ADMIN]).stdin(Stdio::null());
        command.env("PGPASSWORD", &self.password);
        command
    }

    fn psql(&self, database: &str, sql: &str) {
        let done = self.tool("psql").args(["-d", database, "-qc", sql]).output().expect("psql");
        assert!(done.status.success(), "{sql}: {}", String::from_utf8_lossy(&done.stderr));
    }
}

fn cluster() -> &'static Cluster {
    CLUSTER.get_or_init(|| {
        let bin = binaries();
        let me = fs::metadata("/proc/self").expect("/proc").uid();
        let place = PathBuf::from(format!("{PLACE}-{me}"));
        let _ = DirBuilder::new().mode(0o755).create(&place);
        let found = fs::symlink_metadata(&place).expect("the cluster's folder");
        assert!(found.is_dir() && found.uid() == me, "{} belongs to somebody else", place.display());
        // One process at a time looks whether there is a server, and starts it.
        let turn = lock_file(&place.join("start.lock"));
        turn.lock().expect("start.lock");
        let users = lock_file(&place.join("users.lock"));
        users.lock_shared().expect("users.lock");
        let cluster =
            Cluster { bin, socket: place.join("socket"), password: password(&place), _users: users };
        if !is_ready(&cluster) {
            start(&cluster, &place, if me == 0 { unprivileged() } else { None });
        }
        cluster
    })
}

fn start(cluster: &Cluster, place: &Path, user: Option<(u32, u32)>) {
    let (template, data) = (place.join("template"), place.join("data"));
    let log = File::create(place.join("log")).expect("log");
    for folder in [&cluster.socket, &data] {
        let _ = fs::remove_dir_all(folder);
    }
    if !template.join("done").exists() {
        let _ = fs::remove_dir_all(&template);
        own_folder(&template, user, 0o700);
        let mut initdb = as_user(Command::new(cluster.bin.join("initdb")), user);
        initdb.arg("-D").arg(template.join("data")).args(["-U", ADMIN, "-A", "scram-sha-256"]);
        // Below a folder that only the server's user enters, and gone when the cluster is made.
        let pwfile = template.join("password");
        fs::write(&pwfile, &cluster.password).expect("the password for initdb");
        initdb.arg("--pwfile").arg(&pwfile).args(["-E", "UTF8", "--locale=C", "--no-sync"]);
        let made = initdb.current_dir("/").output().expect("initdb");
        let _ = fs::remove_file(&pwfile);
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        File::create(template.join("done")).expect("done");
    }
    own_folder(&cluster.socket, user, 0o755);
    let copied = Command::new("cp").arg("-a").arg(template.join("data")).arg(&data).status().expect("cp");
    assert!(copied.success(), "the template could not be copied");
    let mut guardian = as_user(Command::new("/bin/sh"), user);
    guardian.args(["-c", GUARDIAN, "guardian"]);
    guardian.arg(cluster.bin.join("postgres")).arg(&data).arg(&cluster.socket).arg(place.join("users.lock"));
    // Its own group: what ends the test must not end the server of the other tests.
    guardian.current_dir("/").process_group(0).stdin(Stdio::null());
    guardian.stdout(log.try_clone().expect("log")).stderr(log);
    guardian.spawn().expect("the guardian");
    for _ in 0..START_TRIES {
        if is_ready(cluster) {
            cluster.psql("postgres", &format!("CREATE ROLE {USER} LOGIN PASSWORD '{}'", cluster.password));
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    panic!("PostgreSQL does not start: {}", fs::read_to_string(place.join("log")).unwrap_or_default());
}

fn is_ready(cluster: &Cluster) -> bool {
    let asked = cluster.tool("pg_isready").args(["-q", "-d", "postgres"]).status();
    asked.is_ok_and(|status| status.success())
}

/// Made once; for whoever runs the tests alone.
fn password(place: &Path) -> String {
    let path = place.join("password");
    if let Ok(password) = fs::read_to_string(&path) {
        return password;
    }
    let mut random = [0; 16];
    File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut random)).expect("randomness");
    let password: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    // A template with another password would let nobody in.
    let _ = fs::remove_dir_all(place.join("template"));
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
    file.and_then(|mut file| file.write_all(password.as_bytes())).expect("the password's file");
    password
}

/// The newest that Debian's package `postgresql` put there.
fn binaries() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let numbered = versions.filter_map(|entry| {
        let version: u32 = entry.file_name().to_str()?.parse().ok()?;
        let bin = entry.path().join("bin");
        bin.join("postgres").exists().then_some((version, bin))
    });
    numbered.max().map(|(_, bin)| bin).expect("PostgreSQL is not installed; `make deps` installs it")
}

/// PostgreSQL refuses root, and wants a user that has a name.
fn unprivileged() -> Option<(u32, u32)> {
    let users = fs::read_to_string("/etc/passwd").expect("/etc/passwd");
    let ids = |wanted: &str| {
        let line = users.lines().find(|line| line.split(':').next() == Some(wanted))?;
        let mut fields = line.split(':').skip(2);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    Some(ids("postgres").or_else(|| ids("nobody")).expect("neither user `postgres` nor `nobody`"))
}

fn as_user(mut command: Command, user: Option<(u32, u32)>) -> Command {
    if let Some((uid, gid)) = user {
        command.uid(uid).gid(gid);
    }
    command
}

fn own_folder(folder: &Path, user: Option<(u32, u32)>, mode: u32) {
    DirBuilder::new().mode(mode).create(folder).expect("a folder");
    if let Some((uid, gid)) = user {
        chown(folder, Some(uid), Some(gid)).expect("chown");
    }
}

/// Readable for the guardian, who locks it too.
fn lock_file(path: &Path) -> File {
    let file = OpenOptions::new().append(true).create(true).mode(0o644).open(path).expect("a lock's file");
    let _ = file.set_permissions(PermissionsExt::from_mode(0o644));
    file
}
