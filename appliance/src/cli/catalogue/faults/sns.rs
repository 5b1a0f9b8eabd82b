//! Why `sns` does not open, start or answer.

use super::Fault;
use super::remedies::{DATABASE_EN, DATABASE_JA, DISK_EN, DISK_JA, KEY_EN, KEY_JA};

pub const FAULTS: &[Fault] = &[
    ["MM-4030", "SNSのフォルダーを作れません。", "the folder of the SNS cannot be made", DISK_JA, DISK_EN],
    ["MM-4031", "患者ごとの鍵を包む鍵を読めません。", "the epoch's key cannot be read", KEY_JA, KEY_EN],
    ["MM-4032", "患者ごとの鍵の台帳を開けません。", "the key store does not open", KEY_JA, KEY_EN],
    ["MM-4033", "SNSの台帳を開けません。", "the records do not open", DATABASE_JA, DATABASE_EN],
    [
        "MM-4034",
        "患者の鍵を包む鍵（epoch）がまだありません。",
        "there is no epoch's key yet",
        "SNSを一度起動してから、もう一度実行してください。",
        "start the SNS once, then run it again",
    ],
    [
        "MM-4035",
        "epochの鍵、またはその写しを読めません。",
        "the epoch's key or its copy cannot be read",
        KEY_JA,
        KEY_EN,
    ],
    [
        "MM-4036",
        "epochの鍵はすでにあります。古い鍵で置き換えることはしません。",
        "the epoch's key stands already; it is never replaced by an older one",
        "本当に失われたときだけ、写しから戻してください。",
        "bring a copy back only when the key is lost",
    ],
    [
        "MM-4037",
        "写しを合言葉で開けません。",
        "the passphrase does not open the copy",
        "合言葉と写しが同じ回のものか確かめてください。",
        "check that passphrase and copy are of the same time",
    ],
];
