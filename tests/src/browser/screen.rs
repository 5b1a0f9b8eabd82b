//! A page as a person uses it: taps on words, types into labelled fields, waits until it shows something.
//! Owns one tab of a browser; ends with it. Every wait has a limit, and what ends it is the page.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use data_encoding::BASE64;
use serde_json::{Value, json};

use crate::browser::protocol::{DIALOG, Protocol};
use crate::fault::{Fault, Told, While};
use crate::holds;
use crate::shell::{self, PATIENCE};

const HAND: &str = include_str!("hand.js");
/// Fonts and pictures that come late move a page once or twice, not more.
const TAPS_MAX: u32 = 5;

/// What the person holds or sits at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    Phone,
    Tablet,
    Desktop,
}

impl Size {
    pub fn as_str(self) -> &'static str {
        match self {
            Size::Phone => "phone",
            Size::Tablet => "tablet",
            Size::Desktop => "desktop",
        }
    }

    /// Width and height in CSS pixels: an iPhone, an iPad, a desk.
    fn pixels(self) -> (u32, u32) {
        match self {
            Size::Phone => (390, 844),
            Size::Tablet => (820, 1180),
            Size::Desktop => (1280, 900),
        }
    }
}

pub struct Screen {
    protocol: Arc<Protocol>,
    tab: String,
    size: Size,
    downloads: PathBuf,
    /// As somebody sees it who has turned them off.
    scriptless: AtomicBool,
}

impl Screen {
    /// A window of its own: what lies behind another is not painted.
    pub fn open(protocol: Arc<Protocol>, size: Size, downloads: &Path) -> Told<Self> {
        let downloads = downloads.to_owned();
        let mut screen =
            Self { protocol, tab: String::new(), size, downloads, scriptless: AtomicBool::new(false) };
        let made = screen.ask("Target.createTarget", json!({"url": "about:blank", "newWindow": true}))?;
        let held =
            screen.ask("Target.attachToTarget", json!({"targetId": made["targetId"], "flatten": true}))?;
        let behavior = json!({"behavior": "allow", "downloadPath": screen.downloads});
        screen.ask("Browser.setDownloadBehavior", behavior)?;
        screen.tab = held["sessionId"].as_str().unwrap_or_default().to_owned();
        for domain in ["Page", "Runtime", "Log", "Network"] {
            screen.ask(&format!("{domain}.enable"), json!({}))?;
        }
        screen.ask("Emulation.setFocusEmulationEnabled", json!({"enabled": true}))?;
        screen.resize(size)?;
        Ok(screen)
    }

    /// Another window of the same browser: same cookies, same certificate.
    pub fn another(&self) -> Told<Self> {
        Self::open(self.protocol.clone(), self.size, &self.downloads)
    }

    pub fn size(&self) -> Size {
        self.size
    }

    pub fn resize(&self, size: Size) -> Told<()> {
        let (width, height) = size.pixels();
        let mobile = size != Size::Desktop;
        let metrics = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile});
        self.ask("Emulation.setDeviceMetricsOverride", metrics)?;
        Ok(())
    }

    /// A page opened by its address, whatever it answers; a network's failure is a fault that names it.
    pub fn go(&self, url: &str) -> Told<()> {
        let went = self.ask("Page.navigate", json!({"url": url}))?;
        if let Some(error) = went["errorText"].as_str().filter(|text| !text.is_empty()) {
            return Err(Fault::new(format!("{url}: {error}")));
        }
        self.until(&format!("{url} to be read"), "document.readyState === 'complete'")
    }

    /// The error Chromium shows instead of a page.
    pub fn cannot_go(&self, url: &str) -> Told<String> {
        let went = self.ask("Page.navigate", json!({"url": url}))?;
        let error = went["errorText"].as_str().unwrap_or_default().to_owned();
        holds!(!error.is_empty(), "{url} was opened, though it should not: {}", self.text()?);
        Ok(error)
    }

    /// A tap on the words of a button, a link or a label.
    pub fn tap(&self, words: &str) -> Told<()> {
        self.tap_in("", words)
    }

    /// The same inside the row or card that shows `group`. A page that moves under the finger is tapped on again.
    pub fn tap_in(&self, group: &str, words: &str) -> Told<()> {
        let look = format!("(e => e && h.aim(e))(h.control({}, {}))", json!(words), json!(group));
        for _ in 0..TAPS_MAX {
            let place = self.wait(&format!("「{words}」 to tap on"), &look)?;
            let at = |kind: &str| json!({"type": kind, "x": place["x"], "y": place["y"], "button": "left", "clickCount": 1});
            self.ask("Input.dispatchMouseEvent", at("mousePressed"))?;
            self.ask("Input.dispatchMouseEvent", at("mouseReleased"))?;
            // Another page than before knows nothing of the tap, or cannot answer yet: it was met.
            if self.run("window.tapMet !== false").unwrap_or(Value::Bool(true)) == true {
                return Ok(());
            }
        }
        Err(Fault::new(format!("「{words}」 was tapped on {TAPS_MAX} times and never met")))
    }

    /// A tap that leads to another page, read to its end.
    pub fn follow(&self, words: &str) -> Told<()> {
        self.follow_in("", words)
    }

    pub fn follow_in(&self, group: &str, words: &str) -> Told<()> {
        self.leaving(&format!("「{words}」"), || self.tap_in(group, words))
    }

    pub fn reload(&self) -> Told<()> {
        self.leaving("a reload", || self.ask("Page.reload", json!({})).map(|_| ()))
    }

    /// The browser's own back button.
    pub fn back(&self) -> Told<()> {
        self.leaving("the back button", || {
            let history = self.ask("Page.getNavigationHistory", json!({}))?;
            let before =
                history["currentIndex"].as_u64().and_then(|at| at.checked_sub(1)).map(|at| at as usize);
            let entry = before.map(|at| history["entries"][at]["id"].clone());
            let entry = entry.ok_or_else(|| Fault::new("there is no page to go back to"))?;
            self.ask("Page.navigateToHistoryEntry", json!({"entryId": entry})).map(|_| ())
        })
    }

    /// Types into the field with this label, over what stands there. Secrets travel over the pipe only.
    pub fn fill(&self, label: &str, text: &str) -> Told<()> {
        self.fill_in("", label, text)
    }

    /// The same inside the row or card that shows `group`.
    pub fn fill_in(&self, group: &str, label: &str, text: &str) -> Told<()> {
        let field = format!("h.field({}, {})", json!(label), json!(group));
        self.wait(&format!("the field 「{label}」"), &format!("h.place({field})"))?;
        let kind = self.run(&format!("{field}.tagName + ' ' + {field}.type"))?;
        match kind.as_str().unwrap_or_default() {
            "SELECT select-one" => self.choose(&field, text),
            // Its little calendar is the system's; the value is what it would give.
            "INPUT date" => self.set(&field, &format!("f.value = {}", json!(text))),
            _ => {
                self.run(&format!("(f => {{ f.focus(); f.select(); }})({field})"))?;
                self.ask("Input.insertText", json!({"text": text}))?;
                let typed = self.run(&format!("{field}.value === {}", json!(text)))?;
                holds!(typed == true, "the field 「{label}」 did not take what was typed");
                Ok(())
            }
        }
    }

    pub fn sees(&self, words: &str) -> Told<()> {
        let found = format!("h.clean(document.body.innerText).includes({})", json!(words));
        self.until(&format!("「{words}」 on the page"), &found)
    }

    pub fn sees_not(&self, words: &str) -> Told<()> {
        let text = self.text()?;
        holds!(!text.contains(words), "「{words}」 stands on the page: {text}");
        Ok(())
    }

    pub fn text(&self) -> Told<String> {
        Ok(self.run("h.clean(document.body.innerText)")?.as_str().unwrap_or_default().to_owned())
    }

    /// The words inside the first element of a selector.
    pub fn text_of(&self, selector: &str) -> Told<String> {
        let found = self
            .wait(selector, &format!("document.querySelector({})?.textContent || null", json!(selector)))?;
        Ok(found.as_str().unwrap_or_default().to_owned())
    }

    pub fn until(&self, what: &str, expression: &str) -> Told<()> {
        self.wait(what, &format!("({expression}) || null")).map(|_| ())
    }

    /// What an expression gives, promises awaited. `h` is `hand.js`.
    pub fn run(&self, expression: &str) -> Told<Value> {
        let whole = format!("((h) => ({expression}))({})", HAND.trim_end());
        let said = self.ask(
            "Runtime.evaluate",
            json!({"expression": whole, "awaitPromise": true, "returnByValue": true, "userGesture": true}),
        )?;
        match said["exceptionDetails"]["exception"]["description"].as_str() {
            Some(thrown) => Err(Fault::new(format!("{expression}: {thrown}"))),
            None => Ok(said["result"]["value"].clone()),
        }
    }

    /// What a link saves, once it is whole.
    pub fn download(&self, words: &str, name: &str) -> Told<PathBuf> {
        let file = self.downloads.join(name);
        let _ = std::fs::remove_file(&file);
        self.tap(words)?;
        shell::until(&format!("{name} to be saved"), PATIENCE, || Ok(file.exists().then_some(())))?;
        Ok(file)
    }

    /// What is seen, whole or only the first element of a selector.
    pub fn picture(&self, of: Option<&str>) -> Told<Vec<u8>> {
        // What lies behind another window is not painted, and a picture of it never comes.
        self.ask("Page.bringToFront", json!({}))?;
        let mut asked = json!({"format": "png", "captureBeyondViewport": true});
        if let Some(selector) = of {
            let area = format!(
                "(b => ({{x: b.x + scrollX, y: b.y + scrollY, width: b.width, height: b.height, scale: 2}}))(document.querySelector({}).getBoundingClientRect())",
                json!(selector)
            );
            asked["clip"] = self.run(&area)?;
        }
        self.bytes("Page.captureScreenshot", asked)
    }

    /// The page on A4, as the printer gets it.
    pub fn paper(&self) -> Told<Vec<u8>> {
        let asked = json!({"paperWidth": 8.27, "paperHeight": 11.69, "printBackground": true});
        self.bytes("Page.printToPDF", asked)
    }

    /// What ruling 15 forbids on this page, at this size.
    pub fn faults(&self) -> Told<Vec<String>> {
        let faults = self.run("h.faults()")?;
        Ok(faults.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect())
    }

    /// From the next page on.
    pub fn turn_scripts(&self, on: bool) -> Told<()> {
        self.ask("Emulation.setScriptExecutionDisabled", json!({"value": !on}))?;
        self.scriptless.store(!on, Relaxed);
        Ok(())
    }

    /// The same by axe-core's rules for WCAG 2.2 AA. The script is not the page's, so the page's policy does not bind it.
    /// It is a script itself: without any, it finds nothing.
    pub fn strangers_faults(&self, axe: &str) -> Told<Vec<String>> {
        if self.scriptless.load(Relaxed) {
            return Ok(vec![]);
        }
        self.ask("Runtime.evaluate", json!({"expression": format!("{axe};null"), "returnByValue": true}))?;
        let tags = json!(["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]);
        let found = self.run(&format!(
            "axe.run(document, {{runOnly: {{type: 'tag', values: {tags}}}, resultTypes: ['violations']}}).then((told) => \
             told.violations.flatMap((rule) => rule.nodes.map((node) => \
             `${{rule.id}}: ${{node.html.slice(0, 120)}} (${{node.any.concat(node.all, node.none).map((one) => one.message).join('; ').slice(0, 200)}})`)))"
        ))?;
        Ok(found.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect())
    }

    /// What the console complained about: scripts that broke, content that the policy blocked.
    pub fn complaints(&self) -> Vec<String> {
        let thrown = self.protocol.events(&self.tab, "Runtime.exceptionThrown");
        let logged = self.protocol.events(&self.tab, "Log.entryAdded");
        let policy = logged.into_iter().filter(|entry| entry.params["entry"]["source"] == "security");
        thrown.into_iter().chain(policy).map(|event| event.params.to_string()).collect()
    }

    /// The browser's own words for requests that no answer came to; for whoever reads why a test failed.
    fn broken(&self) -> Vec<String> {
        let failed = self.protocol.events(&self.tab, "Network.loadingFailed");
        failed.iter().map(|event| event.params["errorText"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// How often the page asked whether it may be left.
    pub fn asked_before_leaving(&self) -> usize {
        self.protocol.events(&self.tab, DIALOG).len()
    }

    /// For what a person cannot do but a browser can: cookies, scripts switched off.
    pub fn ask(&self, method: &str, params: Value) -> Told<Value> {
        let browser = method.starts_with("Browser.") || method.starts_with("Target.");
        self.protocol.ask(if browser { "" } else { &self.tab }, method, params)
    }

    fn wait(&self, what: &str, expression: &str) -> Told<Value> {
        let found = shell::until(what, PATIENCE, || {
            // While one page gives way to the next there is nobody to answer.
            let said = self.run(expression).unwrap_or(Value::Null);
            Ok((!said.is_null() && said != false).then_some(said))
        });
        found.map_err(|fault| {
            let text: String = self.text().unwrap_or_default().chars().take(600).collect();
            let broken = self.broken();
            Fault::new(format!("{fault}; the page shows: {text}; requests that broke: {broken:?}"))
        })
    }

    /// The page that `leave` leaves is gone, the next one is read to its end.
    fn leaving(&self, what: &str, leave: impl FnOnce() -> Told<()>) -> Told<()> {
        self.run("void (window.leftBehind = true)")?;
        leave()?;
        let next = "!window.leftBehind && document.readyState === 'complete'";
        self.until(&format!("the page after {what}"), next)
    }

    fn choose(&self, field: &str, words: &str) -> Told<()> {
        let option = format!("[...f.options].findIndex(o => h.clean(o.text).startsWith({}))", json!(words));
        self.set(field, &format!("f.selectedIndex = {option}"))?;
        holds!(self.run(&format!("{field}.value !== ''"))? == true, "there is no choice 「{words}」");
        Ok(())
    }

    fn set(&self, field: &str, assignment: &str) -> Told<()> {
        let events =
            "for (const kind of ['input', 'change']) f.dispatchEvent(new Event(kind, {bubbles: true}))";
        self.run(&format!("(f => {{ {assignment}; {events}; }})({field})")).map(|_| ())
    }

    fn bytes(&self, method: &str, params: Value) -> Told<Vec<u8>> {
        let said = self.ask(method, params)?;
        BASE64.decode(said["data"].as_str().unwrap_or_default().as_bytes()).while_(|| method.to_owned())
    }
}
