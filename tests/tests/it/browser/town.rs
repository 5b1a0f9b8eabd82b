//! The world of the browser tests: a realm with three applications. Owns the world.

use tests::server::Server;
use tests::world::{Tools, World};
use tests::{Told, forms, paperwork};

/// The facilities that have applied, in the order of their numbers.
pub const APPLICANTS: [&str; 3] = [forms::CLINIC_A, forms::NURSES_B, forms::DENTIST_C];
/// What every admin chooses at the claim (P-09).
pub const OWN_PASSWORD: &str = "minato-no-hikari-2026";

/// Plays, and says the appliance's last words when something does not hold.
pub fn play(scene: impl FnOnce(&mut World) -> Told<()>) {
    play_with(&APPLICANTS, scene);
}

/// With others who have applied.
pub fn play_with(applicants: &[&str], scene: impl FnOnce(&mut World) -> Told<()>) {
    let tools = Tools::beside(env!("CARGO_BIN_EXE_demo").as_ref()).unwrap_or_else(|fault| panic!("{fault}"));
    let mut world = World::raise(&tools).unwrap_or_else(|fault| panic!("{fault}"));
    let told = applied(&mut world, applicants).and_then(|()| scene(&mut world));
    told.map_err(|fault| world.with_last_words(&fault)).unwrap_or_else(|fault| panic!("{fault}"));
}

/// The realm runs; the forms wait for the clerk.
fn applied(world: &mut World, applicants: &[&str]) -> Told<()> {
    paperwork::create_realm(world)?;
    world.needles.forgotten("an own password", OWN_PASSWORD);
    world.server.start()?;
    let form = paperwork::forms(world)?;
    let ours = |row: &&Vec<String>| row.iter().any(|cell| applicants.contains(&cell.as_str()));
    let rows: Vec<Vec<String>> = form.rows.iter().filter(ours).cloned().collect();
    let file = form.folder.join("applied.csv");
    forms::write_csv(&file, &form.headings, &rows, true)?;
    world.server.ok(&["facility", "import", &file.to_string_lossy()])?;
    Ok(())
}

/// All three accepted by the operator, for scenes that begin later.
pub fn accept_all(server: &Server) -> Told<()> {
    server.ok(&["case", "accept", "--all"])?;
    Ok(())
}
