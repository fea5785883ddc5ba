//! What a store says that does not open, and TLS.

use chat_core::Store;
use chat_store_postgres::{OpenError, PostgresStore};
use chat_testkit::Postgres;

use crate::{SERVER, url};
use chat_testkit::writes::{register, secret};

#[tokio::test]
async fn errors_tell_what_to_mend_and_no_password() {
    let port = SERVER.port();
    for url in [
        "mysql://ada:hunter2@localhost/x".to_owned(),
        "postgres://ada:hunter2@host:port/x".to_owned(),
        "postgres://ada:hu@nter2@localhost:hunter2/x".to_owned(),
        format!("postgres://ada:hunter2@127.0.0.1:{port}/postgres?sslmode=hunter2"),
        format!("postgres://ada:hunter2@127.0.0.1:{port}/postgres?hunter2=1"),
        format!("postgres://ada:hunter2@127.0.0.1:{port}/postgres"),
        format!("postgres://chat:hunter2@127.0.0.1:{port}/nothing"),
        format!("postgres://chat:hunter2@127.0.0.1:{port}/postgres?sslmode=require"),
        "postgres://ada:hunter2@127.0.0.1:1/x".to_owned(),
    ] {
        let error = PostgresStore::open(&url).await.unwrap_err();
        let told = format!("{error} {error:?}");
        assert!(
            !told.contains("hunter2") && !told.contains("nter2"),
            "{url}: {told}"
        );
    }
    let refused = PostgresStore::open(&format!("postgres://ada@127.0.0.1:{port}/postgres")).await;
    assert!(matches!(refused, Err(OpenError::Refused { .. })));
    let nobody = PostgresStore::open("postgres://ada@127.0.0.1:1/postgres");
    assert!(matches!(nobody.await, Err(OpenError::Unreachable { .. })));
}

#[tokio::test]
async fn tables_of_others_and_of_newer_versions_are_left_alone() {
    let (url, schema) = (url(), |url: &str| {
        url.rsplit_once("%3D").unwrap().1.to_owned()
    });
    let sql = |sql: &str| {
        SERVER
            .sql("postgres", &sql.replace('@', &schema(&url)))
            .unwrap()
    };
    sql("CREATE TABLE @.chat_rooms(id int); CREATE TABLE @.chatter(id int)");
    let error = PostgresStore::open(&url).await.unwrap_err();
    assert!(
        matches!(&error, OpenError::Foreign { table } if table == "chat_rooms"),
        "{error}"
    );
    sql("DROP TABLE @.chat_rooms; CREATE TABLE @.chat_meta(id int)");
    let error = PostgresStore::open(&url).await.unwrap_err();
    assert!(
        matches!(&error, OpenError::Foreign { table } if table == "chat_meta"),
        "{error}"
    );
    sql("DROP TABLE @.chat_meta");
    drop(PostgresStore::open(&url).await.unwrap());
    sql("UPDATE @.chat_meta SET number = 99 WHERE name = 'schema'");
    let error = PostgresStore::open(&url).await.unwrap_err();
    assert!(
        matches!(error, OpenError::Newer { found: 99, .. }),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_that_start_at_once_make_one_set_of_tables() {
    let url = url();
    let open = (0..8).map(|_| {
        tokio::spawn({
            let url = url.clone();
            async move { PostgresStore::open(&url).await }
        })
    });
    let mut secrets = Vec::new();
    for opened in open.collect::<Vec<_>>() {
        secrets.push(secret(&opened.await.unwrap().unwrap()).await);
    }
    assert_eq!(secrets.len(), 8);
    assert!(
        secrets
            .iter()
            .all(|secret| *secret == secrets[0] && *secret != [0; 32])
    );
}

#[tokio::test]
async fn certificates_are_checked_as_far_as_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let made = |host: &str| rcgen::generate_simple_self_signed(vec![host.to_owned()]).unwrap();
    // The server is called `localhost`.
    let (own, other) = (made("localhost"), made("localhost"));
    std::fs::write(path("other.crt"), other.cert.pem()).unwrap();
    std::fs::write(path("own.crt"), own.cert.pem()).unwrap();
    let server = Postgres::start().unwrap();
    server
        .use_certificate(&own.cert.pem(), &own.signing_key.serialize_pem())
        .unwrap();
    let url = server.database().unwrap();
    let named = url.replace("127.0.0.1", "localhost");
    let (right, wrong) = (path("own.crt"), path("other.crt"));
    for (url, opens) in [
        (format!("{url}?sslmode=disable"), true),
        (format!("{url}?sslmode=prefer"), true),
        (format!("{url}?sslmode=require"), true),
        (format!("{url}?sslmode=require&sslrootcert={wrong}"), false),
        (format!("{url}?sslmode=verify-ca&sslrootcert={right}"), true),
        (
            format!("{url}?sslmode=verify-ca&sslrootcert={wrong}"),
            false,
        ),
        (
            format!("{url}?sslmode=verify-full&sslrootcert={right}"),
            false,
        ),
        (
            format!("{named}?sslmode=verify-full&sslrootcert={right}"),
            true,
        ),
        (
            format!("{named}?sslmode=verify-full&sslrootcert={wrong}"),
            false,
        ),
        (format!("{named}?sslmode=verify-full"), false),
    ] {
        let opened = PostgresStore::open(&url).await;
        assert_eq!(opened.is_ok(), opens, "{url}: {:?}", opened.err());
        if let Ok(store) = opened {
            let encrypted = "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
                WHERE application_name = 'chat' AND ssl";
            register(&store, &url).await;
            let count = server.sql("postgres", encrypted).unwrap();
            assert_eq!(count != "0", !url.contains("disable"), "{url}");
            store.close().await.unwrap();
        }
    }
}
