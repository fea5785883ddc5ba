//! Who may do what: every operation by everybody, over both faces. The tables here say what the design promises; they are not
//! made of the code.

mod world;

use std::collections::BTreeSet;

use chat_core::{Actor, ConversationId, ErrorKind, Target, Write};
use serde_json::{Value, json};

use self::world::World;
use super::client::Host;
use super::faces::{Api, framed, open};

/// What is answered: `yes`; `no`: one may know of it, but not do it; `none`: as if it did not exist; `login`: who is nobody is
/// asked to log in; `bad`: something is missing: an owner who leaves names a successor, who sees all names the conversation to
/// search in. `-`: there is no such case.
///
/// The group: an owner, an admin, members, one who was removed, and one whom the owner blocked (a member all the same). Everybody
/// wrote a message in it. `support` reads all, and is no member.
const GROUP: &str = "
                        nobody stranger former blocked member admin owner support host
conversation            login  none     yes    yes     yes    yes   yes   none    -
history                 login  none     yes    yes     yes    yes   yes   yes     -
log                     login  none     yes    yes     yes    yes   yes   yes     -
search                  login  none     yes    yes     yes    yes   yes   yes     -
members                 login  none     none   yes     yes    yes   yes   yes     -
read                    login  none     none   yes     yes    yes   yes   none    -
delivered               login  none     none   yes     yes    yes   yes   none    -
signal                  login  none     none   yes     yes    yes   yes   none    -
post                    login  none     none   yes     yes    yes   yes   none    yes
post+reply              login  none     none   yes     yes    yes   yes   none    yes
react                   login  none     none   yes     yes    yes   yes   none    -
edit+own                login  none     none   yes     yes    yes   yes   -       -
edit+other              login  none     none   no      no     no    no    none    -
delete+own              login  none     none   yes     yes    yes   yes   -       -
delete+other            login  none     none   no      no     yes   yes   none    yes
pin                     login  none     none   no      no     yes   yes   none    yes
configure               login  none     none   no      no     yes   yes   none    yes
add                     login  none     none   no      no     yes   yes   none    yes
add+admin               login  none     none   no      no     no    yes   none    yes
remove+member           login  none     none   no      no     yes   yes   none    yes
remove+admin            login  none     none   no      no     no    yes   none    yes
remove+owner            login  none     none   no      no     no    -     none    yes
set_role                login  none     none   no      no     no    yes   none    yes
set_role+owner          login  none     none   no      no     no    yes   none    yes
leave                   login  none     none   yes     yes    yes   bad   none    -
leave+successor         login  none     none   yes     yes    yes   yes   none    -
hide                    login  none     none   yes     yes    yes   yes   none    -
mute                    login  none     none   yes     yes    yes   yes   none    -
archive                 login  none     none   yes     yes    yes   yes   none    -
";

/// A direct conversation, and for the blocked one theirs with who blocked them. Their signals are taken and reach nobody. One does
/// not leave it, one hides it; not even the host changes that it is of these two.
const DIRECT: &str = "
                        nobody stranger blocked party other support host
conversation            login  none     yes     yes   yes   none    -
history                 login  none     yes     yes   yes   yes     -
log                     login  none     yes     yes   yes   yes     -
search                  login  none     yes     yes   yes   yes     -
members                 login  none     yes     yes   yes   yes     -
read                    login  none     yes     yes   yes   none    -
delivered               login  none     yes     yes   yes   none    -
signal                  login  none     yes     yes   yes   none    -
post                    login  none     no      yes   yes   none    yes
post+reply              login  none     no      yes   yes   none    yes
react                   login  none     no      yes   yes   none    -
edit+own                login  none     no      yes   yes   -       -
edit+other              login  none     no      no    no    none    -
delete+own              login  none     yes     yes   yes   -       -
delete+other            login  none     no      no    no    none    yes
pin                     login  none     no      yes   yes   none    yes
configure               login  none     no      no    no    none    -
add                     login  none     no      no    no    none    no
remove+member           login  none     no      no    no    none    no
set_role                login  none     no      no    no    none    no
leave                   login  none     no      no    no    none    -
hide                    login  none     yes     yes   yes   none    -
mute                    login  none     yes     yes   yes   none    -
archive                 login  none     yes     yes   yes   none    -
";

/// What is asked of no conversation. `owner` is who blocked `blocked`; `stranger` shares nothing with anybody.
const ALONE: &str = "
                        nobody stranger blocked member support
inbox                   login  yes      yes     yes    yes
heads                   login  yes      yes     yes    yes
users                   login  yes      yes     yes    yes
user+self               login  yes      yes     yes    yes
user+owner              login  none     yes     yes    yes
user+nobody             login  none     none    none   none
presence+owner          login  none     yes     yes    -
search+all              login  yes      yes     yes    bad
log+own                 login  yes      yes     yes    yes
log+owner's             login  none     none    none   none
create                  login  yes      yes     yes    yes
create+owner            login  yes      no      yes    yes
post+to-owner           login  yes      no      yes    yes
post+to-nobody          login  none     none    none   none
block                   login  yes      yes     yes    yes
profile                 login  yes      yes     yes    yes
";

/// What is about the socket itself; that it tells nothing is shown by the laws of the hub.
const SESSION: [&str; 3] = ["ping", "renew", "resume"];

/// What a code or a status means, in the words of the tables.
fn means(answer: &str) -> &'static str {
    match answer {
        "200" | "reply" | "pong" => "yes",
        "403" | "forbidden" => "no",
        "404" | "not_found" => "none",
        "401" => "login",
        "422" | "invalid" => "bad",
        other => panic!("{other}"),
    }
}

/// The same frame about what does not exist.
fn elsewhere(body: &Value, conversation: ConversationId) -> Value {
    let text = body.to_string();
    let id = conversation.get();
    let gone = text.replace(&format!("\"conversation\":{id}"), "\"conversation\":999");
    serde_json::from_str(&gone).unwrap()
}

async fn cell(
    api: &Api,
    scene: &str,
    row: &str,
    who: &str,
    expected: &str,
    wrong: &mut Vec<String>,
) -> &'static str {
    let world = World::new(scene, who).await;
    let actor = if who == "party" { "member" } else { who };
    let (word, body) = world.frame(row, actor);
    let mut judge = |face: &str, found: &str| {
        if found != expected {
            wrong.push(format!(
                "{scene}: {row} by {who}, {face}: {found}, not {expected}"
            ));
        }
    };
    if who == "host" {
        let target = Target::Conversation(world.conversation);
        let write = Write::new(Actor::Host, target, vec![world.change(row)]);
        let done = world.host.chat.commit(write).await;
        let found = match done.map_err(|error| error.kind()) {
            Ok(_) => "yes",
            Err(ErrorKind::Forbidden) => "no",
            Err(other) => panic!("{row}: {other:?}"),
        };
        judge("in process", found);
        return word;
    }
    let Some(person) = world.person(actor) else {
        let host = &world.host;
        if !["signal", "presence"].contains(&word) {
            let reply = api.request(host, word, &body).send().await;
            judge("plain", means(&reply.status.to_string()));
        }
        return word;
    };
    let (host, gone) = (&world.host, elsewhere(&body, world.conversation));
    let mut plain = None;
    if !["signal", "presence"].contains(&word) {
        let reply = api.request(host, word, &body).bearer(&person).send().await;
        judge("plain", means(&reply.status.to_string()));
        if reply.status == 404 {
            // Byte for byte as what does not exist.
            let none = api.request(host, word, &gone).bearer(&person).send().await;
            assert_eq!(
                (none.status, &none.body),
                (404, &reply.body),
                "{row} by {who}"
            );
        }
        plain = Some(reply);
    }
    // The same again on a socket: of a write it is a retry with its key, which answers as the first time did.
    let mut socket = open(host, &person).await;
    let frame = framed(&mut socket, word, &body).await;
    let code = frame["body"]["code"].as_str().or(frame["type"].as_str());
    judge("framed", means(code.unwrap()));
    if code == Some("not_found") {
        assert_eq!(
            framed(&mut socket, word, &gone).await,
            frame,
            "{row} by {who}"
        );
    }
    if let Some(plain) = plain.filter(|plain| plain.status != 200) {
        assert_eq!(
            plain.json()["detail"],
            frame["body"]["detail"],
            "{row} by {who}"
        );
    }
    word
}

#[tokio::test]
async fn everybody_may_do_what_the_design_says() {
    let api = Api::of(&Host::start().await).await;
    let (mut wrong, mut words) = (Vec::new(), BTreeSet::new());
    for (scene, table) in [("group", GROUP), ("direct", DIRECT), ("group", ALONE)] {
        let mut lines = table.trim_start_matches('\n').lines();
        let people: Vec<&str> = lines.next().unwrap().split_whitespace().collect();
        for line in lines {
            let mut cells = line.split_whitespace();
            let row = cells.next().unwrap();
            let cells: Vec<&str> = cells.collect();
            assert_eq!(cells.len(), people.len(), "{line}");
            for (who, expected) in people.iter().zip(cells) {
                if expected != "-" {
                    words.insert(cell(&api, scene, row, who, expected, &mut wrong).await);
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}\n", wrong.join("\n"));
    // Nothing is left out.
    words.extend(SESSION);
    let all: BTreeSet<&str> = chat_core::protocol::Request::TYPES
        .iter()
        .copied()
        .collect();
    assert_eq!(words, all);
}

/// Who sees all sees every conversation, but of other users only what they tell there: their own logs, of blocks and marks, are
/// theirs. Resuming one ends as with a log that does not exist.
#[tokio::test]
async fn who_sees_all_resumes_nobodys_own_log() {
    let world = World::new("group", "support").await;
    let support = world.person("support").unwrap();
    let mut socket = open(&world.host, &support).await;
    for id in [world.users["owner"].get(), 999] {
        let logs = json!([{"log": {"user": id}, "after": 0}]);
        let taken = framed(&mut socket, "resume", &json!({"logs": logs})).await;
        assert_eq!(taken["body"]["kind"], "done");
        let told = socket.json().await;
        let resync = json!({"type": "resync", "body": {"log": {"user": id}, "seq": 0}});
        assert_eq!(told, resync);
    }
}
