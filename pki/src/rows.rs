//! Many rows in one statement, and many statements in one sending: what makes a group commit cheap, because the
//! connection is a thread, and each sending wakes it and is woken by it. An edge file: SQL.
//! A few fixed sizes, filled up with empty rows, so that each text is prepared once and kept.

use sqlx::query::QueryAs;
use sqlx::sqlite::{SqliteArguments, SqliteConnection, SqliteRow};
use sqlx::{Arguments, AssertSqlSafe, Encode, Sqlite, Type};

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

/// Statements that are sent together, in this order.
#[derive(Default)]
pub struct Bundle {
    text: String,
    values: SqliteArguments,
    failed: Option<sqlx::Error>,
}

impl Bundle {
    /// A statement with `?` for each value that is bound next.
    pub fn statement(&mut self, text: &str) -> &mut Self {
        self.text.push_str(text);
        self.text.push(';');
        self
    }

    pub fn bind<'q, T: Encode<'q, Sqlite> + Type<Sqlite>>(&mut self, value: T) -> &mut Self {
        if let Err(error) = self.values.add(value) {
            self.failed.get_or_insert(sqlx::Error::Encode(error));
        }
        self
    }

    /// A statement over all items; its form passes over rows that begin with NULL, `columns` wide.
    pub fn rows<T>(&mut self, forms: &Forms, columns: usize, items: Vec<T>, bind: impl Fn(&mut Self, T)) {
        let mut left = items.len();
        let mut items = items.into_iter();
        while left > 0 {
            let (size, text) = fitting(forms, left);
            self.statement(text);
            let before = self.values.len();
            items.by_ref().take(size).for_each(|item| bind(self, item));
            while self.values.len() < before + size * columns {
                self.bind(None::<String>);
            }
            left = left.saturating_sub(size);
        }
    }

    pub async fn send(self, connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        if let Some(failed) = self.failed {
            return Err(failed);
        }
        if self.text.is_empty() {
            return Ok(());
        }
        // Put together of constant texts; everything else is bound.
        sqlx::query_with(AssertSqlSafe(self.text), self.values).execute(connection).await.map(drop)
    }
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
    while let Some(last) = rest.last() {
        let (size, text) = fitting(forms, rest.len());
        let (now, later) = rest.split_at(size.min(rest.len()));
        // The last one again finds nothing more.
        let filled = now.iter().chain(std::iter::repeat_n(last, size - now.len()));
        let query = filled.fold(sqlx::query_as(text), &bind);
        found.extend(query.fetch_all(&mut *connection).await?);
        rest = later;
    }
    Ok(found)
}

/// The smallest that holds all that is left, or the largest.
fn fitting(forms: &Forms, left: usize) -> (usize, &'static str) {
    forms.iter().rev().copied().find(|(size, _)| *size >= left).unwrap_or(forms[0])
}
