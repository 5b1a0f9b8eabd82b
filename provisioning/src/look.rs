//! What stands at a database's URL, looked at before anything is made or relied on: for `mimamori init` and
//! `mimamori check`. Changes nothing; ends with its one connection. Edge: SQL, clock.

use std::time::Duration;

use sqlx::{AnyConnection, Connection};
use tokio::time::timeout;

use crate::engine::{Conn, DatabaseUrl};
use crate::facility::FacilityKind;

/// A server that does not answer by then is away.
const PATIENCE: Duration = Duration::from_secs(10);

/// A database that the rooms can work in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// A secretariat is in it already.
    pub realm: bool,
}

/// Whose fault it is that they cannot.
#[derive(Debug, thiserror::Error)]
pub enum LookError {
    /// Nobody listens, the name leads nowhere, the certificate is another's.
    #[error("{0}")]
    Away(String),
    /// It knows the role or the password differently.
    #[error("{0}")]
    Refused(String),
    #[error("{0}")]
    NoDatabase(String),
    #[error("it does not sort by bytes in UTF-8")]
    Order,
    #[error("the role may not make its schemas")]
    Rights,
    #[error("{0}")]
    Other(sqlx::Error),
}

/// One connection, a few questions.
pub async fn look(url: &DatabaseUrl) -> Result<Seen, LookError> {
    let silent = |_| LookError::Away(format!("no answer within {} seconds", PATIENCE.as_secs()));
    timeout(PATIENCE, ask(url)).await.map_err(silent)?
}

async fn ask(url: &DatabaseUrl) -> Result<Seen, LookError> {
    let options = url.options().map_err(LookError::Other)?;
    let mut conn = AnyConnection::connect_with(&options).await.map_err(unconnected)?;
    let seen = questions(&mut conn).await;
    // What it said stands, however it takes leave.
    let _ = conn.close().await;
    seen
}

async fn questions(conn: &mut Conn) -> Result<Seen, LookError> {
    let (sorted, encoding): (bool, String) =
        sqlx::query_as("SELECT 'B' < 'a' AND 'a-b' < 'aa', CAST(getdatabaseencoding() AS TEXT)")
            .fetch_one(&mut *conn)
            .await
            .map_err(LookError::Other)?;
    if !sorted || encoding != "UTF8" {
        return Err(LookError::Order);
    }
    let (may_make, own): (bool, i64) = sqlx::query_as(
        "SELECT has_database_privilege(current_database(), 'CREATE'),
                (SELECT COUNT(*) FROM pg_namespace
                 WHERE nspname IN ('provisioning', 'sns', 'gateway') AND has_schema_privilege(oid, 'CREATE'))",
    )
    .fetch_one(&mut *conn)
    .await
    .map_err(LookError::Other)?;
    // One schema for each of the three rooms that keep records on a server.
    if !may_make && own < 3 {
        return Err(LookError::Rights);
    }
    let tables: i64 = sqlx::query_scalar(
        "SELECT COUNT(*) FROM pg_tables WHERE schemaname = 'provisioning' AND tablename = 'facility'",
    )
    .fetch_one(&mut *conn)
    .await
    .map_err(LookError::Other)?;
    if tables == 0 {
        return Ok(Seen { realm: false });
    }
    let offices: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM provisioning.facility WHERE kind = $1")
        .bind(FacilityKind::Office.as_str())
        .fetch_one(conn)
        .await
        .map_err(LookError::Other)?;
    Ok(Seen { realm: offices > 0 })
}

fn unconnected(error: sqlx::Error) -> LookError {
    match &error {
        sqlx::Error::Io(error) => LookError::Away(error.to_string()),
        sqlx::Error::Tls(error) => LookError::Away(error.to_string()),
        // PostgreSQL's own classes: 28 authorization, 3D no such database.
        sqlx::Error::Database(answer) => match answer.code().as_deref() {
            Some("3D000") => LookError::NoDatabase(answer.message().to_owned()),
            Some(code) if code.starts_with("28") => LookError::Refused(answer.message().to_owned()),
            _ => LookError::Other(error),
        },
        _ => LookError::Other(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::postgres;

    fn url(text: &str) -> DatabaseUrl {
        DatabaseUrl::parse(text).unwrap()
    }

    fn kind(result: Result<Seen, LookError>) -> String {
        format!("{result:?}").chars().take_while(|c| c.is_alphanumeric() || *c == '(').collect()
    }

    #[tokio::test]
    async fn an_empty_database_holds_no_realm_and_looking_leaves_it_empty() {
        let server = postgres::database();
        for _ in 0..2 {
            assert_eq!(look(&url(&server.url())).await.unwrap(), Seen { realm: false });
        }
        server.execute("CREATE SCHEMA provisioning; CREATE TABLE provisioning.facility (kind TEXT)");
        server.execute("GRANT USAGE ON SCHEMA provisioning TO mimamori");
        server.execute("GRANT SELECT ON provisioning.facility TO mimamori");
        assert_eq!(look(&url(&server.url())).await.unwrap(), Seen { realm: false });
        let office = FacilityKind::Office.as_str();
        server.execute(&format!("INSERT INTO provisioning.facility VALUES ('{office}')"));
        assert_eq!(look(&url(&server.url())).await.unwrap(), Seen { realm: true });
    }

    /// Each cause has its name, and none repeats the password.
    #[tokio::test]
    async fn what_is_wrong_is_told_apart() {
        let server = postgres::database();
        let good = server.url();
        let password = server.password();
        let name = good.split('?').next().unwrap().rsplit('/').next().unwrap().to_owned();
        let table = [
            (good.replace(password, "another"), "Err(Refused("),
            (good.replace(&format!("/{name}?"), "/nowhere?"), "Err(NoDatabase("),
            (good.replace("host=/", "host=/nowhere/"), "Err(Away("),
            (format!("postgres://a:{password}@127.0.0.1:1/b"), "Err(Away("),
        ];
        for (text, wanted) in table {
            let found = look(&url(&text)).await;
            assert!(!format!("{found:?}").contains(password), "{wanted}");
            assert_eq!(kind(found), wanted);
        }
        let sorted = postgres::database_with("ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0");
        assert_eq!(kind(look(&url(&sorted.url())).await), "Err(Order");
        server.execute(&format!("ALTER DATABASE {name} OWNER TO mm_admin"));
        assert_eq!(kind(look(&url(&good)).await), "Err(Rights");
    }
}
