//! What the database refuses by itself, whoever writes to it: G-01, G-03, I-01.

use super::world::World;

const FACILITY: &str = "INSERT INTO facility (facility, code, kind, name, state, created_at) VALUES ($1, $2, $3, 'x', 'active', 0)";

#[tokio::test]
async fn g_01_a_code_has_ten_characters_and_is_unique_per_kind() {
    let world = World::new().await;
    let registry = world.registry().await;
    let insert = async |id: &str, code: &str, kind: &str| {
        sqlx::query(FACILITY)
            .bind(id.to_owned())
            .bind(code.to_owned())
            .bind(kind.to_owned())
            .execute(&registry)
            .await
    };
    assert!(insert("f-a", "1870100125", "医科").await.is_ok());
    assert!(insert("f-b", "1870100125", "歯科").await.is_ok(), "みなし指定 shares a number");
    assert!(insert("f-c", "1870100125", "医科").await.is_err(), "the same place twice");
    assert!(insert("f-d", "187010012", "医科").await.is_err(), "nine characters");
    assert!(insert("f-e", "18701001255", "医科").await.is_err(), "eleven characters");
}

#[tokio::test]
async fn g_03_an_address_has_one_use_in_both_directions() {
    let world = World::new().await;
    let registry = world.registry().await;
    let insert = async |folded: &str, use_as: &str| {
        sqlx::query("INSERT INTO address (folded, written, use_as, person) VALUES ($1, $1, $2, 'p-x')")
            .bind(folded.to_owned())
            .bind(use_as.to_owned())
            .execute(&registry)
            .await
    };
    assert!(insert("kanri@a.example.jp", "admin").await.is_ok());
    assert!(insert("kanri@a.example.jp", "user").await.is_err(), "an admin's is never a user's");
    assert!(insert("taro@a.example.jp", "user").await.is_ok());
    assert!(insert("taro@a.example.jp", "admin").await.is_err(), "a user's is never an admin's");
    assert!(insert("jimukyoku@mimamori.example.jp", "user").await.is_err(), "nor the secretariat's");
    assert!(insert("x@a.example.jp", "root").await.is_err());
}

#[tokio::test]
async fn i_01_numbers_end_at_9999_and_have_one_row() {
    let world = World::new().await;
    let registry = world.registry().await;
    let insert = async |slot: &str, number: i64| {
        sqlx::query(
            "INSERT INTO slot (slot, series, number, state, generation, grants_version) VALUES ($1, '18', $2, 'free', 1, 1)",
        )
        .bind(slot.to_owned())
        .bind(number)
        .execute(&registry)
        .await
    };
    assert!(insert("18-9999", 9_999).await.is_ok());
    assert!(insert("18-10000", 10_000).await.is_err());
    assert!(insert("18-000x", 0).await.is_err(), "number 0 is the secretariat's");
}
