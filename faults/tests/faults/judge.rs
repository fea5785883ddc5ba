//! Compares a store after a fault with all that the victim was told before.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use chat_core::{Chat, ConversationId, Limits, Seq, Store, UserId, Write};
use chat_faults::{Attempt, Plan, Receipt, Report, Script, Sight, digest, enrolment, open};

use crate::survey::Survey;

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// Writes that were acknowledged …
    pub(crate) acknowledged: usize,
    /// … and that were not, but may have happened.
    pub(crate) unknown: usize,
    /// Things that were read.
    pub(crate) read: usize,
    /// Acknowledged, and not there.
    pub(crate) lost: Vec<String>,
    /// Read, and not there.
    pub(crate) unread: Vec<String>,
    /// Done more than once.
    pub(crate) doubled: Vec<String>,
    /// Any other law.
    pub(crate) broken: Vec<String>,
}

impl Findings {
    pub(crate) fn are_good(&self) -> bool {
        self.lost.is_empty()
            && self.unread.is_empty()
            && self.doubled.is_empty()
            && self.broken.is_empty()
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.acknowledged += other.acknowledged;
        self.unknown += other.unknown;
        self.read += other.read;
        self.lost.extend(other.lost);
        self.unread.extend(other.unread);
        self.doubled.extend(other.doubled);
        self.broken.extend(other.broken);
    }

    /// For a person, with no more than the first of each.
    pub(crate) fn tell(&self) -> String {
        let list = |what: &str, of: &[String]| match of.first() {
            Some(first) => format!("{} {what}, the first: {first}", of.len()),
            None => format!("0 {what}"),
        };
        [
            format!("{} acknowledged", self.acknowledged),
            format!("{} unknown", self.unknown),
            format!("{} read", self.read),
            list("lost", &self.lost),
            list("read and lost", &self.unread),
            list("doubled", &self.doubled),
            list("laws broken", &self.broken),
        ]
        .join("; ")
    }
}

/// One write of the victim.
struct Known {
    name: String,
    attempt: Attempt,
    receipt: Option<Receipt>,
}

/// All writes that were begun, each writer's in their order.
fn known(plan: Plan, reports: &[Report]) -> Vec<Known> {
    let mut tried = BTreeSet::new();
    let mut done: BTreeMap<(u32, u32), &Receipt> = BTreeMap::new();
    for report in reports {
        match report {
            Report::Trying { writer, number } => {
                tried.insert((*writer, *number));
            }
            Report::Done {
                writer,
                number,
                receipt,
            } => {
                done.insert((*writer, *number), receipt);
            }
            _ => {}
        }
    }
    let mut known = Vec::new();
    let mut users: Vec<UserId> = Vec::new();
    for (number, write) in (0..).zip(enrolment(plan)) {
        if tried.contains(&(u32::MAX, number)) {
            let receipt = done.get(&(u32::MAX, number)).copied().cloned();
            users.extend(receipt.as_ref().and_then(|receipt| receipt.user));
            let attempt = Attempt {
                write,
                posts: Vec::new(),
                edit: None,
            };
            let name = format!("enrolment {number}");
            known.push(Known {
                name,
                attempt,
                receipt,
            });
        }
    }
    for writer in 0..plan.writers {
        let Some(mut script) = Script::new(plan, writer, &users) else {
            break;
        };
        while tried.contains(&(writer, script.number())) {
            let attempt = script.attempt();
            let number = script.number();
            let receipt = done.get(&(writer, number)).copied().cloned();
            if let Some(receipt) = &receipt {
                script.done(&attempt, receipt);
            }
            let is_last = receipt.is_none();
            known.push(Known {
                name: format!("write {number} of {writer}"),
                attempt,
                receipt,
            });
            if is_last {
                break;
            }
        }
    }
    assert_eq!(
        known.len(),
        tried.len(),
        "the script differs from what was told"
    );
    known
}

/// The texts of a message from its first on.
type Texts = BTreeMap<(ConversationId, Seq), Vec<String>>;

/// What must stand where, by receipts.
fn texts<'a>(of: impl Iterator<Item = (&'a Attempt, &'a Receipt)>) -> Texts {
    let mut texts = Texts::new();
    for (attempt, receipt) in of {
        if let (Some(id), count) = (receipt.conversation, attempt.posts.len() as u64) {
            let end = receipt.first + u64::from(receipt.count);
            for (seq, text) in (end - count..end).zip(&attempt.posts) {
                texts.insert((id, seq), vec![text.clone()]);
            }
        }
        if let Some((id, message, _, text)) = &attempt.edit {
            let texts = texts.entry((*id, *message)).or_default();
            texts.push(text.clone());
        }
    }
    texts
}

/// Opens a store after a fault and compares.
pub(crate) fn judge(store: &str, plan: Plan, reports: &[Report]) -> Findings {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let known = known(plan, reports);
        let mut findings = Findings {
            acknowledged: known.iter().filter(|one| one.receipt.is_some()).count(),
            unknown: known.iter().filter(|one| one.receipt.is_none()).count(),
            ..Findings::default()
        };
        match open(store) {
            Ok(store) => {
                if let Err(error) = compare(&mut findings, &store, &known, reports).await {
                    findings.broken.push(format!("unreadable: {error:?}"));
                }
                store.close().await.unwrap();
            }
            Err(error) => {
                findings.broken.push(format!("it does not open: {error}"));
                findings.lost.extend(known.into_iter().map(|one| one.name));
            }
        }
        findings
    })
}

async fn compare(
    findings: &mut Findings,
    store: &Arc<dyn Store>,
    known: &[Known],
    reports: &[Report],
) -> Result<(), chat_core::Error> {
    let survey = Survey::of(&**store).await?;
    findings.broken.extend(survey.broken.iter().cloned());
    let sure = known.iter();
    let sure = sure.filter_map(|one| Some((&one.attempt, one.receipt.as_ref()?)));
    compare_texts(findings, &survey, &texts(sure));
    compare_sights(findings, &survey, reports);

    let settled = retry(findings, store, known).await?;
    let survey = Survey::of(&**store).await?;
    findings.broken.extend(survey.broken.iter().cloned());
    let all = known.iter().zip(&settled);
    let all = all.filter_map(|(one, receipt)| Some((&one.attempt, receipt.as_ref()?)));
    compare_texts(findings, &survey, &texts(all));
    let mut once = HashMap::new();
    for (place, message) in &survey.messages {
        if let Some(other) = once.insert(message.text().unwrap_or_default(), *place) {
            findings
                .doubled
                .push(format!("{place:?} says what {other:?} says"));
        }
    }
    Ok(())
}

/// Acknowledged texts stand where they were said to be. The last edit may be one that was not acknowledged.
fn compare_texts(findings: &mut Findings, survey: &Survey, texts: &Texts) {
    for (place, texts) in texts {
        let found = survey.messages.get(place);
        let revision = found.map_or(0, |message| message.revision as usize);
        let text = found.and_then(|message| message.text());
        let is_there = found.is_some()
            && revision + 1 >= texts.len()
            && (texts.get(revision)).is_none_or(|expected| Some(expected.as_str()) == text);
        if !is_there {
            findings.lost.push(format!("the message {place:?}"));
        }
    }
}

/// What was read is there.
fn compare_sights(findings: &mut Findings, survey: &Survey, reports: &[Report]) {
    for report in reports {
        let Report::Read(sight) = report else {
            continue;
        };
        findings.read += 1;
        let is_there = match sight {
            Sight::Event { position, .. } => {
                let entry = survey.feed.get(position);
                entry.is_some_and(|entry| Sight::from(entry) == *sight)
            }
            Sight::Message {
                conversation,
                seq,
                revision,
                digest: told,
            } => survey
                .messages
                .get(&(*conversation, *seq))
                .is_some_and(|message| {
                    message.revision > *revision
                        || message.revision == *revision
                            && digest(message.text().unwrap_or_default()) == *told
                }),
        };
        if !is_there {
            findings.unread.push(format!("{sight:?}"));
        }
    }
}

/// Hands in every write twice more: what was acknowledged answers the same, what was not is settled, once.
async fn retry(
    findings: &mut Findings,
    store: &Arc<dyn Store>,
    known: &[Known],
) -> Result<Vec<Option<Receipt>>, chat_core::Error> {
    let mut limits = Limits::default();
    limits.message_rate = 0.0;
    let chat = Chat::builder(Arc::clone(store)).limits(limits).build();
    let mut settled = Vec::new();
    for part in known.chunks(500) {
        let again = |one: &Known| {
            let (chat, write): (Chat, Write) = (chat.clone(), one.attempt.write.clone());
            tokio::spawn(async move { chat.commit(write).await })
        };
        let tries: Vec<_> = part.iter().map(|one| (again(one), again(one))).collect();
        for (one, (first, second)) in part.iter().zip(tries) {
            let (first, second) = (first.await.unwrap(), second.await.unwrap());
            let (Ok(first), Ok(second)) = (&first, &second) else {
                let list = match one.receipt {
                    Some(_) => &mut findings.lost,
                    None => &mut findings.broken,
                };
                list.push(format!("{} again: {first:?}, {second:?}", one.name));
                settled.push(None);
                continue;
            };
            let receipt = Receipt::from(first);
            if Receipt::from(second) != receipt || !(first.replayed || second.replayed) {
                findings.doubled.push(one.name.clone());
            }
            if let Some(said) = &one.receipt
                && (*said != receipt || !first.replayed || !second.replayed)
            {
                findings.lost.push(one.name.clone());
            }
            settled.push(Some(receipt));
        }
    }
    Ok(settled)
}
