//! The way to a facility, mail or paper (D-00), and the rule of the two envelopes (P-05, ruling 5): they are never in one
//! run and never in the post on one day, so that whoever empties a letterbox once, or finds one bag, has nothing that opens
//! anything. Pure.

use jiff::ToSpan;
use jiff::civil::Date;

use crate::door_post::Channel;
use crate::holidays;
use crate::messages_post::PostMessage;

/// What has become of a connection that nobody has claimed yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gone {
    /// A bundle or a sheet has left, by whatever way.
    pub left: bool,
    /// One lies in a print run.
    pub printing: bool,
}

/// Until a clerk chooses: who has no mail address gets everything on paper (D-00).
pub fn by_itself(address: &str) -> Channel {
    if address.contains('@') { Channel::Mail } else { Channel::TwoEnvelopes }
}

/// May the way still be changed? `address`: where a mail would go.
pub fn may_change(from: Channel, to: Channel, gone: Gone, address: &str) -> Result<(), PostMessage> {
    if from == to {
        return Ok(());
    }
    if gone.left {
        return Err(PostMessage::ChannelGone);
    }
    if gone.printing {
        return Err(PostMessage::ChannelPrinting);
    }
    if to == Channel::Mail && !address.contains('@') {
        return Err(PostMessage::ChannelNoAddress);
    }
    Ok(())
}

/// How the other envelope of the same connection stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mate {
    /// It waits for a run, or came back and waits again.
    pub waits: bool,
    /// It lies in a run that has not been noted as sent.
    pub printing: bool,
    /// The last day on which one was posted.
    pub posted: Option<Date>,
}

/// When an envelope may be printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    Now,
    /// The other one was posted too recently.
    From(Date),
    /// The other one goes first.
    AfterOther,
}

/// The connection goes first, its sheet follows on the next business day after it was noted as sent.
pub fn sheet_due(connection: Mate, today: Date) -> Due {
    if connection.waits || connection.printing { Due::AfterOther } else { apart(connection.posted, today) }
}

/// A connection that goes out again (再発行) keeps its distance from a sheet that was just posted or is being printed.
pub fn connection_due(sheet: Mate, today: Date) -> Due {
    if sheet.printing { Due::AfterOther } else { apart(sheet.posted, today) }
}

fn apart(other: Option<Date>, today: Date) -> Due {
    match other.map(next_business_day) {
        Some(from) if today < from => Due::From(from),
        _ => Due::Now,
    }
}

pub fn next_business_day(day: Date) -> Date {
    holidays::open_from(day.saturating_add(1.day()))
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    const FRIDAY: Date = date(2026, 11, 20);

    fn posted(day: Date) -> Mate {
        Mate { posted: Some(day), ..Mate::default() }
    }

    /// P-05: 23 November 2026 is a Monday and 勤労感謝の日.
    #[test]
    fn p_05_the_second_envelope_leaves_on_the_next_business_day() {
        let tuesday = date(2026, 11, 24);
        for day in [FRIDAY, date(2026, 11, 21), date(2026, 11, 23)] {
            assert_eq!(sheet_due(posted(FRIDAY), day), Due::From(tuesday), "{day}");
        }
        assert_eq!(sheet_due(posted(FRIDAY), tuesday), Due::Now);
        assert_eq!(sheet_due(posted(date(2026, 12, 28)), date(2027, 1, 3)), Due::From(date(2027, 1, 4)));
    }

    #[test]
    fn p_05_a_sheet_never_overtakes_its_connection() {
        let waits = Mate { waits: true, ..posted(date(2026, 1, 1)) };
        let printing = Mate { printing: true, ..Mate::default() };
        for mate in [waits, printing] {
            assert_eq!(sheet_due(mate, FRIDAY), Due::AfterOther);
        }
        assert_eq!(sheet_due(Mate::default(), FRIDAY), Due::Now, "its connection went by mail");
    }

    /// 再発行: the sheet stays where it is, so a new connection may not follow it on the same day.
    #[test]
    fn p_05_a_connection_that_goes_out_again_keeps_its_distance() {
        assert_eq!(connection_due(posted(FRIDAY), FRIDAY), Due::From(date(2026, 11, 24)));
        assert_eq!(connection_due(posted(FRIDAY), date(2026, 11, 24)), Due::Now);
        assert_eq!(connection_due(Mate { printing: true, ..Mate::default() }, FRIDAY), Due::AfterOther);
        assert_eq!(connection_due(Mate { waits: true, ..Mate::default() }, FRIDAY), Due::Now);
    }

    /// D-00: chosen while nothing has gone out.
    #[test]
    fn d_00_the_way_is_changed_only_while_nothing_has_gone_out() {
        use Channel::{ByHand, Mail, TwoEnvelopes};
        let (none, left) = (Gone::default(), Gone { left: true, printing: true });
        let printing = Gone { left: false, printing: true };
        let code = |outcome: Result<(), PostMessage>| outcome.err().map(|refused| refused.code());
        for (from, to, gone, address, wanted) in [
            (Mail, TwoEnvelopes, none, "a@b.jp", None),
            (TwoEnvelopes, ByHand, none, "tanaka-01", None),
            (TwoEnvelopes, Mail, none, "a@b.jp", None),
            (TwoEnvelopes, Mail, none, "tanaka-01", Some("MM-5973")),
            (Mail, TwoEnvelopes, left, "a@b.jp", Some("MM-5971")),
            (TwoEnvelopes, Mail, printing, "a@b.jp", Some("MM-5972")),
            (Mail, Mail, left, "a@b.jp", None),
        ] {
            assert_eq!(code(may_change(from, to, gone, address)), wanted, "{from:?} {to:?} {gone:?}");
        }
    }

    #[test]
    fn channels_read_back() {
        for channel in Channel::ALL {
            assert_eq!(Channel::parse(channel.as_str()), Some(channel));
        }
    }
}
