//! The secretariat's clerk at work on the cases of the flows (C-1 … C-12, P-16, P-22): opens one from its papers and
//! drives it to its end over its own page, pressing what the page offers next; what others do meanwhile is a callback.
//! Each step's mails are looked for in the case and in the letterboxes. Owns the clerk's screen.

use serde_json::Value;

use crate::browser::album::Album;
use crate::browser::screen::Screen;
use crate::fault::{Fault, Told};
use crate::forms;
use crate::holds;
use crate::shell::{self, PATIENCE};
use crate::world::World;

/// More than any flow has: a page that offers the same again and again ends here.
const PRESSES_MAX: usize = 60;

/// What a case's page offers, read as a person would: the next step, the open questions, what others did.
const LOOK: &str = include_str!("clerk.js");

/// What is expected of one case, from the papers to the end.
pub struct Plan {
    pub flow: &'static str,
    /// As the list of procedures names it.
    pub name: &'static str,
    pub facility: &'static str,
    /// Its 様式1 is accepted only on the way.
    pub is_new: bool,
    pub patient: &'static str,
    pub member: &'static str,
    pub papers: &'static [&'static str],
    pub answers: &'static [(&'static str, bool)],
    /// Step, words of the subject, and the facilities whose admins get it: these and nobody else.
    pub mails: &'static [(&'static str, &'static str, &'static [&'static str])],
    /// Confirmations that come by telephone; every other one is a button inside the tunnel (D-01).
    pub by_telephone: &'static [&'static str],
    pub ends: &'static str,
}

impl Plan {
    pub const EMPTY: Plan = Plan {
        flow: "",
        name: "",
        facility: "",
        is_new: false,
        patient: "",
        member: "",
        papers: &[],
        answers: &[],
        mails: &[],
        by_telephone: &[],
        ends: "完了",
    };
}

pub struct Clerk<'a> {
    pub screen: Screen,
    /// `https://office.…`
    pub site: String,
    pub album: &'a Album,
}

/// Who acts beside the clerk, before a step is noted: told the case's number and the step's.
pub trait Others {
    fn act(&mut self, world: &mut World, clerk: &Clerk<'_>, case: &str, step: &str) -> Told<()>;
}

impl Clerk<'_> {
    /// The case's number, once it is where the plan says that it ends.
    pub fn plays(&self, world: &mut World, plan: &Plan, others: &mut dyn Others) -> Told<String> {
        let told = self.open(plan).and_then(|case| {
            self.drive(world, plan, &case, others)?;
            self.letters_have_left(&case)?;
            self.album.page(&self.screen, &format!("flow-{}-end", plan.flow))?;
            Ok(case)
        });
        told.map_err(|fault| Fault::new(format!("{}: {fault}", plan.flow)))
    }

    pub fn go(&self, path: &str) -> Told<()> {
        self.screen.go(&format!("{}{path}", self.site))
    }

    /// 受理 of a 様式1: the facility has its numbers, its bundle and its sheet.
    pub fn accepts(&self, facility: &str) -> Told<()> {
        self.go("/cases")?;
        // The list shows the number as the link, beside the name.
        let number = format!(
            "[...document.querySelectorAll('tr')].find(row => row.innerText.includes({}))?.querySelector('a')?.innerText",
            serde_json::json!(facility)
        );
        let number = text(&self.screen.run(&number)?);
        self.screen.follow(&number)?;
        self.screen.sees(facility)?;
        self.screen.follow("受理する")?;
        self.screen.sees("受理済み")
    }

    fn open(&self, plan: &Plan) -> Told<String> {
        let screen = &self.screen;
        self.go("/")?;
        screen.follow("案件")?;
        screen.follow("新しい案件を開く")?;
        screen.follow(plan.name)?;
        screen.tap(if plan.is_new || plan.facility.is_empty() {
            "まだ登録されていない"
        } else {
            plan.facility
        })?;
        for (field, choice) in [("患者（サービス利用者）", plan.patient), ("離脱する方", plan.member)]
        {
            if !choice.is_empty() {
                screen.fill(field, choice)?;
            }
        }
        for paper in plan.papers {
            screen.tap(paper)?;
        }
        self.album.page(screen, &format!("flow-{}-new", plan.flow))?;
        screen.follow("案件を開く")?;
        screen.sees("案件の番号")?;
        self.album.page(screen, &format!("flow-{}", plan.flow))?;
        Ok(text(&screen.run("location.pathname.split('/').pop()")?))
    }

    fn drive(&self, world: &mut World, plan: &Plan, case: &str, others: &mut dyn Others) -> Told<()> {
        let mut told = std::collections::BTreeSet::new();
        for _ in 0..PRESSES_MAX {
            let seen = self.look()?;
            if let Some(asked) = seen["asked"].as_array().and_then(|asked| asked.first()) {
                self.answer(plan, asked)?;
                continue;
            }
            if seen["call"] == true {
                self.note_call()?;
                continue;
            }
            // In the order of the flow: what others did stands before what comes next.
            let other = seen["others"].as_array().and_then(|rows| rows.first());
            let step = other.map_or(&seen["next"]["step"], |row| &row["step"]);
            let Some(step) = step.as_str().map(str::to_owned) else {
                holds!(seen["phase"] == plan.ends, "it stands at {}: {}", seen["phase"], self.screen.text()?);
                return shows(&seen);
            };
            if told.insert(step.clone()) {
                others.act(world, self, case, &step).map_err(|fault| at(&step, &fault))?;
                self.go(&format!("/flows/{case}"))?;
                continue;
            }
            let pressed = match other {
                Some(row) => self.note(plan, row),
                None => self.press(world, plan, case, &seen, others),
            };
            pressed.map_err(|fault| at(&step, &fault))?;
        }
        Err(Fault::new(format!("its page offers something for ever: {}", self.screen.text()?)))
    }

    pub fn look(&self) -> Told<Value> {
        self.screen.run(LOOK.trim_end())
    }

    fn answer(&self, plan: &Plan, asked: &Value) -> Told<()> {
        let (question, ja) = (text(&asked["question"]), text(&asked["ja"]));
        let answer = plan.answers.iter().find(|(name, _)| *name == question);
        let (_, yes) = answer.ok_or_else(|| Fault::new(format!("nobody knows an answer to 「{ja}」")))?;
        self.screen.follow_in(&ja, if *yes { "はい" } else { "いいえ" })
    }

    /// P-16: who, from where, when, recognised by what.
    fn note_call(&self) -> Told<()> {
        self.screen.fill("かけてきた方", "長女の方")?;
        self.screen.fill("電話番号", "0776-99-8888")?;
        self.screen.fill("時刻", "10:20")?;
        self.screen.fill("本人確認の方法", "登録番号へ折り返し")?;
        self.screen.follow("記録する")
    }

    /// What somebody else did: by the screen it is closed already, otherwise the clerk heard of it.
    fn note(&self, plan: &Plan, row: &Value) -> Told<()> {
        let (step, words) = (text(&row["step"]), text(&row["words"]));
        if row["confirms"] != true {
            return self.screen.follow_in(&words, "済んだ");
        }
        holds!(plan.by_telephone.contains(&step.as_str()), "nobody's button confirmed it");
        self.screen.follow_in(&words, "確認した")
    }

    fn press(
        &self,
        world: &mut World,
        plan: &Plan,
        case: &str,
        seen: &Value,
        others: &mut dyn Others,
    ) -> Told<()> {
        let (step, name) = (text(&seen["next"]["step"]), text(&seen["next"]["name"]));
        if seen["attach"] == true && plan.is_new && name.contains("事業所と施設内管理者の登録") {
            self.screen.fill("登録した事業所の名前", plan.facility)?;
            self.screen.follow("結び付ける")?;
            self.screen.sees_not("事業所を結び付ける")?;
        }
        if seen["next"]["grave"] == true {
            self.screen.follow("確かめて進む…")?;
            self.screen.sees("進めると、次のことが起きます")?;
            self.album.page(&self.screen, &format!("flow-{step}-confirm"))?;
            self.screen.follow(&format!("{name}を行う"))?;
        } else {
            self.screen.follow(&format!("{name}を済みにする"))?;
        }
        let wanted = self.written_to(plan, &step)?;
        others.act(world, self, case, &format!("{step} sent"))?;
        wanted.iter().try_for_each(|(address, subject)| arrives(world, case, address, subject))
    }

    /// The step wrote to these people and to nobody else: address and words of the subject.
    fn written_to(&self, plan: &Plan, step: &str) -> Told<Vec<(String, &'static str)>> {
        let wanted = plan.mails.iter().find(|(at, ..)| *at == step);
        let (subject, facilities) = wanted.map_or(("", &[][..]), |(_, subject, to)| (*subject, *to));
        let mut wanted: Vec<String> = facilities.iter().map(|name| forms::admin_address(name)).collect();
        wanted.sort();
        let seen = self.look()?;
        let letters = seen["letters"].as_array().into_iter().flatten();
        let mut shown: Vec<String> =
            letters.filter(|letter| letter["step"] == step).map(|letter| text(&letter["to"])).collect();
        shown.sort();
        holds!(shown == wanted, "its mails go to {shown:?}, not to {wanted:?}: {}", self.screen.text()?);
        Ok(wanted.into_iter().map(|address| (address, subject)).collect())
    }

    /// D-01: the case says of each of its mails that the server took it.
    fn letters_have_left(&self, case: &str) -> Told<()> {
        shell::until("every mail of the case to have left", PATIENCE, || {
            self.go(&format!("/flows/{case}"))?;
            let seen = self.look()?;
            let left = |letter: &Value| letter["state"] == "送付済み";
            Ok(seen["letters"].as_array().into_iter().flatten().all(left).then_some(()))
        })
    }
}

/// Every step that stands closed on the case's page was done by somebody in this story.
fn shows(seen: &Value) -> Told<()> {
    let rows = seen["closed"].as_array().into_iter().flatten().filter_map(Value::as_str);
    // 申込（M-01） 施設・C-4.2 11月21日 …
    let mut steps = rows.filter_map(|row| row.split('・').nth(1)?.split(' ').next());
    steps.try_for_each(crate::shown::shows)
}

/// In the letterbox, believed, and fit to be read by anybody.
fn arrives(world: &World, case: &str, address: &str, subject: &str) -> Told<()> {
    let mail = world.arrived(&format!("「{subject}」 for {address}"), |mail| {
        let about = mail.text.as_deref().is_some_and(|text| text.contains(case));
        // A bundle left with the application's own case.
        let fits = mail.header("to") == address && mail.header("subject").contains(subject);
        fits && (about || !mail.files.is_empty())
    })?;
    holds!(mail.defects.is_empty() && mail.dkim, "nobody believes the mail: {:?}", mail.defects);
    world.needles.absent_in("a mail", mail.everything().as_bytes())
}

fn at(step: &str, fault: &Fault) -> Fault {
    Fault::new(format!("at {step}: {fault}"))
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
