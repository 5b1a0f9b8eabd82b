//! Why `vpn` does not open, start or answer.

use super::Fault;
use super::remedies::{AGAIN_EN, AGAIN_JA, NFT_EN, NFT_JA};

pub const FAULTS: &[Fault] = &[
    ["MM-1101", "nft を実行できません。", "nft cannot be run", NFT_JA, NFT_EN],
    ["MM-1102", "nft が指示を断りました。", "nft refused what it was told", NFT_JA, NFT_EN],
    [
        "MM-1103",
        "firewallの表が、着席のとおりになっていません。",
        "the firewall's table is not as the seating is",
        "自動で直しています。続くときは nft を確かめてください。",
        "it is being mended; if it stays, check nft",
    ],
    [
        "MM-1104",
        "着席の控えを読めません。空から始めます。",
        "the seating snapshot cannot be read; starting without seats",
        "操作は不要です。provisioning の台帳から戻ります。",
        "nothing to do: it is filled again from the registry",
    ],
    [
        "MM-1105",
        "着席の控えが壊れています。空から始めます。",
        "the seating snapshot is damaged; starting without seats",
        "操作は不要です。続くときはディスクを確かめてください。",
        "nothing to do; if it happens again, check the disk",
    ],
    [
        "MM-1106",
        "トンネルの待ち受けの番地がありません。",
        "there is no address to listen at",
        "設定の vpn.listen に一つ以上書いてください。",
        "name at least one in vpn.listen",
    ],
    [
        "MM-1107",
        "トンネルの待ち受け（UDP）を開けません。",
        "the tunnels' UDP address cannot be listened at",
        "別のプログラムが使っていないか確かめるか、vpn.listen を変えてください。",
        "free the port, or change vpn.listen",
    ],
    [
        "MM-1108",
        "トンネルのネットワークデバイスを作れません。",
        "the tunnels' network device cannot be made",
        "/dev/net/tun と、サービスの権限（CAP_NET_ADMIN）を確かめてください。",
        "check /dev/net/tun and the capability CAP_NET_ADMIN",
    ],
    ["MM-1109", "乱数を得られません。", "the system gives no randomness", AGAIN_JA, AGAIN_EN],
    [
        "MM-1110",
        "firewallが立っていないため、トンネルを始めません。",
        "the firewall does not stand, so no tunnel is started",
        NFT_JA,
        NFT_EN,
    ],
    [
        "MM-1111",
        "トンネルを動かすスレッドを始められません。",
        "the data plane's thread does not start",
        AGAIN_JA,
        AGAIN_EN,
    ],
    [
        "MM-1112",
        "トンネルの鍵が使えません。",
        "the tunnel key is no usable key",
        "バックアップから鍵のファイルを戻してください",
        "restore the key file from the backup",
    ],
];
