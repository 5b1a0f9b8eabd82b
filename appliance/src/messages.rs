//! The catalogue of this room: MM-6xxx in Japanese and English, each with its remedy and exit code.
//! One declaration per message, so that a missing translation does not compile (ruling 12). Pure values.

use crate::exit::Exit;

/// Declares `Message`, its texts, and `Message::every`, from one list.
macro_rules! catalogue {
    ($($(#[$doc:meta])* $name:ident { $($field:ident),* } $code:literal, $exit:ident,
        $ja:literal, $en:literal, $remedy_ja:literal, $remedy_en:literal;)*) => {
        /// Whose fault, which one, what to do. The fields are already shortened and hold no secret.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum Message {
            $($(#[$doc])* $name { $($field: String),* },)*
        }

        #[allow(unused_variables)] // not every text names every field
        #[allow(clippy::useless_format)]
        impl Message {
            pub fn code(&self) -> &'static str {
                match self { $(Message::$name { .. } => $code,)* }
            }

            pub fn exit(&self) -> Exit {
                match self { $(Message::$name { .. } => Exit::$exit,)* }
            }

            pub fn ja(&self) -> String {
                match self { $(Message::$name { $($field),* } => format!($ja),)* }
            }

            pub fn en(&self) -> String {
                match self { $(Message::$name { $($field),* } => format!($en),)* }
            }

            pub fn remedy_ja(&self) -> String {
                match self { $(Message::$name { $($field),* } => format!($remedy_ja),)* }
            }

            pub fn remedy_en(&self) -> String {
                match self { $(Message::$name { $($field),* } => format!($remedy_en),)* }
            }

            /// One of each, the fields standing for themselves: `mimamori explain` prints these.
            pub fn every() -> Vec<Message> {
                vec![$(Message::$name { $($field: concat!("<", stringify!($field), ">").to_owned()),* },)*]
            }
        }
    };
}

catalogue! {
    // The configuration.
    NotToml { why } "MM-6001", BadConfig,
        "TOMLとして読めません: {why}", "cannot be read as TOML: {why}",
        "その行の書き方を直してください", "mend that line";
    UnknownKey { key, nearest } "MM-6002", BadConfig,
        "`{key}` という項目はありません（近い項目: {nearest}）", "there is no key `{key}` (nearest: {nearest})",
        "項目名を直すか、行を消してください", "correct the name or delete the line";
    MissingKey { key } "MM-6003", BadConfig,
        "`{key}` がありません", "`{key}` is missing",
        "`{key}` を書いてください", "write `{key}`";
    WrongKind { key, wanted, found } "MM-6004", BadConfig,
        "`{key}` は {wanted} ですが {found} が書かれています", "`{key}` must be {wanted}, not {found}",
        "値を書き直してください", "correct the value";
    WrongValue { key, value, why_ja, why_en }
    "MM-6005", BadConfig,
        "`{key}` の値 `{value}` は使えません: {why_ja}", "`{key}` cannot be `{value}`: {why_en}",
        "値を書き直してください", "correct the value";
    InlineSecret { key } "MM-6006", BadConfig,
        "`{key}` に秘密そのものが書かれています", "`{key}` holds the secret itself",
        "秘密を0600のファイルに移し `{key}_file` に場所を書き、この秘密は新しいものに替えてください",
        "move it to a file of mode 0600, name it in `{key}_file`, and replace this secret: it has been exposed";
    SecretPlaces { key } "MM-6007", BadConfig,
        "`{key}_file` と `{key}_credential` はどちらか一つだけです", "exactly one of `{key}_file` and `{key}_credential` is needed",
        "どちらか一つだけを書いてください", "keep one of the two";
    SamePath { key, other } "MM-6008", BadConfig,
        "`{key}` と `{other}` の場所が重なっています", "`{key}` and `{other}` overlap",
        "別々の場所にしてください", "give each a place of its own";
    Twice { key, value } "MM-6009", BadConfig,
        "`{key}` に `{value}` が二度あります", "`{key}` names `{value}` twice",
        "一方を消してください", "delete one of them";
    NoConfig { path, why } "MM-6010", BadConfig,
        "設定ファイル {path} を読めません: {why}", "the configuration {path} cannot be read: {why}",
        "--config で場所を指定するか、mimamori init を実行してください", "give its place with --config, or run mimamori init";
    ConfigTooLong { path, limit } "MM-6011", BadConfig,
        "設定ファイル {path} が {limit} バイトを超えています", "the configuration {path} is longer than {limit} bytes",
        "正しいファイルか確かめてください", "check that this is the right file";
    MailCertificate { place, why_ja, why_en } "MM-6012", BadConfig,
        "メールの電子署名のファイル（{place}）が使えません: {why_ja}", "the mail certificate in {place} cannot be used: {why_en}",
        "mail.from のアドレスに出されたS/MIMEの証明書・発行者・秘密鍵を、一つのPEMにして置いてください。mail.smime の行を消せば署名なしで動きます",
        "put the S/MIME certificate of mail.from with its issuers and its key there, as one PEM; without the line mail.smime mails leave unsigned";
    // Secrets.
    SecretMissing { key, place, why } "MM-6020", BadConfig,
        "秘密 `{key}` を {place} から読めません: {why}", "the secret `{key}` cannot be read from {place}: {why}",
        "ファイルまたはsystemdの資格情報を置いてください", "put the file or the systemd credential there";
    SecretOpen { key, place, mode } "MM-6021", BadConfig,
        "秘密 `{key}` のファイル {place} を他の人が読めます（{mode}）", "others can read the file {place} of the secret `{key}` (mode {mode})",
        "chmod 600 {place}", "chmod 600 {place}";
    SecretOwner { key, place, owner } "MM-6022", BadConfig,
        "秘密 `{key}` のファイル {place} の持ち主（uid {owner}）が違います", "the file {place} of the secret `{key}` belongs to uid {owner}",
        "実行する利用者の持ち物にしてください", "give it to the user who runs this";
    SecretForm { key, place, wanted } "MM-6023", BadConfig,
        "秘密 `{key}`（{place}）の形が違います: {wanted}", "the secret `{key}` in {place} is not {wanted}",
        "控えから戻してください", "restore it from the backup";
    DatabaseUrl { place, why_ja, why_en } "MM-6024", BadConfig,
        "データベースのURL（{place}）が正しくありません: {why_ja}", "the database's URL in {place} is not right: {why_en}",
        "例 postgres://mimamori:パスワード@localhost/mimamori?host=/run/postgresql",
        "such as postgres://mimamori:password@localhost/mimamori?host=/run/postgresql";
    DatabaseAway { server, why } "MM-6025", TryLater,
        "データベースのサーバー（{server}）につながりません: {why}", "the database's server at {server} does not answer: {why}",
        "サーバーが動いているか、URLのホストとポートとソケットの場所、証明書を確かめてください",
        "check that it runs, the host, port or socket in the URL, and its certificate";
    DatabaseRefused { server, why } "MM-6026", BadConfig,
        "データベースのサーバー（{server}）がログインを断りました: {why}", "the database's server at {server} refuses the login: {why}",
        "URLの利用者名とパスワード、サーバーの pg_hba.conf を確かめてください", "check name and password in the URL, and the server's pg_hba.conf";
    DatabaseUnfit { server, why_ja, why_en } "MM-6027", BadConfig,
        "サーバー（{server}）のデータベースを使えません: {why_ja}", "the database at {server} cannot be used: {why_en}",
        "CREATE DATABASE mimamori OWNER mimamori ENCODING 'UTF8' LOCALE 'C' TEMPLATE template0 で作ってください",
        "make it with CREATE DATABASE mimamori OWNER mimamori ENCODING 'UTF8' LOCALE 'C' TEMPLATE template0";
    DatabaseTaken { server } "MM-6028", Conflict,
        "サーバー（{server}）のデータベースには、すでに領域があります", "the database at {server} already holds a realm",
        "空のデータベースを指定してください。途中で止まった初期設定の残りなら、そのデータベースを作り直してください",
        "give an empty one; if it is what a broken init left behind, make the database anew";
    DatabaseEmpty { server } "MM-6029", BadConfig,
        "サーバー（{server}）のデータベースに、この領域がありません", "the database at {server} does not hold this realm",
        "URLのデータベース名を確かめてください。新しい領域は mimamori init --database-url-file で作ります",
        "check the database's name in the URL; a new realm is made by mimamori init --database-url-file";
    // Init.
    InitTwice { dir } "MM-6030", Conflict,
        "{dir} にはすでに領域があります", "{dir} already holds a realm",
        "別のフォルダーを指定してください。作り直すときは、領域の全員の証明書が無効になることを確かめてから、そのフォルダーを退避してください",
        "give another folder; starting anew voids every certificate of the realm, so move the old folder away only if you mean it";
    InitHalf { dir } "MM-6031", Conflict,
        "{dir} の初期設定は途中で止まっています", "an init of {dir} stopped half-way",
        "この領域はまだ使われていません。フォルダー {dir} を削除し、もう一度 mimamori init を実行してください",
        "nothing of it was ever used: delete the folder {dir} and run mimamori init again";
    InitFailed { what, why } "MM-6032", Failed,
        "初期設定の「{what}」ができません: {why}", "init failed at {what}: {why}",
        "原因を直し、フォルダーを削除してから、もう一度実行してください", "mend the cause, delete the folder and run it again";
    InitWishes { count }
    "MM-6034", Usage,
        "指定した値に {count} か所の誤りがあります", "{count} of the values given are not right",
        "値を直して、もう一度実行してください。まだ何も作っていません", "correct them and run it again; nothing was made yet";
    Argument { name, why } "MM-6033", Usage,
        "{name} が正しくありません: {why}", "{name} is not right: {why}",
        "値を直してください", "correct the value";
    // Running.
    OpenFailed { room, why } "MM-6040", Failed,
        "{room} を開けません: {why}", "the {room} room cannot open: {why}",
        "原因を直して、もう一度起動してください", "mend the cause and start again";
    StartFailed { room, why } "MM-6041", Failed,
        "{room} を始められません: {why}", "the {room} room cannot start: {why}",
        "原因を直して、もう一度起動してください", "mend the cause and start again";
    JailFailed { why } "MM-6042", Failed,
        "閉じ込め（jail）ができません: {why}", "the process cannot jail itself: {why}",
        "カーネルの設定を確かめるか、理由を記録のうえ [jail] enforce = false にしてください",
        "check the kernel, or set [jail] enforce = false and note why";
    AlreadyRunning { path } "MM-6043", Conflict,
        "{path} で別の mimamori が動いています", "another mimamori answers at {path}",
        "先にそれを止めてください", "stop it first";
    FolderFailed { path, why } "MM-6044", Failed,
        "フォルダー {path} を使えません: {why}", "the folder {path} cannot be used: {why}",
        "持ち主と権限（0700）を確かめてください", "check its owner and mode (0700)";
    WrongUser { room, uid, wanted } "MM-6045", Denied,
        "{room} を動かす利用者が違います（uid {uid}、正しくは {wanted}）", "{room} runs as uid {uid}, not as {wanted}",
        "systemdのunitから起動してください。一人で試すときだけ [process] check_uids = false",
        "start it from its systemd unit; [process] check_uids = false is for a developer alone";
    // The operator's door and the command line.
    NotRunning { path, why } "MM-6050", TryLater,
        "mimamori に話しかけられません（{path}）: {why}", "mimamori does not answer at {path}: {why}",
        "mimamori run が動いているか、利用者が正しいか確かめてください", "check that mimamori run is up, and that you are its user";
    Wire { why } "MM-6051", TryLater,
        "操作口とのやり取りが途切れました: {why}", "the talk with the operator door broke: {why}",
        "もう一度実行してください。同じ操作を繰り返しても二重にはなりません", "run it again; repeating is safe";
    RoomSilent { room, why } "MM-6052", TryLater,
        "{room} が答えません: {why}", "the {room} room does not answer: {why}",
        "しばらくしてからもう一度実行してください", "try again in a while";
    Usage { why, verb } "MM-6053", Usage,
        "使い方が違います: {why}", "wrong usage: {why}",
        "`{verb} --help` をご覧ください", "see `{verb} --help`";
    FileRead { path, why } "MM-6054", NotFound,
        "ファイル {path} を読めません: {why}", "the file {path} cannot be read: {why}",
        "場所と権限を確かめてください", "check its place and mode";
    FileTooLong { path, limit } "MM-6055", Usage,
        "ファイル {path} が大きすぎます（上限 {limit} バイト）", "the file {path} is too large (limit {limit} bytes)",
        "ファイルを分けてください", "split the file";
    FileWrite { path, why } "MM-6056", Failed,
        "ファイル {path} に書けません: {why}", "the file {path} cannot be written: {why}",
        "場所と権限を確かめてください。すでにあるファイルは上書きしません", "check the place; an existing file is never overwritten";
    UnknownCode { code } "MM-6057", NotFound,
        "`{code}` というコードはありません", "there is no code `{code}`",
        "MM- と4桁の数字です", "a code is MM- and four digits";
    OddAnswer { room } "MM-6058", Failed,
        "{room} から違う種類の答えが返りました", "the {room} room gave an answer of another kind",
        "mimamori の版がそろっているか確かめてください（mimamori version）", "check that both ends are of one version (mimamori version)";
    Pending { receipt } "MM-6059", TryLater,
        "利用停止は記録されましたが、まだ確認の返らない所があります（{receipt}）", "the revocation is recorded, but not every point has acknowledged ({receipt})",
        "自動で繰り返しています。mimamori device receipt {receipt} で確かめてください", "it is being retried; check with mimamori device receipt {receipt}";
    RowFaults { count } "MM-6060", Failed,
        "直すところが {count} か所あります。何も取り込んでいません", "{count} cells need mending; nothing was imported",
        "表の行と列を直し、もう一度取り込んでください", "mend the rows shown and import again";
    Degraded { what } "MM-6061", Degraded,
        "不足があります: {what}", "degraded: {what}",
        "mimamori status で各部屋の状態を確かめてください", "see mimamori status";
    ManyFaults { count } "MM-6062", BadConfig,
        "設定に {count} か所の誤りがあります", "the configuration has {count} faults",
        "すべて直してから、もう一度 mimamori check を実行してください", "mend them all and run mimamori check again";
    Denied { uid } "MM-6063", Denied,
        "この利用者（uid {uid}）は操作口を使えません", "uid {uid} may not use the operator door",
        "mimamori を動かしている利用者か root で実行してください", "run it as the user of mimamori or as root";
    Output { why } "MM-6064", Failed,
        "結果を書き出せません: {why}", "the output cannot be written: {why}",
        "出力先の空きと権限を確かめてください", "check the space and mode of the output";
    NothingThere { what } "MM-6080", NotFound,
        "`{what}` について分かることはありません", "nothing is known about `{what}`",
        "番号を確かめてください。「つながらないとき」の番号は10分で消えます", "check the number; a help code lives ten minutes";
    UpdateBad { why_ja, why_en } "MM-6085", Denied,
        "この更新ファイルは使えません: {why_ja}", "this update cannot be used: {why_en}",
        "もう一度受け取り、署名した人に確かめてください", "fetch it again, and ask who signed it";
    UpdateRefused { why_ja, why_en } "MM-6086", Conflict,
        "いまは更新できません: {why_ja}", "it cannot be updated now: {why_en}",
        "起動し直して落ち着いてから、または新しい版で、もう一度実行してください",
        "run it again once the machine has settled after a restart, or with a newer version";
    UpdateFailed { what, why } "MM-6087", Failed,
        "更新が止まりました（{what}）: {why}", "the update stopped at {what}: {why}",
        "いまの版はそのまま動きます。もう一度実行してください", "what runs is untouched; run it again";
    EscrowNothing { why } "MM-6070", NotFound,
        "写す鍵がまだありません: {why}", "there is no key to copy yet: {why}",
        "SNSを一度起動してから、もう一度実行してください", "start the SNS once, then run it again";
    EscrowStanding { why } "MM-6071", Conflict,
        "鍵はすでにあります。古い鍵で置き換えることはしません: {why}", "the key stands already and is never replaced by an older one: {why}",
        "本当に失われたときだけ実行してください", "this is only for a key that is lost";
    EscrowUnreadable { why } "MM-6072", Failed,
        "鍵またはその写しを開けません: {why}", "the key or its copy does not open: {why}",
        "合言葉、写しのファイル、秘密 sns_epoch が同じ領域のものか確かめてください",
        "check that passphrase, copy and the secret sns_epoch are of one realm";
    WgConf { path, line, found, expected } "MM-6065", BadConfig,
        "{path} の {line} 行目 `{found}` は使えません（ここに書けるもの: {expected}）", "{path}, line {line}: found `{found}`, expected {expected}",
        "その行を直してください（0行目はファイル全体です）", "mend that line (line 0 is the whole file)";
    Foreground { why } "MM-6066", Failed,
        "VPNを単独で動かせません: {why}", "the tunnels cannot be run alone: {why}",
        "rootで実行しているか、ポートとインターフェース名が空いているか確かめてください", "check that you are root and that port and interface name are free";
    Settle { what, why } "MM-6067", Failed,
        "この機械の所定の場所に置けません（{what}）: {why}", "it cannot be put in its place on this machine ({what}): {why}",
        "rootで、まだ領域のない機械で実行してください", "run it as root, on a machine that holds no realm yet";
    Apply { what, why } "MM-6068", Failed,
        "設定をこの機械に反映できません（{what}）: {why}", "the configuration cannot be applied to this machine ({what}): {why}",
        "外との通信は閉じたままです。原因を直し mimamori machine apply を実行してください",
        "the network stays closed; mend the cause and run mimamori machine apply";
    ShellVerb { verb } "MM-6069", Denied,
        "`{verb}` は保守の画面では使えません", "`{verb}` is not for the engineer's shell",
        "help で使えるものを見てください", "see help for what there is";
    ConfigPending {} "MM-6074", Conflict,
        "確定していない変更があります", "a commit still waits to be confirmed",
        "config confirm で確定するか、config rollback で取り消してください", "keep it with config confirm or drop it with config rollback";
    ConfigNothing {} "MM-6075", NotFound,
        "確定を待つ変更はありません（期限が過ぎて元に戻ったのかもしれません）", "nothing waits to be confirmed; it may have fallen back already",
        "config history で確かめてください", "see config history";
    ConfigSame {} "MM-6076", Conflict,
        "いまの設定と同じです", "this is what is active already",
        "変える所を直してから実行してください", "change something first";
    ConfigNoRevision {} "MM-6077", NotFound,
        "そこまで古い設定は残っていません", "no text that old is kept",
        "config history で残っているものを見てください", "see config history";
    // Backup and restore.
    BackupFailed { what, why } "MM-6090", Failed,
        "控えを作れません（{what}）: {why}", "the backup cannot be made ({what}): {why}",
        "書き先の空きと権限を確かめて、もう一度実行してください（前の控えはそのままです）",
        "check the room and the rights there and run it again (former backups are untouched)";
    BackupServer {} "MM-6091", Conflict,
        "記録はPostgreSQLのサーバーにあり、この控えには入りません", "the records are on a PostgreSQL server and would not be in this backup",
        "サーバーで pg_dump --format=custom を取り、mimamori を止めて state と secrets のフォルダーを封じて控えてください（docs/postgresql.md）",
        "take them there with pg_dump --format=custom, and the folders state and secrets while mimamori is stopped (docs/postgresql.md)";
    BackupNobody { path } "MM-6092", BadConfig,
        "誰のために封じるかが決まっていません（{path}）", "nobody is named for whom to seal it ({path})",
        "age-keygen で鍵を作り、公開鍵（age1…）を --recipient で渡すか、そのファイルに書いてください",
        "make a key with age-keygen and give its public half (age1…) by --recipient or in that file";
    BackupKey { why } "MM-6093", Usage,
        "age の鍵として読めません: {why}", "this is no key of age: {why}",
        "公開鍵は age1、秘密鍵は AGE-SECRET-KEY-1 で始まります", "public keys begin with age1, secret ones with AGE-SECRET-KEY-1";
    RestoreFailed { what, why } "MM-6094", Failed,
        "控えから戻せません（{what}）: {why}", "the backup cannot be restored ({what}): {why}",
        "鍵とファイルの組み合わせを確かめてください。途中まで戻したフォルダーは使わずに消してください",
        "check that keys and files belong together; delete the folder that was begun and do not use it";
    RestoreTaken { dir } "MM-6095", Conflict,
        "{dir} は空ではありません", "{dir} is not empty",
        "空のフォルダーを指定してください。動いている領域の上には戻しません", "give an empty folder; nothing is restored over a realm";
    DrillFailed { why } "MM-6096", Degraded,
        "控えから戻す練習がうまくいきませんでした: {why}", "the rehearsal of a restore failed: {why}",
        "いまの控えは役に立たないかもしれません。原因を直し、mimamori backup drill をもう一度実行してください",
        "backups made now may be worthless: mend the cause and run mimamori backup drill again";
    Doctor { count } "MM-6097", Degraded,
        "直すべきところが{count}件あります", "{count} findings to mend",
        "それぞれの行の指示に従ってください", "do what each line says";
    // The data partition.
    DataRefused { why_ja, why_en } "MM-6098", Denied,
        "データの区画をこのまま作ることはできません: {why_ja}", "the data partition is not made like this: {why_en}",
        "Secure Boot とTPMを有効にするか、理由を記録のうえ、媒体の machine.toml に [data] unsealed = true と書いてください",
        "switch Secure Boot and the TPM on, or note why and write [data] unsealed = true into machine.toml on the stick";
    DataFailed { what, why } "MM-6099", Failed,
        "データの区画で失敗しました（{what}）: {why}", "the data partition failed at {what}: {why}",
        "機械は起動し直します。TPMが開けないときは、金庫の回復鍵を画面から入力してください",
        "the machine starts anew; where the TPM does not open it, type the recovery key of the safe at the console";
    EngineerRefused { why_ja, why_en } "MM-6100", Denied,
        "できません: {why_ja}", "refused: {why_en}",
        "登録は画面の番号（10分、一度だけ）で、更新は登録した鍵でします。番号は、だれも登録していない機械を起動し直すと出ます。非常用シェルは別の二人の証明書で開きます",
        "register with the console's code (ten minutes, once), renew with the registered key; a machine without an engineer shows a code at each start; a rescue takes the certificates of two persons";
    ShellLine { why } "MM-6073", Usage,
        "行を読めません: {why}", "the line cannot be read: {why}",
        "引用符を閉じてください", "close the quotation mark";
}

/// In which language a person reads; Japanese unless asked otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    Ja,
    En,
}

impl Language {
    /// From the values of LC_ALL, LC_MESSAGES and LANG, in that order.
    pub fn of<'a>(locales: impl IntoIterator<Item = &'a str>) -> Language {
        for locale in locales {
            if locale.starts_with("en") {
                return Language::En;
            }
            if locale.starts_with("ja") {
                return Language::Ja;
            }
        }
        Language::Ja
    }

    pub fn pick<T>(self, ja: T, en: T) -> T {
        match self {
            Language::Ja => ja,
            Language::En => en,
        }
    }
}

impl Message {
    pub fn text(&self, language: Language) -> String {
        language.pick(self.ja(), self.en())
    }

    pub fn remedy(&self, language: Language) -> String {
        language.pick(self.remedy_ja(), self.remedy_en())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_ours_and_stands_once() {
        let mut codes: Vec<_> = Message::every().iter().map(Message::code).collect();
        assert!(codes.iter().all(|code| code.len() == 7 && code.starts_with("MM-6")), "{codes:?}");
        let count = codes.len();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), count, "a code stands for two messages");
    }

    #[test]
    fn every_message_speaks_both_languages_and_says_what_to_do() {
        for message in Message::every() {
            for text in [message.ja(), message.en(), message.remedy_ja(), message.remedy_en()] {
                assert!(!text.trim().is_empty() && !text.contains('\n'), "{}", message.code());
            }
            assert!(!message.ja().is_ascii(), "{}: Japanese first", message.code());
        }
    }

    #[test]
    fn japanese_unless_english_is_asked_for() {
        assert_eq!(Language::of([]), Language::Ja);
        assert_eq!(Language::of(["C.UTF-8"]), Language::Ja);
        assert_eq!(Language::of(["C.UTF-8", "en_GB.UTF-8"]), Language::En);
        assert_eq!(Language::of(["ja_JP.UTF-8", "en"]), Language::Ja);
    }
}
