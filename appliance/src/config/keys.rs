//! Every key that the configuration may hold: one table, from which the reader, the checks and the
//! commented file of `init` are all made. Constant data.

/// What may stand after the `=`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Text,
    Number,
    Truth,
    Texts,
    /// `[{ name = "18", block = 18 }]`
    SeriesList,
}

impl Kind {
    /// For messages that stand in both languages.
    pub fn wanted(self) -> &'static str {
        match self {
            Kind::Text => "\"text\"",
            Kind::Number => "number (123)",
            Kind::Truth => "true / false",
            Kind::Texts => "[\"text\", \"text\"]",
            Kind::SeriesList => "[{ name = \"18\", block = 18 }]",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Without it there is no configuration.
    Required,
    /// Stands for what is not written; TOML.
    Default(&'static str),
    /// A secret's place: exactly one of `X_file` and `X_credential`.
    OneOfTwo,
    /// May be absent, and then means nothing.
    Optional,
}

#[derive(Clone, Copy, Debug)]
pub struct Key {
    pub section: &'static str,
    pub name: &'static str,
    pub kind: Kind,
    pub need: Need,
    pub ja: &'static str,
    pub en: &'static str,
}

impl Key {
    pub fn path(&self) -> String {
        format!("{}.{}", self.section, self.name)
    }
}

/// The secrets, by name. Their values never stand in the file.
pub const SECRETS: [&str; 4] = ["pki_passphrase", "vpn_key", "sns_epoch", "gateway_key"];

const fn key(
    section: &'static str,
    name: &'static str,
    kind: Kind,
    need: Need,
    ja: &'static str,
    en: &'static str,
) -> Key {
    Key { section, name, kind, need, ja, en }
}

pub const KEYS: [Key; 49] = [
    key(
        "realm",
        "zone",
        Kind::Text,
        Need::Required,
        "領域のドメイン名（協議会自身のもの）。sns. office. claim. vpn. がこの下に付きます。あとから変えられません",
        "the realm's zone, in the association's own domain; sns. office. claim. vpn. lie below it; fixed for good",
    ),
    key(
        "realm",
        "name",
        Kind::Text,
        Need::Required,
        "領域の名前（証明書と印刷物に出ます）",
        "the realm's name, on certificates and printed sheets",
    ),
    key(
        "realm",
        "series",
        Kind::SeriesList,
        Need::Required,
        "VPN番号の系列と、その番地の第2オクテット",
        "series of slots, each with the second octet of its addresses",
    ),
    key(
        "realm",
        "first_octet",
        Kind::Number,
        Need::Default("10"),
        "トンネル内の番地の第1オクテット",
        "first octet of the addresses inside the tunnel",
    ),
    key(
        "paths",
        "state",
        Kind::Text,
        Need::Required,
        "各部屋の台帳を置く所（控えの対象）",
        "where the rooms keep their databases; back this up",
    ),
    key(
        "paths",
        "run",
        Kind::Text,
        Need::Required,
        "操作口のソケットを置く所",
        "where the operator door's socket lies",
    ),
    key(
        "paths",
        "output",
        Kind::Text,
        Need::Required,
        "接続設定一式と用紙を書き出す所",
        "where bundles and sheets are written",
    ),
    key(
        "paths",
        "root",
        Kind::Text,
        Need::Optional,
        "ルート認証局のフォルダー（金庫の代わり）。init だけが書き、運用中は読みません。外して保管してください",
        "the root's folder, standing for the safe; only init writes it and nothing reads it afterwards: take it away",
    ),
    key(
        "vpn",
        "listen",
        Kind::Texts,
        Need::Default("[\"0.0.0.0:51820\", \"[::]:51820\"]"),
        "インターネット側の待ち受け（UDP）",
        "where the tunnels' UDP arrives",
    ),
    key(
        "vpn",
        "interface",
        Kind::Text,
        Need::Default("\"mimamori0\""),
        "トンネルのネットワークデバイス名",
        "name of the tunnels' network device",
    ),
    key(
        "vpn",
        "endpoint",
        Kind::Text,
        Need::Optional,
        "端末が話しかける先（無ければ vpn.<zone>:51820）",
        "whom the devices call (vpn.<zone>:51820 unless given)",
    ),
    key(
        "vpn",
        "nft",
        Kind::Text,
        Need::Default("\"/usr/sbin/nft\""),
        "nft の場所（起動してよい唯一のプログラム）",
        "where nft is: the only program that may be executed",
    ),
    key(
        "secrets",
        "pki_passphrase_file",
        Kind::Text,
        Need::OneOfTwo,
        "認証局の鍵を封じる合言葉",
        "passphrase that seals the authorities' keys",
    ),
    key(
        "secrets",
        "pki_passphrase_credential",
        Kind::Text,
        Need::OneOfTwo,
        "同、systemdの資格情報の名前",
        "the same, as the name of a systemd credential",
    ),
    key(
        "secrets",
        "vpn_key_file",
        Kind::Text,
        Need::OneOfTwo,
        "トンネルの秘密鍵",
        "private key of the tunnels",
    ),
    key(
        "secrets",
        "vpn_key_credential",
        Kind::Text,
        Need::OneOfTwo,
        "同、systemdの資格情報の名前",
        "the same, as the name of a systemd credential",
    ),
    key(
        "secrets",
        "sns_epoch_file",
        Kind::Text,
        Need::OneOfTwo,
        "患者ごとの鍵を包む鍵",
        "key that wraps the patients' keys",
    ),
    key(
        "secrets",
        "sns_epoch_credential",
        Kind::Text,
        Need::OneOfTwo,
        "同、systemdの資格情報の名前",
        "the same, as the name of a systemd credential",
    ),
    key(
        "secrets",
        "gateway_key_file",
        Kind::Text,
        Need::OneOfTwo,
        "入口（gateway）のTLSの秘密鍵",
        "TLS private key of the gateway",
    ),
    key(
        "secrets",
        "gateway_key_credential",
        Kind::Text,
        Need::OneOfTwo,
        "同、systemdの資格情報の名前",
        "the same, as the name of a systemd credential",
    ),
    key(
        "token",
        "module",
        Kind::Text,
        Need::Optional,
        "認証局の鍵を持つ装置（トークン、HSM、TPM）のPKCS #11モジュール。無ければ鍵は封じたファイルです",
        "PKCS #11 module of the device that holds the authorities' keys; without it they are sealed files",
    ),
    key(
        "token",
        "label",
        Kind::Text,
        Need::Optional,
        "その装置の名前（トークンラベル）",
        "the token's label",
    ),
    key(
        "token",
        "pin_file",
        Kind::Text,
        Need::Optional,
        "そのPINのファイル（0600）",
        "file of its PIN (mode 0600)",
    ),
    key(
        "token",
        "pin_credential",
        Kind::Text,
        Need::Optional,
        "同、systemdの資格情報の名前",
        "the same, as the name of a systemd credential",
    ),
    key(
        "token",
        "writes",
        Kind::Texts,
        Need::Default("[]"),
        "モジュールが読み書きするフォルダー（SoftHSMやTPMのモジュールの保管場所）",
        "folders that the module reads and writes: where SoftHSM's or the TPM's module keeps its objects",
    ),
    key(
        "token",
        "reads",
        Kind::Texts,
        Need::Default("[]"),
        "装置が戻ったときにモジュールが読み直すファイル（SOFTHSM2_CONF の指すものなど）",
        "files that the module reads again when the token is back, such as the one SOFTHSM2_CONF names",
    ),
    key(
        "database",
        "url_file",
        Kind::Text,
        Need::Optional,
        "PostgreSQLのURL（postgres://…）を書いたファイル（0600）。一つのプロセスで動かすとき",
        "file (mode 0600) that holds the server's URL, postgres://…; for all rooms in one process",
    ),
    key(
        "database",
        "url_credential",
        Kind::Text,
        Need::Optional,
        "同、systemdの資格情報の名前。部屋ごとに分けて動かすとき（三つの部屋がそれぞれ受け取ります）",
        "the same, as the name of a systemd credential; for separate processes, three of which get a copy each",
    ),
    key(
        "mail",
        "smarthost",
        Kind::Text,
        Need::Optional,
        "メールの送信サーバー。無ければ接続設定一式は paths.output に書き出されます",
        "the mail server that takes our mails; without it bundles are written to paths.output",
    ),
    key(
        "mail",
        "port",
        Kind::Number,
        Need::Default("587"),
        "そのポート（465 は最初からTLS）",
        "its port (465: TLS from the first byte)",
    ),
    key(
        "mail",
        "tls",
        Kind::Text,
        Need::Default("\"required\""),
        "required、opportunistic、または none（localhost だけ）",
        "required, opportunistic, or none (for localhost only)",
    ),
    key(
        "mail",
        "from",
        Kind::Text,
        Need::Optional,
        "差出人。realm.zone のアドレスに限ります（ほかのドメインはDMARCで捨てられます）",
        "the sender, of realm.zone only: receivers' DMARC checks throw away mail from other domains",
    ),
    key(
        "mail",
        "username",
        Kind::Text,
        Need::Optional,
        "送信サーバーの利用者名",
        "the account at the mail server",
    ),
    key(
        "mail",
        "password_file",
        Kind::Text,
        Need::Optional,
        "そのパスワードのファイル（0600）",
        "file of its password (mode 0600)",
    ),
    key(
        "mail",
        "password_credential",
        Kind::Text,
        Need::Optional,
        "同、systemdの資格情報の名前",
        "the same, as the name of a systemd credential",
    ),
    key(
        "mail",
        "smime_file",
        Kind::Text,
        Need::Optional,
        "メールの電子署名（S/MIME）。証明書・発行者・秘密鍵を一つにしたPEM（0600）。無ければDKIMだけ",
        "what signs mails as S/MIME: certificate, issuers and key in one PEM file (mode 0600); without it DKIM alone",
    ),
    key(
        "mail",
        "smime_credential",
        Kind::Text,
        Need::Optional,
        "同、systemdの資格情報の名前",
        "the same, as the name of a systemd credential",
    ),
    key(
        "mail",
        "ca_file",
        Kind::Text,
        Need::Default("\"/etc/ssl/certs/ca-certificates.crt\""),
        "送信サーバーを確かめる認証局の証明書",
        "certificates of the authorities by which the mail server is known",
    ),
    key(
        "bounces",
        "server",
        Kind::Text,
        Need::Optional,
        "戻りメールの受信箱のサーバー（IMAPS）。無ければ、戻ってきたメールは mail bounce で渡します",
        "the IMAPS server of the bounce mailbox; without it bounces are handed over with `mail bounce`",
    ),
    key(
        "bounces",
        "port",
        Kind::Number,
        Need::Default("993"),
        "そのポート（最初からTLS）。証明書は mail.ca_file で確かめます",
        "its port, TLS from the first byte; it is known by mail.ca_file",
    ),
    key(
        "bounces",
        "username",
        Kind::Text,
        Need::Optional,
        "受信箱の利用者名。bounce+…@realm.zone あてのメールが届く箱です",
        "the account whose mailbox gets what is sent to bounce+…@realm.zone",
    ),
    key(
        "bounces",
        "password_file",
        Kind::Text,
        Need::Optional,
        "そのパスワードのファイル（0600）",
        "file of its password (mode 0600)",
    ),
    key(
        "bounces",
        "password_credential",
        Kind::Text,
        Need::Optional,
        "同、systemdの資格情報の名前",
        "the same, as the name of a systemd credential",
    ),
    key(
        "bounces",
        "folder",
        Kind::Text,
        Need::Default("\"INBOX\""),
        "読むフォルダー。読んだ戻りは消し、分からないものは印を付けて残します",
        "the folder that is read: bounces are deleted there once noted, the rest stays, flagged",
    ),
    key(
        "management",
        "addresses",
        Kind::Texts,
        Need::Default("[]"),
        "保守のSSHを受け付ける相手の番地（書かなければどこからも受け付けません）。イメージでだけ使います",
        "from where SSH is heard, nobody unless written; only the image uses it",
    ),
    key(
        "management",
        "ssh_ca",
        Kind::Text,
        Need::Optional,
        "保守の技術者のSSH証明書を出す認証局の公開鍵（一行）。秘密鍵はこの機械に置きません",
        "public key of the authority of the engineers' SSH certificates, one line; its private key is never here",
    ),
    key(
        "jail",
        "enforce",
        Kind::Truth,
        Need::Default("true"),
        "起動後に自分を閉じ込めます（Landlock, seccomp）。切るときは理由を記録してください",
        "the process jails itself after opening (Landlock, seccomp); note why if you switch it off",
    ),
    key(
        "process",
        "check_uids",
        Kind::Truth,
        Need::Default("true"),
        "部屋ごとに分けて動かすとき（serve）、利用者番号を表のとおりに確かめます。開発者が一人で動かすときだけ false",
        "serve: every process must have its user of the process table; false only for a developer who is all of them",
    ),
    key(
        "log",
        "level",
        Kind::Text,
        Need::Default("\"info\""),
        "記録の詳しさ: error warn info debug trace",
        "log level: error warn info debug trace",
    ),
];

/// The sections, in the order of the table.
pub fn sections() -> Vec<&'static str> {
    let mut sections: Vec<&'static str> = KEYS.iter().map(|key| key.section).collect();
    sections.dedup();
    sections
}

/// The written-out path of a key, when it is one of the table.
pub fn find(path: &str) -> Option<&'static Key> {
    let (section, name) = path.split_once('.')?;
    KEYS.iter().find(|key| key.section == section && key.name == name)
}

/// The key or section that somebody most likely meant.
pub fn nearest(path: &str) -> Option<String> {
    /// Below this likeness a suggestion confuses more than it helps.
    const LIKENESS_MIN: f64 = 0.6;
    let leaf = path.rsplit('.').next().unwrap_or(path);
    let paths = KEYS.iter().map(|key| {
        let full = key.path();
        // The right name in the wrong section is as likely a slip as a misspelt one.
        let likeness = strsim::normalized_damerau_levenshtein(path, &full)
            .max(strsim::normalized_damerau_levenshtein(leaf, key.name) - 0.05);
        (likeness, full)
    });
    let sections = sections()
        .into_iter()
        .map(|section| (strsim::normalized_damerau_levenshtein(path, section), format!("[{section}]")));
    paths
        .chain(sections)
        .filter(|(likeness, _)| *likeness >= LIKENESS_MIN)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}
