//! The doctor's phone holds a passkey: registered, signed in with, given up (issue 6). The authenticator is Chromium's own
//! virtual one, behind the real browser's WebAuthn.

use serde_json::json;
use tests::browser::album::Album;
use tests::browser::screen::Screen;
use tests::hands::Hands;
use tests::{Told, holds};

const LABEL: &str = "自分のスマートフォン";

pub fn registered_used_and_given_up(
    hands: &Hands,
    screen: &Screen,
    password: &str,
    album: &Album,
) -> Told<()> {
    // What a phone has in itself: discoverable keys, a finger that is there and is the owner's.
    let phone = json!({"options": {
        "protocol": "ctap2", "transport": "internal", "hasResidentKey": true, "hasUserVerification": true,
        "isUserVerified": true, "automaticPresenceSimulation": true,
    }});
    screen.ask("WebAuthn.enable", json!({}))?;
    let authenticator = screen.ask("WebAuthn.addVirtualAuthenticator", phone)?["authenticatorId"].clone();
    screen.go(&hands.device.url("sns", "/password"))?;
    screen.follow("パスキーの登録と一覧")?;
    screen.sees("まだ登録はありません")?;
    screen.fill("呼び名", LABEL)?;
    screen.fill("いまのパスワード", password)?;
    album.page(screen, "passkeys-empty")?;
    screen.follow("パスキーを登録")?;
    screen.sees(LABEL)?;
    album.page(screen, "passkeys")?;

    sign_out(hands, screen)?;
    screen.sees("パスキーでログイン")?;
    album.page(screen, "sign-in-passkey")?;
    screen.follow("パスキーでログイン")?;
    screen.sees("患者一覧")?;
    // Whose the phone believes it is, and that it counts: what the gateway's room behind was told.
    let keys = screen.ask("WebAuthn.getCredentials", json!({"authenticatorId": authenticator}))?;
    let key = &keys["credentials"][0];
    holds!(key["rpId"] == format!("sns.{}", tests::world::ZONE), "a key for another name: {}", key["rpId"]);
    holds!(key["signCount"].as_i64() > Some(1), "the phone did not sign: {}", key["signCount"]);

    screen.go(&hands.device.url("sns", "/passkeys"))?;
    screen.sees("最後に使った日")?;
    screen.follow("削除")?;
    screen.sees("まだ登録はありません")?;
    screen.ask("WebAuthn.removeVirtualAuthenticator", json!({"authenticatorId": authenticator}))?;
    screen.ask("WebAuthn.disable", json!({}))?;
    screen.go(&hands.device.url("sns", "/"))
}

fn sign_out(hands: &Hands, screen: &Screen) -> Told<()> {
    screen.go(&hands.device.url("sns", "/"))?;
    screen.follow("ログアウト")?;
    screen.sees("ログインID")
}
