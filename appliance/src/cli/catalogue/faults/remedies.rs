//! Remedies that several faults share, in both languages. Constant data.

pub const DISK_JA: &str = "ディスクの空きと、フォルダーの持ち主と権限を確かめてください。";
pub const DISK_EN: &str = "check the free space, and owner and mode of the folder";
pub const INIT_JA: &str = "mimamori init を実行したか、設定の場所が正しいか確かめてください。";
pub const INIT_EN: &str = "check that mimamori init was run, and the places in the configuration";
pub const RESTORE_JA: &str = "控えから戻してください。";
pub const RESTORE_EN: &str = "restore it from the backup";
pub const DATABASE_JA: &str =
    "mimamori check で台帳の置き場所を確かめてください。ファイルならディスクの空き、サーバーなら接続です。";
pub const DATABASE_EN: &str = "run mimamori check: the disk of a file, the connection of a server";
pub const VERSION_JA: &str =
    "新しい版で使った台帳は、古い版では開けません。同じか新しい版の mimamori で起動してください。";
pub const VERSION_EN: &str =
    "a database of a newer version does not open in an older one: start the same version or a newer";
pub const COPY_JA: &str = "正しいファイルか確かめ、写しを取り直してください。";
pub const COPY_EN: &str = "check that it is the right file, or take the copy again";
pub const FORGED_JA: &str = "書き換えの疑いがあります。ファイルをそのまま残し、保守担当へお知らせください。";
pub const FORGED_EN: &str = "it may be forged: keep the files as they are, and tell the engineer";
pub const TERMS_JA: &str = "必要/全部の形で、2から16までの数を書いてください（例 3/5）。";
pub const TERMS_EN: &str = "write needed/all, from 2 to 16, such as 3/5";
pub const SHEET_JA: &str = "用紙の組の番号と照合番号を、認証局の作成記録と比べてください。";
pub const SHEET_EN: &str = "compare set and check of each sheet with the ceremony's transcript";
pub const TOKEN_JA: &str = "設定の [token] と、鍵を作ったときの装置かどうかを確かめてください。";
pub const TOKEN_EN: &str =
    "check [token] in the configuration, and that this is the token in which the keys were made";
pub const TELL_JA: &str = "保守担当へ、このコードと時刻をお知らせください。";
pub const TELL_EN: &str = "tell the engineer this code and the time";
pub const AGAIN_JA: &str = "もう一度起動してください。続くときは保守担当へお知らせください。";
pub const AGAIN_EN: &str = "start again; if it stays, tell the engineer";
pub const RESTART_JA: &str = "ファイルの場所と権限を確かめるか、gateway を起動し直してください。";
pub const RESTART_EN: &str = "check the file's place and mode, or restart the gateway";
pub const NFT_JA: &str =
    "nftables を入れ、設定の vpn.nft とサービスの権限（CAP_NET_ADMIN）を確かめてください。";
pub const NFT_EN: &str = "install nftables; check vpn.nft and the service's capability CAP_NET_ADMIN";
pub const KEY_JA: &str =
    "設定の秘密の場所が、この領域のものか確かめてください。違うときは控えから戻してください。";
pub const KEY_EN: &str =
    "check that the configured secret is this realm's; otherwise restore it from the backup";
pub const SERVER_JA: &str = "証明書と秘密鍵が組になっているか確かめ、違うときは控えから戻してください。";
pub const SERVER_EN: &str =
    "check that certificate and key belong together; otherwise restore them from the backup";
pub const WISH_JA: &str = "値を直して、もう一度 mimamori init を実行してください。";
pub const WISH_EN: &str = "correct the value and run mimamori init again";
pub const NEXT_JA: &str = "金庫のフォルダーと今の証明書（ca/device.crt か ca/server.crt）が、この領域のものか確かめ、mimamori pki ceremony renew をやり直してください。";
pub const NEXT_EN: &str = "check that the safe's folder and the present certificate (ca/device.crt or ca/server.crt) are this realm's, and repeat mimamori pki ceremony renew";
