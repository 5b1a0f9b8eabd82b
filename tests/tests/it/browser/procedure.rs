//! The association's whole procedure on screens, with mails that really arrive (issue 7): every flow from its papers to
//! its end over the console's own pages, the people concerned at their own devices, and what each of them sees afterwards.
//! Devices: the secretariat's desk (18-0000), the clinic's tablet (18-0001), a family's phone (18-0003), the nurses'
//! desk (18-0004).

mod flows;
mod people;

use tests::browser::album::Album;
use tests::browser::screen::Size;
use tests::clerk::{Clerk, Others, Plan};
use tests::fault::Fault;
use tests::hands::{self, Hands};
use tests::letterbox;
use tests::paperwork;
use tests::world::World;
use tests::{Told, forms, holds};

use super::town::{self, OWN_PASSWORD};
use people::{Cast, FAMILY};

/// C-1 … C-12, P-16, P-22, P-24, P-27, D-01, B-08, J-12, J-13, J-14: one realm, every flow, every role at a browser.
/// Requirements B-12, B-22, H-16.
#[test]
fn every_flow_of_the_procedure_on_screens_with_real_mails() {
    let applicants = [forms::CLINIC_A, forms::NURSES_B, forms::DENTIST_C, FAMILY];
    town::play_with(&applicants, |world| {
        let album = Album::open()?;
        let mut failed = Vec::new();
        procedure(world, &album, &mut failed)?;
        holds!(failed.is_empty(), "flows that broke:\n{}", failed.join("\n"));
        album.close()
    });
}

fn procedure(world: &mut World, album: &Album, failed: &mut Vec<String>) -> Told<()> {
    for words in people::PATIENTS {
        world.needles.patient("a patient's name", words);
    }
    for words in people::POSTS {
        world.needles.patient("a post", words);
    }
    world.needles.forgotten("a staff password", people::STAFF_PASSWORD);
    let office = Hands::with_bundle(world, "18-0000", Size::Desktop)?;
    office.claim(office.claim_page()?, world, Some(OWN_PASSWORD), "事務局の机")?;
    let screen = office.open("office", "/")?;
    hands::sign_in(&screen, paperwork::OPERATOR_LOGIN, OWN_PASSWORD)?;
    let clerk = Clerk { screen, site: office.device.url("office", ""), album };
    let mut cast = Cast::default();
    for (plan, act) in flows::ALL {
        let mut scene = Scene { cast: &mut cast, plan, act: *act };
        let played = scene
            .act(world, &clerk, "", flows::BEFORE)
            .and_then(|()| clerk.plays(world, plan, &mut scene))
            .and_then(|case| scene.act(world, &clerk, &case, flows::AFTER));
        if let Err(fault) = played {
            // Later flows stand on this one.
            failed.push(fault.to_string());
            return Ok(());
        }
    }
    world.server.ok(&["audit", "verify"])?;
    let mails = world.mail.mails(&world.dkim_record()?)?;
    letterbox::nothing_of_a_sheet(world, &mails)?;
    for mail in &mails {
        world.needles.absent_in(mail.header("subject"), mail.everything().as_bytes())?;
    }
    for screen in cast.screens().into_iter().chain([&clerk.screen]) {
        holds!(screen.complaints().is_empty(), "a page complains: {:?}", screen.complaints());
    }
    world.server.stop()?;
    world.needles.absent_from_log(&world.server.log)?;
    world.needles.absent_below(&world.server.home)?;
    Ok(())
}

/// One flow with the people who act in it.
struct Scene<'a> {
    cast: &'a mut Cast,
    plan: &'a Plan,
    act: flows::Act,
}

impl Others for Scene<'_> {
    fn act(&mut self, world: &mut World, clerk: &Clerk<'_>, case: &str, step: &str) -> Told<()> {
        (self.act)(self.cast, world, clerk, case, step)
            .map_err(|fault| Fault::new(format!("{} {step}: {fault}", self.plan.flow)))
    }
}
