//! When a text is what somebody looks for: half- and full-width, hiragana and katakana, capital and small letters,
//! blanks and hyphens, and the many shapes of one kanji (髙 and 高, 﨑 and 崎, 𠮷 and 吉, 邉 and 辺) are alike. What is
//! stored stays as it was typed; only the comparison folds. Pure.

use unicode_normalization::UnicodeNormalization;

/// Nobody types more; what is longer is cut, not refused.
const QUERY_MAX: usize = 100;
/// Between the fields of one thing: no query holds it, so no match runs from one field into the next.
const BETWEEN: char = '\u{1}';

/// Shapes of one kanji that Japanese names are written with, by the shape they are compared as.
const VARIANTS: &[(char, &str)] = &[
    ('高', "髙"),
    ('崎', "﨑嵜㟢"),
    ('吉', "𠮷"),
    ('辺', "邊邉"),
    ('斉', "齊斎齋"),
    ('浜', "濱濵"),
    ('沢', "澤"),
    ('広', "廣"),
    ('国', "國"),
    ('黒', "黑"),
    ('恵', "惠"),
    ('真', "眞"),
    ('徳', "德"),
    ('柳', "栁桺"),
    ('瀬', "瀨"),
    ('頼', "賴"),
    ('桜', "櫻"),
    ('竜', "龍"),
    ('滝', "瀧"),
    ('関', "關"),
    ('団', "團"),
    ('会', "會"),
    ('医', "醫"),
    ('実', "實"),
    ('寿', "壽"),
    ('島', "嶋嶌"),
    ('峰', "峯"),
    ('富', "冨"),
    ('渕', "淵渊"),
    ('土', "圡"),
    ('橋', "槗"),
    ('館', "舘"),
    ('曽', "曾"),
    ('弥', "彌"),
    ('条', "條"),
    ('静', "靜"),
    ('栄', "榮"),
    ('円', "圓"),
    ('亀', "龜"),
    ('桧', "檜"),
    ('児', "兒"),
    ('青', "靑"),
    ('清', "淸"),
    ('郷', "鄕"),
    ('内', "內"),
    ('教', "敎"),
    ('巻', "卷"),
];

/// A text as it is compared.
pub fn fold(text: &str) -> String {
    text.nfkc().filter(|c| !is_noise(*c)).flat_map(char::to_lowercase).map(same).collect()
}

/// Blanks, hyphens, dots, brackets, and the selectors that choose the shape of the kanji before them.
fn is_noise(c: char) -> bool {
    c.is_whitespace()
        || c.is_control()
        || matches!(c, '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}')
        || matches!(
            c,
            '-' | '‐' | '‑' | '–' | '—' | '−' | '・' | '.' | '、' | ',' | '/' | '(' | ')' | '「' | '」'
        )
}

fn same(c: char) -> char {
    match c {
        'ぁ'..='ゖ' => same(char::from_u32(u32::from(c) + 0x60).unwrap_or(c)),
        'ヶ' => 'ケ',
        'ヵ' => 'カ',
        '\u{4e00}'.. | '\u{3400}'..='\u{4dbf}' => {
            VARIANTS.iter().find(|(_, shapes)| shapes.contains(c)).map_or(c, |(one, _)| *one)
        }
        other => other,
    }
}

/// What somebody looks for: every word must be found somewhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    words: Vec<String>,
}

/// How well something fits; the smaller the better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fit {
    Whole,
    Beginning,
    Inside,
}

impl Query {
    pub fn new(text: &str) -> Self {
        let cut: String = text.chars().take(QUERY_MAX).collect();
        // The ideographic blank is a blank too.
        let words = cut.split_whitespace().map(fold).filter(|word| !word.is_empty()).collect();
        Self { words }
    }

    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// Is every word in one of these fields? The best of the fits counts.
    pub fn fits(&self, fields: &[&str]) -> Option<Fit> {
        let folded: Vec<String> = fields.iter().map(|field| fold(field)).collect();
        let all = folded.join(&BETWEEN.to_string());
        if !self.words.iter().all(|word| all.contains(word.as_str())) {
            return None;
        }
        let whole = self.words.concat();
        let fit = |field: &String| {
            if *field == whole {
                Fit::Whole
            } else if field.starts_with(&whole) {
                Fit::Beginning
            } else {
                Fit::Inside
            }
        };
        folded.iter().map(fit).min()
    }
}

/// What fits, the best first, and no more than anybody reads.
pub fn best<T>(things: impl IntoIterator<Item = (Option<Fit>, T)>, most: usize) -> Vec<T> {
    let mut found: Vec<(Fit, T)> =
        things.into_iter().filter_map(|(fit, thing)| fit.map(|fit| (fit, thing))).collect();
    found.sort_by_key(|(fit, _)| *fit);
    found.into_iter().take(most).map(|(_, thing)| thing).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn finds(typed: &str, stored: &str) -> bool {
        Query::new(typed).fits(&[stored]).is_some()
    }

    /// Issue 7, bad input: names are stored as typed and found either way, in both directions.
    #[test]
    fn shapes_of_one_name_are_alike() {
        for (one, other) in [
            ("高崎", "髙﨑"),
            ("吉田", "𠮷田"),
            ("渡辺", "渡邉"),
            ("渡邊", "渡邉"),
            ("斎藤", "齋藤"),
            ("辻", "辻\u{e0101}"),
            ("葛城", "葛\u{fe00}城"),
            ("さくら", "サクラ"),
            ("さくら", "ｻｸﾗ"),
            ("がっこう", "ｶﾞｯｺｳ"),
            ("abc", "ＡＢＣ"),
            ("18-0042", "１８－００４２"),
            ("180042", "18-0042"),
            ("関ヶ原", "関ケ原"),
            ("福井 太郎", "福井太郎"),
            ("㈱さくら", "(株)さくら"),
        ] {
            assert!(finds(one, other) && finds(other, one), "{one} {other}");
        }
        for (one, other) in [("高木", "低木"), ("さくら", "さく"), ("18-0042", "18-0024")] {
            assert!(!finds(one, other), "{one} {other}");
        }
    }

    #[test]
    fn every_word_counts_and_no_match_runs_over_two_fields() {
        let fields = ["さくら通り内科", "1810112011", "0776-00-1201"];
        for (typed, fit) in [
            ("さくら", Some(Fit::Beginning)),
            ("内科 さくら", Some(Fit::Inside)),
            ("内科　1810112011", Some(Fit::Inside)),
            ("0776001201", Some(Fit::Whole)),
            ("さくら 歯科", None),
            ("内科1810", None),
        ] {
            assert_eq!(Query::new(typed).fits(&fields), fit, "{typed}");
        }
        assert!(Query::new(" 　- ").is_empty());
    }

    #[test]
    fn each_shape_has_one_reading() {
        let shapes: Vec<char> = VARIANTS.iter().flat_map(|(_, shapes)| shapes.chars()).collect();
        for shape in &shapes {
            assert_eq!(shapes.iter().filter(|other| *other == shape).count(), 1, "{shape}");
        }
        for (one, _) in VARIANTS {
            assert_eq!(fold(&one.to_string()), one.to_string(), "{one} stands for itself");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Whatever is stored is found by itself.
        #[test]
        fn a_text_finds_itself(text in "\\PC{0,40}") {
            let query = Query::new(&text);
            prop_assert!(query.is_empty() || query.fits(&[&text]).is_some());
        }
    }
}
