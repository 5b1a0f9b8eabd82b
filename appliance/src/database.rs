//! The database's URL understood, and its server looked at before anybody relies on it, with words for what
//! is wrong (ruling 9). An edge: it asks the server, through the provisioning room; nothing stays open.

use provisioning::look::{LookError, Seen, look};
use provisioning::{DatabaseUrl, Server, UrlError};

use crate::messages::Message;
use crate::secrets::Secret;

/// All rooms read a URL in the same way; this one also says how the server is reached.
pub fn parse(url: &Secret) -> Result<DatabaseUrl, Message> {
    DatabaseUrl::parse(url.expose()).map_err(|error| {
        let why_ja = match &error {
            UrlError::Scheme => "postgres:// で始まっていません".to_owned(),
            UrlError::Unreadable(_) => "URLとして読めません".to_owned(),
            UrlError::Unprotected => {
                "別の機械のサーバーには sslmode=verify-full が要ります（公のCAでなければ sslrootcert も）"
                    .to_owned()
            }
        };
        Message::DatabaseUrl { place: url.place().to_owned(), why_ja, why_en: error.to_string() }
    })
}

/// How the server of `[database]` is reached, if there is one.
pub fn server(url: Option<&Secret>) -> Result<Option<Server>, Message> {
    url.map(|url| parse(url).map(|url| url.server().clone())).transpose()
}

/// For `init`: the rooms can work there, and nobody else's realm is there.
pub fn fit_and_free(url: &DatabaseUrl) -> Result<(), Message> {
    match seen(url)? {
        Seen { realm: false } => Ok(()),
        Seen { realm: true } => Err(Message::DatabaseTaken { server: shown(url.server()) }),
    }
}

/// For `check`: the rooms can work there, and the realm is there.
pub fn fit_and_filled(url: &DatabaseUrl) -> Result<(), Message> {
    match seen(url)? {
        Seen { realm: true } => Ok(()),
        Seen { realm: false } => Err(Message::DatabaseEmpty { server: shown(url.server()) }),
    }
}

fn seen(url: &DatabaseUrl) -> Result<Seen, Message> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Message::OpenFailed { room: "appliance".to_owned(), why: error.to_string() })?;
    runtime.block_on(look(url)).map_err(|error| message(shown(url.server()), error))
}

fn message(server: String, error: LookError) -> Message {
    let why_en = error.to_string();
    let unfit =
        |server, why_ja: &str, why_en| Message::DatabaseUnfit { server, why_ja: why_ja.to_owned(), why_en };
    match error {
        LookError::Away(why) => Message::DatabaseAway { server, why },
        LookError::Refused(why) => Message::DatabaseRefused { server, why },
        LookError::NoDatabase(_) => unfit(server, "その名前のデータベースがありません", why_en),
        LookError::Order => unfit(server, "文字コードがUTF-8で、並び順が C でなければなりません", why_en),
        LookError::Rights => unfit(server, "利用者にスキーマを作る権限がありません", why_en),
        LookError::Other(_) => unfit(server, &why_en.clone(), why_en),
    }
}

/// Without the name and the password.
fn shown(server: &Server) -> String {
    match server {
        Server::Socket(path) => path.display().to_string(),
        Server::Tcp { host, port, .. } => format!("{host}:{port}"),
    }
}
