//! What stands over each section of the commented file. Constant data.

/// What to the reader of a section: Japanese, English.
pub fn section_title(section: &str) -> (&'static str, &'static str) {
    match section {
        "realm" => ("領域", "the realm"),
        "paths" => ("場所（すべて絶対パス、互いに別々）", "places: absolute, and apart from one another"),
        "vpn" => ("トンネル", "the tunnels"),
        "secrets" => (
            "秘密の置き場所。値は書きません。X_file（0600のファイル）か X_credential（systemdの資格情報）のどちらか一つ",
            "where the secrets are, never what they are: X_file (mode 0600) or X_credential (systemd), one of the two",
        ),
        "token" => (
            "認証局の鍵の装置。書かなければ鍵は合言葉で封じたファイルです",
            "the token of the authorities' keys; without it they are files, sealed by the passphrase",
        ),
        "database" => (
            "台帳の置き場所。何も書かなければ paths.state の中のSQLite。患者の鍵と認証局の台帳はいつもそこです",
            "where the records are: SQLite below paths.state unless given; the patients' keys and the authority's ledger stay there",
        ),
        "mail" => ("メール（接続設定一式の送信。用紙は送りません）", "mail: bundles are sent, sheets never"),
        "bounces" => ("戻りメールの受信箱", "the mailbox to which undeliverable mail comes back"),
        "management" => ("保守の技術者", "the engineers"),
        "jail" => ("閉じ込め", "the jail"),
        "process" => ("部屋ごとのプロセス", "separate processes"),
        "log" => ("記録", "the log"),
        _ => ("", ""),
    }
}
