//! Many rows in one statement: what makes a group commit cheap. An edge file: SQL.
//! Three fixed sizes, so that each statement is prepared once and kept.

use sqlx::Sqlite;
use sqlx::query::{Query, QueryAs};
use sqlx::sqlite::{SqliteArguments, SqliteConnection, SqliteRow};

pub type Bound<'q> = Query<'q, Sqlite, SqliteArguments>;
pub type BoundAs<'q, O> = QueryAs<'q, Sqlite, O, SqliteArguments>;

/// A statement for this many rows, and its text; largest first, the last for one.
pub type Forms = [(usize, &'static str); 3];

macro_rules! eight {
    ($row:literal) => {
        concat!($row, ",", $row, ",", $row, ",", $row, ",", $row, ",", $row, ",", $row, ",", $row)
    };
}

macro_rules! sixty_four {
    ($row:literal) => {
        concat!(
            crate::rows::eight!($row),
            ",",
            crate::rows::eight!($row),
            ",",
            crate::rows::eight!($row),
            ",",
            crate::rows::eight!($row),
            ",",
            crate::rows::eight!($row),
            ",",
            crate::rows::eight!($row),
            ",",
            crate::rows::eight!($row),
            ",",
            crate::rows::eight!($row)
        )
    };
}

/// `head (…), (…) tail` for 64, 8 and one row.
macro_rules! forms {
    ($head:literal, $row:literal, $tail:literal) => {
        [
            (64, concat!($head, crate::rows::sixty_four!($row), $tail)),
            (8, concat!($head, crate::rows::eight!($row), $tail)),
            (1, concat!($head, $row, $tail)),
        ]
    };
}

pub(crate) use {eight, forms, sixty_four};

/// Executes a statement over all items.
pub async fn write<T>(
    connection: &mut SqliteConnection,
    forms: &Forms,
    items: &[T],
    bind: impl for<'q> Fn(Bound<'q>, &T) -> Bound<'q>,
) -> Result<(), sqlx::Error> {
    let mut rest = items;
    while !rest.is_empty() {
        let (size, text) = fitting(forms, rest.len());
        let (now, later) = rest.split_at(size);
        let query = now.iter().fold(sqlx::query(text), &bind);
        query.execute(&mut *connection).await?;
        rest = later;
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
    forms.iter().copied().find(|(size, _)| *size <= left).unwrap_or(forms[2])
}
