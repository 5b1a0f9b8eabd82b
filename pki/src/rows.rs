//! Many rows in one statement: what makes a group commit cheap. An edge file: SQL.
//! A few fixed sizes, so that each statement is prepared once and kept.

use sqlx::Sqlite;
use sqlx::query::{Query, QueryAs};
use sqlx::sqlite::{SqliteArguments, SqliteConnection, SqliteRow};

pub type Bound<'q> = Query<'q, Sqlite, SqliteArguments>;
pub type BoundAs<'q, O> = QueryAs<'q, Sqlite, O, SqliteArguments>;

/// A statement for this many rows, and its text; largest first, the last for one.
pub type Forms = [(usize, &'static str); 7];

macro_rules! twice {
    ($row:expr) => {
        concat!($row, ",", $row)
    };
}

/// `head (…), (…) tail` for every power of two up to 64 rows.
macro_rules! forms {
    ($head:literal, $row:literal, $tail:literal) => {
        [
            (
                64,
                concat!(
                    $head,
                    crate::rows::twice!(crate::rows::twice!(crate::rows::twice!(crate::rows::twice!(
                        crate::rows::twice!(crate::rows::twice!($row))
                    )))),
                    $tail
                ),
            ),
            (
                32,
                concat!(
                    $head,
                    crate::rows::twice!(crate::rows::twice!(crate::rows::twice!(crate::rows::twice!(
                        crate::rows::twice!($row)
                    )))),
                    $tail
                ),
            ),
            (
                16,
                concat!(
                    $head,
                    crate::rows::twice!(crate::rows::twice!(crate::rows::twice!(crate::rows::twice!($row)))),
                    $tail
                ),
            ),
            (8, concat!($head, crate::rows::twice!(crate::rows::twice!(crate::rows::twice!($row))), $tail)),
            (4, concat!($head, crate::rows::twice!(crate::rows::twice!($row)), $tail)),
            (2, concat!($head, crate::rows::twice!($row), $tail)),
            (1, concat!($head, $row, $tail)),
        ]
    };
}

pub(crate) use {forms, twice};

/// Executes a statement over all items.
pub async fn write<T>(
    connection: &mut SqliteConnection,
    forms: &Forms,
    items: Vec<T>,
    bind: impl for<'q> Fn(Bound<'q>, T) -> Bound<'q>,
) -> Result<(), sqlx::Error> {
    let mut left = items.len();
    let mut items = items.into_iter();
    while left > 0 {
        let (size, text) = fitting(forms, left);
        let query = items.by_ref().take(size).fold(sqlx::query(text), &bind);
        query.execute(&mut *connection).await?;
        left -= size;
    }
    Ok(())
}

/// Reads what a statement finds for all items.
pub async fn read<T, O>(
    connection: &mut SqliteConnection,
    forms: &Forms,
    items: &[T],
    bind: impl for<'q> Fn(BoundAs<'q, O>, &T) -> BoundAs<'q, O>,
) -> Result<Vec<O>, sqlx::Error>
where
    O: for<'r> sqlx::FromRow<'r, SqliteRow> + Send + Unpin,
{
    let (mut rest, mut found) = (items, Vec::new());
    while !rest.is_empty() {
        let (size, text) = fitting(forms, rest.len());
        let (now, later) = rest.split_at(size);
        let query = now.iter().fold(sqlx::query_as(text), &bind);
        found.extend(query.fetch_all(&mut *connection).await?);
        rest = later;
    }
    Ok(found)
}

fn fitting(forms: &Forms, left: usize) -> (usize, &'static str) {
    forms.iter().copied().find(|(size, _)| *size <= left).unwrap_or(forms[6])
}
