//! The columns of 様式1: their headings, what belongs in them, and which may be missing. Pure.

use crate::facility;

/// The columns, in the order of the template.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Column {
    Code,
    Name,
    Kind,
    PostalAddress,
    Telephone,
    Representative,
    AdminName,
    AdminAddress,
    VpnRequested,
    MedicalNet,
    /// The secretariat's own: when the paper arrived (F-07, G-11). A form without it has come in today.
    ReceivedOn,
    /// By which the facility is found; a form without it is found by its name.
    Kana,
}

impl Column {
    pub const ALL: [Column; 12] = [
        Column::Code,
        Column::Name,
        Column::Kind,
        Column::PostalAddress,
        Column::Telephone,
        Column::Representative,
        Column::AdminName,
        Column::AdminAddress,
        Column::VpnRequested,
        Column::MedicalNet,
        Column::ReceivedOn,
        Column::Kana,
    ];

    pub fn heading(self) -> &'static str {
        match self {
            Column::Code => "事業所番号",
            Column::Name => "事業所名",
            Column::Kind => "種別",
            Column::PostalAddress => "所在地",
            Column::Telephone => "電話番号",
            Column::Representative => "代表者名",
            Column::AdminName => "施設内管理者名",
            Column::AdminAddress => "管理画面ログイン用メールアドレス",
            Column::VpnRequested => "VPN申請数",
            Column::MedicalNet => "ふくいメディカルネット参加",
            Column::ReceivedOn => "受付日",
            Column::Kana => "事業所名ふりがな",
        }
    }

    /// What belongs in a cell of it.
    pub fn expected_ja(self) -> &'static str {
        match self {
            Column::Code => "数字10桁（3桁目だけは英字も可）",
            Column::Name => "指定通知書のとおりの名称（100文字まで）",
            Column::Kind => "様式1の一覧にある種別",
            Column::PostalAddress => "福井県内の所在地（例 〒910-0001 福井市大願寺3-4-10、100文字まで）",
            Column::Telephone => "市外局番からの電話番号（例 0776-00-0000）",
            Column::Representative => "様式2に署名する方の氏名",
            Column::AdminName => "IDと端末を管理する方の氏名",
            Column::AdminAddress => "管理画面だけに使うメールアドレス（ない方は、事務局が決めたID）",
            Column::VpnRequested => "0から10の数、または空欄",
            Column::MedicalNet => "「参加」「不参加」、または空欄",
            Column::ReceivedOn => "申込書が届いた日（例 2026/4/1、令和8年4月1日）、または空欄",
            Column::Kana => "事業所名の読み（ひらがなかカタカナ、100文字まで）、または空欄",
        }
    }

    /// May the whole column be missing?
    pub fn is_optional(self) -> bool {
        matches!(self, Column::ReceivedOn | Column::Kana)
    }

    pub fn parse(heading: &str) -> Option<Self> {
        let word = facility::fold_word(heading);
        Column::ALL.into_iter().find(|column| facility::fold_word(column.heading()) == word)
    }

    /// The heading that is most like what somebody wrote.
    pub fn nearest(heading: &str) -> &'static str {
        facility::nearest(heading, Column::ALL.map(Column::heading))
    }
}
