//! One mail to the smarthost: connect, TLS, login, hand over, and say what the server made of it.
//! A connection per mail, none kept. What goes wrong before the mail's own dialogue is never the mail's
//! fault. Edge: network, clock (through tokio).

use std::time::Duration;

use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, CertificateStore, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::transport::smtp::response::Response;

use crate::letter::Composed;
use crate::post::{Handed, MailConfig, MailTls};

/// TLS from the first byte (RFC 8314).
const IMPLICIT_TLS_PORT: u16 = 465;
/// After the answer nothing depends on the farewell.
const FAREWELL: Duration = Duration::from_secs(2);
/// As much of a server's words as is kept.
const ANSWER_MAX: usize = 300;

/// Hands over signed octets under the letter's envelope. `hello` is the realm's zone.
pub async fn hand_over(config: &MailConfig, hello: &str, mail: &Composed, octets: &[u8]) -> Handed {
    let mut connection = match tokio::time::timeout(config.patience.greeting, greet(config, hello)).await {
        Err(_) => return Handed::Later("no greeting in time".to_owned()),
        Ok(Err(error)) => return Handed::Later(words(&error)),
        Ok(Ok(connection)) => connection,
    };
    let handed =
        match tokio::time::timeout(config.patience.mail, connection.send(&mail.envelope, octets)).await {
            Err(_) => Handed::Later("no answer in time".to_owned()),
            Ok(Err(error)) if error.is_permanent() => Handed::Refused(words(&error)),
            // 4xx, a line that broke, an answer that is no SMTP: the mail may or may not have arrived.
            Ok(Err(error)) => Handed::Later(words(&error)),
            Ok(Ok(answer)) => Handed::Accepted(answer_words(&answer)),
        };
    if matches!(handed, Handed::Accepted(_)) {
        let _ = tokio::time::timeout(FAREWELL, connection.quit()).await;
    }
    handed
}

async fn greet(config: &MailConfig, hello: &str) -> Result<AsyncSmtpConnection, Error> {
    let hello = ClientId::Domain(hello.to_owned());
    let at = (config.host.as_str(), config.port);
    let tls = if config.tls == MailTls::LoopbackOnly { None } else { Some(tls(config)?) };
    let implicit = config.tls == MailTls::Required && config.port == IMPLICIT_TLS_PORT;
    let first = if implicit { tls.clone() } else { None };
    let wait = Some(config.patience.greeting);
    let mut connection = AsyncSmtpConnection::connect_tokio1(at, wait, &hello, first, None).await?;
    if let Some(tls) = tls
        && !connection.is_encrypted()
        && (config.tls == MailTls::Required || connection.can_starttls())
    {
        // Refuses a server that does not offer it: no mail goes in the clear because somebody cut a line out.
        connection.starttls(tls, &hello).await?;
    }
    if let Some(login) = &config.login {
        let credentials = Credentials::new(login.username.clone(), login.password.to_string());
        connection.auth(&[Mechanism::Plain, Mechanism::Login], &credentials).await?;
    }
    Ok(connection)
}

fn tls(config: &MailConfig) -> Result<TlsParameters, Error> {
    TlsParameters::builder(config.host.clone())
        .certificate_store(CertificateStore::None)
        .add_root_certificate(Certificate::from_pem(&config.roots_pem)?)
        .build()
}

/// Code and words, on one line.
fn answer_words(answer: &Response) -> String {
    let lines: Vec<&str> = answer.message().collect();
    shown(&format!("{} {}", answer.code(), lines.join(" ")))
}

fn words(error: &Error) -> String {
    match error.status() {
        Some(code) => {
            let mut text = error.to_string();
            if let Some(cause) = std::error::Error::source(error) {
                text = cause.to_string();
            }
            shown(&format!("{code} {text}"))
        }
        None => {
            let mut text = error.to_string();
            let mut cause = std::error::Error::source(error);
            while let Some(inner) = cause {
                text.push_str(": ");
                text.push_str(&inner.to_string());
                cause = inner.source();
            }
            shown(&text)
        }
    }
}

/// A server's words are a stranger's: short, and without anything that moves a terminal.
fn shown(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(ANSWER_MAX).collect()
}
