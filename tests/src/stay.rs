//! After the story: the appliance stays up, and three addresses on this machine lead a person with an
//! ordinary browser through other people's devices. `target/demo/stay.json` says which, until it ends.
//! Owns the addresses and the file; both end with a signal, the world after them.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::{Value, json};
use x509_parser::extensions::{AccessDescription, DistributionPointName, GeneralName, ParsedExtension};
use x509_parser::oid_registry::OID_PKIX_ACCESS_DESCRIPTOR_OCSP;

use crate::device::Device;
use crate::enrolment::{self, ADMIN_PASSWORD, Devices};
use crate::fault::{Fault, Told, While};
use crate::forms;
use crate::http::{Credentials, Request};
use crate::paperwork::{self, OPERATOR_LOGIN};
use crate::report::Report;
use crate::revocation;
use crate::secrets::write_private;
use crate::shell::{self, PATIENCE};
use crate::shim_carry::Shims;
use crate::team::{self, Team};
use crate::world::{Tools, World, ZONE};

/// The short way to the same scene, for who wants to click rather than to see it proved.
pub const SHORT: [(&str, &str); 4] =
    [("t1", "realm"), ("t2", "devices"), ("t3", "team"), ("t4", "lost device")];

/// Of the short scene; 18-0001 has a mistyped address in the story.
const NEWCOMER: &str = "18-0003";

/// What the story leaves behind.
pub struct Scene {
    pub world: World,
    pub devices: Devices,
    pub team: Team,
}

/// Other programs read it.
#[derive(Serialize)]
struct Stay {
    /// Each opens with its token; the cookie that follows is its own.
    urls: Urls,
    /// Of the staff's device: its certificate, the authority's, the root (PEM).
    chain: PathBuf,
    /// The list that would name that certificate (DER).
    crl: PathBuf,
    /// On this machine, where the certificate names a responder.
    ocsp_url: Option<String>,
    /// Lists and CA certificates, as devices fetch them.
    published: String,
    pids: Value,
    logins: Vec<Login>,
    form: &'static str,
    config: PathBuf,
    namespace: String,
    patient: String,
    /// The device of s8: certificate and list, for who wants to see a refusal.
    lost: Value,
}

#[derive(Serialize)]
struct Urls {
    secretariat: String,
    facility_admin: String,
    staff: String,
}

#[derive(Serialize)]
struct Login {
    who: &'static str,
    login: String,
    password: String,
    slot: String,
    #[serde(skip)]
    ja: &'static str,
}

/// The same people, devices and posts as in the story, without its attackers and repetitions.
pub fn short(tools: &Tools, report: &mut Report) -> Told<Scene> {
    let mut world = World::raise(tools)?;
    let made = (|world: &mut World| {
        report.step("t1", || realm(world))?;
        let devices = report.step_with("t2", || bring(world))?;
        let team = report.step_with("t3", || gather(world, &devices))?;
        report.step("t4", || lose(world, &devices))?;
        Ok((devices, team))
    })(&mut world);
    match made {
        Ok((devices, team)) => Ok(Scene { world, devices, team }),
        Err(fault) => Err(world.with_last_words(&fault)),
    }
}

fn realm(world: &mut World) -> Told<String> {
    paperwork::create_realm(world)?;
    world.server.start()?;
    paperwork::forms(world)?;
    let form = world.folder.join("forms").join("forms.xlsx");
    world.server.ok(&["facility", "import", &form.to_string_lossy()])?;
    world.server.ok(&["case", "accept", "--all"])?;
    Ok("a realm with thirty facilities".into())
}

fn bring(world: &mut World) -> Told<(Devices, String)> {
    let sheets = world.output()?.join("sheets");
    shell::until("the sheets", PATIENCE, || {
        let printed = fs::read_dir(&sheets).map_or(0, |files| files.flatten().count());
        Ok((printed >= 2 * 31).then_some(()))
    })?;
    let mut devices = enrolment::bring_devices_and(world, NEWCOMER)?;
    let Devices { office, clinic, nurses, dentist, .. } = &mut devices;
    for device in [office, clinic, nurses, dentist] {
        enrolment::claim(world, device)?;
    }
    Ok((devices, "four in service".into()))
}

fn gather(world: &mut World, devices: &Devices) -> Told<(Team, String)> {
    let team = Team::gather(world, devices)?;
    team::post_is_read_live_and_acknowledged(world, &team, devices)?;
    let nurse = team.reader(&devices.nurses)?;
    revocation::post_numbered(&nurse, &team.patient, 1, 5)?;
    Ok((team, "a patient, two facilities, posts".into()))
}

fn lose(world: &World, devices: &Devices) -> Told<String> {
    world.server.ok(&["device", "revoke", &devices.clinic.slot, "--reason", "lost"])?;
    Ok(format!("{} is gone", devices.clinic.slot))
}

/// Stays until a signal. `folder` gets `stay.json` and the files that it names.
pub fn stay(scene: &mut Scene, folder: &Path, ready: impl FnOnce(&str)) -> Told<()> {
    shell::linger();
    let Scene { world, devices, team } = scene;
    // The story's last act was to stop it.
    if world.server.pids().is_empty() {
        world.server.start()?;
    }
    for device in [&devices.office, &devices.nurses] {
        device.raise_final()?;
    }
    let shims = Shims::new()?;
    let told = describe(world, devices, team, &shims, folder)?;
    let file = folder.join("stay.json");
    let begun = folder.join("stay.json.new");
    write_private(&begun, &serde_json::to_string_pretty(&told)?)?;
    fs::rename(&begun, &file).while_(|| format!("writing {}", file.display()))?;
    world.let_others_play();
    ready(&words(&told));
    while !shell::interrupted() {
        std::thread::park_timeout(std::time::Duration::from_millis(100));
    }
    forget(folder);
    Ok(())
}

/// What says that an appliance stays, and where its secrets lie.
pub fn forget(folder: &Path) {
    let _ = fs::remove_file(folder.join("stay.json"));
    let _ = fs::remove_file(folder.join("stay.json.new"));
    let _ = fs::remove_dir_all(folder.join("stay"));
}

fn describe(world: &World, devices: &Devices, team: &Team, shims: &Shims, folder: &Path) -> Told<Stay> {
    let gateway = world.plan.gateway();
    let site = |name: &str| format!("{name}.{ZONE}");
    let files = folder.join("stay");
    fs::create_dir_all(&files)?;
    let files = fs::canonicalize(&files)?;
    let (chain, crl) = proof(&devices.nurses, &devices.nurses, &files.join("device"))?;
    let (lost_chain, lost_crl) = proof(&devices.clinic, &devices.nurses, &files.join("lost"))?;
    let published = shims.publish(&devices.nurses, world.plan.gateway_open())?;
    let ocsp_url = pointers(&chain)?.ocsp.map(|path| format!("{published}{path}"));
    let staff = team.reader_account();
    let login = |who, ja, login: &str, password: &str, device: &Device| Login {
        who,
        ja,
        login: login.to_owned(),
        password: password.to_owned(),
        slot: device.slot.clone(),
    };
    let mut pids = json!({ "demo": std::process::id() });
    for (name, pid) in world.server.pids() {
        pids[name] = pid.into();
    }
    Ok(Stay {
        urls: Urls {
            secretariat: shims.lend(&devices.office, &site("office"), gateway)?,
            facility_admin: shims.lend(&devices.nurses, &site("office"), gateway)?,
            staff: shims.lend(&devices.nurses, &site("sns"), gateway)?,
        },
        chain,
        crl,
        published,
        ocsp_url,
        pids,
        logins: vec![
            login("secretariat", "事務局", OPERATOR_LOGIN, ADMIN_PASSWORD, &devices.office),
            login(
                "facility_admin",
                "施設内管理者",
                &forms::admin_address(forms::NURSES_B),
                ADMIN_PASSWORD,
                &devices.nurses,
            ),
            login("staff", "職員", &staff.login, &staff.password, &devices.nurses),
        ],
        form: world.server.form().as_str(),
        config: world.server.config(),
        namespace: world.net.app.name().to_owned(),
        patient: team.patient.clone(),
        lost: json!({ "slot": devices.clinic.slot, "chain": lost_chain, "crl": lost_crl }),
    })
}

/// A device's chain down to the root, and the list that its certificate points to.
fn proof(device: &Device, through: &Device, name: &Path) -> Told<(PathBuf, PathBuf)> {
    let (certificate, _) =
        device.credentials.certificate.as_ref().ok_or_else(|| Fault::new("no certificate"))?;
    let (mut chain, root) = (fs::read_to_string(certificate)?, fs::read_to_string(&device.credentials.root)?);
    if !chain.contains(root.trim()) {
        chain.push_str(&root);
    }
    let (chain_file, crl_file) = (name.with_extension("chain.pem"), name.with_extension("crl.der"));
    fs::write(&chain_file, chain)?;
    let url = pointers(certificate)?.list;
    let plain = Credentials { root: through.credentials.root.clone(), ..Credentials::default() };
    let list = Request::get(&url).send(&through.space, &plain)?;
    crate::holds!(list.status == 200, "the list {url} answers {}", list.status);
    fs::write(&crl_file, &list.body)?;
    Ok((chain_file, crl_file))
}

/// Where a certificate says that its revocation can be read.
struct Pointers {
    list: String,
    /// The path below the published address.
    ocsp: Option<String>,
}

fn pointers(certificate: &Path) -> Told<Pointers> {
    let pem = fs::read(certificate)?;
    let (_, pem) = x509_parser::pem::parse_x509_pem(&pem).while_(|| "the certificate".into())?;
    let certificate = pem.parse_x509().while_(|| "the certificate".into())?;
    let (mut list, mut ocsp) = (None, None);
    for extension in certificate.extensions() {
        match extension.parsed_extension() {
            ParsedExtension::CRLDistributionPoints(points) => {
                let names = points.iter().filter_map(|point| match &point.distribution_point {
                    Some(DistributionPointName::FullName(names)) => Some(names),
                    _ => None,
                });
                list = names.flatten().find_map(uri).map(str::to_owned);
            }
            ParsedExtension::AuthorityInfoAccess(access) => {
                let answers = |d: &&AccessDescription| d.access_method == OID_PKIX_ACCESS_DESCRIPTOR_OCSP;
                ocsp = access
                    .accessdescs
                    .iter()
                    .find(answers)
                    .and_then(|d| uri(&d.access_location))
                    .map(str::to_owned);
            }
            _ => {}
        }
    }
    let path = |url: String| url.splitn(4, '/').nth(3).unwrap_or_default().to_owned();
    let list = list.ok_or_else(|| Fault::new("the certificate names no list"))?;
    Ok(Pointers { list, ocsp: ocsp.map(path) })
}

fn uri<'a>(name: &'a GeneralName<'_>) -> Option<&'a str> {
    match name {
        GeneralName::URI(uri) => Some(uri),
        _ => None,
    }
}

fn words(stay: &Stay) -> String {
    let Urls { secretariat, facility_admin, staff } = &stay.urls;
    let mut text =
        String::from("\nみまもりが動いています。この計算機のふつうのブラウザーで開いてください。\n\n");
    for (url, login) in [secretariat, facility_admin, staff].into_iter().zip(&stay.logins) {
        text.push_str(&format!("{}（端末 {}）\n", login.ja, login.slot));
        text.push_str(&format!("  {url}\n  ログイン {}  パスワード {}\n\n", login.login, login.password));
    }
    text.push_str(&format!(
        "操作: mimamori --config {} status\n詳細: target/demo/stay.json\n終わるには Ctrl-C（または demo の番号 {} に SIGTERM）\n",
        stay.config.display(),
        stay.pids["demo"]
    ));
    text
}
