//! Whom `mimamori pki` asks: the authority that runs, by its door; or, when none runs, the one in the realm's
//! folder, opened for this command alone (its lock keeps two from writing). Touches files, tokio.

use std::io::Write;
use std::path::{Path, PathBuf};

use pki::door::{PkiAct, PkiAnswer, PkiQuestion};

use super::ask::Door;
use super::failure::Failure;
use crate::compose;
use crate::config::{self, Config};
use crate::files;
use crate::messages::Message;
use crate::operator::users::Users;
use crate::secrets;

pub enum Authority {
    Running(Door),
    Here { room: pki::Room, runtime: tokio::runtime::Runtime },
}

impl Authority {
    /// The running one if its socket is there, otherwise the folder's.
    pub fn of(config: &Path, credentials: Option<&Path>) -> Result<Self, Failure> {
        let config = config::read(&files::read_config(config)?).map_err(Failure::config)?;
        let door = Door::new(&config.paths)?;
        if door.is_there() { Ok(Self::Running(door)) } else { Self::here(&config, credentials) }
    }

    fn here(config: &Config, credentials: Option<&Path>) -> Result<Self, Failure> {
        let secret = secrets::open_one("pki_passphrase", &config.secrets, credentials)?;
        Self::open(compose::pki(config, &secret, credentials)?)
    }

    pub fn open(config: pki::Config) -> Result<Self, Failure> {
        let failed = |why: String| Message::OpenFailed { room: "pki".to_owned(), why };
        let opened = pki::open(config).map_err(|error| failed(error.to_string()))?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| failed(error.to_string()))?;
        let room = runtime.block_on(opened.start_still()).map_err(|error| failed(error.to_string()))?;
        Ok(Self::Here { room, runtime })
    }

    pub fn ask(&self, question: PkiQuestion) -> Result<PkiAnswer, Failure> {
        let answer = match self {
            Self::Running(door) => door.pki(question)?,
            Self::Here { room, runtime } => {
                let by = Users::read().name(rustix::process::geteuid().as_raw());
                runtime.block_on(room.operator(question.asked_by(&by)))
            }
        };
        match answer {
            PkiAnswer::Refused(refusal) => Err(refused(&refusal)),
            PkiAnswer::LedgerBroken { entry, why } => {
                Err(Message::RoomSilent { room: "pki".to_owned(), why: format!("ledger {entry}: {why}") }
                    .into())
            }
            answer => Ok(answer),
        }
    }

    pub fn act(&self, act: PkiAct) -> Result<PkiAnswer, Failure> {
        // The door, or this command, puts in who acts.
        self.ask(PkiQuestion::Act { by: String::new(), act })
    }

    /// Ends the command's own authority; the running one goes on.
    pub fn close(self) {
        if let Self::Here { room, runtime } = self {
            runtime.block_on(room.stop());
        }
    }
}

/// A refusal of the authority with its own code.
pub fn refused(refusal: &pki::door::IssuingRefusal) -> Failure {
    use pki::door::IssuingRefusal as R;
    let words = refusal.words();
    let exit = match refusal {
        R::BadRequest { .. } | R::NoProof | R::WrongKey => crate::exit::Exit::Usage,
        R::TooMany { .. } | R::RevokedKey | R::TokenReused => crate::exit::Exit::Conflict,
        R::Unknown { .. } | R::NotRenewable => crate::exit::Exit::NotFound,
        R::Lint { .. } => crate::exit::Exit::Failed,
        R::Unavailable { .. } => crate::exit::Exit::TryLater,
    };
    let words = super::failure::Words {
        code: words.code.to_owned(),
        ja: words.ja,
        en: words.en,
        remedy_ja: words.remedy_ja.to_owned(),
        remedy_en: words.remedy_en.to_owned(),
    };
    Failure { exit, words: Box::new(words), trace: None, faults: Vec::new() }
}

/// A new folder for results, never an old one.
pub fn new_folder(path: &Path) -> Result<PathBuf, Failure> {
    std::fs::create_dir(path).map_err(|error| written(path, &error))?;
    Ok(path.to_owned())
}

pub fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    std::fs::write(path, bytes).map_err(|error| written(path, &error))
}

pub fn append(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
    file.and_then(|mut file| file.write_all(bytes)).map_err(|error| written(path, &error))
}

pub fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    Ok(files::read_limited(path, READ_MAX)?)
}

/// A log of a million lines, or a list of a hundred thousand entries.
const READ_MAX: usize = 512 << 20;

fn written(path: &Path, error: &std::io::Error) -> Failure {
    Message::FileWrite { path: path.display().to_string(), why: error.to_string() }.into()
}
