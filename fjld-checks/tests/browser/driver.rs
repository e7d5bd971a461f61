//! A small client of the WebDriver protocol (W3C 2018): JSON over HTTP, to a chromedriver that it starts.

use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A chromium without a window, with a profile of its own.
pub struct Browser {
    driver: Child,
    port: u16,
    session: String,
    _profile: tempfile::TempDir,
}

/// Light or dark.
#[derive(Clone, Copy, Debug)]
pub enum Scheme {
    Light,
    Dark,
}

impl Browser {
    /// Starts one.
    pub fn start() -> Self {
        let free = TcpListener::bind(("127.0.0.1", 0)).expect("a port is free");
        let port = free.local_addr().expect("it is bound").port();
        drop(free);
        let driver = Command::new("chromedriver")
            .arg(format!("--port={port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver is installed; scripts/browser/run.sh does that");
        let profile = tempfile::tempdir().expect("a temporary folder can be made");
        let mut browser = Self {
            driver,
            port,
            session: String::new(),
            _profile: profile,
        };
        let ready = (0..100).any(|_| {
            std::thread::sleep(Duration::from_millis(100));
            browser.request("GET", "/status", None).is_ok()
        });
        assert!(ready, "chromedriver does not answer");
        let folder = browser._profile.path().display();
        let arguments = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--hide-scrollbars",
            &format!("--user-data-dir={folder}"),
        ];
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "goog:chromeOptions": {"args": arguments},
            "goog:loggingPrefs": {"browser": "ALL"},
        }}});
        let session = browser.request("POST", "/session", Some(wanted));
        let session = session.expect("a chromium starts");
        browser.session = session["sessionId"]
            .as_str()
            .expect("it has a name")
            .to_owned();
        browser
    }

    /// Opens a file at this width, light or dark.
    pub fn open(&self, page: &Path, width: u32, scheme: Scheme) {
        self.visit(&format!("file://{}", page.display()), width, scheme);
    }

    /// Gives the window this width.
    pub fn resize(&self, width: u32) {
        self.devtools(
            "Emulation.setDeviceMetricsOverride",
            json!({"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false}),
        );
    }

    /// Opens an address at this width, light or dark.
    pub fn visit(&self, address: &str, width: u32, scheme: Scheme) {
        let scheme = match scheme {
            Scheme::Light => "light",
            Scheme::Dark => "dark",
        };
        self.resize(width);
        self.devtools(
            "Emulation.setEmulatedMedia",
            json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]}),
        );
        self.call("POST", "/url", json!({"url": address}));
        // over HTTP the driver answers before the page is whole
        let whole = (0..600).any(|_| {
            let whole = self.script("return document.readyState") == "complete";
            if !whole {
                std::thread::sleep(Duration::from_millis(50));
            }
            whole
        });
        assert!(whole, "{address} does not load");
    }

    /// What a function body returns in the page.
    pub fn script(&self, body: &str) -> Value {
        self.call("POST", "/execute/sync", json!({"script": body, "args": []}))
    }

    /// Presses keys where the focus is.
    pub fn press(&self, keys: &str) {
        let strokes: Vec<Value> = keys
            .chars()
            .flat_map(|key| {
                ["keyDown", "keyUp"].map(|kind| json!({"type": kind, "value": key.to_string()}))
            })
            .collect();
        let keyboard = json!({"actions": [{"type": "key", "id": "keyboard", "actions": strokes}]});
        self.call("POST", "/actions", keyboard);
    }

    /// Everything of the console since the last look.
    pub fn console(&self) -> Vec<String> {
        let entries = self.call("POST", "/se/log", json!({"type": "browser"}));
        let entries = entries.as_array().cloned().unwrap_or_default();
        let said = |e: &Value| format!("{}: {}", e["level"], e["message"]);
        entries.iter().map(said).collect()
    }

    /// A command of the developer tools.
    pub fn devtools(&self, command: &str, parameters: Value) -> Value {
        let body = json!({"cmd": command, "params": parameters});
        self.call("POST", "/goog/cdp/execute", body)
    }

    fn call(&self, method: &str, path: &str, body: Value) -> Value {
        let path = format!("/session/{}{path}", self.session);
        let found = self.request(method, &path, Some(body));
        found.unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    fn request(&self, method: &str, path: &str, body: Option<Value>) -> Result<Value, String> {
        let body = body.map_or(String::new(), |b| b.to_string());
        let failed = |e: std::io::Error| e.to_string();
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).map_err(failed)?;
        stream
            .set_read_timeout(Some(Duration::from_secs(60)))
            .map_err(failed)?;
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        )
        .map_err(failed)?;
        // the head, line by line, then as many bytes as it says
        let mut answer = BufReader::new(stream);
        let (mut found, mut length) = (false, 0);
        loop {
            let mut line = String::new();
            answer.read_line(&mut line).map_err(failed)?;
            let line = line.trim().to_lowercase();
            found |= line.starts_with("http/") && line.contains(" 200 ");
            if let Some(count) = line.strip_prefix("content-length:") {
                length = count.trim().parse().map_err(|_| "no length".to_owned())?;
            }
            if line.is_empty() {
                break;
            }
        }
        let mut content = vec![0; length];
        answer.read_exact(&mut content).map_err(failed)?;
        let json: Value = serde_json::from_slice(&content).map_err(|e| e.to_string())?;
        match found {
            true => Ok(json["value"].clone()),
            false => Err(json["value"]["message"].to_string()),
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if !self.session.is_empty() {
            let path = format!("/session/{}", self.session);
            self.request("DELETE", &path, None).ok();
        }
        self.driver.kill().ok();
        self.driver.wait().ok();
    }
}
