//! Every flow from its papers to its end, step by step as it was drawn; and every way to overtake it.

use proptest::prelude::*;

use super::*;

const NOW: i64 = 1_795_000_000_000;
const CLERK: &str = "p-clerk";

fn call() -> Call {
    Call {
        caller: "長女".into(),
        number: "0776-00-0001".into(),
        at: "2026-11-21 10:00".into(),
        recognised_by: "登録の電話番号へ折り返し".into(),
    }
}

/// A case with everything that acceptance asks for, each question answered `answer`.
fn complete(flow: Flow, answer: bool) -> State {
    let mut state = open(flow, Form::ALL.into(), CLERK, NOW);
    for question in Question::ALL {
        state.answers.insert(question, answer);
    }
    state.call = flow.by_telephone().then(call);
    state
}

fn event(step: &Step) -> Event {
    match step.does {
        Does::Confirm => Event::Confirmed(step.id.into(), How::Telephone),
        _ => Event::Step(step.id.into()),
    }
}

fn run(mut state: State, now: i64) -> (State, Vec<Effect>) {
    let mut effects = Vec::new();
    let order: Vec<&Step> = open_steps(&state).collect();
    for step in order {
        let (new, more) =
            next(&state, &event(step), CLERK, now).unwrap_or_else(|error| panic!("{}: {error}", step.id));
        state = new;
        effects.extend(more);
    }
    (state, effects)
}

fn mails(effects: &[Effect]) -> Vec<Mail> {
    effects
        .iter()
        .filter_map(|effect| if let Effect::Send(mail) = effect { Some(*mail) } else { None })
        .collect()
}

/// C-1 C-2 C-3 C-4 C-5 C-6 C-7 C-8 C-9 C-10 C-11 C-12 P-16 P-22: in its order each flow ends, every step with its
/// operator and moment, and the mails are those of the drawing (D).
#[test]
fn every_flow_runs_in_its_order_to_its_end() {
    use Mail::*;
    let late = NOW + RETENTION_MS;
    for (flow, sent) in [
        (Flow::C1, vec![M02]),
        (Flow::C2, vec![M02, M04]),
        (Flow::C3, vec![M02, M06]),
        (Flow::C4, vec![M05]),
        (Flow::C5, vec![M02, M06]),
        (Flow::C6, vec![M02, M06]),
        (Flow::C7, vec![M05, M07]),
        (Flow::C8, vec![M08, M04]),
        (Flow::C9, vec![M10, M11]),
        (Flow::C10, vec![M12]),
        (Flow::C11, vec![M13]),
        (Flow::C12, vec![M02]),
        (Flow::Telephone, vec![]),
    ] {
        let (state, effects) = run(complete(flow, true), NOW);
        assert_eq!(state.phase, Phase::Done, "{flow:?}");
        assert_eq!(mails(&effects), sent, "{flow:?}");
        assert!(state.closed.values().all(|closed| closed.operator == CLERK && closed.at == NOW));
        assert_eq!(state.closed.len(), steps(&state).count());
        assert_eq!(next(&state, &Event::Withdraw, CLERK, NOW), Err(Refused::Over));
    }
    // P-22, P-23: the erasure waits for the retention period.
    let end = complete(Flow::End, true);
    let (state, effects) =
        ["P-22.2", "P-22.3", "P-22.4"].iter().fold((end, Vec::new()), |(state, mut all), id| {
            let (state, effects) = next(&state, &Event::Step((*id).into()), CLERK, NOW).unwrap();
            all.extend(effects);
            (state, all)
        });
    assert!(effects.contains(&Effect::EraseFrom(late)) && mails(&effects) == [End]);
    assert_eq!(
        next(&state, &Event::Step("P-22.5".into()), CLERK, late - 1),
        Err(Refused::NotYet { from_ms: late })
    );
    assert_eq!(next(&state, &Event::Step("P-22.5".into()), CLERK, late).unwrap().0.phase, Phase::Done);
}

/// C: a step of the system is refused while an earlier mandatory one is open; every pair of every flow.
#[test]
fn no_step_overtakes_one_that_holds_it_up() {
    for flow in Flow::ALL {
        let start = complete(flow, true);
        let order: Vec<&Step> = open_steps(&start).collect();
        for (place, first) in order.iter().enumerate() {
            for later in &order[place + 1..] {
                let refused = next(&start, &event(later), CLERK, NOW + RETENTION_MS);
                if first.does.holds_up() {
                    assert!(
                        matches!(refused, Err(Refused::TooEarly { .. })),
                        "{} before {}",
                        later.id,
                        first.id
                    );
                }
            }
        }
    }
}

/// D-01: a silent admin holds up no removal, but the case stays open and is on the desk after a week.
#[test]
fn d_01_nobody_waits_for_a_confirmation_and_it_is_not_forgotten() {
    let mut state = complete(Flow::C7, false);
    for step in ["C-7.3", "C-7.4", "C-7.5", "C-7.7", "C-7.8"] {
        state = next(&state, &Event::Step(step.into()), CLERK, NOW).unwrap().0;
    }
    assert_eq!(state.phase, Phase::Accepted);
    assert!(overdue(&state, NOW + CONFIRM_REMIND_MS - 1).is_empty());
    assert_eq!(overdue(&state, NOW + CONFIRM_REMIND_MS)[0].id, "C-7.6");
    assert_eq!(
        next(&state, &Event::Step("C-7.6".into()), CLERK, NOW),
        Err(Refused::ByConfirmation { step: "C-7.6".into() })
    );
    for how in How::ALL {
        let (done, _) = next(&state, &Event::Confirmed("C-7.6".into(), how), CLERK, NOW).unwrap();
        assert_eq!((done.phase, done.closed["C-7.6"].how), (Phase::Done, Some(how)));
    }
    let early = complete(Flow::C7, false);
    assert!(matches!(
        next(&early, &Event::Confirmed("C-7.6".into(), How::Fax), CLERK, NOW),
        Err(Refused::TooEarly { .. })
    ));
}

/// E-M2, P-13: no acceptance while a form is missing or a question open; the letter says what (E-12a).
#[test]
fn e_m2_nothing_is_accepted_with_a_form_missing() {
    let accept = Event::Step("C-5.3".into());
    let mut state = open(Flow::C5, BTreeSet::new(), CLERK, NOW);
    let Err(Refused::Missing { missing: told }) = next(&state, &accept, CLERK, NOW) else { panic!() };
    assert_eq!(told.len(), 3, "two questions and 様式8: {told:?}");
    let (incomplete, effects) = next(&state, &Event::Incomplete, CLERK, NOW).unwrap();
    assert_eq!((incomplete.phase, effects), (Phase::Incomplete, vec![Effect::TellMissing(told)]));
    for event in [
        Event::FormArrived(Form::TeamEntry),
        Event::Answered(Question::FacilityNew, false),
        Event::Answered(Question::PledgeExists, true),
    ] {
        state = next(&state, &event, CLERK, NOW).unwrap().0;
    }
    let (accepted, _) = next(&state, &accept, CLERK, NOW).unwrap();
    assert!(steps(&accepted).all(|step| step.id != "C-5.4"), "a known facility is not registered again");
    // The facility is new after all: its own forms are needed (E-08).
    let new = next(&state, &Event::Answered(Question::FacilityNew, true), CLERK, NOW).unwrap().0;
    assert_eq!(
        next(&new, &accept, CLERK, NOW),
        Err(Refused::Missing { missing: vec!["様式1".into(), "様式2".into()] })
    );
    assert_eq!(
        next(&accepted, &Event::Answered(Question::FacilityNew, true), CLERK, NOW),
        Err(Refused::Begun)
    );
}

/// C-9.4, J-12: with one member the family's SNS is no longer listed, with two or more it stays; P-16: no step
/// without a recorded call and a recognised caller.
#[test]
fn c_9_families_of_one_and_of_two() {
    for (stays, delisted) in [(true, false), (false, true)] {
        let mut state = complete(Flow::C9, true);
        state.answers.insert(Question::FamilyStays, stays);
        let (_, effects) = run(state, NOW);
        assert_eq!(effects.contains(&Effect::DelistFamily), delisted);
        assert!(effects.contains(&Effect::Do(Does::SuspendFamilyMember)));
    }
    let mut unknown = complete(Flow::C9, true);
    unknown.call = None;
    assert!(matches!(
        next(&unknown, &Event::Step("P-16.2".into()), CLERK, NOW),
        Err(Refused::Missing { .. })
    ));
    assert!(matches!(
        next(&unknown, &Event::Step("C-9.4".into()), CLERK, NOW),
        Err(Refused::TooEarly { .. })
    ));
}

/// P-24: flow 4 leaves everything, flow 7 asks.
#[test]
fn p_24_one_team_or_all() {
    for (flow, answer, all) in [(Flow::C4, false, true), (Flow::C7, false, false), (Flow::C7, true, true)] {
        let (_, effects) = run(complete(flow, answer), NOW);
        assert!(effects.contains(&Effect::LeaveTeam { all }), "{flow:?}");
    }
    let mut unasked = complete(Flow::C7, true);
    unasked.answers.remove(&Question::AllTeams);
    assert!(matches!(next(&unasked, &Event::Step("C-7.3".into()), CLERK, NOW), Err(Refused::Missing { .. })));
}

/// C-10, J-14, P-27: links stop at once, posts go after seven days, or immediately when the patient says so.
#[test]
fn c_10_links_stop_first_and_posts_go_after_the_waiting_time() {
    let stop = |immediately: bool| {
        let mut state = complete(Flow::C10, true);
        state.answers.insert(Question::Immediately, immediately);
        for step in ["C-10.3", "C-10.4", "C-10.5"] {
            state = next(&state, &Event::Step(step.into()), CLERK, NOW).unwrap().0;
        }
        state
    };
    let erase = Event::Step("P-27".into());
    let from_ms = NOW + WITHDRAWAL_WAIT_MS;
    assert_eq!(next(&stop(false), &erase, CLERK, from_ms - 1), Err(Refused::NotYet { from_ms }));
    for (state, at) in [(stop(false), from_ms), (stop(true), NOW)] {
        let (_, effects) = next(&state, &erase, CLERK, at).unwrap();
        assert_eq!(effects, [Effect::Do(Does::Erase)]);
    }
}

/// P-11: the family is linked once, though it is drawn twice.
#[test]
fn p_11_what_is_drawn_twice_is_done_once() {
    let (state, effects) = run(complete(Flow::C2, true), NOW);
    assert_eq!(effects.iter().filter(|effect| **effect == Effect::Do(Does::LinkFamily)).count(), 1);
    assert!(state.closed.contains_key("C-2.7") && state.closed.contains_key("C-2.13"));
}

/// P-15: M-06 whenever the team has another facility, also in flow 3.
#[test]
fn p_15_a_team_of_others_is_told() {
    assert!(!mails(&run(complete(Flow::C3, false), NOW).1).contains(&Mail::M06));
    assert!(mails(&run(complete(Flow::C3, true), NOW).1).contains(&Mail::M06));
}

#[test]
fn a_case_may_be_withdrawn_until_something_was_done() {
    let state = complete(Flow::C4, true);
    assert_eq!(next(&state, &Event::Withdraw, CLERK, NOW).unwrap().0.phase, Phase::Withdrawn);
    let accepted = next(&state, &Event::Step("C-4.3".into()), CLERK, NOW).unwrap().0;
    assert_eq!(next(&accepted, &Event::Withdraw, CLERK, NOW), Err(Refused::Begun));
    assert!(matches!(next(&accepted, &Event::Step("C-9.9".into()), CLERK, NOW), Err(Refused::NoStep { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is pressed in whatever order: nothing is closed before what holds it up, nothing closed opens again,
    /// no effect comes twice, and the state survives its own storage.
    #[test]
    fn any_history_keeps_the_order(flow in 0..Flow::ALL.len(), answer: bool, presses in proptest::collection::vec(0..20_usize, 0..60)) {
        let mut state = complete(Flow::ALL[flow], answer);
        let all = state.flow.steps();
        let mut effects = Vec::new();
        for press in presses {
            let step = &all[press % all.len()];
            if let Ok((new, more)) = next(&state, &event(step), CLERK, NOW) {
                prop_assert!(state.closed.keys().all(|id| new.closed.contains_key(id)));
                effects.extend(more);
                state = new;
            }
            for (place, _) in steps(&state).enumerate().filter(|(_, step)| state.closed.contains_key(step.id)) {
                prop_assert!(steps(&state).take(place).all(|before| !before.does.holds_up() || state.closed.contains_key(before.id)));
            }
        }
        for (place, effect) in effects.iter().enumerate() {
            prop_assert!(!effects[..place].contains(effect) , "{effect:?} twice");
        }
        let stored = serde_json::to_string(&state).unwrap();
        prop_assert_eq!(serde_json::from_str::<State>(&stored).unwrap(), state);
    }
}
