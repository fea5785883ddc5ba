//! The victim: opens a store, writes and reads as fast as it can, and tells all of it on its standard output, until its power
//! is cut.
//!
//! `chat-faults-victim STORE ROUND WRITERS LARGE PATIENCE`: see [`chat_faults::open`] and [`chat_faults::Plan`]. A write that
//! fails is tried PATIENCE times more. If that does not help either, all writers stop, everything is read once, and the store
//! is opened anew. Any other error than `Unavailable` and `Busy` ends the victim with status 1, and so does any failed read.

use std::collections::HashMap;
use std::fs::File;
use std::io::Write as _;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chat_core::{
    Chat, ConversationId, ErrorKind, EventKind, Limits, LogId, Span, UserId, Viewer, Write,
};
use chat_faults::{Plan, Receipt, Report, Rng, Script, Sight, enrolment, open};
use tokio::sync::Mutex;
use tokio::task::JoinSet;

/// How often a store may refuse to open before the victim gives up.
const OPENINGS: u32 = 10_000;

/// Standard output without a buffer: a line reaches the test at once and whole, or not at all.
#[derive(Clone)]
struct Teller(Arc<File>);

impl Teller {
    fn new() -> Result<Self, String> {
        let out = std::io::stdout().as_fd().try_clone_to_owned();
        Ok(Self(Arc::new(File::from(out.map_err(text)?))))
    }

    fn tell(&self, report: &Report) -> Result<(), String> {
        let mut line = serde_json::to_string(report).map_err(text)?;
        line.push('\n');
        (&*self.0).write_all(line.as_bytes()).map_err(text)
    }
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// What all tasks of the victim share while a store is open.
#[derive(Clone)]
struct Scene {
    chat: Chat,
    teller: Teller,
    patience: u32,
    stop: Arc<AtomicBool>,
    /// Conversations that were read of.
    known: Arc<Mutex<Vec<ConversationId>>>,
}

impl Scene {
    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Hands in a write until it is acknowledged, or patience ends.
    async fn submit(
        &self,
        writer: u32,
        number: u32,
        write: &Write,
    ) -> Result<Option<Receipt>, String> {
        for _ in 0..=self.patience {
            self.teller.tell(&Report::Trying { writer, number })?;
            match self.chat.commit(write.clone()).await {
                Ok(done) => {
                    let receipt = Receipt::from(&done);
                    self.teller.tell(&Report::Done {
                        writer,
                        number,
                        receipt: receipt.clone(),
                    })?;
                    return Ok(Some(receipt));
                }
                Err(error) => {
                    let what = format!("{:?}: {error}", error.kind());
                    if !matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Busy) {
                        return Err(format!("write {number} of {writer}: {what}"));
                    }
                    self.teller.tell(&Report::Failed {
                        writer,
                        number,
                        error: what,
                    })?;
                }
            }
        }
        self.stop.store(true, Ordering::Relaxed);
        Ok(None)
    }

    async fn write(self, mut script: Script) -> Result<Script, String> {
        while !self.stopped() {
            let attempt = script.attempt();
            let done = self.submit(script.writer(), script.number(), &attempt.write);
            if let Some(receipt) = done.await? {
                script.done(&attempt, &receipt);
            }
        }
        Ok(script)
    }

    /// Tells all that happens, once.
    async fn follow(self) -> Result<(), String> {
        let mut after = 0;
        while !self.stopped() {
            let page = self.chat.feed(after, 200).await.map_err(text)?;
            for entry in &page {
                self.teller.tell(&Report::Read(Sight::from(entry)))?;
                after = entry.position;
                if let (EventKind::Created { .. }, LogId::Conversation(id)) =
                    (&entry.event.kind, entry.event.log)
                {
                    self.known.lock().await.push(id);
                }
            }
            if page.is_empty() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        Ok(())
    }

    /// Looks into conversations, tells messages and their edits.
    async fn look(self, mut rng: Rng) -> Result<(), String> {
        let mut seen = HashMap::new();
        while !self.stopped() {
            let known = rng.pick(&self.known.lock().await).copied();
            let Some(id) = known else {
                tokio::time::sleep(Duration::from_millis(1)).await;
                continue;
            };
            let page = self.chat.history(Viewer::All, id, Span::Latest, 10);
            for message in page.await.map_err(text)? {
                let before = seen.insert((id, message.seq), message.revision);
                if before != Some(message.revision) {
                    self.teller.tell(&Report::Read(Sight::from(&message)))?;
                }
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        Ok(())
    }

    /// Reads everything once.
    async fn read_all(&self) -> Result<(), String> {
        let mut after = 0;
        loop {
            let page = self.chat.feed(after, 1000).await.map_err(text)?;
            let Some(last) = page.last() else { break };
            after = last.position;
        }
        for id in self.known.lock().await.iter() {
            let log = self.chat.log(Viewer::All, (*id).into(), 0, 100);
            log.await.map_err(text)?;
        }
        self.teller.tell(&Report::ReadOn)
    }
}

/// Names the users to the scripts. `None` when patience ended.
async fn enrol(scene: &Scene, plan: Plan) -> Result<Option<Vec<Script>>, String> {
    let mut users: Vec<UserId> = Vec::new();
    for (number, write) in (0..).zip(enrolment(plan)) {
        match scene.submit(u32::MAX, number, &write).await? {
            Some(receipt) => users.extend(receipt.user),
            None => return Ok(None),
        }
    }
    let scripts = (0..plan.writers).filter_map(|writer| Script::new(plan, writer, &users));
    Ok(Some(scripts.collect()))
}

/// Writes and reads until patience ends; the scripts as they stand then.
async fn run(scene: &Scene, scripts: Vec<Script>, plan: Plan) -> Result<Vec<Script>, String> {
    let mut readers = JoinSet::new();
    readers.spawn(scene.clone().follow());
    readers.spawn(scene.clone().look(Rng::new(plan.round)));
    let mut writers = JoinSet::new();
    for script in scripts {
        writers.spawn(scene.clone().write(script));
    }
    let mut scripts = Vec::new();
    loop {
        tokio::select! {
            Some(done) = writers.join_next() => scripts.push(done.map_err(text)??),
            Some(done) = readers.join_next() => done.map_err(text)??,
            else => return Ok(scripts),
        }
    }
}

async fn live(store: &str, plan: Plan, patience: u32) -> Result<(), String> {
    let teller = Teller::new()?;
    let mut scripts: Option<Vec<Script>> = None;
    let mut refused = 0;
    loop {
        let store = match open(store) {
            Ok(store) => store,
            Err(error) => {
                teller.tell(&Report::NotOpened(error.clone()))?;
                refused += 1;
                if refused > OPENINGS {
                    return Err(error);
                }
                continue;
            }
        };
        teller.tell(&Report::Opened)?;
        let mut limits = Limits::default();
        limits.message_rate = 0.0;
        let scene = Scene {
            chat: Chat::builder(store).limits(limits).build(),
            teller: teller.clone(),
            patience,
            stop: Arc::default(),
            known: Arc::default(),
        };
        if scripts.is_none() {
            scripts = enrol(&scene, plan).await?;
        }
        if let Some(waiting) = scripts.take() {
            scripts = Some(run(&scene, waiting, plan).await?);
        }
        scene.read_all().await?;
        // What keeps it from closing well does not keep it from being opened again.
        let _ = scene.chat.drain(Duration::from_secs(60)).await;
    }
}

fn main() -> Result<(), String> {
    let given: Vec<String> = std::env::args().collect();
    let [_, store, round, writers, large, patience] = given.as_slice() else {
        return Err("five arguments, please".to_owned());
    };
    let plan = Plan {
        round: round.parse().map_err(text)?,
        writers: writers.parse().map_err(text)?,
        large: large == "true",
    };
    let patience = patience.parse().map_err(text)?;
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(text)?
        .block_on(live(store, plan, patience))
}
