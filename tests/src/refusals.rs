//! The attackers: each tries for real, is refused, and the exact reason is found on our side
//! (in the gateway's or the tunnels' counters), so that nothing is refused by accident. Owns nothing.

use std::net::Ipv4Addr;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::device::Device;
use crate::fault::{Told, While};
use crate::holds;
use crate::http::Request;
use crate::people::Person;
use crate::shell::{self, PATIENCE};
use crate::world::World;

/// The gateway's reasons, from its catalogue.
const NO_CERTIFICATE: &str = "MM-3006";
const OTHER_SLOTS_CERTIFICATE: &str = "MM-3008";
const NOT_PERMITTED: &str = "MM-3027";

/// Runs an attack and sees that our side counted it under `reason` of `map`.
pub fn counted<T>(world: &World, map: &str, reason: &str, attack: impl FnOnce() -> Told<T>) -> Told<T> {
    let before = world.server.counted(map, reason)?;
    let outcome = attack()?;
    shell::until(&format!("{reason} to be counted"), PATIENCE, || {
        Ok((world.server.counted(map, reason)? > before).then_some(()))
    })
    .while_(|| format!("{map} now: {}", world.server.counts(map).unwrap_or_default()))?;
    Ok(outcome)
}

/// A tunnel alone opens nothing: the same device, the same person's cookie, no certificate.
pub fn no_certificate(world: &World, device: &Device) -> Told<()> {
    let mut bare = device.credentials.clone();
    bare.certificate = None;
    let answer = counted(world, "refusals", NO_CERTIFICATE, || {
        Request::get(device.url("sns", "/api/teams")).attack().send(&device.space, &bare)
    })?;
    holds!(answer.nothing(), "without a certificate the SNS answered {}", answer.status);
    Ok(())
}

/// A stolen certificate with its key, through the thief's own good tunnel.
pub fn other_slots_certificate(world: &World, thief: &Device, victim: &Device) -> Told<()> {
    let mut stolen = thief.credentials.clone();
    stolen.certificate = victim.credentials.certificate.clone();
    let answer = counted(world, "refusals", OTHER_SLOTS_CERTIFICATE, || {
        Request::get(thief.url("sns", "/api/teams")).attack().send(&thief.space, &stolen)
    })?;
    holds!(answer.nothing(), "another slot's certificate was answered with {}", answer.status);
    Ok(())
}

/// A right certificate from outside: at the outer address, and at the inner address routed to us
/// without a tunnel (the kernel would take such packets; the firewall must not).
pub fn outside_any_tunnel(world: &World, outsider: &Device, victim: &Device) -> Told<()> {
    let mut stolen = outsider.credentials.clone();
    stolen.certificate = victim.credentials.certificate.clone();
    outsider.lower()?;
    let outer = outsider.space.sh("ip -4 -oneline address show dev wan")?;
    holds!(outer.contains("198.51.100."), "the outsider has lost its network");
    let inside = world.plan.gateway();
    outsider.space.sh(&format!("ip route add {inside} via 198.51.100.254"))?;
    world.net.route_inward(inside)?;
    world.net.count_arrivals(inside)?;
    // A forged source: the victim's inner address, which the gateway would believe.
    let forged = victim.inner()?;
    outsider.space.sh(&format!("ip address add {forged}/32 dev lo"))?;
    let try_from = |source: Option<Ipv4Addr>, address: Ipv4Addr| {
        let mut request = Request::get(outsider.url("sns", "/api/teams")).attack();
        request = request.at(address);
        if let Some(source) = source {
            request = request.from(source);
        }
        request.send(&outsider.space, &stolen)
    };
    for (source, address) in [(None, crate::net::APPLIANCE_OUTER), (None, inside), (Some(forged), inside)] {
        let answer = try_from(source, address)?;
        holds!(answer.nothing(), "outside any tunnel {address} answered {} ({source:?})", answer.status);
    }
    // Without this the attack would have failed by itself.
    holds!(world.net.arrivals()? >= 2, "the attacker's packets never arrived");
    outsider.space.sh(&format!("ip address delete {forged}/32 dev lo"))?;
    outsider.space.sh(&format!("ip route delete {inside}"))?;
    Ok(())
}

/// A person with the right password, on a device whose owner does not permit that membership.
pub fn membership_not_permitted(world: &World, device: &Device, login: &str, password: &str) -> Told<()> {
    let stranger = Person::at(device, "sns", login)?;
    let answer = counted(world, "refusals", NOT_PERMITTED, || stranger.try_sign_in(password))?;
    // The device hears no more than after a wrong password.
    let wrong = stranger.try_sign_in("kore-wa-chigau-0000")?;
    let same = without_trace(&answer.json()?) == without_trace(&wrong.json()?);
    holds!(
        answer.status == 401 && same,
        "a membership that is not permitted got {}: {}",
        answer.status,
        answer.text()
    );
    let after = stranger.get("/api/teams")?;
    holds!(after.status == 401, "and then /api/teams answered {}", after.status);
    Ok(())
}

/// A patient of others answers exactly like one that does not exist.
pub fn third_facility(third: &Person, patient: &str) -> Told<()> {
    let nobody = "t-aaaaaaaaaaaaaaaa";
    let mut answers = Vec::new();
    for id in [patient, nobody] {
        let read = third.get(&format!("/api/teams/{id}/posts"))?;
        let live = third.get(&format!("/api/teams/{id}/events"))?;
        let write = third.write(id, "見せてください", None)?;
        for answer in [&read, &live, &write] {
            holds!(
                answer.status == 404,
                "a third facility asking for {id} got {}: {}",
                answer.status,
                answer.text()
            );
        }
        answers.push([
            without_trace(&read.json()?),
            without_trace(&live.json()?),
            without_trace(&write.json()?),
        ]);
    }
    holds!(answers[0] == answers[1], "the answers tell who exists: {answers:?}");
    let teams = third.get("/api/teams")?.expect(&[200])?;
    holds!(!teams.to_string().contains(patient), "the list shows a patient of others");
    Ok(())
}

/// One device opens a listener, another widens its profile and knocks.
pub fn device_to_device(world: &World, from: &Device, to: &Device) -> Told<()> {
    let address = to.inner()?;
    let mut listener = to.space.command(to.client());
    listener.args(["listen", &format!("{address}:8080")]).stdout(Stdio::piped()).stdin(Stdio::null());
    let mut listener = listener.spawn().while_(|| "a listener on the device".into())?;
    let url = format!("http://{address}:8080/");
    let outcome = (|| {
        let plain = crate::http::Credentials { root: from.credentials.root.clone(), ..Default::default() };
        shell::until("the listener on the device itself", PATIENCE, || {
            Ok((Request::get(&url).send(&to.space, &plain)?.status == 200).then_some(()))
        })?;
        from.widen(&format!("{address}/32"))?;
        let answer = counted(world, "drops", "inner-device-to-device", || {
            Request::get(&url).attack().send(&from.space, &plain)
        })?;
        holds!(answer.nothing(), "{} reached {}: {}", from.slot, to.slot, answer.status);
        Ok(())
    })();
    shell::end(&mut listener);
    outcome
}

/// A bootstrap tunnel, its profile widened by hand, asks for the SNS and for what else there is.
pub fn enrolling_seat(world: &World, device: &Device) -> Told<()> {
    let (inside, open) = (world.plan.gateway(), world.plan.gateway_open());
    device.widen(&format!("{inside}/32"))?;
    for host in ["sns", "office"] {
        let answer = counted(world, "drops", "inner-destination", || {
            device.send(Request::get(device.url(host, "/")).attack())
        })?;
        holds!(answer.nothing(), "an enrolling seat reached {host}: {}", answer.status);
    }
    // The open listener does not serve the closed sites either.
    for host in ["sns", "office"] {
        let answer = device.send(Request::get(device.url(host, "/api/teams")).at(open).attack())?;
        holds!(answer.nothing() || answer.status >= 400, "{host} at the open listener: {}", answer.status);
    }
    // Other ports of the gateway, other devices.
    for target in [format!("http://{open}:22/"), format!("http://{open}:8080/")] {
        let answer = device.send(Request::get(target.as_str()).attack())?;
        holds!(answer.nothing(), "an enrolling seat reached {target}: {}", answer.status);
    }
    Ok(())
}

/// The gateway makes the identity; a client that sends one is not believed, and gets no more than without.
pub fn forged_identity(reader: &Person, outsider: &Person, secretariat: &str, patient: &str) -> Told<()> {
    for name in [
        "Mimamori-Identity",
        "mimamori-identity",
        "Mimamori_Identity",
        "Mimamori-Visitor",
        "X-Mimamori-Identity",
    ] {
        let forged = outsider
            .send(outsider.request_get(&format!("/api/teams/{patient}/posts")).header(name, secretariat))?;
        holds!(
            forged.status == 404 || forged.status == 400,
            "with a forged {name} a stranger got {}",
            forged.status
        );
    }
    // On one's own ground it changes nothing: same person, same posts.
    let own = reader.send(reader.request_get("/api/teams").header("Mimamori-Identity", secretariat))?;
    holds!(
        own.status == 400 || own.json()? == reader.get("/api/teams")?.json()?,
        "a forged identity changed the answer"
    );
    Ok(())
}

/// A page of another site makes the browser post; the browser says where it comes from.
pub fn cross_origin(member: &Person, patient: &str) -> Told<()> {
    let path = format!("/api/teams/{patient}/posts");
    let body = json!({"text": "よそのページから", "urgent": false});
    let ours = member.request(&path, &body);
    let attempts = [
        ours.header("Origin", "https://evil.example"),
        member.request(&path, &body).header("Origin", "null"),
        member.request(&path, &body).without("Origin"),
        member.request(&path, &body).without("Origin").header("Sec-Fetch-Site", "cross-site"),
        // The other sites of the same realm are other origins, too.
        member.request(&path, &body).header("Origin", &format!("https://office.{}", crate::world::ZONE)),
    ];
    for attempt in attempts {
        let answer = member.send(attempt)?;
        holds!(answer.status == 403, "a cross-origin post got {}: {}", answer.status, answer.text());
    }
    let posts = member.get(&path)?.expect(&[200])?;
    holds!(!posts.to_string().contains("よそのページから"), "a cross-origin post arrived");
    Ok(())
}

fn without_trace(answer: &Value) -> Value {
    let mut answer = answer.clone();
    if let Some(map) = answer.as_object_mut() {
        map.remove("trace");
    }
    answer
}
